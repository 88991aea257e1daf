# SPDX-License-Identifier: Apache-2.0
"""Copies of adapters from the host to the device: how fast, and what they cost what is computed meanwhile."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from inputs import Inputs
from ours import CODES, Ours, adapter_block, features
from shapes import Batch, Shape
from timing import Gpu, Work

LAYERS = 8  # of the adapters that are copied
ADAPTERS = 16


class Arenas:
    """Adapters in a table, and the same bytes in the host's pinned memory."""

    def __init__(self, timer: Gpu, shape: Shape, dtype: torch.dtype, device: torch.device) -> None:
        self.timer, self.device, self.ops = timer, device, torch.ops.djl_lora
        inputs = Inputs(shape, Batch((1,) * ADAPTERS, (16,) * ADAPTERS), LAYERS, dtype, device)
        self.blocks = [adapter_block(inputs, adapter) for adapter in range(ADAPTERS)]
        ins, outs = features(shape, LAYERS)
        self.table = self.ops.device_table_create(
            ins, outs, CODES[dtype], device.index or 0, slots=ADAPTERS, tokens=1, rank=16, stack_ranks=16
        )
        self.size = self.ops.device_table_packed_bytes(self.table, self.blocks[0][1])
        self.arena = torch.empty(ADAPTERS * self.size, dtype=torch.uint8, device=device)
        self.put_seconds = self.put()
        self.pinned = self.arena.cpu().pin_memory()
        self.second = torch.empty_like(self.arena)

    def put(self) -> list[float]:
        """Put every adapter through ``device_table_put``, which packs it first, and tell how long each took."""
        seconds = []
        for slot, block in enumerate(self.blocks):
            self.timer.wait()
            begin = time.perf_counter()
            self.ops.device_table_put(self.table, slot, *block, self.arena, slot * self.size)
            self.timer.wait()
            seconds.append(time.perf_counter() - begin)
        return seconds

    def copy(self, count: int) -> None:
        """Copy adapters one by one out of pinned memory, on the current stream, without waiting."""
        for i in range(count):
            place = slice(i % ADAPTERS * self.size, (i % ADAPTERS + 1) * self.size)
            self.second[place].copy_(self.pinned[place], non_blocking=True)

    def close(self) -> None:
        """Give the table back."""
        self.ops.device_table_close(self.table)


def timed(work: Work) -> tuple[torch.cuda.Event, torch.cuda.Event]:
    """Run work between two events of the current stream."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    work()
    end.record()
    return begin, end


def seconds(events: tuple[torch.cuda.Event, torch.cuda.Event]) -> float:
    """Tell the time between two events that have happened."""
    return events[0].elapsed_time(events[1]) / 1e3


def overlapped(timer: Gpu, arenas: Arenas, compute: Work, times: int, count: int) -> tuple[float, float]:
    """Compute so many times while so many adapters are copied on a stream of their own: the seconds of each."""
    side = torch.cuda.Stream(timer.device)
    start = torch.cuda.Event()
    timer.wait()
    # Both begin when the sleep has ended, by when the host has launched nearly all.
    torch.cuda._sleep(int(40e6))
    start.record()
    with torch.cuda.stream(side):
        side.wait_event(start)
        copied = timed(lambda: arenas.copy(count))

    def repeated() -> None:
        for _ in range(times):
            compute()

    computed = timed(repeated)
    timer.wait()
    return seconds(computed), seconds(copied)


def measure(timer: Gpu, shape: Shape, batch: Batch, layers: int, dtype: torch.dtype, pinned: float) -> dict[str, Any]:
    """Measure copies alone, computing alone, and both at once. ``pinned``: the bandwidth of a copy, bytes a second."""
    device = timer.device
    arenas = Arenas(timer, shape, dtype, device)
    ours = Ours(Inputs(shape, batch, layers, dtype, device))

    def layers_once() -> None:
        for layer in range(layers):
            ours.run(layer)

    try:
        layers_once()
        ours.check()
        compute = timer.captured(layers_once)
        arenas.copy(ADAPTERS)
        timer.wait()
        if not torch.equal(arenas.second, arenas.arena):
            raise RuntimeError("a copy out of pinned memory is not what device_table_put wrote")
        (once,) = timer.rounds([compute], 20, False)
        times = max(1, round(0.05 / statistics.median(once)))
        # copies that outlast the computing, so that all of it runs beside copies
        count = max(ADAPTERS, round(1.5 * times * statistics.median(once) * pinned / arenas.size))
        alone, both = [], []
        copying = []
        for _ in range(5):
            alone.append(overlapped(timer, arenas, compute, times, 0)[0])
            copying.append(overlapped(timer, arenas, lambda: None, 1, count)[1])
            both.append(overlapped(timer, arenas, compute, times, count))
        bytes_copied = count * arenas.size
        return {
            "adapter_bytes": arenas.size,
            "put": arenas.size / statistics.median(arenas.put_seconds[1:]),
            "alone": bytes_copied / statistics.median(copying),
            "beside": bytes_copied / statistics.median(copied for _, copied in both),
            "compute_alone": statistics.median(alone) / times / layers,
            "compute_beside": statistics.median(computed for computed, _ in both) / times / layers,
            "whole_compute_beside_copies": all(copied >= computed for computed, copied in both),
        }
    finally:
        ours.close()
        arenas.close()
