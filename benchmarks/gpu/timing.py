# SPDX-License-Identifier: Apache-2.0
"""How long something takes: on a GPU by its own events, on the CPU (dry runs) by the clock on the wall."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

Work = Callable[[], None]


class Gpu:
    """Times work on a GPU's current stream."""

    dry = False

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def wait(self) -> None:
        """Wait until all is done."""
        torch.cuda.synchronize(self.device)

    def captured(self, work: Work) -> Work:
        """Make a CUDA graph of work that has run before."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        return graph.replay

    def rounds(self, works: list[Work], rounds: int, hide_launches: bool) -> list[list[float]]:
        """Time each work in turn, so many times; in seconds.

        Where launches are to be hidden, the GPU sleeps before each work for longer than the host takes to launch it:
        then no kernel waits for the host, and what is measured is the device's time alone.
        """
        sleeps = [0] * len(works)
        if hide_launches:
            for i, work in enumerate(works):
                self.wait()
                begin = time.perf_counter()
                work()
                # a cycle is half a nanosecond; too long is harmless, up to a limit
                sleeps[i] = int(min(2 * (time.perf_counter() - begin) + 1e-4, 0.1) * 2e9)
        self.wait()
        events: list[list[tuple[torch.cuda.Event, torch.cuda.Event]]] = [[] for _ in works]
        for turn in range(rounds):
            for k in range(len(works)):
                i = (k + turn) % len(works)
                begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                if sleeps[i]:
                    torch.cuda._sleep(sleeps[i])
                begin.record()
                works[i]()
                end.record()
                events[i].append((begin, end))
        self.wait()
        return [[begin.elapsed_time(end) / 1e3 for begin, end in times] for times in events]


class Wall:
    """Times work on the CPU. What it finds is of no worth: it is there so that the program can be tried."""

    dry = True

    def wait(self) -> None:
        """Do nothing: work on the CPU is done when it returns."""

    def captured(self, work: Work) -> Work:
        """Stand in for a graph."""
        return work

    def rounds(self, works: list[Work], rounds: int, hide_launches: bool) -> list[list[float]]:
        """Time each work in turn, so many times; in seconds."""
        del hide_launches
        times: list[list[float]] = [[] for _ in works]
        for turn in range(rounds):
            for k in range(len(works)):
                i = (k + turn) % len(works)
                begin = time.perf_counter()
                works[i]()
                times[i].append(time.perf_counter() - begin)
        return times


def summary(times: list[float]) -> dict[str, float]:
    """Sum up times: the median, and where the middle half of them lies."""
    if len(times) < 4:
        return {"median": statistics.median(times), "low": min(times), "high": max(times)}
    low, _, high = statistics.quantiles(times, n=4)
    return {"median": statistics.median(times), "low": low, "high": high}
