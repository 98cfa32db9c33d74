"""The computational graph of a decoder-only transformer: who writes to the residual stream, who reads from it.

Sources write: ``input`` (token embedding), heads ``a{l}.h{h}``, MLPs ``m{l}``.
Destinations read: ``a{l}.h{h}<q>``, ``<k>``, ``<v>``, ``m{l}``, ``logits``.
An edge ``u->v`` exists wherever u writes before v reads. Definitions: docs/definitions.md, "Graph".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

LETTERS = "qkv"


@dataclass(frozen=True)
class Graph:
    """Edges of a model with ``n_layers`` blocks of ``n_heads`` heads.

    ``parallel`` blocks (Pythia) let the MLP read what its own attention read, not what it wrote.
    Tensors are indexed [source, destination]; both axes are in the order of ``sources``/``destinations``.
    """

    n_layers: int
    n_heads: int
    d_model: int
    parallel: bool = False

    @property
    def n_sources(self) -> int:
        return 1 + self.n_layers * (self.n_heads + 1)

    @property
    def n_destinations(self) -> int:
        return self.n_layers * (3 * self.n_heads + 1) + 1

    @property
    def n_edges(self) -> int:
        return int(self.readable.sum())

    def first_source(self, layer: int) -> int:
        """Index of head 0 of ``layer`` among the sources; the MLP of the layer follows its last head."""
        return 1 + layer * (self.n_heads + 1)

    def first_destination(self, layer: int) -> int:
        """Index of ``a{layer}.h0<q>``; then the other q, all k, all v, and the MLP of the layer."""
        return layer * (3 * self.n_heads + 1)

    @cached_property
    def sources(self) -> list[str]:
        names = ["input"]
        for layer in range(self.n_layers):
            names += [f"a{layer}.h{head}" for head in range(self.n_heads)] + [f"m{layer}"]
        return names

    @cached_property
    def destinations(self) -> list[str]:
        names = []
        for layer in range(self.n_layers):
            names += [f"a{layer}.h{head}<{letter}>" for letter in LETTERS for head in range(self.n_heads)]
            names.append(f"m{layer}")
        return [*names, "logits"]

    @cached_property
    def readable(self) -> Tensor:
        """int64 [destinations]: sources are in the order they write, so v reads exactly the first n of them."""
        counts = []
        for layer in range(self.n_layers):
            before = self.first_source(layer)
            counts += [before] * (3 * self.n_heads)
            counts.append(before if self.parallel else before + self.n_heads)
        return torch.tensor([*counts, self.n_sources])

    @cached_property
    def mask(self) -> Tensor:
        """bool [sources, destinations]: the edges that exist."""
        return torch.arange(self.n_sources)[:, None] < self.readable[None, :]

    @cached_property
    def source_layer(self) -> Tensor:
        """int64 [sources]: the block a source belongs to, -1 for ``input``."""
        blocks = torch.arange(self.n_layers).repeat_interleave(self.n_heads + 1)
        return torch.cat([torch.tensor([-1]), blocks])

    @cached_property
    def destination_layer(self) -> Tensor:
        """int64 [destinations]: the block a destination belongs to, ``n_layers`` for ``logits``."""
        blocks = torch.arange(self.n_layers).repeat_interleave(3 * self.n_heads + 1)
        return torch.cat([blocks, torch.tensor([self.n_layers])])

    @cached_property
    def destination_node(self) -> Tensor:
        """int64 [destinations]: index of the source that reads there (a head for its q, k, v), -1 for logits."""
        nodes = []
        for layer in range(self.n_layers):
            first = self.first_source(layer)
            nodes += list(range(first, first + self.n_heads)) * 3 + [first + self.n_heads]
        return torch.tensor([*nodes, -1])

    def edge_name(self, source: int, destination: int) -> str:
        return f"{self.sources[source]}->{self.destinations[destination]}"
