// SPDX-License-Identifier: Apache-2.0
//
// Reading a call's plan on the device. The host has not seen it, so everything in it is checked here: what is wrong is
// reported, and the rows that it concerns become NaN, so that no base answer passes for an adapter's.
#ifndef DJL_LORA_CUDA_KERNELS_PLAN_H_
#define DJL_LORA_CUDA_KERNELS_PLAN_H_

#include "platform.h"

namespace djl_lora {
namespace cuda {

// Rows [begin, end) and their entries [first, last). With an error there are no entries.
struct Segment {
  int number;
  int begin;
  int end;
  int first;
  int last;
  int error;  // a DeviceErrorCode
  int value;
};

constexpr int kLeast = -2147483647 - 1;
constexpr int kMost = 2147483647;

DJL_LORA_DEVICE int Clamp(long long value, int least, int most) {
  return value < least ? least : value > most ? most : static_cast<int>(value);
}

// Rows are always within the batch. The first and the last segment reach to its ends, so that where a plan does not
// cover all rows the others become NaN as well.
DJL_LORA_DEVICE Segment ReadSegment(const SgmvParams& params, int number) {
  Segment segment{};
  segment.number = number;
  const long long begin = Load(params.segment_starts + number);
  const long long end = Load(params.segment_starts + number + 1);
  const bool first = number == 0;
  const bool last = number == params.segments - 1;
  segment.begin = first ? 0 : Clamp(begin, 0, params.tokens);
  segment.end = last ? params.tokens : Clamp(end, segment.begin, params.tokens);
  if ((first && begin != 0) || begin < 0 || begin > params.tokens) {
    segment.error = kBadSegment;
    segment.value = Clamp(begin, kLeast, kMost);
  } else if ((last && end != params.tokens) || end < begin || end > params.tokens) {
    segment.error = kBadSegment;
    segment.value = Clamp(end, kLeast, kMost);
  }
  if (params.entry_starts == nullptr) {
    segment.first = number;
    segment.last = Load(params.slots + number) == -1 ? number : number + 1;
  } else {
    const long long from = Load(params.entry_starts + number);
    const long long to = Load(params.entry_starts + number + 1);
    if (from < 0 || to < from || to - from > kMaxEntries || to > params.entries || (first && from != 0) ||
        (last && to != params.entries)) {
      segment.error = kBadStack;
      segment.value = Clamp(to - from, kLeast, kMost);
    } else {
      segment.first = static_cast<int>(from);
      segment.last = static_cast<int>(to);
    }
  }
  if (segment.error != kNoError) {
    segment.last = segment.first;
  }
  return segment;
}

// The share of an entry in an output's module; null where the entry's slot is not one of the table's.
DJL_LORA_DEVICE const DeviceModule* FindModule(const SgmvParams& params, int entry, int output) {
  const long long slot = Load(params.slots + entry);
  if (slot < 0 || slot >= params.table_slots) {
    return nullptr;
  }
  return params.table + slot * params.table_modules + params.output[output].module;
}

// The ranks of a segment's entries in an output's module, all together; 0, with the reason in the segment, where one of
// the entries may not be used. What one output may not use the others do not use either: the kernels of all outputs
// come to the same result.
DJL_LORA_DEVICE int CheckEntries(const SgmvParams& params, int output, Segment* segment) {
  const bool stack = segment->last - segment->first > 1;
  int ranks = 0;
  DJL_LORA_KEEP_LOOP
  for (int o = 0; o < params.outputs; ++o) {
    int sum = 0;
    DJL_LORA_KEEP_LOOP
    for (int entry = segment->first; entry < segment->last; ++entry) {
      const DeviceModule* module = FindModule(params, entry, o);
      const float weight = params.entry_weights == nullptr ? 1.0f : Load(params.entry_weights + entry);
      int error = kNoError;
      int value = Clamp(Load(params.slots + entry), kLeast, kMost);
      if (module == nullptr) {
        error = kBadSlot;
      } else if (Load(&module->rank) == kEmptySlot) {
        error = kNoAdapter;
      } else if (!(weight - weight == 0.0f)) {
        error = kBadWeight;
      } else if ((stack || weight != 1.0f) && (module->out_scale != nullptr || module->bias != nullptr)) {
        error = kNotStackable;
      } else {
        sum += Load(&module->rank);
        if (sum > params.max_rank) {
          error = kRankTooLarge;
          value = sum;
        }
      }
      if (error != kNoError) {
        segment->error = error;
        segment->value = value;
        segment->last = segment->first;
        return 0;
      }
    }
    if (o == output) {
      ranks = sum;
    }
  }
  return ranks;
}

}  // namespace cuda
}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_KERNELS_PLAN_H_
