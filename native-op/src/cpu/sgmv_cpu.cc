// SPDX-License-Identifier: Apache-2.0
#include "cpu/sgmv_cpu.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "cpu/kernels.h"
#include "cpu/parallel.h"

namespace djl_lora {

namespace {

int64_t Chunks(int64_t size, int64_t chunk) { return (size + chunk - 1) / chunk; }

// A low-rank part of a segment: one entry in one output.
struct Part {
  const AdapterModule* module;
  float factor;  // weight times scale
  int64_t output;
  int64_t h;  // where its intermediate starts in the workspace: [tokens, RoundUpToEven(rank)]
};

// Work items of one kind that lie in a row: those of A x for one part, or those of the update of one output.
struct Span {
  int64_t first_item;
  int32_t segment;
  int32_t output;  // of the update; -1 for A x
  int64_t part;    // A x: its part. The update: its first part
  int64_t part_count;
};

// What a call needs, kept by the calling thread from one call to the next so that none allocates.
struct Workspace {
  std::vector<Part> parts;
  std::vector<int64_t> first_part;  // by segment and output, and one behind
  std::vector<Span> spans;
  std::vector<float> h;
  std::unique_ptr<std::atomic<int64_t>[]> pending;  // by segment: items of A x that are not done
  int64_t pending_size = 0;

  // An unusually long prompt must not hold its memory for good.
  void Trim() {
    constexpr size_t kKept = size_t{16} << 20;
    if (h.capacity() > kKept) {
      std::vector<float>().swap(h);
    }
  }
};

Workspace& ThisThreadsWorkspace() {
  thread_local Workspace workspace;
  return workspace;
}

// The work is cut into items of some microseconds, which threads take in order from one counter: so a thread that the
// system holds up keeps nobody waiting for long, and long segments spread like short ones. An update waits until the
// products A x of its segment are done; those come earlier in the order, by enough items that it hardly ever waits.
// An item is the same arithmetic whoever takes it.
class Sgmv {
 public:
  Sgmv(const SgmvProblem& problem, Workspace* workspace)
      : problem_(problem),
        element_size_(ElementSize(problem.type)),
        kernels_(Kernels(ActiveIsa(), problem.type)),
        workspace_(*workspace) {
    FindParts();
  }

  void Run(int threads) {
    if (!AnyWork()) {
      return;
    }
    const int team = UsefulThreads(operations_, threads);
    Cut(team);
    if (team == 1) {
      Work();
      return;
    }
#pragma omp parallel num_threads(team)
    Work();
  }

 private:
  void FindParts() {
    workspace_.parts.clear();
    workspace_.first_part.clear();
    int64_t h = 0;
    for (int64_t s = 0; s < problem_.segment_count; ++s) {
      const SgmvSegment& segment = problem_.segments[s];
      const int64_t tokens = segment.end - segment.begin;
      for (int64_t g = 0; g < problem_.output_count; ++g) {
        workspace_.first_part.push_back(static_cast<int64_t>(workspace_.parts.size()));
        for (int64_t e = 0; e < segment.entry_count; ++e) {
          const SgmvEntry& entry = problem_.entries[segment.first_entry + e];
          const AdapterModule* module = entry.modules[g];
          if (module->rank > 0 && tokens > 0) {
            workspace_.parts.push_back({module, entry.weight * module->scale, g, h});
            h += tokens * RoundUpToEven(module->rank);
            operations_ += tokens * module->rank * (problem_.in + problem_.outputs[g].out);
          }
        }
      }
    }
    workspace_.first_part.push_back(static_cast<int64_t>(workspace_.parts.size()));
    if (workspace_.h.size() < static_cast<size_t>(h)) {
      workspace_.h.resize(static_cast<size_t>(h));
    }
    if (workspace_.pending_size < problem_.segment_count) {
      workspace_.pending.reset(new std::atomic<int64_t>[static_cast<size_t>(problem_.segment_count)]);
      workspace_.pending_size = problem_.segment_count;
    }
  }

  // Whether an output of a segment changes at all.
  bool Updates(int64_t s, int64_t g) const {
    const SgmvSegment& segment = problem_.segments[s];
    const int64_t index = s * problem_.output_count + g;
    return segment.end > segment.begin &&
           (workspace_.first_part[index + 1] > workspace_.first_part[index] || OutScale(segment, g) != nullptr ||
            Bias(segment, g) != nullptr);
  }

  const void* OutScale(const SgmvSegment& segment, int64_t g) const {
    return segment.entry_count == 1 ? problem_.entries[segment.first_entry].modules[g]->out_scale : nullptr;
  }

  const void* Bias(const SgmvSegment& segment, int64_t g) const {
    const void* own = segment.entry_count == 1 ? problem_.entries[segment.first_entry].modules[g]->bias : nullptr;
    return own != nullptr ? own : problem_.outputs[g].bias;
  }

  bool AnyWork() {
    bool any = false;
    for (int64_t s = 0; s < problem_.segment_count; ++s) {
      for (int64_t g = 0; g < problem_.output_count; ++g) {
        if (Updates(s, g)) {
          any = true;
          operations_ += (problem_.segments[s].end - problem_.segments[s].begin) * problem_.outputs[g].out;
        }
      }
    }
    return any;
  }

  // Lays out the items, and makes them smaller until there are enough for every thread.
  void Cut(int team) {
    row_chunk_ = kChunkRows;
    output_chunk_ = 512;
    LayOut(team);
    while (items_ < 4 * team && (row_chunk_ > 4 || output_chunk_ > 64)) {
      row_chunk_ = std::max<int64_t>(row_chunk_ / 2, 4);
      output_chunk_ = std::max<int64_t>(output_chunk_ / 2, 64);
      LayOut(team);
    }
    next_.store(0, std::memory_order_relaxed);
  }

  void LayOut(int team) {
    workspace_.spans.clear();
    items_ = 0;
    // The products of so many segments come before the first update that at least `team` items lie between.
    int64_t ahead = 0;
    int64_t ahead_items = 0;
    for (int64_t s = 0; s < problem_.segment_count; ++s) {
      for (; ahead < problem_.segment_count && (ahead <= s || ahead_items < team); ++ahead) {
        ahead_items += LayOutProducts(ahead);
      }
      ahead_items -= workspace_.pending[s].load(std::memory_order_relaxed);
      LayOutUpdates(s);
    }
  }

  int64_t LayOutProducts(int64_t s) {
    const int64_t before = items_;
    const SgmvSegment& segment = problem_.segments[s];
    const int64_t token_chunks = Chunks(segment.end - segment.begin, kChunkTokens);
    const int64_t first = s * problem_.output_count;
    for (int64_t p = workspace_.first_part[first]; p < workspace_.first_part[first + problem_.output_count]; ++p) {
      workspace_.spans.push_back({items_, static_cast<int32_t>(s), -1, p, 1});
      items_ += token_chunks * Chunks(workspace_.parts[p].module->rank, row_chunk_);
    }
    workspace_.pending[s].store(items_ - before, std::memory_order_relaxed);
    return items_ - before;
  }

  void LayOutUpdates(int64_t s) {
    const SgmvSegment& segment = problem_.segments[s];
    const int64_t token_chunks = Chunks(segment.end - segment.begin, kChunkTokens);
    for (int64_t g = 0; g < problem_.output_count; ++g) {
      if (Updates(s, g)) {
        const int64_t index = s * problem_.output_count + g;
        workspace_.spans.push_back({items_, static_cast<int32_t>(s), static_cast<int32_t>(g),
                                    workspace_.first_part[index],
                                    workspace_.first_part[index + 1] - workspace_.first_part[index]});
        items_ += token_chunks * Chunks(problem_.outputs[g].out, output_chunk_);
      }
    }
  }

  void Work() {
    const std::vector<Span>& spans = workspace_.spans;
    for (;;) {
      const int64_t item = next_.fetch_add(1, std::memory_order_relaxed);
      if (item >= items_) {
        return;
      }
      const auto after = std::upper_bound(spans.begin(), spans.end(), item,
                                          [](int64_t value, const Span& span) { return value < span.first_item; });
      const Span& span = *(after - 1);
      if (span.output < 0) {
        Product(span, item - span.first_item);
        workspace_.pending[span.segment].fetch_sub(1, std::memory_order_release);
      } else {
        Waiter waiter;
        while (workspace_.pending[span.segment].load(std::memory_order_acquire) != 0) {
          waiter.Wait();
        }
        Update(span, item - span.first_item);
      }
    }
  }

  // h = factor · A x for up to kChunkTokens rows of x and row_chunk_ rows of A.
  void Product(const Span& span, int64_t item) {
    const Part& part = workspace_.parts[span.part];
    const AdapterModule& module = *part.module;
    const SgmvSegment& segment = problem_.segments[span.segment];
    const int64_t row_chunks = Chunks(module.rank, row_chunk_);
    const int64_t token = item / row_chunks * kChunkTokens;
    const int64_t row = item % row_chunks * row_chunk_;
    const int64_t rows = std::min(row_chunk_, module.rank - row);
    const int64_t tokens = std::min(kChunkTokens, segment.end - segment.begin - token);
    alignas(64) float dots[kChunkTokens * kChunkRows];
    const int64_t weight_size = module.int8 ? 1 : element_size_;
    const DotTask dot{static_cast<const char*>(problem_.x) + (segment.begin + token) * problem_.x_stride * element_size_,
                      problem_.x_stride,
                      tokens,
                      static_cast<const char*>(module.a) + row * problem_.in * weight_size,
                      problem_.in,
                      rows,
                      problem_.in,
                      dots};
    (module.int8 ? kernels_.dot_int8 : kernels_.dot)(dot);
    float factors[kChunkRows];
    for (int64_t r = 0; r < rows; ++r) {
      factors[r] = module.component_scale == nullptr ? part.factor : part.factor * module.component_scale[row + r];
    }
    const int64_t stride = RoundUpToEven(module.rank);
    const FinishTask finish{dots, tokens, rows, factors, workspace_.h.data() + part.h + token * stride,
                            stride, module.rank, row};
    (module.int8 ? kernels_.finish_float : kernels_.finish)(finish);
  }

  void Update(const Span& span, int64_t item) {
    const SgmvSegment& segment = problem_.segments[span.segment];
    const SgmvOutput& output = problem_.outputs[span.output];
    const int64_t output_chunks = Chunks(output.out, output_chunk_);
    const int64_t token = item / output_chunks * kChunkTokens;
    const int64_t first = item % output_chunks * output_chunk_;
    ExpandPart parts[kMaxStack];
    ExpandTask task{parts,
                    0,
                    std::min(kChunkTokens, segment.end - segment.begin - token),
                    first,
                    std::min(output_chunk_, output.out - first),
                    static_cast<char*>(output.y) + (segment.begin + token) * output.y_stride * element_size_,
                    output.y_stride,
                    nullptr,
                    nullptr};
    for (int64_t p = 0; p < span.part_count; ++p) {
      const Part& part = workspace_.parts[span.part + p];
      const int64_t stride = RoundUpToEven(part.module->rank);
      parts[task.part_count++] = {part.module->b, part.module->int8, part.module->rank,
                                  workspace_.h.data() + part.h + token * stride, stride};
    }
    task.out_scale = OutScale(segment, span.output);
    task.bias = Bias(segment, span.output);
    kernels_.expand(task);
  }

  const SgmvProblem& problem_;
  const int64_t element_size_;
  const KernelSet& kernels_;
  Workspace& workspace_;
  int64_t operations_ = 0;
  int64_t row_chunk_ = kChunkRows;
  int64_t output_chunk_ = 0;
  int64_t items_ = 0;
  alignas(64) std::atomic<int64_t> next_{0};
};

}  // namespace

void SgmvCpu(const SgmvProblem& problem, int threads) {
  Workspace& workspace = ThisThreadsWorkspace();
  Sgmv(problem, &workspace).Run(threads);
  workspace.Trim();
}

}  // namespace djl_lora
