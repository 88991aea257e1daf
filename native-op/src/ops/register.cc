// SPDX-License-Identifier: Apache-2.0
#include "ops/register.h"

#include <omp.h>

#include <cstring>
#include <exception>

#include "common/errors.h"
#include "cuda/cuda_device.h"
#include "ops/attention.h"
#include "ops/device_table.h"
#include "ops/layers.h"
#include "ops/linear.h"
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
    const Tensor arena = TakeOptionalTensor(stack[5]);
    TablePut(TakeInt(stack[0]), TakeInt(stack[1]), weights.get(), layout.get(), scales.get(),
             {arena.get(), TakeInt(stack[6])});
  });
}

void TableRemoveKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::table_remove", [stack] { TableRemove(TakeInt(stack[0]), TakeInt(stack[1])); });
}

void TableCloseKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::table_close", [stack] { TableClose(TakeInt(stack[0])); });
}

void TablePutInt8Kernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::table_put_int8", [stack] {
    const Tensor weights = TakeTensor(stack[2]);
    const Tensor component_scales = TakeTensor(stack[3]);
    const Tensor vectors = TakeOptionalTensor(stack[4]);
    const Tensor layout = TakeTensor(stack[5]);
    const Tensor scales = TakeTensor(stack[6]);
    const Tensor arena = TakeOptionalTensor(stack[7]);
    TablePutInt8(TakeInt(stack[0]), TakeInt(stack[1]), {weights.get(), component_scales.get(), vectors.get()},
                 layout.get(), scales.get(), {arena.get(), TakeInt(stack[8])});
  });
}

void TableBytesKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::table_bytes",
      [stack] { stack[0] = static_cast<StableValue>(TableBytes(TakeInt(stack[0]), TakeInt(stack[1]))); });
}

void TablePackedBytesKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::table_packed_bytes", [stack] {
    const Tensor layout = TakeTensor(stack[1]);
    const bool int8 = (stack[2] & 0xff) != 0;
    stack[0] = static_cast<StableValue>(TablePackedBytes(TakeInt(stack[0]), layout.get(), int8));
  });
}

void TableMoveKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::table_move", [stack] { TableMove(TakeInt(stack[0]), TakeInt(stack[1]), TakeInt(stack[2])); });
}

// Reads an SGMV operator's arguments, owning its tensors, and hands them on.
using SgmvBody = void (*)(const SgmvArguments& arguments);

void OnCpu(const SgmvArguments& arguments) { CheckedSgmv(arguments).Run(omp_get_max_threads()); }

void OnCuda(const SgmvArguments& arguments) { FindDeviceTable(arguments.name, arguments.table)->Sgmv(arguments); }

template <SgmvBody kBody>
void SgmvKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::sgmv", [stack] {
    const Tensor y = TakeTensor(stack[0]);
    const Tensor x = TakeTensor(stack[1]);
    const Tensor bias = TakeOptionalTensor(stack[2]);
    const Tensor segment_starts = TakeTensor(stack[3]);
    const Tensor slots = TakeTensor(stack[4]);
    kBody({"sgmv",
           {{y.get(), bias.get(), TakeInt(stack[6])}},
           x.get(),
           {segment_starts.get(), slots.get()},
           TakeInt(stack[5])});
  });
}

template <SgmvBody kBody>
void SgmvStackedKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::sgmv_stacked", [stack] {
    const Tensor y = TakeTensor(stack[0]);
    const Tensor x = TakeTensor(stack[1]);
    const Tensor bias = TakeOptionalTensor(stack[2]);
    const Tensor segment_starts = TakeTensor(stack[3]);
    const Tensor entry_starts = TakeTensor(stack[4]);
    const Tensor entry_slots = TakeTensor(stack[5]);
    const Tensor entry_weights = TakeTensor(stack[6]);
    kBody({"sgmv_stacked",
           {{y.get(), bias.get(), TakeInt(stack[8])}},
           x.get(),
           {segment_starts.get(), entry_slots.get(), entry_starts.get(), entry_weights.get()},
           TakeInt(stack[7])});
  });
}

template <SgmvBody kBody>
void SgmvGroupKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::sgmv_group", [stack] {
    const Tensor x = TakeTensor(stack[0]);
    Tensor ys[kMaxGroup];
    Tensor biases[kMaxGroup];
    // Every handle is taken before anything may be refused.
    for (int64_t i = 0; i < kMaxGroup; ++i) {
      ys[i] = i == 0 ? TakeTensor(stack[1]) : TakeOptionalTensor(stack[1 + 3 * i]);
      biases[i] = TakeOptionalTensor(stack[2 + 3 * i]);
    }
    const Tensor segment_starts = TakeTensor(stack[13]);
    const Tensor slots = TakeTensor(stack[14]);
    const Tensor entry_starts = TakeOptionalTensor(stack[15]);
    const Tensor entry_weights = TakeOptionalTensor(stack[16]);
    SgmvArguments arguments{"sgmv_group",
                            {},
                            x.get(),
                            {segment_starts.get(), slots.get(), entry_starts.get(), entry_weights.get()},
                            TakeInt(stack[17])};
    for (int64_t i = 0; i < kMaxGroup && ys[i].get() != nullptr; ++i) {
      arguments.targets.push_back({ys[i].get(), biases[i].get(), TakeInt(stack[3 + 3 * i])});
    }
    for (size_t i = arguments.targets.size(); i < static_cast<size_t>(kMaxGroup); ++i) {
      if (ys[i].get() != nullptr || biases[i].get() != nullptr) {
        Refuse("sgmv_group: y%zu or bias%zu is given, but y%zu is missing", i, i, arguments.targets.size());
      }
    }
    kBody(arguments);
  });
}

void DeviceTableCreateKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::device_table_create", [stack] {
    const Tensor in_features = TakeTensor(stack[0]);
    const Tensor out_features = TakeTensor(stack[1]);
    const int64_t device = TakeInt(stack[3]);
    if (device < 0 || device > INT32_MAX) {
      Refuse("device_table_create: device is %lld, but they are counted from 0", static_cast<long long>(device));
    }
    stack[0] = static_cast<StableValue>(
        DeviceTableCreate(in_features.get(), out_features.get(), TakeInt(stack[2]),
                          {TakeInt(stack[4]), TakeInt(stack[5]), TakeInt(stack[6]), TakeInt(stack[7])},
                          OpenCudaDevice(static_cast<int32_t>(device))));
  });
}

void DeviceTablePutKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::device_table_put", [stack] {
    const Tensor weights = TakeTensor(stack[2]);
    const Tensor layout = TakeTensor(stack[3]);
    const Tensor scales = TakeTensor(stack[4]);
    const Tensor arena = TakeTensor(stack[5]);
    FindDeviceTable("device_table_put", TakeInt(stack[0]))
        ->Put(TakeInt(stack[1]), weights.get(), layout.get(), scales.get(), arena.get(), TakeInt(stack[6]));
  });
}

void DeviceTablePackedBytesKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::device_table_packed_bytes", [stack] {
    const Tensor layout = TakeTensor(stack[1]);
    stack[0] = static_cast<StableValue>(
        FindDeviceTable("device_table_packed_bytes", TakeInt(stack[0]))->PackedBytes(layout.get()));
  });
}

void DeviceTableRemoveKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::device_table_remove",
      [stack] { FindDeviceTable("device_table_remove", TakeInt(stack[0]))->Remove(TakeInt(stack[1])); });
}

void DeviceTableCheckKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::device_table_check", [stack] { FindDeviceTable("device_table_check", TakeInt(stack[0]))->Check(); });
}

void DeviceTableUseImageKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::device_table_use_image", [stack] {
    const Tensor image = TakeTensor(stack[1]);
    FindDeviceTable("device_table_use_image", TakeInt(stack[0]))->UseImage(image.get(), TakeInt(stack[2]));
  });
}

void DeviceTableDropImageKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::device_table_drop_image",
      [stack] { FindDeviceTable("device_table_drop_image", TakeInt(stack[0]))->DropImage(TakeInt(stack[1])); });
}

void DeviceTableTimeImageKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::device_table_time_image", [stack] {
    constexpr const char* kName = "device_table_time_image";
    const Tensor modules = TakeTensor(stack[1]);
    const TensorInfo numbers = DescribeFlat(kName, "modules", modules.get(), ElementType::kInt64);
    const auto [embedded, given] = FindDeviceTable(kName, TakeInt(stack[0]))
                                       ->TimeImage({numbers.As<int64_t>(), numbers.As<int64_t>() + numbers.numel},
                                                   TakeInt(stack[2]), TakeInt(stack[3]));
    Tensor result = Empty({2}, ElementType::kFloat32);
    float* times = Describe(kName, "result", result.get()).As<float>();
    times[0] = static_cast<float>(embedded);
    times[1] = static_cast<float>(given);
    stack[0] = reinterpret_cast<StableValue>(result.release());
  });
}

void DeviceTableCloseKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::device_table_close", [stack] { DeviceTableClose(TakeInt(stack[0])); });
}

void LinearRowsKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::linear_rows", [stack] {
    const Tensor x = TakeTensor(stack[0]);
    const Tensor weight = TakeTensor(stack[1]);
    const Tensor bias = TakeOptionalTensor(stack[2]);
    Tensor result = LinearRows("linear_rows", {x.get(), weight.get(), nullptr, bias.get()}, omp_get_max_threads());
    stack[0] = reinterpret_cast<StableValue>(result.release());
  });
}

void LinearRowsInt8Kernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::linear_rows_int8", [stack] {
    const Tensor x = TakeTensor(stack[0]);
    const Tensor weight = TakeTensor(stack[1]);
    const Tensor scale = TakeTensor(stack[2]);
    const Tensor bias = TakeOptionalTensor(stack[3]);
    Tensor result =
        LinearRows("linear_rows_int8", {x.get(), weight.get(), scale.get(), bias.get()}, omp_get_max_threads());
    stack[0] = reinterpret_cast<StableValue>(result.release());
  });
}

double TakeDouble(StableValue value) {
  double result;
  std::memcpy(&result, &value, sizeof(result));
  return result;
}

void PagedAttentionKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::paged_attention", [stack] {
    const Tensor q = TakeTensor(stack[0]);
    const Tensor keys = TakeTensor(stack[1]);
    const Tensor values = TakeTensor(stack[2]);
    const Tensor row_starts = TakeTensor(stack[3]);
    const Tensor lengths = TakeTensor(stack[4]);
    const Tensor page_starts = TakeTensor(stack[5]);
    const Tensor page_table = TakeTensor(stack[6]);
    Tensor result = PagedAttention({q.get(),
                                    {keys.get(), values.get()},
                                    row_starts.get(),
                                    lengths.get(),
                                    page_starts.get(),
                                    page_table.get(),
                                    TakeInt(stack[7]),
                                    TakeDouble(stack[8])},
                                   omp_get_max_threads());
    stack[0] = reinterpret_cast<StableValue>(result.release());
  });
}

void KvWriteKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::kv_write", [stack] {
    const Tensor q = TakeOptionalTensor(stack[0]);
    const Tensor k = TakeTensor(stack[1]);
    const Tensor v = TakeTensor(stack[2]);
    const Tensor cos = TakeOptionalTensor(stack[3]);
    const Tensor sin = TakeOptionalTensor(stack[4]);
    const Tensor keys = TakeTensor(stack[5]);
    const Tensor values = TakeTensor(stack[6]);
    const Tensor places = TakeTensor(stack[7]);
    KvWrite({q.get(), k.get(), v.get(), cos.get(), sin.get(), {keys.get(), values.get()}, places.get()},
            omp_get_max_threads());
  });
}

void RmsNormKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::rms_norm", [stack] {
    const Tensor x = TakeTensor(stack[0]);
    const Tensor delta = TakeOptionalTensor(stack[1]);
    const Tensor weight = TakeTensor(stack[2]);
    Tensor result = RmsNorm(x.get(), delta.get(), weight.get(), TakeDouble(stack[3]), omp_get_max_threads());
    stack[0] = reinterpret_cast<StableValue>(result.release());
  });
}

void SiluMulKernel(StableValue* stack, uint64_t, uint64_t) {
  Run("djl_lora::silu_mul", [stack] {
    const Tensor gate = TakeTensor(stack[0]);
    const Tensor up = TakeTensor(stack[1]);
    Tensor result = SiluMul(gate.get(), up.get(), omp_get_max_threads());
    stack[0] = reinterpret_cast<StableValue>(result.release());
  });
}

struct Operator {
  const char* name;
  const char* schema;
  const char* key;  // what has no tensor on a device to choose by is registered for all
  StableKernel kernel;
  StableKernel cuda = nullptr;
};

constexpr const char* kAny = "CompositeExplicitAutograd";

const Operator kOperators[] = {
    {"table_create", "table_create(Tensor in_features, Tensor out_features, int dtype) -> int", kAny,
     TableCreateKernel},
    {"table_put",
     "table_put(int table, int slot, Tensor weights, Tensor layout, Tensor scales, Tensor(a!)? arena=None, "
     "int offset=0) -> ()",
     kAny, TablePutKernel},
    {"table_put_int8",
     "table_put_int8(int table, int slot, Tensor weights, Tensor component_scales, Tensor? vectors, Tensor layout, "
     "Tensor scales, Tensor(a!)? arena=None, int offset=0) -> ()",
     kAny, TablePutInt8Kernel},
    {"table_move", "table_move(int table, int slot, int offset) -> ()", kAny, TableMoveKernel},
    {"table_bytes", "table_bytes(int table, int slot) -> int", kAny, TableBytesKernel},
    {"table_packed_bytes", "table_packed_bytes(int table, Tensor layout, bool int8) -> int", kAny,
     TablePackedBytesKernel},
    {"table_remove", "table_remove(int table, int slot) -> ()", kAny, TableRemoveKernel},
    {"table_close", "table_close(int table) -> ()", kAny, TableCloseKernel},
    {"sgmv",
     "sgmv(Tensor(a!) y, Tensor x, Tensor? bias, Tensor segment_starts, Tensor slots, int table, int module) -> ()",
     "CPU", SgmvKernel<OnCpu>, SgmvKernel<OnCuda>},
    {"sgmv_stacked",
     "sgmv_stacked(Tensor(a!) y, Tensor x, Tensor? bias, Tensor segment_starts, Tensor entry_starts, "
     "Tensor entry_slots, Tensor entry_weights, int table, int module) -> ()",
     "CPU", SgmvStackedKernel<OnCpu>, SgmvStackedKernel<OnCuda>},
    // Lists do not cross the stable C interface, hence four of each. slots are one for each segment, or with
    // entry_starts and entry_weights the entries of its stacks.
    {"sgmv_group",
     "sgmv_group(Tensor x, Tensor(a!) y0, Tensor? bias0, int module0, Tensor(b!)? y1, Tensor? bias1, int module1, "
     "Tensor(c!)? y2, Tensor? bias2, int module2, Tensor(d!)? y3, Tensor? bias3, int module3, Tensor segment_starts, "
     "Tensor slots, Tensor? entry_starts, Tensor? entry_weights, int table) -> ()",
     "CPU", SgmvGroupKernel<OnCpu>, SgmvGroupKernel<OnCuda>},
    // limits: slots, rows of a call, rank of an adapter's module, ranks of a stack
    {"device_table_create",
     "device_table_create(Tensor in_features, Tensor out_features, int dtype, int device, int slots, int tokens, "
     "int rank, int stack_ranks) -> int",
     kAny, DeviceTableCreateKernel},
    {"device_table_put",
     "device_table_put(int table, int slot, Tensor weights, Tensor layout, Tensor scales, Tensor(a!) arena, "
     "int offset) -> ()",
     kAny, DeviceTablePutKernel},
    {"device_table_packed_bytes", "device_table_packed_bytes(int table, Tensor layout) -> int", kAny,
     DeviceTablePackedBytesKernel},
    {"device_table_remove", "device_table_remove(int table, int slot) -> ()", kAny, DeviceTableRemoveKernel},
    {"device_table_check", "device_table_check(int table) -> ()", kAny, DeviceTableCheckKernel},
    {"device_table_use_image", "device_table_use_image(int table, Tensor image, int in_features) -> ()", kAny,
     DeviceTableUseImageKernel},
    {"device_table_drop_image", "device_table_drop_image(int table, int in_features) -> ()", kAny,
     DeviceTableDropImageKernel},
    // [2]: microseconds with the library's kernels and with the image's
    {"device_table_time_image", "device_table_time_image(int table, Tensor modules, int segments, int rank) -> Tensor",
     kAny, DeviceTableTimeImageKernel},
    {"device_table_close", "device_table_close(int table) -> ()", kAny, DeviceTableCloseKernel},
    {"paged_attention",
     "paged_attention(Tensor q, Tensor keys, Tensor values, Tensor row_starts, Tensor lengths, Tensor page_starts, "
     "Tensor page_table, int window, float scale) -> Tensor",
     "CPU", PagedAttentionKernel, PagedAttentionKernel},
    {"kv_write",
     "kv_write(Tensor(a!)? q, Tensor k, Tensor v, Tensor? cos, Tensor? sin, Tensor(b!) keys, Tensor(c!) values, "
     "Tensor places) -> ()",
     "CPU", KvWriteKernel, KvWriteKernel},
    {"rms_norm", "rms_norm(Tensor(a!) x, Tensor? delta, Tensor weight, float eps) -> Tensor", "CPU", RmsNormKernel,
     RmsNormKernel},
    {"silu_mul", "silu_mul(Tensor gate, Tensor up) -> Tensor", "CPU", SiluMulKernel, SiluMulKernel},
    {"linear_rows", "linear_rows(Tensor x, Tensor weight, Tensor? bias) -> Tensor", "CPU", LinearRowsKernel},
    {"linear_rows_int8", "linear_rows_int8(Tensor x, Tensor weight, Tensor scale, Tensor? bias) -> Tensor", "CPU",
     LinearRowsInt8Kernel},
};

// The libraries are never deleted: a call may be running when the process ends.
std::string Register() {
  TorchLibraryHandle definitions = nullptr;
  if (aoti_torch_library_init_def("djl_lora", __FILE__, __LINE__, &definitions) != 0) {
    return "libtorch refused the operator namespace djl_lora; has another copy of this library been loaded?";
  }
  TorchLibraryHandle any = nullptr;
  TorchLibraryHandle cpu = nullptr;
  TorchLibraryHandle cuda = nullptr;
  if (aoti_torch_library_init_impl("djl_lora", kAny, __FILE__, __LINE__, &any) != 0 ||
      aoti_torch_library_init_impl("djl_lora", "CPU", __FILE__, __LINE__, &cpu) != 0 ||
      aoti_torch_library_init_impl("djl_lora", "CUDA", __FILE__, __LINE__, &cuda) != 0) {
    return "libtorch refused kernels for the operator namespace djl_lora";
  }
  for (const Operator& op : kOperators) {
    if (aoti_torch_library_def(definitions, op.schema) != 0 ||
        aoti_torch_library_impl(op.key == kAny ? any : cpu, op.name, op.kernel) != 0 ||
        (op.cuda != nullptr && aoti_torch_library_impl(cuda, op.name, op.cuda) != 0)) {
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
