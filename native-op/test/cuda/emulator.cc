// SPDX-License-Identifier: Apache-2.0
#include "cuda/emulator.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define DJL_LORA_FIBERS_OF_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DJL_LORA_FIBERS_OF_ASAN
#endif
#endif
#ifdef DJL_LORA_FIBERS_OF_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace djl_lora::emulator {

namespace {

constexpr size_t kStackBytes = 64 << 10;

// What threads wait at until a number of them has arrived.
struct Barrier {
  unsigned expected = 0;
  unsigned arrived = 0;
  unsigned generation = 0;

  unsigned Arrive() {
    const unsigned of = generation;
    if (++arrived == expected) {
      arrived = 0;
      ++generation;
    }
    return of;
  }
};

struct Warp {
  Barrier barrier;
  Exchange exchanges[2];  // in turn: a lane may be one ahead of the others
  unsigned counts[2] = {0, 0};
};

struct Block {
  unsigned index[3];
  std::unique_ptr<char[]> shared;  // a block of its own, so that what lies behind it is found
  Barrier barrier;
  bool any[3] = {false, false, false};  // of AnyInBlock, in turn
  std::vector<Warp> warps;
};

struct Copy {
  void* target;
  const void* source;
  unsigned bytes;
};

struct Fiber {
  ucontext_t context{};
  jmp_buf place;  // where it waits, once it has begun: jumps make no system call, as swapcontext does
  bool begun = false;
  char* stack = nullptr;
  unsigned thread = 0;
  unsigned rank = 0;  // of the block in its cluster
  bool done = false;
  const Barrier* waits_at = nullptr;
  unsigned waits_for = 0;  // until the barrier has left this generation
  unsigned exchanges = 0;
  unsigned votes = 0;
  std::vector<std::vector<Copy>> copies{1};  // by group; the last is not committed yet
  unsigned cluster_generation = 0;
#ifdef DJL_LORA_FIBERS_OF_ASAN
  void* fake_stack = nullptr;
#endif
};

// One cluster at work.
class Cluster {
 public:
  // stacks: kStackBytes for each thread.
  Cluster(const Grid& grid, const unsigned* first_block, char* stacks, const std::function<void()>& kernel);

  void Run(std::mt19937_64* random);
  void WaitAt(const Barrier& barrier, unsigned generation);

  Fiber* current = nullptr;
  Barrier barrier;
  std::vector<Block> blocks;
  unsigned shared_bytes;

 private:
  static void Enter();
  // The number of a thread's warp in the cluster.
  unsigned WarpOf(const Fiber& fiber) const {
    return (fiber.rank * static_cast<unsigned>(fibers_.size() / blocks.size()) + fiber.thread) / kLanes;
  }
  void SwitchTo(Fiber* fiber);
  void SwitchBack(bool ends);

  const std::function<void()>& kernel_;
  std::vector<Fiber> fibers_;
  jmp_buf scheduler_;
  std::exception_ptr failure_;
#ifdef DJL_LORA_FIBERS_OF_ASAN
  void* scheduler_fake_stack_ = nullptr;
  const void* scheduler_stack_ = nullptr;
  size_t scheduler_stack_bytes_ = 0;
#endif
};

thread_local Cluster* running = nullptr;

Cluster::Cluster(const Grid& grid, const unsigned* first_block, char* stacks, const std::function<void()>& kernel)
    : shared_bytes(grid.shared_bytes), kernel_(kernel) {
  barrier.expected = grid.cluster * grid.threads;
  for (unsigned b = 0; b < grid.cluster; ++b) {
    Block block;
    std::copy(first_block, first_block + 3, block.index);
    block.index[0] += b;
    block.shared = std::make_unique<char[]>(grid.shared_bytes);
    std::fill(block.shared.get(), block.shared.get() + grid.shared_bytes, '\xff');  // NaN, and not what was before
    block.barrier.expected = grid.threads;
    block.warps.resize(grid.threads / kLanes);
    for (Warp& warp : block.warps) {
      warp.barrier.expected = kLanes;
    }
    blocks.push_back(std::move(block));
  }
  fibers_.resize(grid.cluster * grid.threads);
  for (size_t i = 0; i < fibers_.size(); ++i) {
    Fiber& fiber = fibers_[i];
    fiber.thread = static_cast<unsigned>(i) % grid.threads;
    fiber.rank = static_cast<unsigned>(i) / grid.threads;
    fiber.stack = stacks + i * kStackBytes;
  }
}

void Cluster::Enter() {
  Cluster* cluster = running;
#ifdef DJL_LORA_FIBERS_OF_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &cluster->scheduler_stack_, &cluster->scheduler_stack_bytes_);
#endif
  try {
    cluster->kernel_();
  } catch (...) {
    cluster->failure_ = std::current_exception();
  }
  cluster->current->done = true;
  cluster->SwitchBack(true);
}

void Cluster::SwitchTo(Fiber* fiber) {
  current = fiber;
#ifdef DJL_LORA_FIBERS_OF_ASAN
  __sanitizer_start_switch_fiber(&scheduler_fake_stack_, fiber->stack, kStackBytes);
#endif
  if (_setjmp(scheduler_) == 0) {
    if (fiber->begun) {
      _longjmp(fiber->place, 1);
    }
    fiber->begun = true;
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = kStackBytes;
    fiber->context.uc_link = nullptr;
    makecontext(&fiber->context, &Cluster::Enter, 0);
    setcontext(&fiber->context);
  }
#ifdef DJL_LORA_FIBERS_OF_ASAN
  __sanitizer_finish_switch_fiber(scheduler_fake_stack_, nullptr, nullptr);
#endif
}

void Cluster::SwitchBack(bool ends) {
  Fiber* fiber = current;
#ifdef DJL_LORA_FIBERS_OF_ASAN
  __sanitizer_start_switch_fiber(ends ? nullptr : &fiber->fake_stack, scheduler_stack_, scheduler_stack_bytes_);
#else
  static_cast<void>(ends);
#endif
  if (_setjmp(fiber->place) == 0) {
    _longjmp(scheduler_, 1);
  }
#ifdef DJL_LORA_FIBERS_OF_ASAN
  __sanitizer_finish_switch_fiber(fiber->fake_stack, nullptr, nullptr);
#endif
}

void Cluster::WaitAt(const Barrier& at, unsigned generation) {
  if (at.generation == generation) {
    current->waits_at = &at;
    current->waits_for = generation;
    SwitchBack(false);
  }
}

void Cluster::Run(std::mt19937_64* random) {
  running = this;
  std::vector<Fiber*> order(fibers_.size());
  std::transform(fibers_.begin(), fibers_.end(), order.begin(), [](Fiber& fiber) { return &fiber; });
  std::shuffle(order.begin(), order.end(), *random);
  size_t left = order.size();
  bool everybody = false;
  while (left > 0 && failure_ == nullptr) {
    bool moved = false;
    // Some warps get far ahead of others, as they do on a GPU: what a barrier too few allows is then seen.
    const uint64_t held = everybody ? 0 : (*random)() | (*random)();
    for (Fiber* fiber : order) {
      const bool waits = fiber->waits_at != nullptr && fiber->waits_at->generation == fiber->waits_for;
      if (fiber->done || waits || (held >> WarpOf(*fiber) % 64 & 1) != 0) {
        continue;
      }
      fiber->waits_at = nullptr;
      moved = true;
      SwitchTo(fiber);
      left -= fiber->done ? 1 : 0;
      if (failure_ != nullptr) {
        break;
      }
    }
    if (!moved && everybody) {
      failure_ = std::make_exception_ptr(std::runtime_error(
          "block " + std::to_string(blocks[0].index[0]) + ": " + std::to_string(left) + " of " +
          std::to_string(order.size()) + " threads wait for others that have ended or wait elsewhere"));
    }
    everybody = !moved;
  }
  running = nullptr;
  if (failure_ != nullptr) {
    std::rethrow_exception(failure_);
  }
}

Block& CurrentBlock() { return running->blocks[running->current->rank]; }

}  // namespace

void RunGrid(const Grid& grid, uint64_t seed, const std::function<void()>& kernel) {
  if (grid.threads % kLanes != 0 || grid.blocks[0] % grid.cluster != 0) {
    throw std::invalid_argument("a block has a multiple of 32 threads, and a grid whole clusters");
  }
  std::mt19937_64 random(seed);
  std::vector<unsigned> clusters(grid.blocks[0] / grid.cluster * grid.blocks[1] * grid.blocks[2]);
  std::iota(clusters.begin(), clusters.end(), 0u);
  std::shuffle(clusters.begin(), clusters.end(), random);
  const std::unique_ptr<char[]> stacks(new char[grid.cluster * grid.threads * kStackBytes]);
  const unsigned in_row = grid.blocks[0] / grid.cluster;
  for (const unsigned number : clusters) {
    const unsigned first[] = {number % in_row * grid.cluster, number / in_row % grid.blocks[1],
                              number / in_row / grid.blocks[1]};
    Cluster(grid, first, stacks.get(), kernel).Run(&random);
  }
}

unsigned ThreadIndex() { return running->current->thread; }
unsigned BlockIndex(int axis) { return CurrentBlock().index[axis]; }
unsigned ThreadCount() { return CurrentBlock().barrier.expected; }
char* SharedMemory() { return CurrentBlock().shared.get(); }

const void* InBlock(const void* own, unsigned block) {
  const char* shared = SharedMemory();
  const char* place = static_cast<const char*>(own);
  if (block >= running->blocks.size() || place < shared || place >= shared + running->shared_bytes) {
    throw std::out_of_range("not in the shared memory of a block of the cluster");
  }
  return running->blocks[block].shared.get() + (place - shared);
}

void SyncBlock() {
  Block& block = CurrentBlock();
  running->WaitAt(block.barrier, block.barrier.Arrive());
}

bool AnyInBlock(bool condition) {
  Block& block = CurrentBlock();
  const unsigned turn = running->current->votes++ % 3;
  block.any[turn] = block.any[turn] || condition;
  SyncBlock();
  const bool result = block.any[turn];
  block.any[(turn + 2) % 3] = false;  // all have read it, and nobody votes there before all have come here
  return result;
}

void ArriveAtCluster() { running->current->cluster_generation = running->barrier.Arrive(); }
void WaitForCluster() { running->WaitAt(running->barrier, running->current->cluster_generation); }

void CopyLater(void* target, const void* source, unsigned bytes) {
  running->current->copies.back().push_back({target, source, bytes});
}

void CommitCopies() { running->current->copies.emplace_back(); }

void WaitForCopies(unsigned latest) {
  auto& copies = running->current->copies;
  while (copies.size() > latest + 1) {
    for (const Copy& copy : copies.front()) {
      if (copy.source == nullptr) {
        std::memset(copy.target, 0, copy.bytes);
      } else {
        std::memcpy(copy.target, copy.source, copy.bytes);
      }
    }
    copies.erase(copies.begin());
  }
}

void ExchangeInWarp(const uint32_t* operands, unsigned operand_count, Compute compute, uint32_t* results,
                    unsigned result_count) {
  Fiber* fiber = running->current;
  const unsigned lane = fiber->thread % kLanes;
  const unsigned turn = fiber->exchanges++ % 2;
  Warp& warp = CurrentBlock().warps[fiber->thread / kLanes];
  Exchange& exchange = warp.exchanges[turn];
  std::copy(operands, operands + operand_count, exchange.operands[lane]);
  if (++warp.counts[turn] == kLanes) {
    warp.counts[turn] = 0;
    compute(&exchange);
  }
  running->WaitAt(warp.barrier, warp.barrier.Arrive());
  std::copy(exchange.results[lane], exchange.results[lane] + result_count, results);
}

}  // namespace djl_lora::emulator
