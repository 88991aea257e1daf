# SPDX-License-Identifier: Apache-2.0
"""Loads the library into Python's torch and checks its operators against plain torch.

    python load_in_python.py path/to/libdjl_lora.so

Needs torch 2.7 or later. Where torch sees a GPU, the operators are checked there as well. Ends with an error at the
first difference.
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


def check_on_gpu(ops, dtype):
    """The same on the first GPU, for calls that take each of its paths, and in a CUDA graph that is replayed."""
    torch.manual_seed(0)
    n_in, n_outs = 1096, (264, 130)
    table = ops.device_table_create(
        torch.tensor([n_in] * 2), torch.tensor(n_outs), CODES[dtype], 0, slots=8, tokens=512, rank=64, stack_ranks=128
    )
    arena = torch.empty(1 << 24, dtype=torch.uint8, device="cuda")
    adapters, offset = [], 0
    for slot, rank in enumerate((1, 8, 16, 0, 64)):
        modules, parts, layout, used = [], [], [], 0
        for module, n_out in enumerate(n_outs):
            a = torch.randn(rank, n_in, dtype=dtype)
            b = torch.randn(n_out, rank, dtype=dtype)
            out_scale = torch.rand(n_out, dtype=dtype) if slot == 3 and module == 0 else None
            bias = torch.randn(n_out, dtype=dtype) if slot == 3 and module == 1 else None
            modules.append((a, b, 0.25 * (slot + 1), out_scale, bias))
            row = [rank]
            for part in (a, b, out_scale, bias):
                empty = part is None or part.numel() == 0
                row.append(-1 if empty else used)
                if not empty:
                    parts.append(part.reshape(-1))
                    used += part.numel()
            layout.append(row)
        adapters.append(modules)
        scales = torch.tensor([module[2] for module in modules])
        ops.device_table_put(table, slot, torch.cat(parts), torch.tensor(layout), scales, arena, offset)
        offset += ops.device_table_packed_bytes(table, torch.tensor(layout))

    def call(starts, slots, stack=None):
        tokens = starts[-1]
        x = torch.randn(tokens, n_in, dtype=dtype)
        ys = [torch.randn(tokens, n_out, dtype=dtype) for n_out in n_outs]
        bias = torch.randn(n_outs[0], dtype=dtype)
        actual = [y.cuda() for y in ys]
        plan = torch.tensor(starts).cuda(), torch.tensor(slots).cuda()
        entries = (None, None) if stack is None else (torch.tensor(stack[0]).cuda(), torch.tensor(stack[1]).cuda())
        device_x, device_bias = x.cuda(), bias.cuda()

        def run():
            ops.sgmv_group(
                device_x, actual[0], device_bias, 0, actual[1], None, 1, None, None, 0, None, None, 0, *plan, *entries,
                table,
            )

        run()
        ops.device_table_check(table)
        for module, y in enumerate(ys):
            expected = y.double()
            for segment, (begin, end) in enumerate(zip(starts, starts[1:])):
                rows = slice(begin, end)
                picked = range(segment, segment + 1) if stack is None else range(stack[0][segment], stack[0][segment + 1])
                picked = [e for e in picked if slots[e] >= 0]
                own_bias = bias if module == 0 else None
                for e in picked:
                    a, b, scale, out_scale, adapter_bias = adapters[slots[e]][module]
                    weight = scale * (1.0 if stack is None else stack[1][e])
                    expected[rows] += weight * (x[rows].double() @ a.double().T @ b.double().T)
                    if out_scale is not None:
                        expected[rows] *= out_scale.double()
                    own_bias = own_bias if adapter_bias is None else adapter_bias
                if own_bias is not None:
                    expected[rows] += own_bias.double()
            error = (actual[module].cpu().double() - expected).abs().max().item()
            # tensor cores cut off what float32 sums would round
            limit = 2 * TOLERANCES[dtype] * expected.abs().max().item()
            assert error <= limit, (starts, slots, module, error, limit)
        return run, actual, ys

    call([0, 1, 2, 2, 5, 6], [4, 0, 1, 3, -1])  # few rows of many adapters
    call([0, 1, 3, 4], [1, 2, 0, 4], stack=([0, 2, 3, 4], [0.5, -1.0, 2.0, 1.0]))
    run, actual, ys = call([0, 200, 201, 465], [4, -1, 2])  # many rows of few
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    for y, base in zip(actual, ys):
        y.copy_(base)
    graph.replay()
    once = [y.clone() for y in actual]
    for y, base in zip(actual, ys):
        y.copy_(base)
    graph.replay()
    assert all(torch.equal(a, b) for a, b in zip(once, actual)), "a replayed graph gave other bits"
    y = torch.zeros(1, n_outs[0], dtype=dtype, device="cuda")
    x = torch.zeros(1, n_in, dtype=dtype, device="cuda")
    ops.sgmv(y, x, None, torch.tensor([0, 1]).cuda(), torch.tensor([7]).cuda(), table, 0)
    try:
        ops.device_table_check(table)
    except RuntimeError as refused:
        assert "slot 7 holds no adapter" in str(refused), refused
    else:
        raise AssertionError("an empty slot was not refused")
    assert y.isnan().all()
    ops.device_table_remove(table, 0)
    ops.device_table_close(table)
    print(f"{dtype} on {torch.cuda.get_device_name(0)}: as it should be, in a CUDA graph too")


def near(actual, expected, dtype, roundings):
    """Whether numbers differ by that many roundings of the type, of the largest among them."""
    error = (actual.double() - expected.double()).abs().max().item()
    limit = roundings * TOLERANCES[dtype] * expected.double().abs().max().item()
    assert error <= limit, (error, limit)


def check_layers(ops, dtype, device):
    """The small layers, on the CPU or a GPU."""
    torch.manual_seed(0)
    for size in (128, 4096):
        x = torch.randn(5, size, dtype=dtype, device=device)
        delta = torch.randn_like(x)
        weight = torch.randn(size, dtype=dtype, device=device)
        added = x + delta
        wide = added.double()
        expected = weight * (wide * (wide.pow(2).mean(-1, keepdim=True) + 1e-5).rsqrt()).to(dtype)
        near(ops.rms_norm(x, delta, weight, 1e-5), expected, dtype, 3)
        assert torch.equal(x, added), "rms_norm adds in place"
    gate, up = torch.randn(3, 1000, dtype=dtype, device=device), torch.randn(3, 1000, dtype=dtype, device=device)
    near(ops.silu_mul(gate, up), torch.nn.functional.silu(gate.double()).to(dtype) * up, dtype, 3)


def check_attention(ops, dtype, device):
    """kv_write and paged_attention, whose pages are filled by it, against torch's own attention."""
    torch.manual_seed(0)
    index = dict(dtype=torch.int64, device=device)
    for heads, kv_heads, dim, positions in ((8, 2, 128, 16), (4, 4, 64, 32), (6, 2, 80, 16), (4, 1, 256, 16), (2, 1, 48, 16)):
        rows, lengths = [1, 40, 3, 1], [1000, 70, 300, 5]
        used = [-(-length // positions) for length in lengths]
        pages = sum(used) + 3
        keys = torch.full((pages, kv_heads, dim, positions), float("nan"), dtype=dtype, device=device)
        values = torch.full((pages, kv_heads, positions, dim), float("nan"), dtype=dtype, device=device)
        table = torch.randperm(pages, **index)[: sum(used)]
        page_starts = torch.tensor([sum(used[:s]) for s in range(len(used) + 1)], **index)
        row_starts = torch.tensor([sum(rows[:s]) for s in range(len(rows) + 1)], **index)
        k = torch.randn(sum(lengths), kv_heads, dim, dtype=dtype, device=device)
        v = torch.randn_like(k)
        places = torch.cat(
            [
                table[page_starts[s] + torch.arange(length, **index) // positions] * positions
                + torch.arange(length, **index) % positions
                for s, length in enumerate(lengths)
            ]
        )
        angles = torch.randn(sum(lengths), dim // 2, device=device)
        q = torch.randn(sum(lengths), heads, dim, dtype=dtype, device=device)

        def turn(x):
            first, second = x.double().chunk(2, dim=-1)
            cos, sin = angles.double().cos()[:, None], angles.double().sin()[:, None]
            return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)

        turned_q, turned_k = turn(q).to(dtype), turn(k).to(dtype)
        ops.kv_write(q, k, v, angles.cos(), angles.sin(), keys, values, places)
        near(q, turned_q, dtype, 3)
        near(keys[places // positions, :, :, places % positions], turned_k, dtype, 3)
        assert torch.equal(values[places // positions, :, places % positions], v)
        ends = [sum(lengths[: s + 1]) for s in range(len(lengths))]
        picked = torch.cat([torch.arange(end - count, end, **index) for end, count in zip(ends, rows)])
        plan = row_starts, torch.tensor(lengths, **index), page_starts, table
        for window in (0, 33):
            queries = q[picked]

            def attend():
                return ops.paged_attention(queries, keys, values, *plan, window, dim**-0.5)

            actual = attend()
            for s, (end, count, length) in enumerate(zip(ends, rows, lengths)):
                place = torch.arange(length, device=device)
                seen = place[None, :] <= place[length - count :, None]
                if window > 0:
                    seen &= place[None, :] > place[length - count :, None] - window
                expected = torch.nn.functional.scaled_dot_product_attention(
                    q[end - count : end].double().transpose(0, 1),
                    keys[places // positions, :, :, places % positions][end - length : end]
                    .double().transpose(0, 1).repeat_interleave(heads // kv_heads, dim=0),
                    v[end - length : end].double().transpose(0, 1).repeat_interleave(heads // kv_heads, dim=0),
                    attn_mask=seen,
                ).transpose(0, 1)
                # the weights are rounded, too, where tensor cores take them
                near(actual[row_starts[s] : row_starts[s + 1]], expected, dtype, 4)
        if device == "cuda":
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                again = attend()
            graph.replay()
            assert torch.equal(actual, again), "a replayed graph gave other bits"
            plan[3][0] = pages
            assert attend()[0].isnan().all(), "a page that there is not was read"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    torch.ops.load_library(sys.argv[1])
    for dtype in CODES:
        check(torch.ops.djl_lora, dtype)
        check_layers(torch.ops.djl_lora, dtype, "cpu")
        check_attention(torch.ops.djl_lora, dtype, "cpu")
    if torch.cuda.is_available():
        for dtype in (torch.float16, torch.bfloat16):
            check_on_gpu(torch.ops.djl_lora, dtype)
            check_layers(torch.ops.djl_lora, dtype, "cuda")
            check_attention(torch.ops.djl_lora, dtype, "cuda")
    else:
        print("GPU: left out, since torch sees none")
    print(f"{sys.argv[1]} works with torch {torch.__version__}")


if __name__ == "__main__":
    main()
