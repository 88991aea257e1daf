# SPDX-License-Identifier: Apache-2.0
"""The kernels of SGLang's LoRA backends as candidates: triton, csgmv, and triton_v2 with its plans for the device."""

from __future__ import annotations

import importlib
import json
import types
from pathlib import Path

import stubs
import torch
from inputs import Inputs
from shapes import Batch


def weights(inputs: Inputs) -> tuple[list, list]:
    """Stack A and B of each site as SGLang's pool has them, by layer and site.

    A is [adapters, modules * largest rank, inputs], where an adapter's rows lie close together; B is [adapters, sum of
    outputs, largest rank].
    """
    all_a, all_b = [], []
    for layer in inputs.layers:
        for one in layer:
            stacked = torch.zeros(
                inputs.batch.adapters,
                len(one.a) * inputs.rank,
                one.site.inputs,
                dtype=inputs.dtype,
                device=inputs.device,
            )
            for adapter, rank in enumerate(inputs.batch.ranks):
                for i, a in enumerate(one.a):
                    stacked[adapter, i * rank : (i + 1) * rank] = a[adapter, :rank]
            all_a.append(stacked)
            all_b.append(torch.cat(one.b, dim=1))
    sites = len(inputs.shape.sites)
    return (
        [all_a[i : i + sites] for i in range(0, len(all_a), sites)],
        [all_b[i : i + sites] for i in range(0, len(all_b), sites)],
    )


def chunk(tokens: int) -> int:
    """Say how many rows csgmv takes at once, as its backend chooses."""
    return 128 if tokens >= 256 else 32 if tokens >= 64 else 16


def chunks(batch: Batch, size: int) -> tuple[list[int], list[int]]:
    """Cut segments into chunks: where each begins and the last one ends, and whose each is."""
    starts, adapters = [0], []
    for adapter, length in enumerate(batch.lengths):
        for begin in range(0, length, size):
            starts.append(starts[-1] + min(size, length - begin))
            adapters.append(adapter)
    return starts, adapters


def offsets(outputs: tuple[int, ...]) -> list[int]:
    """Say where each module's outputs begin and the last one's end."""
    found = [0]
    for count in outputs:
        found.append(found[-1] + count)
    return found


class Sglang:
    """What the backends share."""

    def __init__(self, name: str, inputs: Inputs, folder: Path) -> None:
        self.name, self.inputs, self.folder = name, inputs, folder / "sglang"
        if "sglang.kernels.ops.lora.dense" not in stubs.sys.modules:
            stubs.sglang(self.folder)
        self.a, self.b = weights(inputs)
        self.ranks = self.ints(inputs.batch.ranks)
        self.scalings = torch.tensor(inputs.scales, dtype=torch.float32, device=inputs.device)
        self.offsets = [offsets(site.outputs) for site in inputs.shape.sites]

    def ints(self, values: object) -> torch.Tensor:
        """Put integers onto the device."""
        return torch.tensor(values, dtype=torch.int32, device=self.inputs.device)

    def file(self, name: str) -> types.ModuleType:
        """Import one of its files."""
        return importlib.import_module(f"sglang.kernels.ops.lora.{name}")

    def check(self) -> None:
        """Do nothing: the kernels tell of no errors."""

    def close(self) -> None:
        """Do nothing: nothing is kept."""


class Triton(Sglang):
    """The backend triton: a kernel for A, and one of three for B."""

    def __init__(self, inputs: Inputs, folder: Path) -> None:
        super().__init__("sglang triton", inputs, folder)
        self.shrink = self.file("dense.sgemm_lora_a").sgemm_lora_a_fwd
        self.expand = self.file("dense.sgemm_lora_b").sgemm_lora_b_fwd
        self.qkv = self.file("dense.qkv_lora_b").qkv_lora_b_fwd
        self.gate_up = self.file("dense.gate_up_lora_b").gate_up_lora_b_fwd
        batch = inputs.batch
        self.info = types.SimpleNamespace(
            use_cuda_graph=True,
            bs=batch.adapters,
            num_segments=batch.adapters,
            seg_indptr=self.ints(batch.starts),
            seg_lens=self.ints(batch.lengths),
            weight_indices=self.ints(range(batch.adapters)),
            lora_ranks=self.ranks,
            scalings=self.scalings,
            max_len=max(batch.lengths),
            permutation=None,
        )
        self.device_offsets = [self.ints(found) for found in self.offsets]

    def run(self, layer: int) -> None:
        """Compute one layer."""
        parts = zip(self.inputs.layers[layer], self.a[layer], self.b[layer], self.device_offsets)
        for one, a, b, begins in parts:
            outputs = one.site.outputs
            middle = self.shrink(one.x, a, self.info, stack_num=len(outputs))
            if len(outputs) == 3:
                self.qkv(middle, b, self.info, begins, max(outputs), one.y)
            elif len(outputs) == 2:
                self.gate_up(middle, b, self.info, outputs[0], one.y)
            else:
                self.expand(middle, b, self.info, one.y)


class Chunked(Sglang):
    """The backend csgmv: segments in chunks of equal size; ``splits`` asks for its parameter of that kind."""

    def __init__(self, inputs: Inputs, folder: Path, splits: int | None = None) -> None:
        super().__init__("sglang csgmv" if splits is None else f"sglang csgmv, {splits} splits", inputs, folder)
        self.splits = splits
        self.shrink = self.file("dense.chunked_sgmv_shrink").chunked_sgmv_lora_shrink_forward
        self.expand = self.file("dense.chunked_sgmv_expand").chunked_sgmv_lora_expand_forward
        tokens = inputs.batch.tokens
        starts, adapters = chunks(inputs.batch, chunk(tokens))
        self.info = types.SimpleNamespace(
            use_cuda_graph=True,
            bs=inputs.batch.adapters,
            num_segments=len(adapters),
            seg_indptr=self.ints(starts),
            seg_lens=None,
            weight_indices=self.ints(adapters),
            lora_ranks=self.ranks,
            scalings=self.scalings,
            max_len=chunk(tokens),
            permutation=self.ints(range(tokens)),
        )
        self.device_offsets = [self.ints(found) for found in self.offsets]
        self.host_offsets = [torch.tensor(found, dtype=torch.int32) for found in self.offsets]

    def run(self, layer: int) -> None:
        """Compute one layer."""
        parts = zip(self.inputs.layers[layer], self.a[layer], self.b[layer], self.device_offsets, self.host_offsets)
        for one, a, b, begins, host in parts:
            outputs = one.site.outputs
            middle = self.shrink(one.x, a, self.info, len(outputs), self.splits)
            self.expand(middle, b, self.info, begins, max(outputs), one.y, host)


class Planned(Sglang):
    """The backend triton_v2, without the base model's product that it may run beside its own."""

    def __init__(self, inputs: Inputs, folder: Path, phase: str) -> None:
        super().__init__("sglang triton_v2", inputs, folder)
        self.phase = phase
        self.lora_a, self.lora_b, self.views = (self.file(f"common.{x}") for x in ("lora_a", "lora_b", "route_view"))
        batch, tokens = inputs.batch, inputs.batch.tokens
        self.token_slots = self.ints(batch.adapter_of_row)
        self.raw = self.views.RouteView(
            view=self.views.RouteViewKind.RAW,
            block_size=1,
            token_slots=self.token_slots,
            group_ids=None,
            groups_per_slot=1,
            max_loras=batch.adapters,
        )
        self.aligned: dict[int, object] = {}
        self.sites = []
        for site, found in zip(inputs.shape.sites, self.offsets):
            spec = self.plan(site.inputs, found[-1])
            width = len(site.outputs) * inputs.rank
            a_tiles, splits = spec["a_tiles"], int(spec["a_tiles"].get("SPLIT_K", 1))
            made = types.SimpleNamespace(spec=spec, splits=splits, partial=None, counters=None)
            made.route = self.route(spec["block_size"])
            made.geometry = self.geometry(found, int(spec["b_tiles"]["BLOCK_SIZE_N"]))
            rows = batch.adapters * width if spec["a_family"] == "all_slots" else width
            made.middle = torch.empty(tokens, rows, dtype=inputs.dtype, device=inputs.device)
            if splits > 1:
                made.partial = torch.empty(splits, tokens, width, dtype=torch.float32, device=inputs.device)
                tiles = len(made.route.block_bucket_ids) * -(-width // int(a_tiles["BLOCK_SIZE_N"]))
                made.counters = torch.zeros(tiles, dtype=torch.int32, device=inputs.device)
            self.sites.append(made)

    def plan(self, ins: int, outs: int) -> dict:
        """Find the first of SGLang's plans that suits a linear layer, as its own README says."""
        major = torch.cuda.get_device_capability(self.inputs.device)[0] if self.inputs.device.type == "cuda" else 9
        name = "sm90" if major == 9 else "sm100" if major >= 10 else "default"
        configs = self.folder / "srt" / "lora" / "dense" / "configs"
        values = {
            "tokens": self.inputs.batch.tokens,
            "rank": self.inputs.rank,
            "in_features": ins,
            "out_features": outs,
        }
        for row in json.loads((configs / f"{name}.plans.json").read_text())["rows"]:
            suits = row.get("phase") in (None, self.phase) and "linear" in (row.get("kinds") or ["linear"])
            for key, value in values.items():
                least, most = row.get(f"min_{key}"), row.get(f"max_{key}")
                suits = suits and (least is None or value >= least) and (most is None or value <= most)
            if suits:
                return row["spec"]
        raise LookupError(f"SGLang has no plan for {values}")

    def route(self, block: int) -> object:
        """Sort rows by adapter into blocks, the last of each adapter's filled up with numbers that are no row's."""
        if block not in self.aligned:
            batch = self.inputs.batch
            rows, buckets = [], []
            for adapter, (begin, end) in enumerate(zip(batch.starts, batch.starts[1:])):
                count = -(-(end - begin) // block)
                rows += [*range(begin, end), *[batch.tokens] * (count * block - (end - begin))]
                buckets += [adapter] * count
            self.aligned[block] = self.views.RouteView(
                view=self.views.RouteViewKind.ALIGNED,
                block_size=block,
                token_slots=self.token_slots,
                group_ids=None,
                groups_per_slot=1,
                max_loras=batch.adapters,
                maybe_sorted_pair_ids=self.ints(rows),
                maybe_block_bucket_ids=self.ints(buckets),
                maybe_num_pairs_post_padded=self.ints([len(rows)]),
            )
        return self.aligned[block]

    def geometry(self, found: list[int], block: int) -> object:
        """Describe a site's outputs."""
        widths = [end - begin for begin, end in zip(found, found[1:])]
        even = len(set(widths)) == 1
        return self.lora_b.SliceGeometry(
            slice_offsets=self.ints(found),
            out_offsets=self.ints(found[:-1]),
            num_slices=len(widths),
            num_column_tiles=sum(-(-width // block) for width in widths),
            uniform_width=widths[0] if even else 0,
            out_stride=widths[0] if even else 0,
            full_tiles=all(width % block == 0 for width in widths),
            block_size_n=block,
        )

    def run(self, layer: int) -> None:
        """Compute one layer."""
        for one, a, b, site in zip(self.inputs.layers[layer], self.a[layer], self.b[layer], self.sites):
            spec, planes, slot_planes = site.spec, 1, False
            middle = site.middle
            stack = len(one.site.outputs)
            if spec["a_family"] == "grouped":
                self.lora_a.grouped_lora_a(
                    one.x,
                    a,
                    middle,
                    site.route,
                    config=spec["a_tiles"],
                    pair_input=True,
                    lora_ranks=self.ranks,
                    stack=stack,
                    partial=site.partial,
                    counters=site.counters,
                )
                if site.splits > 1 and spec["a_tiles"].get("SPLIT_MODE") == "planes":
                    middle, planes = site.partial, site.splits
            elif spec["a_family"] == "per_row":
                self.lora_a.per_row_lora_a(
                    one.x, a, middle, self.raw, config=spec["a_tiles"], pair_input=True, stack=stack
                )
            else:
                torch.matmul(one.x, a.reshape(-1, a.shape[2]).t(), out=middle)
                middle = middle.view(one.x.shape[0], a.shape[0], a.shape[1]).transpose(0, 1)
                slot_planes = True
            shared = {
                "geometry": site.geometry,
                "config": spec["b_tiles"],
                "add_inplace": True,
                "zero_sentinel": False,
                "lora_ranks": self.ranks,
                "scalings": self.scalings,
                "planes": planes,
            }
            if spec["b_family"] == "grouped":
                self.lora_b.grouped_lora_b(middle, b, one.y, site.route, **shared)
            else:
                self.lora_b.per_row_lora_b(middle, b, one.y, self.raw, slot_planes=slot_planes, **shared)


def candidates(inputs: Inputs, folder: Path, phase: str) -> list:
    """Name the ways to measure, as functions that make them."""
    found = [
        ("sglang triton_v2", lambda: Planned(inputs, folder, phase)),
        ("sglang csgmv", lambda: Chunked(inputs, folder)),
        ("sglang triton", lambda: Triton(inputs, folder)),
    ]
    if phase == "decode":
        found.insert(2, ("sglang csgmv, 8 splits", lambda: Chunked(inputs, folder, 8)))
    return found
