// SPDX-License-Identifier: Apache-2.0
//
// Adapter tables: where each adapter's weights for each module lie. A table belongs to one model; its slots hold
// adapters. A reader takes a snapshot and keeps it for as long as it needs it; a writer replaces the snapshot, so
// neither waits for the other, and weights live until the last reader is done with them.
#ifndef DJL_LORA_OPS_TABLE_H_
#define DJL_LORA_OPS_TABLE_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "cpu/aligned_buffer.h"
#include "cpu/sgmv_cpu.h"
#include "ops/adapter_source.h"
#include "torch/tensor.h"

namespace djl_lora {

// One adapter: its modules point into its memory, where A, B, scales and bias of a module lie together as the kernels
// read them. That is memory of its own, or a part of an arena. The tensors that it came from are not kept.
struct Adapter {
  AlignedBuffer memory;
  Tensor arena;          // a view of the whole arena that keeps it alive; none where the memory is its own
  char* data = nullptr;  // the first byte, wherever it lies
  int64_t bytes = 0;
  std::vector<AdapterModule> modules;
};

using Snapshot = std::vector<std::shared_ptr<const Adapter>>;  // by slot; null where there is no adapter

class Table : public TableShape {
 public:
  using TableShape::TableShape;

  std::shared_ptr<const Snapshot> Read() const;
  void Put(int64_t slot, std::shared_ptr<const Adapter> adapter);
  void Remove(int64_t slot);
  // Puts an adapter in the place of another; returns whether the slot still held that one.
  bool Replace(int64_t slot, const Adapter* old, std::shared_ptr<const Adapter> adapter);

 private:
  mutable std::mutex mutex_;  // held to copy or replace the pointer, never while weights are read
  std::shared_ptr<const Snapshot> snapshot_ = std::make_shared<const Snapshot>();
};

// Every function below refuses (ArgumentError) what it does not allow, with `operation` before the reason.

// in_features and out_features: int64 [modules], positive. Returns an id that is never used again.
int64_t TableCreate(AtenTensorHandle in_features, AtenTensorHandle out_features, int64_t type);

// Where an adapter is to lie. arena: uint8 or int8, 1-D, contiguous, on a cache line, whose memory the adapter keeps
// alive; or null for memory of its own. offset: in bytes, a multiple of AlignedBuffer::kAlignment. The bytes from there
// on must belong to none of the table's adapters, that of the slot included. Whether a reader still uses them for an
// adapter that was removed is the caller's to know.
struct ArenaPlace {
  AtenTensorHandle arena = nullptr;
  int64_t offset = 0;
};

// weights, layout and scales: as ReadSource has them.
void TablePut(int64_t table, int64_t slot, AtenTensorHandle weights, AtenTensorHandle layout, AtenTensorHandle scales,
              const ArenaPlace& place = {});

// The same for ReadInt8Source.
void TablePutInt8(int64_t table, int64_t slot, const Int8Weights& weights, AtenTensorHandle layout,
                  AtenTensorHandle scales, const ArenaPlace& place = {});

// Moves the adapter in a slot to another offset of its arena; the two places may overlap. The caller makes sure that
// nobody computes with the slot or changes it meanwhile, as whoever began before would read what lies there by then.
void TableMove(int64_t table, int64_t slot, int64_t offset);

void TableRemove(int64_t table, int64_t slot);
void TableClose(int64_t table);

// Bytes of the adapter in a slot, as it lies in memory.
int64_t TableBytes(int64_t table, int64_t slot);

// Bytes that an adapter of this layout will take, in 8 bits or in the table's type. Of the offsets only whether there
// is a part is looked at.
int64_t TablePackedBytes(int64_t table, AtenTensorHandle layout, bool int8);

// The open table with this id.
std::shared_ptr<Table> FindTable(const char* operation, int64_t table);

// Checks all that TablePut would, and puts nothing.
void CheckTablePut(int64_t table, int64_t slot, AtenTensorHandle weights, AtenTensorHandle layout,
                   AtenTensorHandle scales, const ArenaPlace& place = {});
void CheckTablePutInt8(int64_t table, int64_t slot, const Int8Weights& weights, AtenTensorHandle layout,
                       AtenTensorHandle scales, const ArenaPlace& place = {});
void CheckTableMove(int64_t table, int64_t slot, int64_t offset);
void CheckTableCreate(AtenTensorHandle in_features, AtenTensorHandle out_features, int64_t type);
void CheckTableRemove(int64_t table, int64_t slot);

int64_t OpenTables();
int64_t LiveAdapters();  // also counts what was removed while a reader still holds it

}  // namespace djl_lora

#endif  // DJL_LORA_OPS_TABLE_H_
