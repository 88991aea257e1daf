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

// Longer segments are never taken as a whole.
constexpr int64_t kWholeTokens = 16;

int64_t Chunks(int64_t size, int64_t chunk) { return (size + chunk - 1) / chunk; }

// A low-rank part of a segment: one entry in one output.
struct Part {
  const AdapterModule* module;
  float factor;  // weight times scale
  int64_t output;
  int64_t h;  // where its intermediate starts in the workspace: [tokens, RoundUpToEven(rank)]
};

// Work items of one kind that lie in a row.
enum class Kind {
  kProducts,  // A x for one part
  kUpdates,   // the update of one output
  kWhole,     // one item: all of a segment
  kGated,     // the gated product of one row
};
struct Span {
  int64_t first_item;
  Kind kind;
  int64_t segment;
  int64_t index;  // of the part, or of the output
};

// What a call needs, kept by the calling thread from one call to the next so that none allocates.
struct Workspace {
  std::vector<Part> parts;
  std::vector<int64_t> first_part;  // by segment and output, and one behind
  std::vector<Span> spans;
  std::vector<float> h;
  std::unique_ptr<std::atomic<int64_t>[]> pending;  // by segment: items of A x that are not done, then updates
  int64_t pending_size = 0;                         // segments

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
// Where there are many short segments a thread takes one as a whole, so that it reads A and right behind it B, and only
// the last few are cut to end together. However it is cut, each output is the same arithmetic.
class Sgmv final : public NextWork {
 public:
  Sgmv(const SgmvProblem& problem, Workspace* workspace)
      : problem_(problem), element_size_(ElementSize(problem.type)), isa_(ActiveIsa()), workspace_(*workspace) {
    FindParts();
    any_work_ = AnyWork();
  }

  void Run(int threads) {
    if (!any_work_) {
      return;
    }
    const Progress nothing(0);
    const int team = UsefulThreads(operations_, threads);
    Cut(team);
    if (team == 1) {
      Work(nothing);
      return;
    }
#pragma omp parallel num_threads(team)
    Work(nothing);
  }

  // Behind the layers that write the base products.
  NextWork* Next() { return any_work_ ? this : nullptr; }
  int64_t Operations() const override { return operations_; }
  void Begin(int team) override { Cut(team); }

  // Each thread holds one item more than it works on, to ask for its memory in time. It takes its items in order, and
  // what an item waits for has a lower number; so the lowest item that is not done is being worked on, and none waits
  // for ever. Nobody waits for y who still has base products to compute.
  void Work(const Progress& y) override {
    int64_t number = Claim();
    const Span* span = SpanOf(number);
    while (span != nullptr) {
      const int64_t following_number = Claim();
      const Span* following = SpanOf(following_number);
      const int64_t item = number - span->first_item;
      switch (span->kind) {
        case Kind::kProducts:
          Products(*span, item);
          break;
        case Kind::kUpdates:
          Updates(*span, item, y);
          break;
        case Kind::kWhole:
          Whole(span->segment, following, y);
          break;
        case Kind::kGated:
          Wait(PendingUpdates(span->segment));
          y.Wait();
          Gate(problem_.segments[span->segment].begin + item);
          break;
      }
      number = following_number;
      span = following;
    }
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
      workspace_.pending.reset(new std::atomic<int64_t>[static_cast<size_t>(2 * problem_.segment_count)]);
      workspace_.pending_size = problem_.segment_count;
    }
  }

  // The kernels for a segment depend on that segment alone.
  const KernelSet& KernelsFor(int64_t s) const {
    const SgmvSegment& segment = problem_.segments[s];
    bool is_long = segment.end - segment.begin >= kLongSegment;
    const int64_t first = s * problem_.output_count;
    for (int64_t p = workspace_.first_part[first]; is_long && p < workspace_.first_part[first + problem_.output_count];
         ++p) {
      is_long = !workspace_.parts[p].module->int8;
    }
    return is_long ? LongKernels(isa_, problem_.type) : Kernels(isa_, problem_.type);
  }

  // Whether an output of a segment changes at all.
  bool Updates(int64_t s, int64_t g) const {
    const SgmvSegment& segment = problem_.segments[s];
    const int64_t index = s * problem_.output_count + g;
    return segment.end > segment.begin && (workspace_.first_part[index + 1] > workspace_.first_part[index] ||
                                           OutScale(segment, g) != nullptr || Bias(segment, g) != nullptr);
  }

  const void* OutScale(const SgmvSegment& segment, int64_t g) const {
    return segment.entry_count == 1 ? problem_.entries[segment.first_entry].modules[g]->out_scale : nullptr;
  }

  const void* Bias(const SgmvSegment& segment, int64_t g) const {
    const void* own = segment.entry_count == 1 ? problem_.entries[segment.first_entry].modules[g]->bias : nullptr;
    return own != nullptr ? own : problem_.outputs[g].bias;
  }

  std::atomic<int64_t>& PendingProducts(int64_t s) const { return workspace_.pending[2 * s]; }
  std::atomic<int64_t>& PendingUpdates(int64_t s) const { return workspace_.pending[2 * s + 1]; }

  // In multiply-adds, for a row.
  int64_t GatedOperations() const { return problem_.gated == nullptr ? 0 : 16 * problem_.outputs[0].out; }

  bool AnyWork() {
    bool any = false;
    for (int64_t s = 0; s < problem_.segment_count; ++s) {
      const int64_t gated = GatedOperations() * (problem_.segments[s].end - problem_.segments[s].begin);
      operations_ += gated;
      any = any || gated > 0;
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
    while (items_ < int64_t{4} * team && (row_chunk_ > 4 || output_chunk_ > 64)) {
      row_chunk_ = std::max<int64_t>(row_chunk_ / 2, 4);
      output_chunk_ = std::max<int64_t>(output_chunk_ / 2, 64);
      LayOut(team);
    }
    next_.store(0, std::memory_order_relaxed);
  }

  void LayOut(int team) {
    workspace_.spans.clear();
    items_ = 0;
    const int64_t whole = LayOutWhole(team);
    int64_t s = whole;
    // The products of so many segments come before an update that at least `team` items lie between.
    int64_t ahead = s;
    int64_t ahead_items = 0;
    for (; s < problem_.segment_count; ++s) {
      for (; ahead < problem_.segment_count && (ahead <= s || ahead_items < team); ++ahead) {
        ahead_items += LayOutProducts(ahead);
      }
      ahead_items -= PendingProducts(s).load(std::memory_order_relaxed);
      LayOutUpdates(s);
    }
    for (s = whole; problem_.gated != nullptr && s < problem_.segment_count; ++s) {
      workspace_.spans.push_back({items_, Kind::kGated, s, 0});
      items_ += problem_.segments[s].end - problem_.segments[s].begin;
    }
  }

  // Multiply-adds of a segment.
  int64_t Operations(int64_t s) const {
    const SgmvSegment& segment = problem_.segments[s];
    const int64_t first = s * problem_.output_count;
    int64_t operations = 0;
    for (int64_t p = workspace_.first_part[first]; p < workspace_.first_part[first + problem_.output_count]; ++p) {
      const Part& part = workspace_.parts[p];
      operations += part.module->rank * (problem_.in + problem_.outputs[part.output].out);
    }
    for (int64_t g = 0; g < problem_.output_count; ++g) {
      operations += Updates(s, g) ? problem_.outputs[g].out : 0;
    }
    operations += GatedOperations();
    return operations * (segment.end - segment.begin);
  }

  // Segments from the first on go as a whole, as long as they are short and enough is left behind to keep every thread
  // busy while one works on the last of them. The number of those.
  int64_t LayOutWhole(int team) {
    int64_t left = operations_;
    int64_t s = 0;
    for (; s < problem_.segment_count; ++s) {
      const int64_t own = Operations(s);
      left -= own;
      const bool tokens = problem_.segments[s].end > problem_.segments[s].begin;
      if (problem_.segments[s].end - problem_.segments[s].begin > kWholeTokens || (team > 1 && left < team * own)) {
        break;
      }
      if (tokens && own > 0) {
        workspace_.spans.push_back({items_++, Kind::kWhole, s, 0});
      }
    }
    return s;
  }

  int64_t LayOutProducts(int64_t s) {
    const int64_t before = items_;
    const SgmvSegment& segment = problem_.segments[s];
    const int64_t token_chunks = Chunks(segment.end - segment.begin, KernelsFor(s).chunk_tokens);
    const int64_t first = s * problem_.output_count;
    for (int64_t p = workspace_.first_part[first]; p < workspace_.first_part[first + problem_.output_count]; ++p) {
      workspace_.spans.push_back({items_, Kind::kProducts, s, p});
      items_ += token_chunks * Chunks(workspace_.parts[p].module->rank, row_chunk_);
    }
    PendingProducts(s).store(items_ - before, std::memory_order_relaxed);
    return items_ - before;
  }

  void LayOutUpdates(int64_t s) {
    const int64_t before = items_;
    const SgmvSegment& segment = problem_.segments[s];
    const int64_t token_chunks = Chunks(segment.end - segment.begin, KernelsFor(s).chunk_tokens);
    for (int64_t g = 0; g < problem_.output_count; ++g) {
      if (Updates(s, g)) {
        workspace_.spans.push_back({items_, Kind::kUpdates, s, g});
        items_ += token_chunks * Chunks(problem_.outputs[g].out, output_chunk_);
      }
    }
    PendingUpdates(s).store(items_ - before, std::memory_order_relaxed);
  }

  int64_t Claim() { return next_.fetch_add(1, std::memory_order_relaxed); }

  const Span* SpanOf(int64_t number) const {
    if (number >= items_) {
      return nullptr;
    }
    const std::vector<Span>& spans = workspace_.spans;
    return &*(std::upper_bound(spans.begin(), spans.end(), number,
                               [](int64_t value, const Span& span) { return value < span.first_item; }) -
              1);
  }

  // Asks for one of `shares` equal shares of what lies at `data`. The rows of x and y are asked for in shares while the
  // weights stream by: all at once they would hold up the stream.
  static void PrefetchShare(const void* data, int64_t bytes, int64_t share, int64_t shares) {
    constexpr int64_t kLine = 64;
    constexpr int64_t kMost = 16384;  // what the nearer caches have room for
    bytes = std::min(bytes, kMost);
    const int64_t end = bytes * (share + 1) / shares;
    for (int64_t i = bytes * share / shares / kLine * kLine; i < end; i += kLine) {
      __builtin_prefetch(static_cast<const char*>(data) + i, 0, 3);
    }
  }

  // Up to chunk_tokens rows of x by row_chunk_ rows of A.
  void Products(const Span& span, int64_t item) {
    const Part& part = workspace_.parts[span.index];
    const SgmvSegment& segment = problem_.segments[span.segment];
    const KernelSet& kernels = KernelsFor(span.segment);
    const int64_t row_chunks = Chunks(part.module->rank, row_chunk_);
    const int64_t token = item / row_chunks * kernels.chunk_tokens;
    const int64_t row = item % row_chunks * row_chunk_;
    Product(kernels, part, segment.begin + token, token,
            std::min(kernels.chunk_tokens, segment.end - segment.begin - token), row,
            std::min(row_chunk_, part.module->rank - row), 0);
    PendingProducts(span.segment).fetch_sub(1, std::memory_order_release);
  }

  // Up to chunk_tokens rows of y by output_chunk_ columns.
  void Updates(const Span& span, int64_t item, const Progress& y) {
    const SgmvSegment& segment = problem_.segments[span.segment];
    const KernelSet& kernels = KernelsFor(span.segment);
    Wait(PendingProducts(span.segment));
    y.Wait();
    const int64_t out = problem_.outputs[span.index].out;
    const int64_t output_chunks = Chunks(out, output_chunk_);
    const int64_t token = item / output_chunks * kernels.chunk_tokens;
    const int64_t first = item % output_chunks * output_chunk_;
    Update(kernels, span.segment, span.index, token,
           std::min(kernels.chunk_tokens, segment.end - segment.begin - token), first,
           std::min(output_chunk_, out - first), 0);
    PendingUpdates(span.segment).fetch_sub(1, std::memory_order_release);
  }

  static void Wait(const std::atomic<int64_t>& pending) {
    Waiter waiter;
    while (pending.load(std::memory_order_acquire) != 0) {
      waiter.Wait();
    }
  }

  // One row, whose outputs are complete.
  void Gate(int64_t row) const {
    const SgmvOutput& gate = problem_.outputs[0];
    const SgmvOutput& up = problem_.outputs[1];
    Kernels(isa_, problem_.type)
        .silu_mul(static_cast<const char*>(gate.y) + row * gate.y_stride * element_size_,
                  static_cast<const char*>(up.y) + row * up.y_stride * element_size_,
                  static_cast<char*>(problem_.gated) + row * gate.out * element_size_, gate.out);
  }

  void Whole(int64_t s, const Span* following, const Progress& base) {
    const KernelSet& kernels = KernelsFor(s);
    const SgmvSegment& segment = problem_.segments[s];
    const int64_t tokens = segment.end - segment.begin;
    const int64_t first = s * problem_.output_count;
    // One row takes four rows of A at a time, so that prefetches fit between.
    const int64_t row_step = tokens == 1 ? 4 : kChunkRows;
    for (int64_t g = 0; g < problem_.output_count; ++g) {
      const SgmvOutput& output = problem_.outputs[g];
      const void* y = static_cast<const char*>(output.y) + segment.begin * output.y_stride * element_size_;
      for (int64_t p = workspace_.first_part[first + g]; p < workspace_.first_part[first + g + 1]; ++p) {
        const Part& part = workspace_.parts[p];
        const int64_t rank = part.module->rank;
        for (int64_t row = 0; row < rank; row += row_step) {
          const int64_t rows = std::min(row_step, rank - row);
          PrefetchShare(y, output.out * element_size_, row / row_step, Chunks(rank, row_step));
          // behind A comes B, which is as long as so many rows
          const int64_t b_rows = rank * output.out / problem_.in;
          Product(kernels, part, segment.begin, 0, tokens, row, rows, rank - row - rows + b_rows);
        }
      }
      if (!Updates(s, g)) {
        continue;
      }
      base.Wait();
      const bool last = g + 1 == problem_.output_count && following != nullptr && following->kind == Kind::kWhole;
      constexpr int64_t kStep = 512;
      for (int64_t o = 0; o < output.out; o += kStep) {
        if (last) {
          PrefetchFollowing(following->segment, o / kStep, Chunks(output.out, kStep));
        }
        const int64_t outputs = std::min(kStep, output.out - o);
        // behind B comes the next module's A
        const int64_t next = g + 1 < problem_.output_count ? kStep : 0;
        Update(kernels, s, g, 0, tokens, o, outputs, output.out - o - outputs + next);
      }
    }
    if (problem_.gated != nullptr) {
      base.Wait();
      for (int64_t row = segment.begin; row < segment.end; ++row) {
        Gate(row);
      }
    }
  }

  // The first row of x of a segment, and at the end of it where its A starts: streams run by themselves once they have
  // begun.
  void PrefetchFollowing(int64_t s, int64_t share, int64_t shares) const {
    const int64_t first = s * problem_.output_count;
    if (workspace_.first_part[first] < workspace_.first_part[first + problem_.output_count]) {
      const int64_t row = problem_.segments[s].begin;
      PrefetchShare(static_cast<const char*>(problem_.x) + row * problem_.x_stride * element_size_,
                    problem_.in * element_size_, share, shares);
      if (share + 1 == shares) {
        PrefetchShare(workspace_.parts[workspace_.first_part[first]].module->a, 4096, 0, 1);
      }
    }
  }

  // h = factor · A x for rows of x from `x_row` on, which is `token` of its segment, and rows of A from `row` on.
  void Product(const KernelSet& kernels, const Part& part, int64_t x_row, int64_t token, int64_t tokens, int64_t row,
               int64_t rows, int64_t rows_ahead) {
    const AdapterModule& module = *part.module;
    alignas(64) float dots[kMostTokens * kChunkRows];
    const int64_t weight_size = module.int8 ? 1 : element_size_;
    const DotTask dot{static_cast<const char*>(problem_.x) + x_row * problem_.x_stride * element_size_,
                      problem_.x_stride,
                      tokens,
                      static_cast<const char*>(module.a) + row * problem_.in * weight_size,
                      problem_.in,
                      rows,
                      problem_.in,
                      dots,
                      rows_ahead};
    (module.int8 ? kernels.dot_int8 : kernels.dot)(dot);
    float factors[kChunkRows];
    for (int64_t r = 0; r < rows; ++r) {
      factors[r] = module.component_scale == nullptr ? part.factor : part.factor * module.component_scale[row + r];
    }
    const int64_t stride = RoundUpToEven(module.rank);
    const FinishTask finish{dots,   tokens,      rows, factors, workspace_.h.data() + part.h + token * stride,
                            stride, module.rank, row};
    (module.int8 ? kernels.finish_float : kernels.finish)(finish);
  }

  void Update(const KernelSet& kernels, int64_t s, int64_t g, int64_t token, int64_t tokens, int64_t first,
              int64_t outputs, int64_t outputs_ahead) {
    const SgmvSegment& segment = problem_.segments[s];
    const SgmvOutput& output = problem_.outputs[g];
    ExpandPart parts[kMaxStack];
    ExpandTask task{parts,
                    0,
                    tokens,
                    first,
                    outputs,
                    static_cast<char*>(output.y) + (segment.begin + token) * output.y_stride * element_size_,
                    output.y_stride,
                    OutScale(segment, g),
                    Bias(segment, g),
                    outputs_ahead};
    const int64_t index = s * problem_.output_count + g;
    for (int64_t p = workspace_.first_part[index]; p < workspace_.first_part[index + 1]; ++p) {
      const Part& part = workspace_.parts[p];
      const int64_t stride = RoundUpToEven(part.module->rank);
      parts[task.part_count++] = {part.module->b, part.module->int8, part.module->rank,
                                  workspace_.h.data() + part.h + token * stride, stride};
    }
    kernels.expand(task);
  }

  const SgmvProblem& problem_;
  const int64_t element_size_;
  const Isa isa_;
  Workspace& workspace_;
  int64_t operations_ = 0;
  bool any_work_ = false;
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

void LinearSgmvCpu(const std::vector<LinearProblem>& products, const SgmvProblem& problem, int threads) {
  Workspace& workspace = ThisThreadsWorkspace();
  Sgmv sgmv(problem, &workspace);
  LinearCpu(products, sgmv.Next(), threads);
  workspace.Trim();
}

}  // namespace djl_lora
