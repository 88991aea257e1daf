# SPDX-License-Identifier: Apache-2.0
"""Compiles the Triton kernels that peers launch in every case for an H200, on a machine without a GPU, and runs none.

    python benchmarks/gpu/tests/compile_peers.py

Needs what requirements.txt names and what fetch.sh fetches, and ten minutes. Ends with an error at the first kernel
that Triton does not compile, or whose shared memory a block of an H200 has not.
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))

import peer_sglang
import peer_vllm
import torch
import triton
from inputs import Inputs
from shapes import SHAPES, decode_cases, prefill_cases
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

CAPABILITY = 90
SHARED = 227 * 1024


class Driver:
    """What Triton asks of a driver before it compiles."""

    def get_current_target(self) -> GPUTarget:
        """Name the target."""
        return GPUTarget("cuda", CAPABILITY, 32)

    def get_current_device(self) -> int:
        """Name the device."""
        return 0

    def get_current_stream(self, device: int) -> int:
        """Name the stream."""
        return 0

    def get_active_torch_device(self) -> torch.device:
        """Name libtorch's device."""
        return torch.device("cpu")


def main() -> None:
    """Compile all."""
    compiled: dict[str, int] = {}
    launch = JITFunction.run

    def compile_only(self: JITFunction, *arguments: object, grid: object, warmup: bool, **options: object) -> object:
        kernel = launch(self, *arguments, grid=grid, warmup=True, **options)
        if kernel.metadata.shared > SHARED:
            sys.exit(f"{self.__name__} takes {kernel.metadata.shared} bytes of shared memory")
        compiled[f"{self.__name__} {kernel.hash}"] = kernel.metadata.shared
        return kernel

    triton.runtime.driver.set_active(Driver())
    peers = HERE / "target" / "peers"
    with mock.patch.object(JITFunction, "run", compile_only), torch.no_grad():
        for case in decode_cases() + prefill_cases():
            inputs = Inputs(SHAPES["llama-3-8b"], case.batch, 1, torch.bfloat16, torch.device("cpu"))
            candidates = peer_vllm.candidates(inputs, peers) + peer_sglang.candidates(inputs, peers, case.phase)
            for name, make in candidates:
                made = make()
                before = len(compiled)
                made.run(0)
                made.close()
                print(f"{case.name}: {name}: {len(compiled) - before} more kernels", flush=True)
    print(f"{len(compiled)} kernels compile for compute capability {CAPABILITY}")


if __name__ == "__main__":
    main()
