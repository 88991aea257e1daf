# SPDX-License-Identifier: Apache-2.0
"""What the machine can do at most, measured in the same run as what is compared with it."""

from __future__ import annotations

import statistics
from typing import Any

import torch
from inputs import Inputs
from shapes import Shape
from timing import Gpu, Wall


def copy_bandwidth(timer: Gpu | Wall, device: torch.device, octets: int, rounds: int) -> float:
    """Measure a copy within the device's memory, bytes read and written, in bytes a second."""
    source = torch.randint(0, 256, (octets,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    (times,) = timer.rounds([lambda: target.copy_(source)], rounds, False)
    return 2 * octets / statistics.median(times[len(times) // 4 :])


def pinned_bandwidth(timer: Gpu | Wall, device: torch.device, octets: int, rounds: int) -> float:
    """Measure a copy from pinned memory of the host to the device, in bytes a second."""
    source = torch.randint(0, 256, (octets,), dtype=torch.uint8)
    if device.type == "cuda":
        source = source.pin_memory()
    target = torch.empty(octets, dtype=torch.uint8, device=device)
    (times,) = timer.rounds([lambda: target.copy_(source, non_blocking=True)], rounds, False)
    return octets / statistics.median(times[len(times) // 4 :])


def matmul_rate(timer: Gpu | Wall, rows: int, ins: int, outs: int, dtype: torch.dtype, device: torch.device) -> float:
    """Measure libtorch's matmul of random [rows, ins] by [ins, outs], in operations a second."""
    x = torch.randn(rows, ins, device=device, dtype=torch.float32).to(dtype)
    weight = torch.randn(outs, ins, device=device, dtype=torch.float32).to(dtype)
    result = torch.empty(rows, outs, device=device, dtype=dtype)
    (times,) = timer.rounds([lambda: torch.mm(x, weight.t(), out=result)], 12, True)
    return 2 * rows * ins * outs / statistics.median(times[2:])


def limits(timer: Gpu | Wall, shape: Shape, dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
    """Measure all: bandwidths, and the matmuls of the base model's layers at a prefill of 4096 rows."""
    small = device.type == "cpu"
    rows = 64 if small else 4096
    rates = {}
    for site in shape.sites:
        rates[f"{rows} x {site.inputs} x {sum(site.outputs)}"] = matmul_rate(
            timer, rows, site.inputs, sum(site.outputs), dtype, device
        )
    return {
        "copy": copy_bandwidth(timer, device, (1 << 16) if small else (1 << 30), 16),
        "pinned": pinned_bandwidth(timer, device, (1 << 16) if small else (1 << 29), 16),
        "matmul": rates,
    }


class Matmul:
    """The products of a case of equal segments as libtorch's batched matmul does them: what prefill is compared with.

    It writes what is to be added, and adds it to nothing.
    """

    name = "matmul"

    def __init__(self, inputs: Inputs) -> None:
        batch = inputs.batch
        if len(set(batch.lengths)) > 1 or len(set(batch.ranks)) > 1:
            raise ValueError("only segments and ranks that are alike can be one batched matmul")
        self.calls = []
        count, length, rank = batch.adapters, batch.lengths[0], inputs.rank
        for layer in inputs.layers:
            calls = []
            for one in layer:
                x = one.x.view(count, length, -1)
                stacked = torch.cat(one.a, dim=1).transpose(1, 2)
                middle = torch.empty(count, length, stacked.shape[2], device=inputs.device, dtype=inputs.dtype)
                calls.append((x, stacked, middle))
                for i, b in enumerate(one.b):
                    part = middle[:, :, i * rank : (i + 1) * rank]
                    calls.append((part, b.transpose(1, 2), x.new_empty(count, length, b.shape[1])))
            self.calls.append(calls)

    def run(self, layer: int) -> None:
        """Compute one layer."""
        for left, right, result in self.calls[layer]:
            torch.bmm(left, right, out=result)
