# SPDX-License-Identifier: Apache-2.0
"""Loads the library into Python's torch and checks djl_lora::sgmv against plain torch.

    python load_in_python.py path/to/libdjl_lora.so

Needs torch 2.7 or later. Ends with an error at the first difference.
"""

import sys

import torch

CODES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}
# One rounding of the result (half of the distance to the next number, relative) and float32 sums.
TOLERANCES = {torch.float32: 2.0**-18, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}


def reference(y, x, bias, starts, slots, adapters):
    """The formula, in float64."""
    result = y.double()
    for begin, end, slot in zip(starts, starts[1:], slots):
        rows = slice(begin, end)
        own_bias = bias
        if slot >= 0:
            a, b, scale, out_scale, adapter_bias = adapters[slot]
            result[rows] += scale * (x[rows].double() @ a.double().T @ b.double().T)
            if out_scale is not None:
                result[rows] *= out_scale.double()
            own_bias = bias if adapter_bias is None else adapter_bias
        if own_bias is not None:
            result[rows] += own_bias.double()
    return result


def put(ops, table, slot, adapter, arena):
    """Packs one adapter into a block, as a table takes it: every other one into the arena, where it is moved."""
    a, b, scale, out_scale, bias = adapter
    parts, layout, offset = [], [a.shape[0]], 0
    for part in (a, b, out_scale, bias):
        if part is None or part.numel() == 0:
            layout.append(-1)
        else:
            layout.append(offset)
            parts.append(part.reshape(-1))
            offset += part.numel()
    arguments = table, slot, torch.cat(parts), torch.tensor([layout]), torch.tensor([scale])
    if slot % 2 == 0:
        ops.table_put(*arguments)
        return
    size = ops.table_packed_bytes(table, torch.tensor([layout]), False)
    quarter = arena.numel() // 4
    assert size <= quarter
    ops.table_put(*arguments, arena=arena, offset=quarter * slot + 64)
    ops.table_move(table, slot, quarter * slot)
    assert ops.table_bytes(table, slot) == size


def check(ops, dtype):
    torch.manual_seed(0)
    n_in, n_out = 96, 130
    table = ops.table_create(torch.tensor([n_in]), torch.tensor([n_out]), CODES[dtype])
    adapters = []
    arena = torch.empty(1 << 18, dtype=torch.uint8)
    for slot, rank in enumerate((1, 8, 16, 0)):
        a = torch.randn(rank, n_in, dtype=dtype)
        b = torch.randn(n_out, rank, dtype=dtype)
        out_scale = torch.rand(n_out, dtype=dtype) if slot >= 2 else None
        bias = torch.randn(n_out, dtype=dtype) if slot == 1 else None
        adapters.append((a, b, 0.25 * (slot + 1), out_scale, bias))
        put(ops, table, slot, adapters[-1], arena)
    del arena  # the table keeps it
    starts, slots = [0, 3, 4, 9, 9, 12], [2, -1, 1, 0, 3]
    x = torch.randn(12, n_in, dtype=dtype)
    y = torch.randn(12, n_out, dtype=dtype)
    for bias in (None, torch.randn(n_out, dtype=dtype)):
        actual = y.clone()
        expected = reference(y, x, bias, starts, slots, adapters)
        ops.sgmv(actual, x, bias, torch.tensor(starts), torch.tensor(slots), table, 0)
        error = (actual.double() - expected).abs().max().item()
        limit = TOLERANCES[dtype] * expected.abs().max().item()
        print(f"{dtype}, {'with' if bias is not None else 'without'} bias: largest error {error:.3g} of {limit:.3g}")
        assert error <= limit
    try:
        ops.sgmv(y, x[:, :5], None, torch.tensor(starts), torch.tensor(slots), table, 0)
    except RuntimeError as refused:
        assert "sgmv: x is" in str(refused), refused
    else:
        raise AssertionError("an x of the wrong shape was not refused")
    ops.table_remove(table, 0)
    ops.table_close(table)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.ops.load_library(sys.argv[1])
    for dtype in CODES:
        check(torch.ops.djl_lora, dtype)
    print(f"{sys.argv[1]} works with torch {torch.__version__}")


if __name__ == "__main__":
    main()
