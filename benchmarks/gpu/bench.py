# SPDX-License-Identifier: Apache-2.0
"""Measures the operator on a GPU against the machine's limits and against other projects' kernels.

    python bench.py libdjl_lora.so --json results.json --markdown cuda-speed.md

Everything that is timed is checked first, against float64, on the same inputs. Peers that were not fetched, do not load
or give wrong results are named with the reason and left out. Ends with 1 where the operator itself is wrong, with 3
where the GPU failed on the way (results so far are written), else with 0, whatever was fast or slow.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import platform
import shlex
import shutil
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import copies
import limits
import peer_punica
import peer_sglang
import peer_vllm
import report
import torch
from inputs import TOLERANCE, Inputs
from ours import Ours
from report import OURS, UNFUSED
from shapes import (
    SHAPES,
    Case,
    Shape,
    decode_cases,
    layer_bytes,
    layer_operations,
    layers_beyond_cache,
    prefill_cases,
    tiny_cases,
)
from timing import Gpu, Wall, summary

HERE = Path(__file__).resolve().parent
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
PEERS = ("vllm", "sglang", "punica")


def first_line(failed: BaseException) -> str:
    """Say in one line what went wrong."""
    text = str(failed).strip().splitlines()
    return f"{type(failed).__name__}: {text[0][:300] if text else ''}"


class DeviceFailedError(Exception):
    """The GPU gives errors from here on, whatever is asked of it."""


class Bench:
    """One run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.device = torch.device(options.device)
        self.timer = Wall() if self.device.type == "cpu" else Gpu(self.device)
        self.dtype = DTYPES[options.dtype]
        self.shape: Shape = SHAPES["tiny" if options.tiny else "llama-3-8b"]
        self.deadline = time.monotonic() + options.seconds
        self.wrong = False
        self.results: dict[str, Any] = {
            "dry_run": self.timer.dry or options.tiny,
            "machine": machine(self.device, options.library),
            "command": shlex.join(["python", *sys.argv]),
            "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "dtype": options.dtype,
            "shape": self.shape.name,
            "rows": [],
            "left_out": [],
        }

    def save(self) -> None:
        """Write what is there."""
        if self.options.json:
            self.options.json.write_text(json.dumps(self.results, indent=1) + "\n")

    def leave_out(self, case: str, candidate: str, reason: str) -> None:
        """Note what is not measured, and why."""
        print(f"  {candidate}: left out: {reason}", flush=True)
        self.results["left_out"].append({"case": case, "candidate": candidate, "reason": reason})

    def alive(self) -> None:
        """Fail where the GPU no longer works."""
        if self.device.type == "cuda":
            try:
                self.timer.wait()
                torch.zeros(1, device=self.device).item()
            except RuntimeError as failed:
                raise DeviceFailedError(first_line(failed)) from failed

    def peers(self, inputs: Inputs, case: Case) -> list:
        """List the peers' candidates."""
        folder, found = self.options.peers, []
        if "vllm" not in self.options.without:
            found += peer_vllm.candidates(inputs, folder)
        if "sglang" not in self.options.without:
            found += peer_sglang.candidates(inputs, folder, case.phase)
        if "punica" not in self.options.without:
            found += peer_punica.candidates(inputs, folder)
        return found

    def checked(self, inputs: Inputs, case: Case, name: str, make: Any) -> Any | None:
        """Make a candidate and check its results, twice: what it left behind must not matter. None where it fails."""
        made = None
        try:
            made = make()
            for _ in range(2):
                inputs.reset()
                for layer in range(len(inputs.layers)):
                    made.run(layer)
                made.check()
                self.timer.wait()
                error = inputs.worst_error()
                if not error <= TOLERANCE:
                    raise ArithmeticError(f"wrong results: error {error:.3g} of {TOLERANCE:.3g}")
            print(f"  {name}: error {error:.2g}", flush=True)
            return made
        except Exception as failed:  # whatever another project's code may raise
            self.leave_out(case.name, name, first_line(failed))
            self.alive()
            if made is not None:
                made.close()
            return None

    def rounds(self, candidates: dict[str, Any], layers: int) -> dict[str, dict[str, Any]]:
        """Time candidates in turn, with a CUDA graph and without; seconds a layer."""

        def whole(made: Any) -> Any:
            def work() -> None:
                for layer in range(layers):
                    made.run(layer)

            return work

        works = {name: whole(made) for name, made in candidates.items()}
        found: dict[str, dict[str, Any]] = {name: {} for name in works}
        eager = self.timer.rounds(list(works.values()), min(self.options.rounds, 10), True)
        for name, times in zip(works, eager):
            found[name]["eager"] = summary([seconds / layers for seconds in times])
        graphs = {}
        for name, work in works.items():
            try:
                graphs[name] = self.timer.captured(work)
                graphs[name]()
                self.timer.wait()
            except Exception as failed:  # whatever another project's code may raise
                graphs.pop(name, None)
                found[name]["no_graph"] = first_line(failed)
                self.alive()
        captured = self.timer.rounds(list(graphs.values()), self.options.rounds, False)
        for name, times in zip(graphs, captured):
            found[name]["graph"] = summary([seconds / layers for seconds in times])
        for name, modes in found.items():
            shown = [f"{modes[mode]['median'] * 1e6:.1f} us {mode}" for mode in ("graph", "eager") if mode in modes]
            print(f"  {name}: {', '.join(shown)}", flush=True)
        return found

    def case(self, case: Case) -> None:
        """Check and time one case."""
        begin = time.monotonic()
        layers = 2 if self.options.tiny else layers_beyond_cache(self.shape, case.batch, cache_bytes(self.device))
        print(f"{case.name} ({layers} layers)", flush=True)
        inputs = Inputs(self.shape, case.batch, layers, self.dtype, self.device)
        made = {OURS: self.checked(inputs, case, OURS, lambda: Ours(inputs))}
        if case.phase == "decode" and not self.timer.dry:
            made[UNFUSED] = self.checked(inputs, case, UNFUSED, lambda: Ours(inputs, fused=False))
        self.wrong = self.wrong or None in made.values()
        for name, make in self.peers(inputs, case):
            made[name] = self.checked(inputs, case, name, make)
        made = {name: candidate for name, candidate in made.items() if candidate is not None}
        row: dict[str, Any] = {
            "case": case.name,
            "phase": case.phase,
            "rows": case.batch.tokens,
            "adapters": case.batch.adapters,
            "layers": layers,
            "bytes": layer_bytes(self.shape, case.batch),
            "operations": layer_operations(self.shape, case.batch),
        }
        try:
            if not self.options.check:
                timed = dict(made)
                if case.phase == "prefill":
                    timed["matmul"] = limits.Matmul(inputs)
                row["candidates"] = self.rounds(timed, layers)
            if OURS in made:
                # Timing added to y many times over; a last pass from the start finds what replays have broken.
                again = self.checked(inputs, case, f"{OURS}, afterwards", lambda: _Borrowed(made[OURS]))
                self.wrong = self.wrong or again is None
        except DeviceFailedError:
            made.clear()  # nothing can be given back
            raise
        finally:
            for candidate in made.values():
                candidate.close()
        row["seconds"] = time.monotonic() - begin
        self.results["rows"].append(row)
        self.save()

    def run(self) -> None:
        """Measure all that there is time for."""
        stages = self.options.stage or ["limits", "decode", "copies", "prefill"]
        small = self.options.tiny
        if "limits" in stages and not self.options.check:
            print("limits", flush=True)
            self.results["limits"] = limits.limits(self.timer, self.shape, self.dtype, self.device)
            self.save()
        decode = [c for c in tiny_cases() if c.phase == "decode"] if small else decode_cases()
        prefill = [c for c in tiny_cases() if c.phase == "prefill"] if small else prefill_cases()
        work = []
        # what the bars are about comes first
        if "decode" in stages:
            work.append((decode[0].name, lambda: self.case(decode[0])))
        if "prefill" in stages:
            work.append((prefill[0].name, lambda: self.case(prefill[0])))
        if "copies" in stages and not self.options.check:
            work.append(("copies", self.copies))
        rest = (decode[1:] if "decode" in stages else []) + (prefill[1:] if "prefill" in stages else [])
        work += [(case.name, lambda case=case: self.case(case)) for case in rest]
        for name, do in work:
            if self.options.case and name not in self.options.case:
                continue
            if time.monotonic() > self.deadline:
                self.leave_out(name, "all", f"the {self.options.seconds} seconds were over")
                continue
            do()
            gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        self.save()

    def copies(self) -> None:
        """Measure copies of adapters."""
        print("copies", flush=True)
        if self.timer.dry:
            self.leave_out("copies", OURS, "there is no device to copy to")
            return
        batch = decode_cases()[0].batch if not self.options.tiny else tiny_cases()[0].batch
        layers = layers_beyond_cache(self.shape, batch, cache_bytes(self.device))
        pinned = self.results.get("limits", {}).get("pinned")
        if pinned is None:
            pinned = limits.pinned_bandwidth(self.timer, self.device, 1 << 28, 16)
        try:
            self.results["copies"] = copies.measure(self.timer, self.shape, batch, layers, self.dtype, pinned)
        except RuntimeError as failed:
            self.wrong = True
            self.leave_out("copies", OURS, first_line(failed))
            self.alive()
        self.save()


class _Borrowed:
    """A candidate that somebody else closes."""

    def __init__(self, made: Any) -> None:
        self.run, self.check = made.run, made.check

    def close(self) -> None:
        """Do nothing."""


def cache_bytes(device: torch.device) -> int:
    """Tell the size of the last cache."""
    if device.type == "cpu":
        return 1 << 20
    return getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 0) or (64 << 20)


def machine(device: torch.device, library: Path) -> dict[str, Any]:
    """Say what this runs on."""
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "library_sha256": hashlib.sha256(library.read_bytes()).hexdigest(),
    }
    try:
        import triton

        found["triton"] = triton.__version__
    except ImportError:
        found["triton"] = None
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {
            "device": properties.name,
            "compute_capability": f"{properties.major}.{properties.minor}",
            "multiprocessors": properties.multi_processor_count,
            "memory_bytes": properties.total_memory,
            "l2_bytes": cache_bytes(device),
            "cuda": torch.version.cuda,
        }
        if shutil.which("nvidia-smi"):
            asked = ["nvidia-smi", "--query-gpu=driver_version,clocks.sm,clocks.mem", "--format=csv,noheader"]
            answer = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False).stdout.strip()
            found["driver_and_clocks"] = answer.splitlines()[0] if answer else None
    else:
        found["device"] = "CPU"
    return found


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path, help="libdjl_lora.so")
    parser.add_argument("--device", default="cuda:0", help="cuda:N, or cpu for a dry run without worth")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16")
    parser.add_argument("--tiny", action="store_true", help="small shapes, which check and show no figures of worth")
    parser.add_argument("--check", action="store_true", help="check, and time nothing")
    parser.add_argument("--rounds", type=int, default=30, help="how many times each candidate has its turn")
    parser.add_argument("--seconds", type=int, default=420, help="start no case after that many")
    parser.add_argument("--stage", action="append", choices=("limits", "decode", "copies", "prefill"))
    parser.add_argument("--case", action="append", help="only this one; may be repeated")
    parser.add_argument("--peers", type=Path, default=HERE / "target" / "peers", help="what fetch.sh has fetched")
    parser.add_argument("--without", action="append", choices=PEERS, default=[], help="leave a peer out")
    parser.add_argument("--no-peers", action="store_const", dest="without", const=list(PEERS))
    parser.add_argument("--json", type=Path, help="where to write all that was found")
    parser.add_argument("--markdown", type=Path, help="where to write the tables; not in a dry run")
    options = parser.parse_args(arguments)
    if options.device == "cpu":
        options.tiny = True
    if options.markdown and options.tiny:
        parser.error("a run on the CPU or on small shapes shows no figures that a results table may have")
    return options


def main() -> int:
    """Run."""
    options = parse()
    if options.device != "cpu" and not torch.cuda.is_available():
        sys.exit("torch sees no GPU; --device cpu is a dry run")
    torch.ops.load_library(str(options.library.resolve()))
    bench = Bench(options)
    try:
        with torch.no_grad():
            bench.run()
    except DeviceFailedError as failed:
        bench.results["device_failed"] = str(failed)
        bench.save()
        print(f"the GPU failed: {failed}", file=sys.stderr)
        return 3
    print(report.summary(bench.results))
    if options.markdown:
        options.markdown.write_text(report.markdown(bench.results))
    return 1 if bench.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
