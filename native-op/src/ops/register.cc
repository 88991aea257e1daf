// SPDX-License-Identifier: Apache-2.0
#include "ops/register.h"

#include <omp.h>

#include <exception>

#include "common/errors.h"
#include "ops/sgmv.h"
#include "ops/table.h"
#include "torch/stable_c.h"
#include "torch/tensor.h"

namespace djl_lora {

namespace {

Tensor TakeTensor(StableValue value) { return Tensor(reinterpret_cast<AtenTensorHandle>(value)); }

Tensor TakeOptionalTensor(StableValue value) {
  auto* slot = reinterpret_cast<StableValue*>(value);
  if (slot == nullptr) {
    return Tensor();
  }
  Tensor tensor = TakeTensor(*slot);
  delete slot;
  return tensor;
}

int64_t TakeInt(StableValue value) { return static_cast<int64_t>(value); }

// Runs an operator's body. When the body throws, the reason is kept for this thread and libtorch is told; the body has
// by then given back all that it owned, since libtorch's exception leaves through here.
template <typename Body>
void Run(const char* name, const Body& body) {
  LastError& error = ThreadLastError();
  error.kind = ErrorKind::kNone;
  try {
    body();
    return;
  } catch (const ArgumentError& refused) {
    error = {ErrorKind::kArgument, refused.what()};
  } catch (const std::exception& failed) {
    error = {ErrorKind::kEngine, failed.what()};
  }
  aoti_torch_check(false, name, __FILE__, __LINE__, error.message.c_str());
}

void TableCreateKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::table_create", [stack] {
    const Tensor in_features = TakeTensor(stack[0]);
    const Tensor out_features = TakeTensor(stack[1]);
    stack[0] = static_cast<StableValue>(TableCreate(in_features.get(), out_features.get(), TakeInt(stack[2])));
  });
}

void TablePutKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::table_put", [stack] {
    const Tensor weights = TakeTensor(stack[2]);
    const Tensor layout = TakeTensor(stack[3]);
    const Tensor scales = TakeTensor(stack[4]);
    TablePut(TakeInt(stack[0]), TakeInt(stack[1]), weights.get(), layout.get(), scales.get());
  });
}

void TableRemoveKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::table_remove", [stack] { TableRemove(TakeInt(stack[0]), TakeInt(stack[1])); });
}

void TableCloseKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::table_close", [stack] { TableClose(TakeInt(stack[0])); });
}

void SgmvKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::sgmv", [stack] {
    const Tensor y = TakeTensor(stack[0]);
    const Tensor x = TakeTensor(stack[1]);
    const Tensor bias = TakeOptionalTensor(stack[2]);
    const Tensor segment_starts = TakeTensor(stack[3]);
    const Tensor slots = TakeTensor(stack[4]);
    const CheckedSgmv checked(
        {y.get(), x.get(), bias.get(), segment_starts.get(), slots.get(), TakeInt(stack[5]), TakeInt(stack[6])});
    checked.Run(omp_get_max_threads());
  });
}

struct Operator {
  const char* name;
  const char* schema;
  const char* key;  // what has no tensor on a device to choose by is registered for all
  StableKernel kernel;
};

constexpr const char* kAny = "CompositeExplicitAutograd";

const Operator kOperators[] = {
    {"table_create", "table_create(Tensor in_features, Tensor out_features, int dtype) -> int", kAny,
     TableCreateKernel},
    {"table_put", "table_put(int table, int slot, Tensor weights, Tensor layout, Tensor scales) -> ()", kAny,
     TablePutKernel},
    {"table_remove", "table_remove(int table, int slot) -> ()", kAny, TableRemoveKernel},
    {"table_close", "table_close(int table) -> ()", kAny, TableCloseKernel},
    {"sgmv",
     "sgmv(Tensor(a!) y, Tensor x, Tensor? bias, Tensor segment_starts, Tensor slots, int table, int module) -> ()",
     "CPU", SgmvKernel},
};

// The libraries are never deleted: a call may be running when the process ends.
std::string Register() {
  TorchLibraryHandle definitions = nullptr;
  if (aoti_torch_library_init_def("djl_lora", __FILE__, __LINE__, &definitions) != 0) {
    return "libtorch refused the operator namespace djl_lora; has another copy of this library been loaded?";
  }
  TorchLibraryHandle any = nullptr;
  TorchLibraryHandle cpu = nullptr;
  if (aoti_torch_library_init_impl("djl_lora", kAny, __FILE__, __LINE__, &any) != 0 ||
      aoti_torch_library_init_impl("djl_lora", "CPU", __FILE__, __LINE__, &cpu) != 0) {
    return "libtorch refused kernels for the operator namespace djl_lora";
  }
  for (const Operator& op : kOperators) {
    if (aoti_torch_library_def(definitions, op.schema) != 0 ||
        aoti_torch_library_impl(op.key == kAny ? any : cpu, op.name, op.kernel) != 0) {
      return Format("libtorch refused the operator djl_lora::%s", op.name);
    }
  }
  return "";
}

// Registers when the library is loaded, which is all that Python's torch.ops.load_library does.
const std::string* const kRegistrationError = new std::string(Register());

}  // namespace

const std::string& RegistrationError() { return *kRegistrationError; }

}  // namespace djl_lora
