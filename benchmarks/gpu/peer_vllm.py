# SPDX-License-Identifier: Apache-2.0
"""vLLM's lora_shrink and lora_expand as candidates."""

from __future__ import annotations

import importlib
from pathlib import Path

import stubs
import torch
from inputs import Inputs

# vLLM has no tuned configurations for this shape and lets its users make some: these are two that suit single rows.
TUNED = {
    "vllm, blocks of 16 rows, 8 splits": (
        {"block_m": 16, "block_n": 16, "block_k": 256, "split_k": 8, "num_warps": 4, "num_stages": 3},
        {"block_m": 16, "block_n": 128, "block_k": 16, "num_warps": 4, "num_stages": 3},
    ),
    "vllm, blocks of 16 rows, 16 splits": (
        {"block_m": 16, "block_n": 16, "block_k": 256, "split_k": 16, "num_warps": 4, "num_stages": 2},
        {"block_m": 16, "block_n": 256, "block_k": 16, "num_warps": 4, "num_stages": 2},
    ),
}


class Vllm:
    """Calls both kernels once for each site, as vLLM's layers do."""

    def __init__(self, inputs: Inputs, folder: Path, name: str = "vllm") -> None:
        self.name, self.inputs = name, inputs
        if "vllm.lora.ops.triton_ops" not in stubs.sys.modules:
            stubs.vllm(folder / "vllm")
        self.shrink, self.expand, metadata = (
            importlib.import_module(f"vllm.lora.ops.triton_ops.{file}")
            for file in ("lora_shrink_op", "lora_expand_op", "lora_kernel_metadata")
        )
        self.configured = importlib.import_module("vllm.lora.ops.triton_ops.utils").get_lora_op_configs
        batch = inputs.batch
        meta = metadata.LoRAKernelMeta.make(batch.adapters, batch.tokens, inputs.device)
        meta.prepare_tensors(torch.tensor(batch.adapter_of_row, dtype=torch.int32, device=inputs.device))
        self.meta = meta.meta_args(batch.tokens, True)
        scales = torch.tensor(inputs.scales, device=inputs.device, dtype=inputs.dtype)[:, None, None]
        # vLLM multiplies B by the scale when it loads an adapter
        self.b = [[[b * scales for b in one.b] for one in layer] for layer in inputs.layers]
        self.middle = [
            torch.empty(len(site.outputs), batch.tokens, inputs.rank, dtype=torch.float32, device=inputs.device)
            for site in inputs.shape.sites
        ]

    def config(self, op_type: str, **arguments: object) -> dict[str, int | None]:
        """Say how a kernel is launched."""
        config = dict(self.configured(op_type, **arguments))
        if self.name in TUNED:
            config.update(TUNED[self.name][op_type == "expand"])
        return config

    def run(self, layer: int) -> None:
        """Compute one layer."""
        self.shrink.get_lora_op_configs = self.expand.get_lora_op_configs = self.config
        for one, b, middle in zip(self.inputs.layers[layer], self.b[layer], self.middle):
            self.shrink.lora_shrink(one.x, one.a, middle, *self.meta, 1.0)
            self.expand.lora_expand(middle, b, one.y, *self.meta, offset_start=0, add_inputs=True)

    def check(self) -> None:
        """Do nothing: the kernels tell of no errors."""

    def close(self) -> None:
        """Forget what the kernels keep by the weights' addresses, which others may have next."""
        utils = importlib.import_module("vllm.lora.ops.triton_ops.utils")
        utils._LORA_A_PTR_DICT.clear()
        utils._LORA_B_PTR_DICT.clear()


def candidates(inputs: Inputs, folder: Path) -> list:
    """Name the ways to measure, as functions that make them."""
    names = ["vllm", *(TUNED if inputs.batch.tokens <= 256 else ())]
    return [(name, lambda name=name: Vllm(inputs, folder, name)) for name in names]
