# SPDX-License-Identifier: Apache-2.0
"""Compiles the kernels for one shape as ai.djl.lora.jit does, runs them on the first GPU, and times them.

    python jit_in_python.py path/to/libdjl_lora.so [path/to/libnvrtc.so.12]

Needs torch 2.7 or later with CUDA; NVRTC is torch's own unless it is named. Ends with an error where the image does not
load, or gives other bits than the library's kernels. Without a GPU it only compiles, for compute capability 9.0.
"""

import ctypes
import glob
import os
import re
import sys

import torch

KERNELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "src", "cuda", "kernels")
SHAPES = ((8, 4096, (4096, 1024, 1024)), (16, 4096, (4096, 1024, 1024)), (16, 4096, (14336, 14336)),
          (32, 4096, (4096,)), (16, 14336, (4096,)))  # fmt: skip
CODES = {torch.float16: (1, "f16"), torch.bfloat16: (2, "bf16")}
ROWS = 64


def read(name):
    with open(os.path.join(KERNELS, name), encoding="utf-8") as file:
        return file.read()


class Nvrtc:
    """NVIDIA's run-time compiler."""

    def __init__(self, path):
        if path is None:
            folder = os.path.join(os.path.dirname(os.path.dirname(torch.__file__)), "nvidia", "cuda_nvrtc", "lib")
            found = glob.glob(os.path.join(folder, "libnvrtc.so.*"))
            path = found[0] if found else "libnvrtc.so.12"
        self.library = ctypes.CDLL(path)

    def call(self, function, *arguments):
        code = getattr(self.library, function)(*arguments)
        if code != 0:
            raise RuntimeError(f"{function} failed: {code}")

    def compile(self, name, options):
        headers, names = {}, [name]
        while names:
            for header in re.findall(r'^\s*#\s*include\s+"([\w.]+)"', read(names.pop()), re.MULTILINE):
                if header not in headers:
                    headers[header] = read(header)
                    names.append(header)
        texts = (ctypes.c_char_p * len(headers))(*(text.encode() for text in headers.values()))
        keys = (ctypes.c_char_p * len(headers))(*(header.encode() for header in headers))
        program = ctypes.c_void_p()
        options = [*options, "--ptxas-options=-v"]
        self.call("nvrtcCreateProgram", ctypes.byref(program), read(name).encode(), name.encode(), len(headers), texts,
                  keys)  # fmt: skip
        given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        size = ctypes.c_size_t()
        result = self.library.nvrtcCompileProgram(program, len(options), given)
        self.call("nvrtcGetProgramLogSize", program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        self.call("nvrtcGetProgramLog", program, log)
        if result != 0:
            raise RuntimeError(log.value.decode())
        self.call("nvrtcGetCUBINSize", program, ctypes.byref(size))
        code = ctypes.create_string_buffer(size.value)
        self.call("nvrtcGetCUBIN", program, code)
        self.call("nvrtcDestroyProgram", ctypes.byref(program))
        return torch.frombuffer(bytearray(code.raw), dtype=torch.uint8), decode_kernels(log.value.decode())


def decode_kernels(log):
    """What the compiler said of the decode kernels: registers and bytes spilled."""
    found = re.findall(
        r"Compiling entry function 'sgmv_(decode_\w+)_\w+'.*?(\d+) bytes spill stores.*?Used (\d+) registers", log, re.DOTALL
    )  # fmt: skip
    assert len(found) == 3, log
    return ", ".join(f"{kernel} {registers} registers, {spilled} bytes spilled" for kernel, spilled, registers in found)


def check(ops, image, dtype, rank, n_in, n_outs):
    """Runs rows of adapters of that rank, and some of another, with the library's kernels and with the image's."""
    torch.manual_seed(0)
    table = ops.device_table_create(
        torch.tensor([n_in] * len(n_outs)), torch.tensor(n_outs), CODES[dtype][0], 0, slots=ROWS, tokens=2 * ROWS,
        rank=rank, stack_ranks=rank
    )  # fmt: skip
    arena = torch.empty(ROWS * (rank * (n_in * len(n_outs) + sum(n_outs)) * 2 + 4096), dtype=torch.uint8, device="cuda")
    offset = 0
    for slot in range(ROWS):
        own = rank if slot % 8 != 7 else rank - 3
        parts, layout, used = [], [], 0
        for n_out in n_outs:
            layout.append([own, used, used + own * n_in, -1, -1])
            parts += [torch.randn(own * n_in, dtype=dtype) / 64, torch.randn(n_out * own, dtype=dtype)]
            used += own * (n_in + n_out)
        ops.device_table_put(
            table, slot, torch.cat(parts), torch.tensor(layout), torch.ones(len(n_outs)), arena, offset
        )  # fmt: skip
        offset += ops.device_table_packed_bytes(table, torch.tensor(layout))
    lengths = torch.ones(ROWS, dtype=torch.int64)
    for few in (True, False):  # one row each, and several here and there
        lengths[5] = 1 if few else 18
        starts = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
        plan = starts.cuda(), torch.arange(ROWS).cuda()
        x = torch.randn(int(starts[-1]), n_in, dtype=dtype).cuda()
        base = [torch.randn(len(x), n_out, dtype=dtype).cuda() for n_out in n_outs]

        def run():
            ys = [y.clone() for y in base]
            rest = [argument for m in range(1, 4) for argument in ((ys[m], None, m) if m < len(ys) else (None, None, 0))]
            ops.sgmv_group(x, ys[0], None, 0, *rest, *plan, None, None, table)
            ops.device_table_check(table)
            return ys

        expected = run()
        assert not any(torch.equal(y, before) for y, before in zip(expected, base))
        ops.device_table_use_image(table, image, n_in)
        for module, (y, other) in enumerate(zip(expected, run())):
            differ = (y != other).sum().item()
            assert differ == 0, f"module {module}: {differ} of {y.numel()} elements differ"
        ops.device_table_drop_image(table, n_in)
    ops.device_table_use_image(table, image, n_in)
    library, given = ops.device_table_time_image(table, torch.arange(len(n_outs)), ROWS, rank).tolist()
    ops.device_table_close(table)
    print(
        f"  outputs {n_outs}: the same bits; {library:.2f} microseconds with the "
        f"library's kernels, {given:.2f} with the image's ({library / given:.3f} times as fast)"
    )


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    torch.ops.load_library(sys.argv[1])
    nvrtc = Nvrtc(sys.argv[2] if len(sys.argv) == 3 else None)
    gpu = torch.cuda.is_available()
    major, minor = torch.cuda.get_device_capability() if gpu else (9, 0)
    target = f"sm_{major}{minor}" + ("a" if (major, minor) == (9, 0) else "")
    for dtype, (_, name) in CODES.items():
        for rank, n_in, n_outs in SHAPES:
            options = ["--std=c++17", f"-arch={target}", f"-DDJL_LORA_RANK={rank}", f"-DDJL_LORA_HIDDEN={n_in}"]
            image, kernels = nvrtc.compile(f"sgmv_{name}.cu", options)
            print(f"{dtype}, rank {rank}, {n_in} inputs, {target}: {kernels}")
            if gpu:
                check(torch.ops.djl_lora, image, dtype, rank, n_in, n_outs)
    if not gpu:
        print("nothing was run, since torch sees no GPU")


if __name__ == "__main__":
    main()
