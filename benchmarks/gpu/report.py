# SPDX-License-Identifier: Apache-2.0
"""Makes tables of what bench.py has found, and says which bars it takes.

    python report.py results.json > docs/results/cuda-speed.md

Only the standard library is needed. Results of a dry run are refused.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shapes import DECODE_BAR, PREFILL_BAR

OURS = "djl-lora"
UNFUSED = "djl-lora, two launches"  # the same where it would take one
MATMUL = "matmul"  # libtorch's, in the rows of the prefill
GIGA = 1e9


@dataclass(frozen=True)
class Bar:
    """Something to reach: ``value`` must not be below ``least``. None where it was not measured."""

    name: str
    value: float | None
    least: float
    unit: str

    @property
    def verdict(self) -> str:
        """Say whether it was."""
        if self.value is None:
            return "not measured"
        return "passed" if self.value >= self.least else "FAILED"

    def shown(self, value: float | None) -> str:
        """Write a value in the bar's unit."""
        if value is None:
            return "-"
        return f"{100 * value:.0f} %" if self.unit == "%" else f"{value:.2f}{self.unit}"


def median(row: dict[str, Any], candidate: str, mode: str = "graph") -> float | None:
    """Find a candidate's seconds a layer; None where it was not timed."""
    return row.get("candidates", {}).get(candidate, {}).get(mode, {}).get("median")


def best_of(row: dict[str, Any], candidate: str) -> float | None:
    """Find a candidate's seconds a layer, with a graph or without, whichever was less."""
    times = [t for t in (median(row, candidate, mode) for mode in ("graph", "eager")) if t is not None]
    return min(times, default=None)


def best_peer(row: dict[str, Any]) -> tuple[str, float] | None:
    """Find the fastest of the others."""
    times = [
        (seconds, name)
        for name in row.get("candidates", {})
        if name not in (OURS, UNFUSED, MATMUL) and (seconds := best_of(row, name)) is not None
    ]
    if not times:
        return None
    seconds, name = min(times)
    return name, seconds


def ratio(above: float | None, below: float | None) -> float | None:
    """Divide what was measured."""
    return None if above is None or not below else above / below


def bars(results: dict[str, Any]) -> list[Bar]:
    """Compare with what is to be reached. Ours is taken with a CUDA graph, as decode steps are meant to run."""
    rows = {row["case"]: row for row in results["rows"]}
    decode, prefill = rows.get(DECODE_BAR, {}), rows.get(PREFILL_BAR, {})
    limits, copies = results.get("limits", {}), results.get("copies", {})
    ours, peer = median(decode, OURS), best_peer(decode)
    reached = ratio(decode.get("bytes"), ours)
    return [
        Bar("decode: bytes that must move, of the copy bandwidth", ratio(reached, limits.get("copy")), 0.7, "%"),
        Bar(
            f"decode: times faster than the fastest peer{f' ({peer[0]})' if peer else ''}",
            ratio(peer[1], ours) if peer else None,
            1.2,
            " x",
        ),
        Bar(
            "prefill: of libtorch's bf16 matmul on the same shapes",
            ratio(best_of(prefill, MATMUL), best_of(prefill, OURS)),
            0.5,
            "%",
        ),
        Bar(
            "copies to the device: of the pinned bandwidth", ratio(copies.get("alone"), limits.get("pinned")), 0.8, "%"
        ),
        Bar("copies beside computing: of it", ratio(copies.get("beside"), limits.get("pinned")), 0.8, "%"),
        Bar("copies beside computing", ratio(copies.get("beside"), GIGA), 10.0, " GB/s"),
    ]


def table(head: list[str], rows: list[list[str]]) -> str:
    """Write a table: the first column is words, the others are numbers."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def micro(seconds: float | None) -> str:
    """Write seconds as microseconds."""
    return "-" if seconds is None else f"{seconds * 1e6:.1f}"


def percent(value: float | None) -> str:
    """Write a share."""
    return "-" if value is None else f"{100 * value:.0f} %"


def rate(row: dict[str, Any], what: str, unit: float, seconds: float | None) -> str:
    """Write how much was done a second."""
    value = ratio(row.get(what), seconds)
    return "-" if value is None else f"{value / unit:.0f}"


def cases(results: dict[str, Any], phase: str) -> str:
    """Write a phase's rows: ours, and how it compares."""
    copy, lines = results.get("limits", {}).get("copy"), []
    for row in results["rows"]:
        if row["phase"] != phase:
            continue
        graph, eager, peer = median(row, OURS), median(row, OURS, "eager"), best_peer(row)
        cells = [row["case"], micro(graph), micro(eager), f"{row['bytes'] / 1e6:.1f}"]
        cells += [rate(row, "bytes", GIGA, graph), percent(ratio(ratio(row["bytes"], graph), copy))]
        if phase == "prefill":
            cells += [rate(row, "operations", 1e12, best_of(row, OURS))]
            cells += [rate(row, "operations", 1e12, best_of(row, MATMUL))]
        faster = ratio(peer[1], graph) if peer else None
        cells += [peer[0] if peer else "-", "-" if faster is None else f"{faster:.2f} x"]
        lines.append(cells)
    head = ["rows and adapters", "µs, graph", "µs, no graph", "MB", "GB/s", "of copy"]
    if phase == "prefill":
        head += ["TFLOP/s", "matmul's"]
    return table([*head, "fastest peer", "faster than it"], lines)


def everyone(results: dict[str, Any]) -> str:
    """Write every candidate's time in every row."""
    lines = []
    for row in results["rows"]:
        for name, found in row.get("candidates", {}).items():
            modes = [
                micro(found.get(mode, {}).get(key)) for mode in ("graph", "eager") for key in ("median", "low", "high")
            ]
            lines.append([row["case"], name, *modes])
    head = [
        "rows and adapters",
        "candidate",
        "µs, graph",
        "quartile",
        "quartile",
        "µs, no graph",
        "quartile",
        "quartile",
    ]
    return table(head, lines)


def limit_lines(results: dict[str, Any]) -> str:
    """Write what the machine does at most."""
    limits = results.get("limits", {})
    lines = [
        [f"copy within the device ({what})", f"{limits[key] / GIGA:.0f} GB/s"]
        for key, what in (("copy", "bytes read and written"),)
        if key in limits
    ]
    if "pinned" in limits:
        lines.append(["copy from pinned memory", f"{limits['pinned'] / GIGA:.1f} GB/s"])
    lines += [[f"matmul {size}", f"{value / 1e12:.0f} TFLOP/s"] for size, value in limits.get("matmul", {}).items()]
    return table(["limit", "measured"], lines)


def copy_lines(results: dict[str, Any]) -> str:
    """Write what copies of adapters reached."""
    copies = results.get("copies", {})
    if not copies:
        return "Not measured."
    slower = ratio(copies["compute_beside"], copies["compute_alone"])
    lines = [
        ["`device_table_put`, which packs and waits", f"{copies['put'] / GIGA:.2f} GB/s"],
        ["packed, from pinned memory, alone", f"{copies['alone'] / GIGA:.1f} GB/s"],
        ["the same beside computing", f"{copies['beside'] / GIGA:.1f} GB/s"],
        ["a layer's decode alone", f"{micro(copies['compute_alone'])} µs"],
        ["a layer's decode beside copies", f"{micro(copies['compute_beside'])} µs"],
        ["computing takes longer by", "-" if slower is None else f"{100 * (slower - 1):.1f} %"],
    ]
    text = table([f"adapters of {copies['adapter_bytes'] / 1e6:.1f} MB", "measured"], lines)
    if not copies.get("whole_compute_beside_copies"):
        text += "\n\nThe copies had ended before the computing: only a part of it ran beside them."
    return text


def bar_lines(results: dict[str, Any]) -> str:
    """Write the bars."""
    lines = [[bar.name, bar.shown(bar.value), bar.shown(bar.least), bar.verdict] for bar in bars(results)]
    return table(["bar", "measured", "at least", ""], lines)


def left_out(results: dict[str, Any]) -> str:
    """Write what is missing, and why."""
    lines = [f"- {one['case']}: {one['candidate']}: {one['reason']}" for one in results["left_out"]]
    for row in results["rows"]:
        for name, found in row.get("candidates", {}).items():
            if "no_graph" in found:
                lines.append(f"- {row['case']}: {name} in a CUDA graph: {found['no_graph']}")
    return "\n".join(lines) if lines else "Nothing."


def markdown(results: dict[str, Any]) -> str:
    """Write the page. Raises ValueError for a dry run."""
    if results["dry_run"]:
        raise ValueError("a dry run shows no figures that a results table may have")
    machine = [[key.replace("_", " "), str(value)] for key, value in results["machine"].items()]
    machine += [["date", results["date"]], ["command", f"`{results['command']}`"], ["type", results["dtype"]]]
    failed = results.get("device_failed")
    parts = [
        "# The operator on a GPU",
        "Written by `benchmarks/gpu/report.py`. Times are of one decoder layer's four calls (qkv, o, gate_up, down of "
        f"{results['shape']}), by CUDA events, medians of turns taken one after the other; the layers that take turns "
        "hold four times the L2 cache. Without a graph the launches are queued before the clock starts. What must "
        "move is counted, not measured. Every candidate's results were checked against float64 first.",
        *([f"**The GPU failed on the way: {failed}**"] if failed else []),
        "## Bars",
        bar_lines(results),
        "## Decode",
        cases(results, "decode"),
        "## Prefill",
        cases(results, "prefill"),
        "## Copies of adapters",
        copy_lines(results),
        "## Limits, in the same run",
        limit_lines(results),
        "## All candidates",
        everyone(results),
        "## Left out",
        left_out(results),
        "## Machine",
        table(["", ""], machine),
    ]
    return "\n\n".join(parts) + "\n"


def summary(results: dict[str, Any]) -> str:
    """Sum a run up for who watches it."""
    if results["dry_run"]:
        return f"dry run: {len(results['rows'])} cases, {len(results['left_out'])} left out; its times mean nothing"
    return "\n".join(f"{bar.verdict:>12}  {bar.shown(bar.value):>10}  {bar.name}" for bar in bars(results))


def main() -> None:
    """Read results and print the page."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        print(markdown(json.loads(Path(sys.argv[1]).read_text())), end="")
    except ValueError as refused:
        sys.exit(str(refused))


if __name__ == "__main__":
    main()
