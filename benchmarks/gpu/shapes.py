# SPDX-License-Identifier: Apache-2.0
"""What is measured: the linear layers of a decoder layer, and batches of rows with their adapters.

Only the standard library is needed here, so that what must move is counted the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

ELEMENT = 2  # bytes of a float16 or bfloat16


@dataclass(frozen=True)
class Site:
    """Linear layers that share their input and are called as one: each has ``inputs`` inputs."""

    name: str
    inputs: int
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Shape:
    """The adapted sites of one decoder layer."""

    name: str
    sites: tuple[Site, ...]

    @property
    def modules(self) -> int:
        """Count the linear layers."""
        return sum(len(site.outputs) for site in self.sites)


SHAPES = {
    "llama-3-8b": Shape(
        "llama-3-8b",
        (
            Site("qkv", 4096, (4096, 1024, 1024)),
            Site("o", 4096, (4096,)),
            Site("gate_up", 4096, (14336, 14336)),
            Site("down", 14336, (4096,)),
        ),
    ),
    # For runs that only check: whole tiles nowhere.
    "tiny": Shape(
        "tiny",
        (
            Site("qkv", 96, (80, 48, 48)),
            Site("o", 80, (96,)),
            Site("gate_up", 96, (136, 136)),
            Site("down", 136, (96,)),
        ),
    ),
}


@dataclass(frozen=True)
class Batch:
    """Rows in segments, one segment for each adapter that is used.

    ``lengths[i]`` rows are of adapter ``i``, whose rank is ``ranks[i]`` at every layer.
    """

    lengths: tuple[int, ...]
    ranks: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what no plan could be."""
        if len(self.lengths) != len(self.ranks) or not self.lengths:
            raise ValueError(f"{len(self.lengths)} segments, but {len(self.ranks)} ranks")
        if min(self.lengths) < 1 or min(self.ranks) < 1:
            raise ValueError("a segment has a row at least, and an adapter a rank of 1")

    @property
    def tokens(self) -> int:
        """Count the rows."""
        return sum(self.lengths)

    @property
    def adapters(self) -> int:
        """Count the adapters."""
        return len(self.ranks)

    @property
    def starts(self) -> list[int]:
        """List the first row of each segment, and the number of rows."""
        starts = [0]
        for length in self.lengths:
            starts.append(starts[-1] + length)
        return starts

    @property
    def adapter_of_row(self) -> list[int]:
        """List each row's adapter."""
        return [i for i, length in enumerate(self.lengths) for _ in range(length)]


@dataclass(frozen=True)
class Case:
    """A line of the tables."""

    name: str
    batch: Batch
    phase: str  # "decode" or "prefill"


def distinct(tokens: int, ranks: tuple[int, ...] = (16,)) -> Batch:
    """Give every row an adapter of its own, of the ranks in turn."""
    return Batch((1,) * tokens, tuple(ranks[i % len(ranks)] for i in range(tokens)))


MIXED_RANKS = (8, 16, 32, 64, 128)
DECODE_BAR = "64 rows, 64 adapters of rank 16"
PREFILL_BAR = "4096 rows, 8 adapters of rank 16"


def decode_cases() -> list[Case]:
    """List the cases of decoding, the one with the bars first."""
    cases = [
        Case(DECODE_BAR, distinct(64), "decode"),
        Case("64 rows, 1 adapter of rank 16", Batch((64,), (16,)), "decode"),
        Case("64 rows, 64 adapters of ranks 8 to 128", distinct(64, MIXED_RANKS), "decode"),
        Case("64 rows, 8 adapters of rank 16", Batch((8,) * 8, (16,) * 8), "decode"),
    ]
    for tokens in (1, 8, 32, 256, 128, 16, 4, 2):
        noun = "row, 1 adapter" if tokens == 1 else f"rows, {tokens} adapters"
        cases.append(Case(f"{tokens} {noun} of rank 16", distinct(tokens), "decode"))
    return cases


def prefill_cases() -> list[Case]:
    """List the cases of prefilling, the one with the bar first."""
    return [
        Case(PREFILL_BAR, Batch((512,) * 8, (16,) * 8), "prefill"),
        Case("4096 rows, 8 adapters of rank 64", Batch((512,) * 8, (64,) * 8), "prefill"),
    ]


def tiny_cases() -> list[Case]:
    """List cases that together take every path of the operator's, for runs that only check."""
    return [
        Case("5 rows, 5 adapters of rank 16", distinct(5), "decode"),
        Case("3 rows, 3 adapters of ranks 8 to 40", distinct(3, (8, 40, 16)), "decode"),
        Case("9 rows, 2 adapters of rank 16", Batch((2, 7), (16, 16)), "decode"),
        Case("160 rows, 2 adapters of rank 16", Batch((80, 80), (16, 16)), "prefill"),
    ]


def site_bytes(site: Site, batch: Batch) -> int:
    """Count the bytes that a site's call must move.

    Shrink: A of every adapter in use, x, and A x in float32; expand: B, A x again, and y there and
    back.
    """
    slices, ranks = len(site.outputs), sum(batch.ranks)
    middle = sum(4 * length * slices * rank for length, rank in zip(batch.lengths, batch.ranks))
    shrink = ELEMENT * slices * site.inputs * ranks + ELEMENT * batch.tokens * site.inputs + middle
    outputs = sum(site.outputs)
    return shrink + ELEMENT * outputs * ranks + middle + 2 * ELEMENT * batch.tokens * outputs


def site_operations(site: Site, batch: Batch) -> int:
    """Count a site's multiplications and additions."""
    width = len(site.outputs) * site.inputs + sum(site.outputs)
    return 2 * width * sum(n * rank for n, rank in zip(batch.lengths, batch.ranks))


def layer_bytes(shape: Shape, batch: Batch) -> int:
    """Count the bytes of all sites."""
    return sum(site_bytes(site, batch) for site in shape.sites)


def layer_operations(shape: Shape, batch: Batch) -> int:
    """Count the operations of all sites."""
    return sum(site_operations(site, batch) for site in shape.sites)


def layers_beyond_cache(shape: Shape, batch: Batch, cache: int) -> int:
    """Count the layers that have to take turns until none is in a cache when it comes again."""
    return max(2, -(-4 * cache // layer_bytes(shape, batch)))
