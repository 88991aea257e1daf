# SPDX-License-Identifier: Apache-2.0
"""Runs every candidate that can run on a CPU against float64, the peers' Triton kernels in Triton's interpreter.

    DJL_LORA_LIBRARY=native-op/target/cmake/libdjl_lora.so python -m unittest discover -s benchmarks/gpu/tests

Needs what requirements.txt names, and for the peers what fetch.sh fetches; what is missing is skipped. The interpreter
takes a few minutes, and knows no bfloat16: so float16 stands in for it.
"""

from __future__ import annotations

import os
import sys
import unittest
from pathlib import Path

os.environ["TRITON_INTERPRET"] = "1"
HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))

try:
    import torch
except ImportError as missing:
    raise unittest.SkipTest("there is no torch") from missing

import bench
import limits
import peer_punica
import peer_sglang
import peer_vllm
from inputs import TOLERANCE, Inputs
from ours import Ours
from shapes import SHAPES, Batch, Shape, Site, distinct
from timing import Wall

PEERS = HERE / "target" / "peers"
CPU = torch.device("cpu")
TINY = SHAPES["tiny"]
# One site of each kind, and few inputs: the interpreter runs a program of a grid at a time.
NARROW = Shape("narrow", (Site("qkv", 48, (32, 16, 16)), Site("o", 32, (48,)), Site("gate_up", 48, (40, 40))))
# float16 rounds eight times as finely as bfloat16
FLOAT16_TOLERANCE = TOLERANCE / 8
BATCHES = {
    "distinct": distinct(2),
    "shared": Batch((3, 2), (16, 16)),
    "ranks": Batch((1, 2), (8, 24)),
    "chunks": Batch((20, 17), (16, 16)),
}


def checked(made: object, inputs: Inputs) -> float:
    """Run a candidate and tell its error."""
    inputs.reset()
    for layer in range(len(inputs.layers)):
        made.run(layer)
    made.check()
    return inputs.worst_error()


class InputsTest(unittest.TestCase):
    """The truth that all are compared with."""

    def test_an_error_shows(self) -> None:
        """A wrong row, a row that was not written and a NaN are each seen."""
        inputs = Inputs(NARROW, BATCHES["ranks"], 1, torch.float16, CPU)
        one = inputs.layers[0][0]
        self.assertGreater(inputs.worst_error(), 0.9)  # nothing was added yet
        for site in inputs.layers[0]:
            site.y.copy_(site.base.double() + inputs.expected(site))
        self.assertLess(inputs.worst_error(), FLOAT16_TOLERANCE)
        one.y[1] = one.base[1]
        self.assertGreater(inputs.worst_error(), 0.9)
        one.y[1, 3] = float("nan")
        self.assertFalse(inputs.worst_error() <= TOLERANCE)

    def test_weights_end_at_the_rank(self) -> None:
        """Beyond an adapter's rank are zeros, which peers read."""
        inputs = Inputs(NARROW, BATCHES["ranks"], 1, torch.float16, CPU)
        for one in inputs.layers[0]:
            for a, b in zip(one.a, one.b):
                self.assertTrue((a[0, 8:] == 0).all() and (b[0, :, 8:] == 0).all())
                self.assertTrue((a[1] != 0).any(dim=1).all() and (b[1] != 0).any(dim=0).all())

    def test_what_is_added_is_as_large_as_what_is_there(self) -> None:
        """An adapter's part must not be lost in y's rounding."""
        inputs = Inputs(TINY, distinct(6), 1, torch.bfloat16, CPU)
        for one in inputs.layers[0]:
            sizes = inputs.expected(one).norm(dim=1) / one.base.double().norm(dim=1)
            self.assertTrue(((sizes > 0.2) & (sizes < 5)).all(), sizes)


@unittest.skipUnless(os.environ.get("DJL_LORA_LIBRARY"), "DJL_LORA_LIBRARY names no library")
class OursTest(unittest.TestCase):
    """The operator, through its table on the CPU: the same arguments as on a GPU."""

    @classmethod
    def setUpClass(cls) -> None:
        """Load the library."""
        torch.ops.load_library(str(Path(os.environ["DJL_LORA_LIBRARY"]).resolve()))

    def test_it_computes_the_formula(self) -> None:
        """On every batch, with two layers in one table."""
        for name, batch in BATCHES.items():
            for dtype, tolerance in ((torch.float16, FLOAT16_TOLERANCE), (torch.bfloat16, TOLERANCE)):
                with self.subTest(batch=name, dtype=dtype):
                    inputs = Inputs(TINY, batch, 2, dtype, CPU)
                    made = Ours(inputs)
                    self.assertLess(checked(made, inputs), tolerance)
                    made.close()

    def test_a_dry_run_goes_from_end_to_end(self) -> None:
        """Checks and times, writes its results, and marks them."""
        import json
        import tempfile
        from unittest import mock

        with tempfile.TemporaryDirectory() as folder:
            results = Path(folder) / "results.json"
            arguments = ["bench.py", os.environ["DJL_LORA_LIBRARY"], "--device", "cpu", "--no-peers", "--rounds", "2"]
            with mock.patch.object(sys, "argv", [*arguments, "--json", str(results)]):
                self.assertEqual(0, bench.main())
            found = json.loads(results.read_text())
        self.assertTrue(found["dry_run"])
        self.assertEqual(4, len(found["rows"]))
        for row in found["rows"]:
            self.assertIn("median", row["candidates"]["djl-lora"]["graph"])
        self.assertEqual(["copies"], [one["case"] for one in found["left_out"]])

    def test_a_table_of_a_dry_run_is_refused(self) -> None:
        """There is no page without a GPU."""
        with self.assertRaises(SystemExit), open(os.devnull, "w") as nowhere:
            from contextlib import redirect_stderr

            with redirect_stderr(nowhere):
                bench.parse(["lib.so", "--device", "cpu", "--markdown", "page.md"])


class MatmulTest(unittest.TestCase):
    """What prefill is compared with."""

    def test_it_computes_what_is_added(self) -> None:
        """Its products are the adapters', scales left out."""
        inputs = Inputs(TINY, Batch((5, 5), (16, 16)), 1, torch.float32, CPU)
        inputs.scales = [1.0, 1.0]
        made = limits.Matmul(inputs)
        made.run(0)
        one = inputs.layers[0][0]
        found = torch.cat([result.reshape(10, -1) for _, _, result in made.calls[0][1:4]], dim=1)
        self.assertLess((found.double() - inputs.expected(one)).abs().max().item(), 1e-3)

    def test_segments_that_differ_are_refused(self) -> None:
        """One batched product has one shape."""
        with self.assertRaises(ValueError):
            limits.Matmul(Inputs(TINY, Batch((5, 6), (16, 16)), 1, torch.float32, CPU))


class TimingTest(unittest.TestCase):
    """How turns are taken."""

    def test_candidates_take_turns(self) -> None:
        """Each has as many, and none is always the first."""
        order: list[int] = []
        works = [lambda i=i: order.append(i) for i in range(3)]
        times = Wall().rounds(works, 3, False)
        self.assertEqual([3, 3, 3], [len(one) for one in times])
        self.assertEqual({0, 1, 2}, {order[0], order[3], order[6]})


@unittest.skipUnless((PEERS / "vllm").is_dir() and (PEERS / "sglang").is_dir(), "fetch.sh has fetched no peers")
class PeersTest(unittest.TestCase):
    """Other projects' kernels, called by us: arguments, layouts and plans."""

    def agree(self, candidates: object, batch: Batch) -> list[str]:
        """Check every candidate on a batch."""
        inputs = Inputs(NARROW, batch, 1, torch.float16, CPU)
        names = []
        for name, make in candidates(inputs):
            with self.subTest(candidate=name, batch=batch):
                made = make()
                self.assertEqual(name, made.name)
                self.assertLess(checked(made, inputs), FLOAT16_TOLERANCE)
                made.close()
            names.append(name)
        return names

    def test_vllm(self) -> None:
        """As it comes and with the configurations of ours."""
        for batch in BATCHES.values():
            self.assertEqual(3, len(self.agree(lambda inputs: peer_vllm.candidates(inputs, PEERS), batch)))

    def test_sglang_decode(self) -> None:
        """All backends."""
        for batch in (BATCHES["distinct"], BATCHES["shared"], BATCHES["ranks"]):
            found = self.agree(lambda inputs: peer_sglang.candidates(inputs, PEERS, "decode"), batch)
            self.assertEqual(4, len(found))

    def test_sglang_prefill(self) -> None:
        """All backends, on segments of several blocks."""
        found = self.agree(lambda inputs: peer_sglang.candidates(inputs, PEERS, "prefill"), BATCHES["chunks"])
        self.assertEqual(3, len(found))

    def test_sglang_has_plans_for_every_case(self) -> None:
        """On Hopper, whose plans the CPU stands in for; every family that they name is run here."""
        import shapes

        families = set()
        for case in shapes.decode_cases() + shapes.prefill_cases():
            made = object.__new__(peer_sglang.Planned)
            made.inputs = type("Stand-in", (), {"device": CPU, "batch": case.batch, "rank": max(case.batch.ranks)})
            made.folder, made.phase = PEERS / "sglang", case.phase
            for site in SHAPES["llama-3-8b"].sites:
                plan = made.plan(site.inputs, sum(site.outputs))
                self.assertLessEqual({"a_family", "b_family", "block_size", "a_tiles", "b_tiles"}, plan.keys())
                families.add((plan["a_family"], plan["b_family"], plan["a_tiles"].get("SPLIT_MODE")))
        self.assertLessEqual(
            families,
            {(a, b, m) for a in ("grouped", "all_slots") for b in ("grouped", "per_row") for m in (None, "serial")},
        )

    def test_every_family_of_plans(self) -> None:
        """Forces each, with and without splits."""
        tiles = {"BLOCK_SIZE_N": 16, "BLOCK_SIZE_K": 32, "GROUP_SIZE_M": 8, "num_warps": 4, "num_stages": 2}
        b_tiles = {**tiles, "BLOCK_SIZE_N": 32}
        kinds = [
            ("grouped", "grouped", 1, ""),
            ("grouped", "per_row", 2, "serial"),
            ("grouped", "grouped", 2, "planes"),
        ]
        kinds += [("per_row", "per_row", 1, ""), ("all_slots", "per_row", 1, "")]
        for a, b, splits, mode in kinds:
            a_tiles = {**tiles, **({"SPLIT_K": splits, "SPLIT_MODE": mode} if splits > 1 else {})}
            spec = {"a_family": a, "b_family": b, "block_size": 16, "a_tiles": a_tiles, "b_tiles": b_tiles}

            class Forced(peer_sglang.Planned):
                """With one plan for all."""

                def plan(self, ins: int, outs: int, spec: dict = spec) -> dict:
                    """Give it."""
                    return spec

            with self.subTest(a=a, b=b, splits=splits, mode=mode):
                inputs = Inputs(NARROW, BATCHES["ranks"], 1, torch.float16, CPU)
                self.assertLess(checked(Forced(inputs, PEERS, "decode"), inputs), FLOAT16_TOLERANCE)

    def test_punica_says_why_it_cannot(self) -> None:
        """It is CUDA alone."""
        inputs = Inputs(NARROW, BATCHES["distinct"], 1, torch.bfloat16, CPU)
        with self.assertRaises(NotImplementedError):
            peer_punica.Punica(inputs, PEERS)

    def test_a_peer_that_is_missing_is_named(self) -> None:
        """And nothing else happens."""
        import stubs

        with self.assertRaisesRegex(FileNotFoundError, "fetch.sh"):
            stubs.vllm(HERE / "nowhere")


if __name__ == "__main__":
    unittest.main()
