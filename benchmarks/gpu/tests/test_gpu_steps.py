# SPDX-License-Identifier: Apache-2.0
"""Takes the steps that only a GPU's run takes, with a clock, streams and graphs of the tests' own.

They show that the steps go together: which events are recorded where, what is copied and put, what is written. They say
nothing of a GPU.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

try:
    import torch
except ImportError as missing:
    raise unittest.SkipTest("there is no torch") from missing

import bench
import copies
import ours
from shapes import SHAPES, distinct
from timing import Gpu

CPU = torch.device("cpu")
now = 0.0  # milliseconds


def work(milliseconds: float) -> None:
    """Let time pass."""
    global now
    now += milliseconds


class Event:
    """Keeps the time at which it was recorded."""

    def __init__(self, enable_timing: bool = False) -> None:
        self.timed, self.at = enable_timing, None

    def record(self) -> None:
        """Note the time; a microsecond goes by."""
        self.at = now
        work(0.001)

    def elapsed_time(self, end: Event) -> float:
        """Tell the milliseconds to another event."""
        if not (self.timed and end.timed):
            raise RuntimeError("events without times")
        return end.at - self.at


class Stream:
    """A stream that waits for events that were recorded."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def wait_event(self, event: Event) -> None:
        """Wait."""
        if event.at is None:
            raise RuntimeError("waits for an event that was not recorded")


class Graph:
    """Counts how often it is replayed."""

    replays = 0

    def replay(self) -> None:
        """Take a tenth of a millisecond."""
        Graph.replays += 1
        work(0.1)


class Operators:
    """The library's, with tables on the CPU behind those of a device."""

    def __init__(self, real: object) -> None:
        self.real, self.puts, self.open, self.ranks = real, [], 0, set()
        self.sgmv_group = real.sgmv_group

    def device_table_create(
        self, ins: torch.Tensor, outs: torch.Tensor, dtype: int, device: int, *, slots: int, tokens: int, rank: int,
        stack_ranks: int,
    ) -> int:  # fmt: skip
        """Make a table."""
        assert device == 0 and min(slots, tokens, rank, stack_ranks) > 0
        self.ranks.add(rank)
        self.open += 1
        return self.real.table_create(ins, outs, dtype)

    def device_table_packed_bytes(self, table: int, layout: torch.Tensor) -> int:
        """Tell a size."""
        return -(-self.real.table_packed_bytes(table, layout, False) // 128) * 128

    def device_table_put(
        self, table: int, slot: int, weights: torch.Tensor, layout: torch.Tensor, scales: torch.Tensor,
        arena: torch.Tensor, offset: int,
    ) -> None:  # fmt: skip
        """Put an adapter, and something of it into the arena."""
        size = self.device_table_packed_bytes(table, layout)
        assert offset % 128 == 0 and offset + size <= arena.numel()
        arena[offset : offset + size] = slot + 1
        self.real.table_put(table, slot, weights, layout, scales)
        self.puts.append((slot, offset))

    def device_table_check(self, table: int) -> None:
        """Find nothing wrong."""

    def device_table_close(self, table: int) -> None:
        """Close a table."""
        self.open -= 1
        self.real.table_close(table)


@contextlib.contextmanager
def pretended(operators: Operators) -> object:
    """Put all of it in place."""

    @contextlib.contextmanager
    def nothing(_: object) -> object:
        yield

    cuda = {"Event": Event, "Stream": Stream, "CUDAGraph": Graph, "graph": nothing, "stream": nothing}
    cuda |= {"synchronize": lambda _=None: None, "_sleep": lambda cycles: work(cycles / 2e6), "empty_cache": work}
    with contextlib.ExitStack() as stack:
        for name, stand_in in cuda.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, stand_in))
        stack.enter_context(mock.patch.object(torch.Tensor, "pin_memory", lambda self: self))
        stack.enter_context(mock.patch.object(torch.ops, "djl_lora", operators))
        stack.enter_context(mock.patch.object(ours, "on_gpu", lambda _: True))
        yield


@unittest.skipUnless(os.environ.get("DJL_LORA_LIBRARY"), "DJL_LORA_LIBRARY names no library")
class GpuStepsTest(unittest.TestCase):
    """What a run on a GPU does."""

    @classmethod
    def setUpClass(cls) -> None:
        """Load the library."""
        torch.ops.load_library(str(Path(os.environ["DJL_LORA_LIBRARY"]).resolve()))

    def setUp(self) -> None:
        """Begin anew."""
        self.operators = Operators(torch.ops.djl_lora)
        Graph.replays = 0

    def test_copies(self) -> None:
        """Each adapter is put once, side by side, and copies and computing are timed."""
        with pretended(self.operators):
            found = copies.measure(Gpu(CPU), SHAPES["tiny"], distinct(5), 2, torch.bfloat16, 1e6)
        puts = self.operators.puts
        self.assertEqual(copies.ADAPTERS + 5, len(puts))
        size = found["adapter_bytes"]
        self.assertEqual([(slot, slot * size) for slot in range(copies.ADAPTERS)], puts[: copies.ADAPTERS])
        self.assertEqual(0, self.operators.open)
        self.assertAlmostEqual(0.1e-3 / 2, found["compute_alone"], 7)  # a replay, which has two layers
        self.assertAlmostEqual(0.1e-3 / 2, found["compute_beside"], 7)
        self.assertGreater(Graph.replays, 4000)

    def test_a_whole_run(self) -> None:
        """Limits, decode, prefill and copies; all tables are closed; the page can be written."""
        with tempfile.TemporaryDirectory() as folder, pretended(self.operators):
            results = Path(folder) / "results.json"
            arguments = [os.environ["DJL_LORA_LIBRARY"], "--device", "cpu", "--no-peers", "--json", str(results)]
            run = bench.Bench(bench.parse(arguments))
            run.timer = Gpu(CPU)
            with torch.no_grad():
                run.run()
            found = json.loads(results.read_text())
        self.assertFalse(run.wrong)
        self.assertEqual(0, self.operators.open)
        self.assertEqual([], found["left_out"])
        for row in found["rows"]:
            self.assertAlmostEqual(0.1e-3 / 2, row["candidates"]["djl-lora"]["graph"]["median"], delta=1e-6)
            self.assertLess(row["candidates"]["djl-lora"]["eager"]["median"], 1e-6)  # no work goes by in the operator
            self.assertEqual(row["phase"] == "prefill", "matmul" in row["candidates"])
            self.assertEqual(row["phase"] == "decode", "djl-lora, two launches" in row["candidates"])
        self.assertIn(257, self.operators.ranks)
        found["dry_run"] = False
        self.assertIn("beside copies", bench.report.markdown(found))

    def test_wrong_results_are_not_timed(self) -> None:
        """And end the run with 1."""
        real = self.operators.sgmv_group

        def halved(x: torch.Tensor, *rest: object) -> None:
            real(x / 2, *rest)

        self.operators.sgmv_group = halved
        with pretended(self.operators):
            run = bench.Bench(bench.parse([os.environ["DJL_LORA_LIBRARY"], "--device", "cpu", "--no-peers"]))
            run.timer = Gpu(CPU)
            run.run()
        self.assertTrue(run.wrong)
        self.assertIn("wrong results", run.results["left_out"][0]["reason"])
        self.assertNotIn("djl-lora", run.results["rows"][0]["candidates"])


class RoundsTest(unittest.TestCase):
    """Timing by events."""

    def test_times_are_the_works_own(self) -> None:
        """Neither the sleeps before a work nor other works count."""
        with pretended(Operators(mock.Mock())):
            times = Gpu(CPU).rounds([lambda: work(3), lambda: work(5)], 4, True)
        self.assertEqual([4, 4], [len(one) for one in times])
        for one, expected in zip(times, (3e-3, 5e-3)):
            for seconds in one:
                self.assertAlmostEqual(expected, seconds, 5)


if __name__ == "__main__":
    unittest.main()
