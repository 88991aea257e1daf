# SPDX-License-Identifier: Apache-2.0
"""This project's operator, loaded into Python's torch, as one of the candidates."""

from __future__ import annotations

import torch
from inputs import Inputs
from shapes import Batch, Shape

CODES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}
GROUP = 4  # modules that one call may have
FUSED_RANK = 256  # from a larger one on, a table's calls take two launches for few rows, and else one where they can


def adapter_block(inputs: Inputs, adapter: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Lay one adapter's parts of all layers out as a table takes them: weights, layout, scales; on the CPU."""
    rank, parts, layout, offset = inputs.batch.ranks[adapter], [], [], 0
    for layer in inputs.layers:
        for one in layer:
            for a, b in zip(one.a, one.b):
                row = [rank]
                for part in (a[adapter, :rank], b[adapter, :, :rank]):
                    parts.append(part.reshape(-1))
                    row.append(offset)
                    offset += part.numel()
                layout.append([*row, -1, -1])
    scales = torch.full((len(layout),), inputs.scales[adapter])
    return torch.cat(parts).cpu(), torch.tensor(layout), scales


def features(shape: Shape, layers: int) -> tuple[torch.Tensor, torch.Tensor]:
    """List the inputs and outputs of all modules of so many layers."""
    ins = [site.inputs for site in shape.sites for _ in site.outputs]
    outs = [n for site in shape.sites for n in site.outputs]
    return torch.tensor(ins * layers), torch.tensor(outs * layers)


def on_gpu(device: torch.device) -> bool:
    """Tell whether adapters lie in a table of a device."""
    return device.type == "cuda"


class Table:
    """A table with all adapters of a case, on a GPU or on the CPU."""

    def __init__(self, inputs: Inputs, rank: int) -> None:
        """Make one for adapters of up to ``rank``."""
        self.ops = torch.ops.djl_lora
        self.on_device = on_gpu(inputs.device)
        code = CODES[inputs.dtype]
        ins, outs = features(inputs.shape, len(inputs.layers))
        if not self.on_device:
            self.id = self.ops.table_create(ins, outs, code)
            for adapter in range(inputs.batch.adapters):
                self.ops.table_put(self.id, adapter, *adapter_block(inputs, adapter))
            return
        self.id = self.ops.device_table_create(
            ins,
            outs,
            code,
            inputs.device.index or 0,
            slots=inputs.batch.adapters,
            tokens=inputs.batch.tokens,
            rank=rank,
            stack_ranks=rank,
        )
        blocks = [adapter_block(inputs, adapter) for adapter in range(inputs.batch.adapters)]
        sizes = [self.ops.device_table_packed_bytes(self.id, layout) for _, layout, _ in blocks]
        self.arena = torch.empty(sum(sizes), dtype=torch.uint8, device=inputs.device)
        offset = 0
        for adapter, (block, size) in enumerate(zip(blocks, sizes)):
            self.ops.device_table_put(self.id, adapter, *block, self.arena, offset)
            offset += size

    def check(self) -> None:
        """Fail with what the kernels have refused."""
        if self.on_device:
            self.ops.device_table_check(self.id)

    def close(self) -> None:
        """Give the table back."""
        if self.on_device:
            self.ops.device_table_close(self.id)
        else:
            self.ops.table_close(self.id)


def plan(batch: Batch, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Say which rows are whose."""
    return torch.tensor(batch.starts, device=device), torch.arange(batch.adapters, device=device)


class Ours:
    """Calls ``sgmv_group`` once for each site."""

    def __init__(self, inputs: Inputs, fused: bool = True) -> None:
        self.inputs = inputs
        self.table = Table(inputs, inputs.rank if fused else FUSED_RANK + 1)
        starts, slots = plan(inputs.batch, inputs.device)
        self.calls = []
        module = 0
        for layer in inputs.layers:
            calls = []
            for one in layer:
                targets: list[object] = []
                column = 0
                for outputs in one.site.outputs:
                    targets += [one.y[:, column : column + outputs], None, module]
                    column += outputs
                    module += 1
                targets += [None, None, 0] * (GROUP - len(one.site.outputs))
                calls.append((one.x, *targets, starts, slots, None, None, self.table.id))
            self.calls.append(calls)

    def run(self, layer: int) -> None:
        """Compute one layer."""
        for arguments in self.calls[layer]:
            torch.ops.djl_lora.sgmv_group(*arguments)

    def check(self) -> None:
        """Fail where the operator found something wrong."""
        self.table.check()

    def close(self) -> None:
        """Give back what was taken."""
        self.table.close()
