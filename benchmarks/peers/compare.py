# SPDX-License-Identifier: Apache-2.0
"""Let this project's engine and others take turns at the same work, and compare them.

Each engine is a process of its own that stays; while one computes the others wait. In every round
each of the others has its turn between two of ours, and is compared with these.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

OURS = "djl-lora"
ADAPTERS = 16
QUICK_NEW_TOKENS = 24


@dataclass(frozen=True)
class Case:
    """Work that engines are compared at, and how many times as fast we are to be."""

    name: str
    batch: int
    prompt: int
    new: int
    adapted: bool
    measure: str
    bars: dict[str, float | None]
    repeats: int = 1


CASES = (
    Case("decode, batch 1", 1, 64, 64, False, "decode", {"llama.cpp": 1.0, "jlama": 2.0}),
    Case("decode, batch 16", 16, 64, 64, False, "decode", {"llama.cpp": 1.8}),
    Case("prefill of 512", 1, 512, 1, False, "prefill", {"llama.cpp": 1.5}, repeats=4),
    Case(
        "requests, 16 adapters",
        ADAPTERS,
        64,
        64,
        True,
        "requests",
        {"llama.cpp": 6.0, "peft": None},
    ),
)


class Runner:
    """A process that runs requests in one engine."""

    def __init__(self, name: str, command: str) -> None:
        self.name = name
        self.process = subprocess.Popen(
            shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.engine = self.read()["engine"]

    def read(self) -> dict[str, Any]:
        """Wait for a line."""
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"compare.py: {self.name} ended with {self.process.wait()}")
        return json.loads(line)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Give the process a turn."""
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.read()

    def processor_seconds(self) -> float:
        """Say how long the process has computed."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


class Comparison:
    """The engines, and the prompts that they are given."""

    def __init__(self, runners: list[Runner], vocabulary: int) -> None:
        self.runners = {runner.name: runner for runner in runners}
        self.random = random.Random(1)
        self.vocabulary = vocabulary
        self.idle: dict[str, float] = {}
        self.start = time.monotonic()

    def request(
        self, batch: int, prompt: int, new: int, adapted: bool, **others: Any
    ) -> dict[str, Any]:
        """Make random prompts."""
        return {
            "prompts": [
                [self.random.randrange(1, self.vocabulary) for _ in range(prompt)]
                for _ in range(batch)
            ],
            "adapters": [i % ADAPTERS if adapted else -1 for i in range(batch)],
            "new_tokens": new,
            **others,
        }

    def progress(self, text: str) -> None:
        """Say what was done, and when."""
        print(f"{time.monotonic() - self.start:6.0f} s  {text}", file=sys.stderr)

    def rate(self, name: str, case: Case, requests: list[dict[str, Any]]) -> float:
        """Give an engine a turn, and say how many tokens a second it did."""
        others = {o: self.runners[o].processor_seconds() for o in self.runners if o != name}
        tokens, seconds, whole = 0, 0.0, 0.0
        for request in requests:
            answer = self.runners[name].answer(request)
            whole += answer["seconds"]
            if case.measure == "prefill":
                tokens += case.batch * case.prompt
                seconds += answer["first_seconds"]
            elif case.measure == "decode":
                tokens += answer["decoded"]
                seconds += answer["seconds"] - answer["first_seconds"]
            else:
                tokens += case.batch * case.new
                seconds += answer["seconds"]
        for other, before in others.items():
            share = (self.runners[other].processor_seconds() - before) / whole
            self.idle[other] = max(self.idle.get(other, 0.0), share)
        self.progress(f"{case.name}: {name} {tokens / seconds:.1f} tokens/s")
        return tokens / seconds

    def check(self, quick: bool) -> list[dict[str, Any]]:
        """Ask all engines the same, greedily, and say how far they agree with ours."""
        rows = []
        for adapted in (False, True):
            request = self.request(4 if quick else 8, 32, 16, adapted, log_probs=True)
            ours = self.runners[OURS].answer(request)
            for name, runner in self.runners.items():
                if name == OURS or (adapted and name == "jlama"):
                    continue
                theirs = runner.answer(request)
                self.progress(f"checked {name}")
                rows.append({"engine": name, "adapters": adapted, **agreement(ours, theirs)})
        return rows

    def warm_up(self) -> None:
        """Let every engine do a little of everything."""
        for case in CASES:
            for name in {OURS: None, **case.bars}:
                if name in self.runners:
                    # the JVM of Jlama compiles what it computes with meanwhile
                    new = 1 if case.new == 1 else (QUICK_NEW_TOKENS if name == "jlama" else 4)
                    # ours takes each adapter to the device when it is first asked for
                    batch = case.batch if name == OURS else min(case.batch, 2)
                    request = self.request(batch, case.prompt, new, case.adapted)
                    self.runners[name].answer(request)
                    self.progress(f"{case.name}: {name} is warm")

    def run(self, case: Case, rounds: int) -> list[dict[str, Any]]:
        """Compare at one case."""
        rates: dict[str, list[tuple[float, float]]] = {}
        for _ in range(rounds):
            requests = [
                self.request(case.batch, case.prompt, case.new, case.adapted)
                for _ in range(case.repeats)
            ]
            before = self.rate(OURS, case, requests)
            for name in case.bars:
                if name in self.runners:
                    theirs = self.rate(name, case, requests)
                    after = self.rate(OURS, case, requests)
                    # the mean of our times, as theirs is one
                    ours = 2 / (1 / before + 1 / after)
                    rates.setdefault(name, []).append((ours, theirs))
                    before = after
        rows = []
        for name, pairs in rates.items():
            ratios = [ours / theirs for ours, theirs in pairs]
            rows.append(
                {
                    "case": case.name,
                    "engine": name,
                    "ours_tokens_per_second": statistics.median(ours for ours, _ in pairs),
                    "theirs_tokens_per_second": statistics.median(theirs for _, theirs in pairs),
                    "ratio": statistics.median(ratios),
                    "least": min(ratios),
                    "most": max(ratios),
                    "asked": case.bars[name],
                    "rounds": rounds,
                }
            )
        return rows


def agreement(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Say how long the answers are the same, and how far their log-probabilities are apart."""
    same = total = 0
    apart = []
    firsts = 0
    for i, (mine, other) in enumerate(zip(ours["tokens"], theirs["tokens"], strict=True)):
        total += len(mine)
        firsts += mine[0] == other[0]
        for j, (a, b) in enumerate(zip(mine, other, strict=True)):
            if a != b:
                break
            same += 1
            if theirs["log_probs"]:
                apart.append(abs(ours["log_probs"][i][j] - theirs["log_probs"][i][j]))
    return {
        "answers": len(ours["tokens"]),
        "first_tokens_equal": firsts,
        "tokens": total,
        "tokens_before_parting": same,
        "log_probs_mean_difference": statistics.mean(apart) if apart else None,
        "log_probs_largest_difference": max(apart) if apart else None,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Write the comparison as a Markdown table."""
    lines = [
        "| | against | tokens/s, ours | theirs | ratio | least and most | asked |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        asked = "" if row["asked"] is None else f"{row['asked']:.1f}"
        lines.append(
            f"| {row['case']} | {row['engine']} | {row['ours_tokens_per_second']:.1f}"
            f" | {row['theirs_tokens_per_second']:.1f} | {row['ratio']:.2f}"
            f" | {row['least']:.2f} to {row['most']:.2f} | {asked} |"
        )
    return "\n".join(lines)


def agreement_table(rows: list[dict[str, Any]]) -> str:
    """Write how far the answers agree as a Markdown table."""
    lines = [
        "| against | adapters | first tokens equal | tokens equal before parting"
        " | log-probabilities apart, mean | largest |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        mean, largest = row["log_probs_mean_difference"], row["log_probs_largest_difference"]
        lines.append(
            f"| {row['engine']} | {'distinct' if row['adapters'] else 'none'}"
            f" | {row['first_tokens_equal']} of {row['answers']}"
            f" | {row['tokens_before_parting']} of {row['tokens']}"
            f" | {'' if mean is None else f'{mean:.4f}'}"
            f" | {'' if largest is None else f'{largest:.4f}'} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runner", action="append", nargs=2, metavar=("NAME", "COMMAND"))
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument(
        "--quick", action="store_true", help="one round, shorter answers where there are 16"
    )
    parser.add_argument("--rounds", type=int, help="rounds of each case (5; with --quick 1)")
    parser.add_argument("--json", type=Path, help="where the numbers are written to")
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES])
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 5)

    runners = [Runner(name, command) for name, command in options.runner]
    for runner in runners:
        print(f"{runner.name}: {runner.engine}", file=sys.stderr)
    comparison = Comparison(runners, options.vocabulary)
    checks = comparison.check(options.quick)
    print(agreement_table(checks), end="\n\n", flush=True)
    comparison.warm_up()
    rows = []
    for case in CASES:
        if options.quick:
            new = case.new if case.batch == 1 else QUICK_NEW_TOKENS
            case = replace(case, new=new, repeats=1)
        if not options.case or case.name in options.case:
            rows += comparison.run(case, rounds)
    print(table(rows))
    print("\nprocessor time of an engine while another had its turn, at most:")
    for name, share in comparison.idle.items():
        print(f"  {name}: {share:.1%} of one core")
    if options.json:
        report = {
            "engines": {runner.name: runner.engine for runner in runners},
            "agreement": checks,
            "idle_processor_share": comparison.idle,
            "comparisons": rows,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    for runner in runners:
        runner.close()


if __name__ == "__main__":
    main()
