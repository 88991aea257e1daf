# SPDX-License-Identifier: Apache-2.0
"""Weights, rows and results on the device, the same for everything that is compared, and the truth about them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from shapes import Batch, Shape, Site

# Largest error of a row, relative to what the adapter adds to it. Rounding y to bfloat16 makes a quarter of a percent
# of it where the adapter adds half as much as is there; some peers round the product with A, and what they add, too.
TOLERANCE = 2e-2


@dataclass
class SiteInputs:
    """One site of one layer.

    ``a[i]`` is [adapters, largest rank, inputs] of the site's module i and ``b[i]`` [adapters, outputs, largest rank],
    zero beyond an adapter's rank; x is [rows, inputs], and y, to which is added, [rows, sum of outputs].
    """

    site: Site
    a: list[torch.Tensor]
    b: list[torch.Tensor]
    x: torch.Tensor
    base: torch.Tensor
    y: torch.Tensor


class Inputs:
    """All that a case computes with: its layers take turns."""

    def __init__(
        self,
        shape: Shape,
        batch: Batch,
        layers: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.shape, self.batch, self.dtype, self.device = shape, batch, dtype, device
        self.rank = max(batch.ranks)
        # powers of two, so that peers without scales of their own multiply B by them and lose nothing
        self.scales = [(0.5, 1.0, 2.0)[i % 3] for i in range(batch.adapters)]
        generator = torch.Generator(device=device).manual_seed(1)

        def normal(*size: int, spread: float = 1.0) -> torch.Tensor:
            values = torch.randn(size, generator=generator, device=device, dtype=torch.float32)
            return (values * spread).to(dtype)

        live = torch.tensor(batch.ranks, device=device)[:, None] > torch.arange(self.rank, device=device)[None]
        spread = torch.tensor(batch.ranks, device=device).float().rsqrt().to(dtype)
        self.truth: dict[int, torch.Tensor] = {}
        self.layers: list[list[SiteInputs]] = []
        for _ in range(layers):
            sites = []
            for site in shape.sites:
                a = [
                    normal(batch.adapters, self.rank, site.inputs, spread=site.inputs**-0.5).mul_(live[:, :, None])
                    for _ in site.outputs
                ]
                b = [
                    normal(batch.adapters, outputs, self.rank).mul_(live[:, None]).mul_(spread[:, None, None])
                    for outputs in site.outputs
                ]
                base = normal(batch.tokens, sum(site.outputs))
                sites.append(SiteInputs(site, a, b, normal(batch.tokens, site.inputs), base, base.clone()))
            self.layers.append(sites)

    def reset(self) -> None:
        """Make every y what it was before anything was added."""
        for layer in self.layers:
            for one in layer:
                one.y.copy_(one.base)

    def expected(self, one: SiteInputs) -> torch.Tensor:
        """Compute what is to be added to a site's y, in float64, once."""
        if id(one) in self.truth:
            return self.truth[id(one)]
        added = torch.zeros(one.y.shape, dtype=torch.float64, device=self.device)
        starts = self.batch.starts
        for adapter, (begin, end) in enumerate(zip(starts, starts[1:])):
            rank, column = self.batch.ranks[adapter], 0
            for a, b in zip(one.a, one.b):
                product = one.x[begin:end].double() @ a[adapter, :rank].double().T @ b[adapter, :, :rank].double().T
                added[begin:end, column : column + b.shape[1]] = self.scales[adapter] * product
                column += b.shape[1]
        self.truth[id(one)] = added
        return added

    def error(self, one: SiteInputs) -> float:
        """Tell the largest relative error of a row of a site's y; NaN where there is one."""
        added = self.expected(one)
        wrong = one.y.double() - (one.base.double() + added)
        return (wrong.norm(dim=1) / added.norm(dim=1)).max().item()

    def worst_error(self) -> float:
        """Tell the largest error of the first and the last layer; NaN where there is one."""
        errors = [self.error(one) for layer in (self.layers[0], self.layers[-1]) for one in layer]
        return torch.tensor(errors, dtype=torch.float64).max().item()  # unlike Python's max, it keeps a NaN
