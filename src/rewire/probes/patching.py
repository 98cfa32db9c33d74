"""Run many patches at once: rows of a batch that differ in what is patched.

A patch of any site changes the residual stream that enters some block, at one position or from one position on. So a
row starts there, with the recipient's cached residual stream, and is run to the end. Positions before the first
changed one keep their cached keys and values and are not run. Rows that enter at different blocks and positions go
through a block together: norms and matrices take them as one list of tokens, attention takes rows of one window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rewire.batches import Batches
from rewire.probes.patched_inputs import Origin, after_attention, attention_change, patched_stream
from rewire.probes.patches import HEADS, NONE, SITES, Patches, check_patches
from rewire.probes.runs import Run

PAST = 4  # cached positions before a window that take the memory of one position in it
ENTERS_BEFORE = SITES.index("residual_pre")  # the one site that changes what its own block reads


@dataclass
class Block:
    """Rows whose windows start at the same position: ``row``, ``example`` int64 [R], ``x`` [R, W, D]."""

    start: int
    row: Tensor
    example: Tensor
    x: Tensor

    def joined(self, other: Block) -> Block:
        """Both blocks' rows."""
        pairs = ((self.row, other.row), (self.example, other.example), (self.x, other.x))
        return Block(self.start, *(torch.cat(pair) for pair in pairs))


class Patching:
    """The ``recipient`` run with activations of the ``donor`` run, which read prompts of the same shape.

    ``start``: int64 [B], the first position where the two runs of an example can differ. ``reads``: how many last
    positions are read. Both runs are of models of one shape; what comes after a patch is the recipient's.
    """

    def __init__(self, donor: Run, recipient: Run, start: Tensor, reads: int = 1) -> None:
        self.origin = Origin(donor, recipient)
        self.recipient, self.stream = recipient, recipient.stream
        self.start, self.reads = start, reads

    @torch.no_grad()
    def finals(self, patches: Patches, batch_tokens: int = 4096) -> Iterator[tuple[Tensor, Tensor]]:
        """Numbers of patches int64 [r] and the residual stream before the final norm where it is read, [r, reads, D].

        In batches of at most ``batch_tokens`` tokens, one row at least. A patch before the example's first difference
        changes nothing and is not yielded. Errors: InputError for a patch that is out of range.
        """
        length = self.recipient.shape[1]
        check_patches(patches, self.stream, length)
        first = self.start[patches.example]
        window = torch.where(patches.position == NONE, first, patches.position)
        live = (window >= first).nonzero().squeeze(1)
        enter = patches.layer + (patches.site != ENTERS_BEFORE).long()
        order = live[np.lexsort((window[live].numpy(), enter[live].numpy()))]
        # the keys and values of what comes before a window are copied for each row: they count too
        tokens = (length - window[order] + window[order] // PAST).cumsum(0).tolist()
        fitting, each = Batches(len(order), "patching: patch"), [1] * len(patches)

        def run(numbers: list[int]) -> Tensor:
            rows = torch.tensor(numbers)
            return self._run(patches.at(rows), enter[rows], window[rows])

        begin, before = 0, 0
        for end in range(1, len(order) + 1):
            if end == len(order) or tokens[end] - before > batch_tokens:
                for numbers, final in fitting.run(order[begin:end].tolist(), each, run):
                    yield torch.tensor(numbers), final
                begin, before = end, tokens[end - 1]

    def _run(self, patches: Patches, enter: Tensor, window: Tensor) -> Tensor:
        """[r, reads, D] of one batch of patches."""
        n_layers = self.stream.n_layers
        final = self.recipient.residual(n_layers)[patches.example.to(self.device), -self.reads :]
        active: dict[int, Block] = {}  # by start
        for layer in range(int(enter.min()), n_layers):
            for block in self._arrivals(patches, enter == layer, window):
                held = active.get(block.start)
                active[block.start] = block if held is None else held.joined(block)
            self._advance(layer, list(active.values()))
        for block in (*active.values(), *self._arrivals(patches, enter == n_layers, window)):
            n = min(self.reads, block.x.shape[1])
            final[block.row, -n:] = block.x[:, -n:]
        return final

    @property
    def device(self) -> torch.device:
        return self.recipient.tokens.device

    def _arrivals(self, patches: Patches, chosen: Tensor, window: Tensor) -> Iterator[Block]:
        """The patches ``chosen`` (bool [r]) as rows, those of one kind together."""
        rows = chosen.nonzero().squeeze(1)
        if not len(rows):
            return
        of_heads = torch.isin(patches.site, torch.tensor([SITES.index(site) for site in HEADS]))
        head = torch.where(of_heads, patches.head, NONE)
        kinds = torch.stack([patches.site, patches.layer, head, window, patches.position != NONE])[:, rows]
        distinct, which = torch.unique(kinds, dim=1, return_inverse=True)
        # changes of what heads write, by block, start and extent: their MLP is run once for all of them
        written: dict[tuple[int, int, bool], list[tuple[Tensor, Tensor, Tensor]]] = {}
        for number, (code, layer, of_head, start, single) in enumerate(distinct.T.tolist()):
            own, site = rows[which == number], SITES[code]
            example, row = patches.example[own].to(self.device), own.to(self.device)
            if site in HEADS or site == "attention_out":
                change, narrow = attention_change(
                    self.origin, site, layer, of_head, start, bool(single), example
                )
                written.setdefault((layer, start, narrow), []).append((row, example, change))
            else:
                neuron = patches.neuron[own].to(self.device)
                x = patched_stream(self.origin, site, layer, start, bool(single), example, neuron)
                yield Block(start, row, example, x)
        for (layer, start, narrow), parts in written.items():
            row, example, change = (torch.cat(column) for column in zip(*parts, strict=True))
            x = after_attention(self.recipient, layer, start, narrow, example, change)
            yield Block(start, row, example, x)

    def _advance(self, layer: int, blocks: list[Block]) -> None:
        """Run block ``layer`` on all rows; after the last one only the positions that are read are left."""
        if not blocks:
            return
        stream, (keys, values) = self.stream, self.recipient.keys_values[layer]
        qkv = stream.qkv(layer, torch.cat([block.x.flatten(0, 1) for block in blocks])[None])[0]
        z, x = [], []
        own = qkv.split([block.x.shape[:2].numel() for block in blocks])
        for block, part in zip(blocks, own, strict=True):
            width = block.x.shape[1]
            kept = min(self.reads, width) if layer == stream.n_layers - 1 else width
            past = (keys[block.example, :, : block.start], values[block.example, :, : block.start])
            out, _ = stream.attend(part.unflatten(0, (-1, width)), block.start, past, kept)
            block.x = block.x[:, -kept:]
            z.append(out.flatten(0, 1))
            x.append(block.x.flatten(0, 1))
        read = torch.cat(x)
        middle = read + stream.attention_out(layer, torch.cat(z)[None])[0]
        after = middle + stream.mlp(layer, read if stream.parallel else middle)
        for block, part in zip(blocks, after.split([len(rows) for rows in x]), strict=True):
            block.x = part.view_as(block.x)
