// SPDX-License-Identifier: Apache-2.0
//
// The part of libtorch's stable C interface that this library uses (libtorch 2.7 and later). Declared here by hand so
// that the build needs no libtorch header, only libtorch_cpu.so to link against, and so that one binary serves every
// libtorch that keeps the interface. Unless it says otherwise a function returns 0 when it worked.
#ifndef DJL_LORA_TORCH_STABLE_C_H_
#define DJL_LORA_TORCH_STABLE_C_H_

#include <cstdint>

struct AtenTensorOpaque;
using AtenTensorHandle = AtenTensorOpaque*;
struct TorchLibraryOpaque;
using TorchLibraryHandle = TorchLibraryOpaque*;

// One argument or result of an operator: a tensor is its handle, an int its bits, a float the bits of a double, a bool
// its low byte, None is 0, and an optional that is set points to a slot made by `new`, which the receiver deletes.
using StableValue = uint64_t;
// An operator's kernel: reads its arguments from the stack, owns the tensors among them, writes its results over them.
using StableKernel = void (*)(StableValue* stack, uint64_t num_inputs, uint64_t num_outputs);

extern "C" {

// Codes, which are not part of the interface themselves and are therefore asked for.
int32_t aoti_torch_device_type_cpu();
int32_t aoti_torch_device_type_cuda();
int32_t aoti_torch_dtype_float32();
int32_t aoti_torch_dtype_float16();
int32_t aoti_torch_dtype_bfloat16();
int32_t aoti_torch_dtype_int64();
int32_t aoti_torch_dtype_int32();
int32_t aoti_torch_dtype_bool();
int32_t aoti_torch_dtype_uint8();
int32_t aoti_torch_dtype_int8();
int32_t aoti_torch_dtype_float64();
uint64_t aoti_torch_abi_version();

// Reading a tensor. The arrays of sizes and strides are borrowed from the tensor.
int32_t aoti_torch_get_data_ptr(AtenTensorHandle tensor, void** data);
int32_t aoti_torch_get_dim(AtenTensorHandle tensor, int64_t* dim);
int32_t aoti_torch_get_numel(AtenTensorHandle tensor, int64_t* numel);
int32_t aoti_torch_get_sizes(AtenTensorHandle tensor, int64_t** sizes);
int32_t aoti_torch_get_strides(AtenTensorHandle tensor, int64_t** strides);
int32_t aoti_torch_get_dtype(AtenTensorHandle tensor, int32_t* dtype);
int32_t aoti_torch_get_device_type(AtenTensorHandle tensor, int32_t* device_type);
int32_t aoti_torch_get_device_index(AtenTensorHandle tensor, int32_t* device_index);

// Making a tensor. The caller owns the handle that comes back.
int32_t aoti_torch_new_tensor_handle(AtenTensorHandle tensor, AtenTensorHandle* copy);
int32_t aoti_torch_delete_tensor_object(AtenTensorHandle tensor);
int32_t aoti_torch_empty_strided(int64_t dim, const int64_t* sizes, const int64_t* strides, int32_t dtype,
                                 int32_t device_type, int32_t device_index, AtenTensorHandle* result);
int32_t aoti_torch_create_tensor_from_blob(void* data, int64_t dim, const int64_t* sizes, const int64_t* strides,
                                           int64_t storage_offset, int32_t dtype, int32_t device_type,
                                           int32_t device_index, AtenTensorHandle* result);
// A view of the same memory; the offset is added to the tensor's own, so it counts from the tensor's first element.
// NOLINTNEXTLINE(bugprone-reserved-identifier): the name is libtorch's
int32_t aoti_torch__reinterpret_tensor(AtenTensorHandle tensor, int64_t dim, const int64_t* sizes,
                                       const int64_t* strides, int64_t offset_increment, AtenTensorHandle* result);

// Changing a tensor in place.
int32_t aoti_torch_copy_(AtenTensorHandle target, AtenTensorHandle source, int32_t non_blocking);
int32_t aoti_torch_zero_(AtenTensorHandle tensor);

// Registering operators, and calling any operator by its name. A call takes over the tensors on the stack.
int32_t aoti_torch_library_init_def(const char* name, const char* file, uint32_t line, TorchLibraryHandle* result);
int32_t aoti_torch_library_init_impl(const char* name, const char* key, const char* file, uint32_t line,
                                     TorchLibraryHandle* result);
int32_t aoti_torch_library_def(TorchLibraryHandle library, const char* schema);
int32_t aoti_torch_library_impl(TorchLibraryHandle library, const char* name, StableKernel kernel);
int32_t aoti_torch_call_dispatcher(const char* name, const char* overload, StableValue* stack);

// Throws libtorch's own exception when the condition does not hold; only to be called from a kernel.
void aoti_torch_check(bool condition, const char* function, const char* file, uint32_t line, const char* message);

}  // extern "C"

#endif  // DJL_LORA_TORCH_STABLE_C_H_
