# SPDX-License-Identifier: Apache-2.0
"""Punica's BGMV kernels as a candidate: compiled where they were not, and called without libtorch."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import torch
from inputs import Inputs

HERE = Path(__file__).resolve().parent


def library(folder: Path) -> ctypes.CDLL:
    """Load the kernels, which are compiled first where the library is missing."""
    path = folder / "libpunica.so"
    if not path.exists():
        nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
        command = [str(HERE / "punica" / "build.sh"), nvcc, str(folder / "punica"), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode:
            raise RuntimeError(f"Punica's kernels do not compile: {done.stderr.strip()[-300:]}")
    return ctypes.CDLL(str(path))


class Punica:
    """Zeroes the product with A, then calls a kernel for A and one for B for each module, as Punica's users do."""

    name = "punica bgmv"

    def __init__(self, inputs: Inputs, folder: Path) -> None:
        if inputs.dtype != torch.bfloat16 or inputs.device.type != "cuda":
            raise NotImplementedError("compiled for bfloat16 on a GPU only")
        self.inputs, self.library = inputs, library(folder)
        batch = inputs.batch
        self.slots = torch.tensor(batch.adapter_of_row, device=inputs.device)
        scales = torch.tensor(inputs.scales, device=inputs.device, dtype=inputs.dtype)[:, None, None]
        self.b = [[[b * scales for b in one.b] for one in layer] for layer in inputs.layers]
        modules = max(len(site.outputs) for site in inputs.shape.sites)
        self.middle = torch.empty(modules, batch.tokens, inputs.rank, dtype=torch.float32, device=inputs.device)

    def call(self, name: str, *arguments: torch.Tensor | int) -> None:
        """Call a kernel on the current stream."""
        taken = [ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)]
        for one in arguments:
            taken.append(ctypes.c_int64(one) if isinstance(one, int) else ctypes.c_void_p(one.data_ptr()))
        code = getattr(self.library, f"djl_lora_punica_{name}")(*taken)
        if code:
            raise RuntimeError("no such shape was compiled" if code < 0 else f"CUDA error {code}")

    def run(self, layer: int) -> None:
        """Compute one layer."""
        rank, rows = self.inputs.rank, self.inputs.batch.tokens
        for one, all_b in zip(self.inputs.layers[layer], self.b[layer]):
            self.middle.zero_()
            column = 0
            for a, b, middle in zip(one.a, all_b, self.middle):
                self.call("shrink", middle, one.x, a, self.slots, one.site.inputs, rank, rows)
                outputs = b.shape[1]
                self.call("expand", one.y, middle, b, self.slots, rank, outputs, column, one.y.shape[1], rows)
                column += outputs

    def check(self) -> None:
        """Do nothing: the kernels tell of no errors."""

    def close(self) -> None:
        """Do nothing: nothing is kept."""


def candidates(inputs: Inputs, folder: Path) -> list:
    """Name the ways to measure, as functions that make them."""
    return [("punica bgmv", lambda: Punica(inputs, folder))]
