"""What is patched: one activation of a run, set to its value in another run. A set of patches is columns, not objects.

Definitions: docs/definitions.md, "Probes".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rewire.errors import InputError
from rewire.residual import ResidualStream

COMPONENTS = ("residual_pre", "residual_post", "attention_out", "mlp_out")  # by layer and position
HEADS = ("z", "q", "k", "v", "pattern")  # by layer and head
SITES = (*COMPONENTS, *HEADS, "neuron")
NONE = -1  # of head and neuron: all of them; of position: all positions from the first that differs


@dataclass(frozen=True)
class Patches:
    """R patches, each of one example of a batch: int64 [R] columns.

    ``site``: index into SITES; ``head``, ``neuron``, ``position``: NONE where the patch is not of one alone.
    """

    example: Tensor
    site: Tensor
    layer: Tensor
    head: Tensor
    neuron: Tensor
    position: Tensor

    def __len__(self) -> int:
        return len(self.example)

    def at(self, rows: Tensor) -> Patches:
        """The patches ``rows`` (indices or bool)."""
        return Patches(*(getattr(self, name)[rows] for name in COLUMNS))

    def named(self) -> list[str]:
        """R names of sites."""
        return [SITES[i] for i in self.site.tolist()]


COLUMNS = ("example", "site", "layer", "head", "neuron", "position")


def concatenate(parts: Iterable[Patches]) -> Patches:
    """All patches of ``parts``, in order; none for no parts."""
    held = list(parts)
    if not held:
        return Patches(*(torch.empty(0, dtype=torch.long) for _ in COLUMNS))
    return Patches(*(torch.cat([getattr(part, name) for part in held]) for name in COLUMNS))


def every(
    examples: Sequence[int],
    sites: Sequence[str],
    layers: Sequence[int],
    heads: Sequence[int] = (NONE,),
    neurons: Sequence[int] = (NONE,),
    positions: Sequence[int] = (NONE,),
) -> Patches:
    """Every combination, examples slowest, then site, layer, head, neuron, position."""
    columns = (examples, [site_number(site) for site in sites], layers, heads, neurons, positions)
    if not all(len(column) for column in columns):
        return concatenate([])
    return Patches(*torch.cartesian_prod(*(torch.tensor(list(column)) for column in columns)).unbind(1))


def site_number(site: str) -> int:
    """Index into SITES. Errors: InputError for no site."""
    check_sites_known([site], SITES)
    return SITES.index(site)


def check_sites_known(sites: Sequence[str], known: Sequence[str]) -> None:
    """InputError for a site that is not one of ``known``."""
    for site in sites:
        if site not in known:
            raise InputError(f"site {site!r} is not one of {', '.join(known)}")


def check_patches(patches: Patches, stream: ResidualStream, length: int) -> None:
    """InputError for a layer, head, neuron or position that the model or the prompt has not, or a site without its head."""
    if not len(patches):
        return
    neurons = stream.bridge.blocks[0].mlp.W_out.shape[0]
    for name, end in (
        ("layer", stream.n_layers),
        ("head", stream.n_heads),
        ("neuron", neurons),
        ("position", length),
    ):
        column = getattr(patches, name)
        low = 0 if name == "layer" else NONE
        bad = (column < low) | (column >= end)
        if bad.any():
            raise InputError(f"{name} {int(column[bad][0])} is out of range: there are {end}, from 0")
    for name, sites in (("head", HEADS), ("neuron", ("neuron",))):
        needs = torch.isin(patches.site, torch.tensor([SITES.index(site) for site in sites]))
        wrong = needs != (getattr(patches, name) != NONE)
        if wrong.any():
            site = SITES[int(patches.site[wrong][0])]
            raise InputError(f"a patch of {site} {'needs' if site in sites else 'takes no'} {name}")
