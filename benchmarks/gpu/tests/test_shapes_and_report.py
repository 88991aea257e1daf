# SPDX-License-Identifier: Apache-2.0
"""Counts and tables, with the standard library alone:

python3 -m unittest discover -s benchmarks/gpu/tests -p 'test_shapes*'
"""

from __future__ import annotations

import copy
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import report
import shapes
from shapes import Batch, Site

LLAMA = shapes.SHAPES["llama-3-8b"]


class ShapesTest(unittest.TestCase):
    """What must move and be computed."""

    def test_bytes_of_a_site_by_hand(self) -> None:
        """Adds up each part of a small case."""
        batch = Batch((2, 1), (3, 5))
        site = Site("two", 10, (6, 4))
        a, b = 2 * 2 * 10 * 8, 2 * 10 * 8
        middle = 4 * 2 * (2 * 3 + 1 * 5)
        x, y = 2 * 3 * 10, 4 * 3 * 10
        self.assertEqual(a + b + 2 * middle + x + y, shapes.site_bytes(site, batch))
        self.assertEqual(2 * (2 * 10 + 10) * (2 * 3 + 5), shapes.site_operations(site, batch))

    def test_one_rank_is_the_formula(self) -> None:
        """Compares with 2nK*sum(r) + 2TK + 4Tnr for shrink and 2*sum(N)*sum(r) + 4Tnr + 4T*sum(N) for expand."""
        batch = shapes.distinct(64)
        for site in LLAMA.sites:
            n, k, outputs, t, r = len(site.outputs), site.inputs, sum(site.outputs), 64, 16
            shrink = 2 * n * k * t * r + 2 * t * k + 4 * t * n * r
            expand = 2 * outputs * t * r + 4 * t * n * r + 4 * t * outputs
            self.assertEqual(shrink + expand, shapes.site_bytes(site, batch))

    def test_a_layer_of_64_adapters_is_what_they_weigh(self) -> None:
        """An adapter of rank 16 weighs 83.9 MB over 32 layers of Llama 3 8B."""
        batch = shapes.distinct(64)
        rows = shapes.layer_bytes(LLAMA, Batch((64,), (16,))) - 83_886_080 // 32
        self.assertEqual(83_886_080 // 32 * 64 + rows, shapes.layer_bytes(LLAMA, batch))

    def test_shared_weights_count_once(self) -> None:
        """Rows of one adapter read it once."""
        one, many = Batch((64,), (16,)), shapes.distinct(64)
        self.assertLess(10 * shapes.layer_bytes(LLAMA, one), shapes.layer_bytes(LLAMA, many))
        self.assertEqual(shapes.layer_operations(LLAMA, one), shapes.layer_operations(LLAMA, many))

    def test_layers_outgrow_the_cache(self) -> None:
        """Four caches at least, and two layers at least."""
        for case in shapes.decode_cases() + shapes.prefill_cases():
            layers = shapes.layers_beyond_cache(LLAMA, case.batch, 60 << 20)
            self.assertGreaterEqual(layers, 2)
            self.assertGreaterEqual(layers * shapes.layer_bytes(LLAMA, case.batch), 4 * (60 << 20))

    def test_segments(self) -> None:
        """Rows of a segment are one adapter's."""
        batch = Batch((2, 3), (4, 8))
        self.assertEqual([0, 2, 5], batch.starts)
        self.assertEqual([0, 0, 1, 1, 1], batch.adapter_of_row)
        with self.assertRaises(ValueError):
            Batch((1,), (1, 2))
        with self.assertRaises(ValueError):
            Batch((0,), (1,))

    def test_cases_have_names_of_their_own(self) -> None:
        """The bars are found by name."""
        names = [case.name for case in shapes.decode_cases() + shapes.prefill_cases()]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(shapes.DECODE_BAR, names[0])
        self.assertIn(shapes.PREFILL_BAR, names)


def timed(graph: float, eager: float) -> dict:
    """Make up what a candidate took."""
    return {m: {"median": t, "low": t, "high": t} for m, t in (("graph", graph), ("eager", eager))}


RESULTS = {
    "dry_run": False,
    "machine": {"device": "a GPU", "driver_and_clocks": "1.2"},
    "command": "python bench.py",
    "date": "2026-01-01 00:00 UTC",
    "dtype": "bfloat16",
    "shape": "llama-3-8b",
    "limits": {"copy": 4e12, "pinned": 50e9, "matmul": {"1 x 2 x 3": 7e14}},
    "copies": {
        "adapter_bytes": 21e6,
        "put": 2e9,
        "alone": 45e9,
        "beside": 39e9,
        "compute_alone": 50e-6,
        "compute_beside": 55e-6,
        "whole_compute_beside_copies": True,
    },
    "rows": [
        {
            "case": shapes.DECODE_BAR,
            "phase": "decode",
            "bytes": 180e6,
            "operations": 1e9,
            "candidates": {
                "djl-lora": timed(60e-6, 65e-6),
                "djl-lora, two launches": timed(55e-6, 70e-6),
                "slow": timed(200e-6, 210e-6),
                "fast": timed(90e-6, 66e-6),
                "broken": {"eager": {"median": 80e-6, "low": 1, "high": 1}, "no_graph": "why"},
            },
        },
        {
            "case": shapes.PREFILL_BAR,
            "phase": "prefill",
            "bytes": 400e6,
            "operations": 6e9,
            "candidates": {"djl-lora": timed(300e-6, 310e-6), "matmul": timed(140e-6, 160e-6)},
        },
    ],
    "left_out": [{"case": "a case", "candidate": "a peer", "reason": "a reason"}],
}


class ReportTest(unittest.TestCase):
    """What is made of results."""

    def test_bars(self) -> None:
        """Takes the best peer of either mode, and ours with a graph."""
        found = {bar.name: bar for bar in report.bars(RESULTS)}
        values = [(round(bar.value, 3), bar.verdict) for bar in found.values()]
        self.assertEqual(
            [
                (0.75, "passed"),  # 180 MB in 60 us are 3 TB/s of 4
                (1.1, "FAILED"),  # 66 us of the fastest over 60
                (0.467, "FAILED"),  # 140 us over 300
                (0.9, "passed"),
                (0.78, "FAILED"),
                (39.0, "passed"),
            ],
            values,
        )
        self.assertIn("decode: times faster than the fastest peer (fast)", found)

    def test_what_was_not_measured_is_no_pass(self) -> None:
        """A bar without a value is neither passed nor failed."""
        empty = {**RESULTS, "rows": [], "limits": {}, "copies": {}}
        self.assertEqual({"not measured"}, {bar.verdict for bar in report.bars(empty)})
        self.assertIn("not measured", report.markdown(empty))

    def test_the_page_has_everything(self) -> None:
        """Names each candidate, what was left out, and the machine."""
        page = report.markdown(RESULTS)
        for text in ("slow", "fast", "a peer: a reason", "broken in a CUDA graph: why", "a GPU", "python bench.py"):
            self.assertIn(text, page)
        for line in page.splitlines():
            self.assertNotIn("None", line)
        tables = [block for block in page.split("\n\n") if block.startswith("|")]
        self.assertEqual(7, len(tables))
        for block in tables:
            self.assertEqual(1, len({line.count("|") for line in block.splitlines()}), block)

    def test_a_dry_run_makes_no_page(self) -> None:
        """Refuses it."""
        dry = copy.deepcopy(RESULTS)
        dry["dry_run"] = True
        with self.assertRaises(ValueError):
            report.markdown(dry)
        self.assertIn("mean nothing", report.summary(dry))


if __name__ == "__main__":
    unittest.main()
