// SPDX-License-Identifier: Apache-2.0
//
// Attention over paged keys and values on tensor cores, as FlashAttention-2 (Dao, 2023) computes it: tiles of positions
// pass through shared memory, and the softmax is put together tile by tile (Milakov and Gimelshein, 2018) in registers.
//
// The query heads that share a head of keys are rows beside each other, so that each key is read once for all of them
// and fills the cores' 16 rows as far as it can. What a block does depends on its sequence alone:
//
//   many rows (a prompt)   a tile of rows; each warp takes 16 of them and all positions
//   up to 16 rows          all rows, and a part of the positions; each warp takes 16 positions of every 64, and their
//   (one token, a draft)   sums are put together at the end (flash decoding). A second kernel adds up the parts.
//
// One launch holds blocks of both kinds, so a batch of prompts and single tokens keeps the device busy with both, which
// ask for different things: the first for the cores, the second for memory.
//
// Keys lie with the positions of one component side by side, values with the components of one position. For the cores
// both are matrices whose rows are summed over, which ldmatrix transposes on the way to the registers. Tiles come by
// cp.async, the next while the cores work on this one. Rows in shared memory are padded by 16 bytes: with an even
// number of 16-byte parts before that, eight rows start in eight different groups of banks, as ldmatrix wants it.
//
// The same bits each time, and for a row in whatever batch: where parts begin depends on the sequence's own length,
// tiles begin at multiples of their length, positions that a row does not see change nothing, and nothing is added by
// atomics. The plan is checked here; see AttentionPlan.
#ifndef DJL_LORA_CUDA_KERNELS_ATTENTION_H_
#define DJL_LORA_CUDA_KERNELS_ATTENTION_H_

#include "attention_abi.h"
#include "elements.h"

// Blocks that are to fit on a multiprocessor with heads of 128: as many as shared memory lets on Hopper. On Blackwell
// the compiler keeps registers in memory with three.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
#define DJL_LORA_ATTENTION_BLOCKS_128 2
#else
#define DJL_LORA_ATTENTION_BLOCKS_128 3
#endif

namespace djl_lora {
namespace cuda {

DJL_LORA_DEVICE float NegativeInfinity() { return BitsToFloat(0xff800000u); }

// A sequence of the plan. Its rows are within the batch and its pages' numbers within the table.
struct Sequence {
  int number;  // or -1: none
  int first_row;
  int rows;
  int length;
  int first_page;  // in the page table
  bool bad;        // its length is not between its rows and its pages' room

  // The first position that a token of it sees, and the one behind the last.
  DJL_LORA_DEVICE_MEMBER int End(int token) const { return length - rows + token + 1; }
  DJL_LORA_DEVICE_MEMBER int Begin(int token, int window) const {
    const int begin = End(token) - window;
    return begin < 0 ? 0 : begin;
  }
};

// Whether part `s` of `starts` lies within the total, and the first and the last reach to its ends.
DJL_LORA_DEVICE bool RightPart(const long long* starts, int s, int parts, int total, int* begin, int* end) {
  const long long from = Load(starts + s);
  const long long to = Load(starts + s + 1);
  *begin = static_cast<int>(from);
  *end = static_cast<int>(to);
  return from >= 0 && from <= to && to <= total && (s > 0 || from == 0) && (s < parts - 1 || to == total);
}

// Finds the sequence for which `wanted(s, first row, rows, first page, pages)` holds, which is so for one at most; all
// threads of a block look at once. Where starts of rows or pages do not rise from 0 to their ends nobody can tell whose
// rows are whose: *broken, and no sequence is found. Uses `found` in shared memory.
template <typename Wanted>
DJL_LORA_DEVICE Sequence FindSequence(const AttentionParams& params, int* found, bool* broken, const Wanted& wanted) {
  if (ThreadIndex() == 0) {
    *found = -1;
  }
  SyncBlock();
  bool wrong = params.sequences == 0;
  DJL_LORA_KEEP_LOOP
  for (int s = ThreadIndex(); s < params.sequences; s += ThreadCount()) {
    int row = 0;
    int row_end = 0;
    int page = 0;
    int page_end = 0;
    const bool rows_right = RightPart(params.row_starts, s, params.sequences, params.tokens, &row, &row_end);
    const bool pages_right = RightPart(params.page_starts, s, params.sequences, params.table, &page, &page_end);
    if (!rows_right || !pages_right) {
      wrong = true;
    } else if (wanted(s, row, row_end - row, page, page_end - page)) {
      *found = s;
    }
  }
  *broken = AnyInBlock(wrong);
  Sequence sequence{};
  sequence.number = *broken ? -1 : *found;
  if (sequence.number >= 0) {
    int row_end = 0;
    int page_end = 0;
    RightPart(params.row_starts, sequence.number, params.sequences, params.tokens, &sequence.first_row, &row_end);
    RightPart(params.page_starts, sequence.number, params.sequences, params.table, &sequence.first_page, &page_end);
    sequence.rows = row_end - sequence.first_row;
    const long long length = Load(params.lengths + sequence.number);
    const long long room = static_cast<long long>(page_end - sequence.first_page) * params.positions;
    sequence.bad = length < sequence.rows || length > room;
    sequence.length = sequence.bad ? sequence.rows : static_cast<int>(length);
  }
  return sequence;
}

// How the positions of a sequence with few rows are shared: parts begin at multiples of `size`.
struct Split {
  int size;
  int first;  // part that any row sees
  int count;
};

DJL_LORA_DEVICE Split SplitOf(const Sequence& sequence, int window) {
  const int units = (sequence.length + kSplitUnit - 1) / kSplitUnit;
  Split split;
  split.size = (units + kMaxSplits - 1) / kMaxSplits * kSplitUnit;
  split.first = sequence.length == 0 ? 0 : sequence.Begin(0, window) / split.size;
  split.count = sequence.length == 0 ? 0 : (sequence.length + split.size - 1) / split.size - split.first;
  return split;
}

// The block of the first part of a sequence, were there no window; the others follow. A sequence has at most as many
// parts as there are blocks up to that of the next.
DJL_LORA_DEVICE int FirstPartItem(const AttentionParams& params, int s, int first_page) {
  return static_cast<int>(static_cast<long long>(first_page) * params.positions / kSplitUnit) + s;
}

// The same of tiles of rows; tile_unit is the rows of a tile with tile_per_sequence, and kRowTile, where even a
// sequence with the fewest rows has a block, without.
DJL_LORA_DEVICE int FirstTileItem(const AttentionParams& params, int s, int first_row) {
  return first_row * params.group / params.tile_unit + (params.tile_per_sequence ? s : 0);
}

// What a block works on: rows [row, row + count) of a sequence's rows of a group, over positions [begin, end).
struct Work {
  int row;
  int count;
  int begin;
  int end;
  int item;  // where the sums go in AttentionParams::partial, or -1: to the result
};

// One row of a group.
struct RowPlace {
  int token;  // of the sequence
  long long q;
  long long result;
};

DJL_LORA_DEVICE RowPlace PlaceOfRow(const AttentionParams& params, const Sequence& sequence, int group, int row) {
  const int token = row / params.group;
  const int head = group * params.group + row % params.group;
  const long long at = sequence.first_row + token;
  return {token, at * params.q_token_stride + head * params.q_head_stride,
          (at * params.groups * params.group + head) * params.dim};
}

// NaN for what is wrong: rows [row, row + count) of a sequence's.
DJL_LORA_DEVICE void FailRows(const AttentionParams& params, const Sequence& sequence, int group, int row, int count) {
  DJL_LORA_KEEP_LOOP
  for (int i = ThreadIndex(); i < count * params.dim; i += ThreadCount()) {
    const RowPlace place = PlaceOfRow(params, sequence, group, row + i / params.dim);
    static_cast<unsigned short*>(params.result)[place.result + i % params.dim] = 0x7fff;  // in both types
  }
}

// The same for a plan that is broken as a whole, whose rows all blocks share.
DJL_LORA_DEVICE void FailAll(const AttentionParams& params, int group) {
  Sequence all{};
  all.rows = params.tokens;
  const int blocks = params.tile_items + params.decode_items;
  DJL_LORA_KEEP_LOOP
  for (int token = BlockX(); token < params.tokens; token += blocks) {
    FailRows(params, all, group, token * params.group, params.group);
  }
}

// Two components of a query, zeros without one.
DJL_LORA_DEVICE unsigned LoadPair(const unsigned short* q, bool aligned) {
  if (q == nullptr) {
    return 0;
  }
  return aligned ? Load(reinterpret_cast<const unsigned*>(q)) : Load(q) | static_cast<unsigned>(Load(q + 1)) << 16;
}

// Where kPositionUnit positions of a head lie: elements from the first key of the page, and which positions of it;
// start is negative where there are none.
struct Unit {
  long long start;
  int inside;
};

template <typename T, int kDim>
struct Attention {
  static constexpr int kTile = PositionTile(kDim);
  static constexpr int kWarps = AttentionWarps(kDim);
  static constexpr int kThreads = kWarps * kWarp;
  static constexpr int kUnits = kTile / kPositionUnit;
  static constexpr int kKeyPitch = kTile + kSharedPad;
  static constexpr int kValuePitch = kDim + kSharedPad;
  static constexpr int kSteps = kDim / 16;  // of the cores, over the components of a score
  static constexpr int kRegisterSteps = RegisterSteps(kDim);

  // In shared memory. What is needed at the end alone is kept there too, for registers are what is scarce between.
  struct Shared {
    SharedPlace stages;  // two of StageElements
    float* sums;         // in their place, at the end
    Vec16* queries;      // this lane's, of the steps that are not in registers, every kWarp
    Unit* units;         // two of kUnits
    Sequence* sequence;
    Work* work;
    int* found;
    int* failed;
  };

  DJL_LORA_DEVICE_MEMBER static Shared SharedOf() {
    char* memory = SharedMemory();
    Shared shared;
    constexpr int kStages = 2 * StageElements(kDim) * 2;
    shared.stages = SharedPlaceOf(memory);
    shared.sums = reinterpret_cast<float*>(memory);
    shared.queries = reinterpret_cast<Vec16*>(memory + kStages) +
                     ThreadIndex() / kWarp * (kSteps - kRegisterSteps) * kWarp + ThreadIndex() % kWarp;
    shared.units = reinterpret_cast<Unit*>(memory + kStages + QueryBytes(kDim));
    shared.sequence = reinterpret_cast<Sequence*>(shared.units + 2 * kUnits);
    shared.work = reinterpret_cast<Work*>(shared.sequence + 1);
    shared.found = reinterpret_cast<int*>(shared.work + 1);
    static_assert(sizeof(Unit) == kUnitBytes && sizeof(Sequence) + sizeof(Work) + 2 * sizeof(int) <= kCallBytes,
                  "as the host counts");
    shared.failed = shared.found + 1;
    return shared;
  }

  DJL_LORA_DEVICE_MEMBER static Unit FindUnit(const AttentionParams& params, const Sequence& sequence, int head,
                                              int position, int* failed) {
    if (position >= sequence.length) {
      return {-1, 0};
    }
    const long long page = Load(params.page_table + sequence.first_page + position / params.positions);
    if (page < 0 || page >= params.pages) {
      *failed = 1;
      return {-1, 0};
    }
    const int heads = params.groups / params.groups_per_head;
    return {(page * heads + head) * kDim * params.positions, position % params.positions};
  }

  // Begins to copy a tile. What lies behind the sequence's end may be anything, and a weight of 0 times NaN is NaN: so
  // values are zeros there. Scores of such keys are never looked at.
  DJL_LORA_DEVICE_MEMBER static void Copy(const AttentionParams& params, int length, int tile, const Unit* units,
                                          SharedPlace stage) {
    const unsigned short* keys = static_cast<const unsigned short*>(params.keys);
    const unsigned short* values = static_cast<const unsigned short*>(params.values);
    DJL_LORA_UNROLL_BY(2)
    for (int i = 0; i < kDim * kTile / kVector / kThreads; ++i) {
      // Threads side by side take the 32 bytes of a unit's component, and then those of the next: all of a page of 16
      // positions lies in a row.
      const int index = i * kThreads + ThreadIndex();
      const int u = index / (2 * kDim);
      const int component = index / 2 % kDim;
      const int half = index % 2 * kVector;
      const Unit unit = units[u];
      const bool really = unit.start >= 0;
      const long long place = really ? unit.start + (component * params.positions + unit.inside + half) : 0;
      CopyAsync16(stage + 2 * (component * kKeyPitch + u * kPositionUnit + half), keys + place, really);
    }
    stage += 2 * kDim * kKeyPitch;
    DJL_LORA_UNROLL_BY(2)
    for (int i = 0; i < kDim * kTile / kVector / kThreads; ++i) {
      const int index = i * kThreads + ThreadIndex();
      const int row = index / (kDim / kVector);
      const int component = index % (kDim / kVector) * kVector;
      const Unit unit = units[row / kPositionUnit];
      const bool really = unit.start >= 0 && tile * kTile + row < length;
      const long long place = really ? unit.start + (unit.inside + row % kPositionUnit) * kDim + component : 0;
      CopyAsync16(stage + 2 * (row * kValuePitch + component), values + place, really);
    }
  }

  // What a warp holds of its 16 rows: a lane of rows lane / 4 and 8 below.
  struct Rows {
    Vec16 q[kRegisterSteps > 0 ? kRegisterSteps : 1];  // fragments
    int end[2];                                        // behind the last position that the rows see
    float greatest[2];
    float sum[2];
    float values[kDim / 8][4];
  };

  DJL_LORA_DEVICE_MEMBER static void LoadRows(const AttentionParams& params, const Sequence& sequence, int group,
                                              const Work& work, int warp_row, Vec16* queries, Rows* rows) {
    const int lane = ThreadIndex() % kWarp;
    const unsigned short* q[2];
    bool aligned = true;
    DJL_LORA_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int row = warp_row + lane / 4 + 8 * half;
      q[half] = nullptr;
      rows->end[half] = 0;
      if (row < work.count) {
        const RowPlace place = PlaceOfRow(params, sequence, group, work.row + row);
        q[half] = static_cast<const unsigned short*>(params.q) + place.q + lane % 4 * 2;
        aligned = aligned && (reinterpret_cast<unsigned long long>(q[half]) & 3) == 0;
        rows->end[half] = sequence.End(place.token);
      }
      rows->greatest[half] = NegativeInfinity();
      rows->sum[half] = 0.0f;
    }
    DJL_LORA_UNROLL
    for (int step = 0; step < kSteps; ++step) {
      Vec16 fragment;
      DJL_LORA_UNROLL
      for (int i = 0; i < 4; ++i) {
        const unsigned short* row = q[i % 2];
        fragment.v[i] = LoadPair(row == nullptr ? nullptr : row + step * 16 + i / 2 * 8, aligned);
      }
      if (step < kRegisterSteps) {
        rows->q[step < kRegisterSteps ? step : 0] = fragment;
      } else {
        queries[(step - kRegisterSteps) * kWarp] = fragment;  // which no other lane reads
      }
    }
    DJL_LORA_UNROLL
    for (int j = 0; j < kDim / 8; ++j) {
      DJL_LORA_UNROLL
      for (int i = 0; i < 4; ++i) {
        rows->values[j][i] = 0.0f;
      }
    }
  }

  // Where, in bytes, a lane's row of a matrix of 16 rows by 16 columns begins, for LoadTransposed: rows 0 to 15 of the
  // first eight columns, and then of the others.
  DJL_LORA_DEVICE_MEMBER static int LanePlace(int pitch) {
    const int lane = ThreadIndex() % kWarp;
    return 2 * (lane % 16 * pitch + lane / 16 * 8);
  }

  // Takes the positions [from, from + kPart), which are in the stage from place `first` on.
  // masked: whether a row may not see some of them.
  template <int kPart>
  DJL_LORA_DEVICE_MEMBER static void Take(const AttentionParams& params, SharedPlace stage, int from, int first,
                                          bool masked, const Vec16* queries, Rows* rows) {
    float scores[kPart / 8][4];
    DJL_LORA_UNROLL
    for (int j = 0; j < kPart / 8; ++j) {
      DJL_LORA_UNROLL
      for (int i = 0; i < 4; ++i) {
        scores[j][i] = 0.0f;
      }
    }
    const SharedPlace keys = stage + LanePlace(kKeyPitch) + 2 * first;
    DJL_LORA_UNROLL
    for (int step = 0; step < kSteps; ++step) {
      const Vec16 q =
          step < kRegisterSteps ? rows->q[step < kRegisterSteps ? step : 0] : queries[(step - kRegisterSteps) * kWarp];
      DJL_LORA_UNROLL
      for (int j = 0; j < kPart / 16; ++j) {
        unsigned k[4];
        LoadTransposed(k, keys + 2 * (step * 16 * kKeyPitch + j * 16));
        Multiply<T>(scores[2 * j], q.v[0], q.v[1], q.v[2], q.v[3], k[0], k[1]);
        Multiply<T>(scores[2 * j + 1], q.v[0], q.v[1], q.v[2], q.v[3], k[2], k[3]);
      }
    }
    const int column = from + ThreadIndex() % 4 * 2;
    float shrink[2];
    DJL_LORA_UNROLL
    for (int half = 0; half < 2; ++half) {
      float greatest = rows->greatest[half];
      DJL_LORA_UNROLL
      for (int j = 0; j < kPart / 8; ++j) {
        DJL_LORA_UNROLL
        for (int e = 0; e < 2; ++e) {
          float& score = scores[j][2 * half + e];
          score *= params.scale;
          const int position = column + 8 * j + e;
          if (masked && (position < rows->end[half] - params.window || position >= rows->end[half])) {
            score = NegativeInfinity();
          }
          greatest = Max(greatest, score);
        }
      }
      greatest = Max(greatest, ShuffleXor(greatest, 1));
      greatest = Max(greatest, ShuffleXor(greatest, 2));
      // a row that has seen nothing yet has weights of 0, not NaN
      const float against = greatest == NegativeInfinity() ? 0.0f : greatest;
      shrink[half] = Exp2(rows->greatest[half] - against);
      rows->greatest[half] = greatest;
      float sum = 0.0f;
      DJL_LORA_UNROLL
      for (int j = 0; j < kPart / 8; ++j) {
        DJL_LORA_UNROLL
        for (int e = 0; e < 2; ++e) {
          float& score = scores[j][2 * half + e];
          score = Exp2(score - against);
          sum += score;
        }
      }
      rows->sum[half] = rows->sum[half] * shrink[half] + sum;  // of this lane's columns; the four are added at the end
    }
    // seldom after the first tiles: the greatest score stays
    if (AnyInWarp(shrink[0] != 1.0f || shrink[1] != 1.0f)) {
      DJL_LORA_UNROLL
      for (int j = 0; j < kDim / 8; ++j) {
        DJL_LORA_UNROLL
        for (int i = 0; i < 4; ++i) {
          rows->values[j][i] *= shrink[i / 2];
        }
      }
    }
    const SharedPlace values = stage + 2 * (kDim * kKeyPitch + first * kValuePitch) + LanePlace(kValuePitch);
    DJL_LORA_UNROLL
    for (int j = 0; j < kPart / 16; ++j) {
      // sums of a product lie in the lanes as the next product's first factor is wanted
      const float(&low)[4] = scores[2 * j];
      const float(&high)[4] = scores[2 * j + 1];
      const unsigned w0 = RoundPair<T>(low[0], low[1]);
      const unsigned w1 = RoundPair<T>(low[2], low[3]);
      const unsigned w2 = RoundPair<T>(high[0], high[1]);
      const unsigned w3 = RoundPair<T>(high[2], high[3]);
      DJL_LORA_UNROLL
      for (int d = 0; d < kDim / 16; ++d) {
        unsigned v[4];
        LoadTransposed(v, values + 2 * (j * 16 * kValuePitch + d * 16));
        Multiply<T>(rows->values[2 * d], w0, w1, w2, w3, v[0], v[1]);
        Multiply<T>(rows->values[2 * d + 1], w0, w1, w2, w3, v[2], v[3]);
      }
    }
  }

  // Writes two neighbouring components of a row.
  DJL_LORA_DEVICE_MEMBER static void WritePair(const AttentionParams& params, long long place, float low, float high) {
    *reinterpret_cast<unsigned*>(static_cast<unsigned short*>(params.result) + place) = RoundPair<T>(low, high);
  }

  // A part of the positions that the warp of that number takes of every tile.
  static constexpr int kSums = 16 * (FragmentPitch(kDim) + 2);  // floats of a warp: values, and two of each row

  // Adds up what the warps have of the same rows.
  DJL_LORA_DEVICE_MEMBER static void Merge(const AttentionParams& params, const Sequence& sequence, int group,
                                           const Work& work, bool failed, const Rows& rows, float* shared) {
    constexpr int kPitch = FragmentPitch(kDim);
    static_assert(kWarps * kSums * 4 <= 2 * StageElements(kDim) * 2, "the sums take the tiles' place");
    const int lane = ThreadIndex() % kWarp;
    float* own = shared + ThreadIndex() / kWarp * kSums;
    DJL_LORA_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int row = lane / 4 + 8 * half;
      DJL_LORA_UNROLL
      for (int j = 0; j < kDim / 8; ++j) {
        own[row * kPitch + 8 * j + lane % 4 * 2] = rows.values[j][2 * half];
        own[row * kPitch + 8 * j + lane % 4 * 2 + 1] = rows.values[j][2 * half + 1];
      }
      if (lane % 4 == 0) {
        own[16 * kPitch + 2 * row] = rows.greatest[half];
        own[16 * kPitch + 2 * row + 1] = rows.sum[half];
      }
    }
    SyncBlock();
    DJL_LORA_KEEP_LOOP
    for (int place = ThreadIndex(); place < work.count * (kDim / 2); place += kThreads) {
      const int row = place / (kDim / 2);
      const int d = place % (kDim / 2) * 2;
      float greatest = NegativeInfinity();
      DJL_LORA_UNROLL
      for (int warp = 0; warp < kWarps; ++warp) {
        greatest = Max(greatest, shared[warp * kSums + 16 * kPitch + 2 * row]);
      }
      const float against = greatest == NegativeInfinity() ? 0.0f : greatest;
      float sum = 0.0f;
      float low = 0.0f;
      float high = 0.0f;
      DJL_LORA_UNROLL
      for (int warp = 0; warp < kWarps; ++warp) {
        const float* sums = shared + warp * kSums;
        const float factor = Exp2(sums[16 * kPitch + 2 * row] - against);
        sum += factor * sums[16 * kPitch + 2 * row + 1];
        low += factor * sums[row * kPitch + d];
        high += factor * sums[row * kPitch + d + 1];
      }
      if (failed) {
        sum = NotANumber();
        low = NotANumber();
        high = NotANumber();
      }
      if (work.item < 0) {
        const float factor = 1.0f / sum;
        const long long to = PlaceOfRow(params, sequence, group, work.row + row).result;
        WritePair(params, to + d, low * factor, high * factor);
      } else {
        float* partial =
            params.partial +
            ((static_cast<long long>(work.item) * params.groups + group) * params.partial_rows + row) * (kDim + 2);
        partial[2 + d] = low;
        partial[3 + d] = high;
        if (d == 0) {
          partial[0] = greatest;
          partial[1] = sum;
        }
      }
    }
  }

  DJL_LORA_DEVICE_MEMBER static void WriteRows(const AttentionParams& params, const Sequence& sequence, int group,
                                               const Work& work, bool failed, int warp_row, const Rows& rows) {
    const int lane = ThreadIndex() % kWarp;
    DJL_LORA_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int row = warp_row + lane / 4 + 8 * half;
      if (row < work.count) {
        const float factor = failed ? NotANumber() : 1.0f / rows.sum[half];
        const long long to = PlaceOfRow(params, sequence, group, work.row + row).result + lane % 4 * 2;
        DJL_LORA_UNROLL
        for (int j = 0; j < kDim / 8; ++j) {
          WritePair(params, to + 8 * j, rows.values[j][2 * half] * factor, rows.values[j][2 * half + 1] * factor);
        }
      }
    }
  }

  // kSplit: warps share the positions, and else the rows.
  template <bool kSplit>
  DJL_LORA_DEVICE_MEMBER static void Run(const AttentionParams& params, const Sequence& sequence, int group,
                                         const Work& work, const Shared& shared) {
    constexpr int kPart = kSplit ? kPositionUnit : kTile / 2;  // positions at a time: their scores are in registers
    const int thread = ThreadIndex();
    const int warp = thread / kWarp;
    const int warp_row = kSplit ? 0 : warp * kRowTile;
    const int head = group / params.groups_per_head;
    const int first_token = work.row / params.group;
    const int last_token = (work.row + work.count - 1) / params.group;
    const int seen_by_all = sequence.Begin(last_token, params.window);  // from here to the end of the first row
    const int end_of_all = sequence.End(first_token);
    const int first_tile = work.begin / kTile;
    const int tiles = (work.end + kTile - 1) / kTile - first_tile;
    const auto unit = [&](int tile) {
      return FindUnit(params, sequence, head, (first_tile + tile) * kTile + thread * kPositionUnit, shared.failed);
    };
    if (thread == 0) {
      *shared.sequence = sequence;
      *shared.work = work;
    }
    if (thread < kUnits) {
      shared.units[thread] = unit(0);
      shared.units[kUnits + thread] = tiles > 1 ? unit(1) : Unit{-1, 0};
    }
    SyncBlock();
    Copy(params, sequence.length, first_tile, shared.units, shared.stages);
    CommitCopies();
    Rows rows;
    LoadRows(params, sequence, group, work, warp_row, shared.queries, &rows);
    DJL_LORA_KEEP_LOOP
    for (int tile = 0; tile < tiles; ++tile) {
      const int stage = tile % 2;
      if (tile + 1 < tiles) {
        Copy(params, sequence.length, first_tile + tile + 1, shared.units + (1 - stage) * kUnits,
             shared.stages + (1 - stage) * 2 * StageElements(kDim));
      }
      CommitCopies();
      WaitForCopies<1>();
      SyncBlock();
      // on its way while the cores work
      const bool finds = thread < kUnits && tile + 2 < tiles;
      const Unit next = finds ? unit(tile + 2) : Unit{-1, 0};
      DJL_LORA_KEEP_LOOP
      for (int first = kSplit ? warp * kPart : 0; first < (kSplit ? (warp + 1) * kPart : kTile); first += kPart) {
        const int from = (first_tile + tile) * kTile + first;
        if (from < work.end) {
          const bool masked = from < seen_by_all || from + kPart > end_of_all;
          Take<kPart>(params, shared.stages + stage * 2 * StageElements(kDim), from, first, masked, shared.queries,
                      &rows);
        }
      }
      if (finds) {
        shared.units[stage * kUnits + thread] = next;
      }
      SyncBlock();
    }
    const bool failed = *shared.failed != 0;
    DJL_LORA_UNROLL
    for (int half = 0; half < 2; ++half) {
      rows.sum[half] += ShuffleXor(rows.sum[half], 1);
      rows.sum[half] += ShuffleXor(rows.sum[half], 2);
    }
    if (kSplit) {
      Merge(params, *shared.sequence, BlockY(), *shared.work, failed, rows, shared.sums);
    } else {
      WriteRows(params, *shared.sequence, BlockY(), *shared.work, failed, warp_row, rows);
    }
  }
};

// Grid: tile_items and decode_items, groups. The tiles of the last rows, which see the most, come first.
template <typename T, int kDim>
DJL_LORA_DEVICE void Attend(const AttentionParams& params) {
  using Of = Attention<T, kDim>;
  LetNextBegin();
  const auto shared = Of::SharedOf();
  const int group = BlockY();
  const bool tiles = BlockX() < params.tile_items;
  const int item = tiles ? params.tile_items - 1 - BlockX() : BlockX() - params.tile_items;
  if (ThreadIndex() == 0) {
    *shared.failed = 0;
  }
  bool broken = false;
  const Sequence sequence =
      FindSequence(params, shared.found, &broken, [&](int s, int row, int rows, int page, int pages) {
        const bool many = rows * params.group > kRowTile;
        const int first = tiles ? FirstTileItem(params, s, row) : FirstPartItem(params, s, page);
        const int behind =
            tiles ? FirstTileItem(params, s + 1, row + rows) : FirstPartItem(params, s + 1, page + pages);
        return many == tiles && rows > 0 && item >= first && item < behind;
      });
  if (broken) {
    FailAll(params, group);
  }
  if (sequence.number < 0) {
    return;
  }
  const int all_rows = sequence.rows * params.group;
  if (tiles) {
    const int row = (item - FirstTileItem(params, sequence.number, sequence.first_row)) * TileRows(kDim);
    if (row >= all_rows) {
      return;
    }
    Work work{};
    work.row = row;
    work.count = all_rows - row < TileRows(kDim) ? all_rows - row : TileRows(kDim);
    work.item = -1;
    if (sequence.bad) {
      FailRows(params, sequence, group, row, work.count);
      return;
    }
    work.begin = sequence.Begin(row / params.group, params.window);
    work.end = sequence.End((row + work.count - 1) / params.group);
    Of::template Run<false>(params, sequence, group, work, shared);
    return;
  }
  const int part = item - FirstPartItem(params, sequence.number, sequence.first_page);
  if (sequence.bad) {
    if (part == 0) {
      FailRows(params, sequence, group, 0, all_rows);
    }
    return;
  }
  const Split split = SplitOf(sequence, params.window);
  if (part >= split.count) {
    return;
  }
  Work work{};
  work.count = all_rows;
  const int from = (split.first + part) * split.size;
  const int begin = sequence.Begin(0, params.window);
  work.begin = from < begin ? begin : from;
  work.end = sequence.length - from < split.size ? sequence.length : from + split.size;
  work.item = split.count == 1 ? -1 : item;
  Of::template Run<true>(params, sequence, group, work, shared);
}

// The sequence that a row of the batch belongs to.
DJL_LORA_DEVICE Sequence SequenceOfRow(const AttentionParams& params, int row, int* found, bool* broken) {
  return FindSequence(params, found, broken,
                      [&](int, int first, int rows, int, int) { return row >= first && row < first + rows; });
}

// Grid: tokens, groups. Adds up the parts of a token's rows, in their order.
template <typename T>
DJL_LORA_DEVICE void Combine(const AttentionParams& params) {
  constexpr int kLaneDims = 2;
  const int token = BlockX();
  const int group = BlockY();
  const int lane = ThreadIndex() % kWarp;
  bool broken = false;
  const Sequence sequence = SequenceOfRow(params, token, reinterpret_cast<int*>(SharedMemory()), &broken);
  // Before any block ends: what comes behind in the stream begins when these have, and counts on what they wait for.
  WaitForPrevious();
  if (sequence.number < 0 || sequence.bad || sequence.rows * params.group > kRowTile) {
    return;
  }
  const Split split = SplitOf(sequence, params.window);
  if (split.count <= 1) {
    return;
  }
  const int stride = params.dim + 2;
  const long long part_stride = static_cast<long long>(params.groups) * params.partial_rows * stride;
  const int item = FirstPartItem(params, sequence.number, sequence.first_page);
  const int steps = (params.dim + kLaneDims * kWarp - 1) / (kLaneDims * kWarp);
  DJL_LORA_KEEP_LOOP
  for (int work = ThreadIndex() / kWarp; work < params.group * steps; work += kCombineThreads / kWarp) {
    const int row = (token - sequence.first_row) * params.group + work / steps;
    const int d = work % steps * kLaneDims * kWarp + lane * kLaneDims;
    const float* parts =
        params.partial + ((static_cast<long long>(item) * params.groups + group) * params.partial_rows + row) * stride;
    float weights[kMaxSplits / kWarp];  // lane l has those of the parts l and l + 32
    float greatest = NegativeInfinity();
    DJL_LORA_UNROLL
    for (int i = 0; i < kMaxSplits / kWarp; ++i) {
      const int part = lane + i * kWarp;
      weights[i] = part < split.count ? LoadWrittenFloat(parts + part * part_stride) : NegativeInfinity();
      greatest = Max(greatest, weights[i]);
    }
    DJL_LORA_UNROLL
    for (int mask = kWarp / 2; mask > 0; mask /= 2) {
      greatest = Max(greatest, ShuffleXor(greatest, mask));
    }
    const float against = greatest == NegativeInfinity() ? 0.0f : greatest;
    float sum = 0.0f;
    DJL_LORA_UNROLL
    for (int i = 0; i < kMaxSplits / kWarp; ++i) {
      const int part = lane + i * kWarp;
      weights[i] = Exp2(weights[i] - against);
      sum += part < split.count ? weights[i] * LoadWrittenFloat(parts + part * part_stride + 1) : 0.0f;
    }
    DJL_LORA_UNROLL
    for (int mask = kWarp / 2; mask > 0; mask /= 2) {
      sum += ShuffleXor(sum, mask);
    }
    float low = 0.0f;
    float high = 0.0f;
    const bool there = d < params.dim;
    DJL_LORA_UNROLL_BY(8)
    for (int part = 0; part < split.count; ++part) {
      const float weight = BitsToFloat(static_cast<unsigned>(
          Shuffle(static_cast<int>(FloatToBits(part < kWarp ? weights[0] : weights[1])), part % kWarp)));
      if (there) {
        const float* values = parts + part * part_stride + 2 + d;
        low += weight * LoadWrittenFloat(values);
        high += weight * LoadWrittenFloat(values + 1);
      }
    }
    if (there) {
      const long long to = PlaceOfRow(params, sequence, group, row).result + d;
      *reinterpret_cast<unsigned*>(static_cast<unsigned short*>(params.result) + to) =
          RoundPair<T>(low / sum, high / sum);
    }
  }
}

// Grid: tokens, groups. For heads of any size up to kPlainDim, and pages on any boundary: a warp takes one head's row,
// a lane a position for the score and then a component for the sums.
template <typename T>
DJL_LORA_DEVICE void AttendPlain(const AttentionParams& params) {
  const int token = BlockX();
  const int group = BlockY();
  const int lane = ThreadIndex() % kWarp;
  const int warp = ThreadIndex() / kWarp;
  const int dim = params.dim;
  const int positions = params.positions;
  float* q = reinterpret_cast<float*>(SharedMemory()) + warp * dim;
  int* found = reinterpret_cast<int*>(reinterpret_cast<float*>(SharedMemory()) + kPlainWarps * dim);
  bool broken = false;
  const Sequence sequence = SequenceOfRow(params, token, found, &broken);
  if (broken || sequence.number < 0 || sequence.bad) {
    Sequence all{};
    all.rows = params.tokens;
    FailRows(params, all, group, token * params.group, params.group);
    return;
  }
  const int kv_head = group / params.groups_per_head;
  const int heads = params.groups / params.groups_per_head;
  const int own_token = token - sequence.first_row;
  const int begin = sequence.Begin(own_token, params.window);
  const int end = sequence.End(own_token);
  DJL_LORA_KEEP_LOOP
  for (int member = warp; member < params.group; member += kPlainWarps) {
    const RowPlace place = PlaceOfRow(params, sequence, group, own_token * params.group + member);
    for (int d = lane; d < dim; d += kWarp) {
      q[d] = Widen<T>(Load(static_cast<const unsigned short*>(params.q) + place.q + d)) * params.scale;
    }
    SyncWarp();
    float sums[kPlainDim / kWarp];
    DJL_LORA_UNROLL
    for (int i = 0; i < kPlainDim / kWarp; ++i) {
      sums[i] = 0.0f;
    }
    float greatest = NegativeInfinity();
    float sum = 0.0f;
    bool failed = false;
    DJL_LORA_KEEP_LOOP
    for (int from = begin / kWarp * kWarp; from < end; from += kWarp) {
      const int position = from + lane;
      const bool seen = position >= begin && position < end;
      float score = NegativeInfinity();
      int page = -1;
      if (seen) {
        const long long number = Load(params.page_table + sequence.first_page + position / positions);
        page = number >= 0 && number < params.pages ? static_cast<int>(number) : -1;
        failed = failed || page < 0;
      }
      if (page >= 0) {
        const unsigned short* key = static_cast<const unsigned short*>(params.keys) +
                                    (static_cast<long long>(page) * heads + kv_head) * dim * positions +
                                    position % positions;
        score = 0.0f;
        DJL_LORA_UNROLL_BY(8)
        for (int d = 0; d < dim; ++d) {
          score += q[d] * Widen<T>(Load(key + static_cast<long long>(d) * positions));
        }
      }
      float most = Max(greatest, score);
      DJL_LORA_UNROLL
      for (int mask = kWarp / 2; mask > 0; mask /= 2) {
        most = Max(most, ShuffleXor(most, mask));
      }
      const float against = most == NegativeInfinity() ? 0.0f : most;
      const float shrink = Exp2(greatest - against);
      const float weight = Exp2(score - against);
      greatest = most;
      float total = weight;
      DJL_LORA_UNROLL
      for (int mask = kWarp / 2; mask > 0; mask /= 2) {
        total += ShuffleXor(total, mask);
      }
      sum = sum * shrink + total;
      DJL_LORA_UNROLL
      for (int i = 0; i < kPlainDim / kWarp; ++i) {
        sums[i] *= shrink;
      }
      DJL_LORA_KEEP_LOOP
      for (int other = 0; other < kWarp; ++other) {
        const int its_page = Shuffle(page, other);
        const float its_weight =
            BitsToFloat(static_cast<unsigned>(Shuffle(static_cast<int>(FloatToBits(weight)), other)));
        if (its_page >= 0) {
          const unsigned short* value =
              static_cast<const unsigned short*>(params.values) +
              ((static_cast<long long>(its_page) * heads + kv_head) * positions + (from + other) % positions) * dim;
          DJL_LORA_UNROLL
          for (int i = 0; i < kPlainDim / kWarp; ++i) {
            const int d = lane + i * kWarp;
            if (d < dim) {
              sums[i] += its_weight * Widen<T>(Load(value + d));
            }
          }
        }
      }
    }
    DJL_LORA_UNROLL
    for (int mask = kWarp / 2; mask > 0; mask /= 2) {
      failed = ShuffleXor(failed ? 1 : 0, mask) != 0 || failed;
    }
    DJL_LORA_UNROLL
    for (int i = 0; i < kPlainDim / kWarp; ++i) {
      const int d = lane + i * kWarp;
      if (d < dim) {
        static_cast<unsigned short*>(params.result)[place.result + d] = Round<T>(failed ? NotANumber() : sums[i] / sum);
      }
    }
    SyncWarp();  // before the next row's queries are written there
  }
}

}  // namespace cuda
}  // namespace djl_lora

#endif  // DJL_LORA_CUDA_KERNELS_ATTENTION_H_
