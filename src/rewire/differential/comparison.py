"""Two models on the same tokens, block by block: what fine-tuning changed, example by example.

P is the base model, Q the tuned one. One block of one batch is in memory at a time; what is kept of an example are a
few numbers a site and head. Definitions: docs/definitions.md, "Differential".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor

from rewire.differential.activations import Block, paired_blocks
from rewire.differential.attention import LARGEST, head_measures
from rewire.differential.averages import mean_vector
from rewire.differential.hidden_states import hidden_state_measures
from rewire.differential.magnitudes import magnitudes
from rewire.differential.neurons import NeuronMoments
from rewire.differential.tables import Examples, no_examples
from rewire.differential.weights import matrices
from rewire.errors import InputError
from rewire.models import Model
from rewire.pairs import TokenPairs
from rewire.progress import bar

Pair = tuple[Tensor, Tensor]  # of P and of Q


@torch.no_grad()
@np.errstate(invalid="ignore", over="ignore")  # ``Comparison`` says where values are not finite
def compare(
    base: Model,
    tuned: Model,
    pairs: TokenPairs,
    ids: Sequence[str] | None = None,
    names: tuple[str, str] = ("base", "checkpoint"),
    positions: int = 64,
    batch_tokens: int = 4096,
) -> tuple[Examples, NeuronMoments]:
    """Every measure of every example's clean side, and the moments of the neurons.

    ``ids``: the examples' names, by default their numbers. ``names``: what errors call the two models. ``positions``:
    tokens an example that CKA and RSA compare, and how many queries of the longest example, evenly spaced, Gini and
    Jensen-Shannon are means over (at least). ``batch_tokens`` bounds the memory and changes no result.
    Errors: InputError if the models' shapes differ, an example does not fit, or an activation or attention score is not finite.
    """
    ids = [str(i) for i in range(len(pairs))] if ids is None else list(ids)
    n_neurons = check_shapes(base, tuned, names)
    for model in (base, tuned):
        model.check_length(pairs.clean.shape[1])
    p, q = base.stream, tuned.stream
    every = max(1, pairs.clean.shape[1] // positions)
    comparison = Comparison(
        no_examples(ids, p.n_layers, p.n_heads), NeuronMoments(p.n_layers, n_neurons), names, positions
    )
    settled = comparison.neurons

    def measure(index: Tensor, batch: TokenPairs) -> None:
        comparison.neurons = deepcopy(settled)  # of a batch that is done again nothing may count twice
        batch = batch.to(p.embedding.device)
        place = torch.arange(batch.clean.shape[1], device=batch.clean.device)
        real = place < batch.lengths[:, None]  # [B, T]
        for layer, (a, b, attention) in enumerate(paired_blocks(p, q, batch.clean, every)):
            heads = head_measures(attention, real, every)
            comparison.add_block(index.numpy(), layer, a, b, heads, real)
        last = (a.after, b.after)
        comparison.add_end(index.numpy(), last, (p.final_norm(last[0]), q.final_norm(last[1])), real)

    with bar(len(pairs), "differential", "example") as progress:
        for index, _ in pairs.in_batches(batch_tokens, measure, "differential"):
            settled = comparison.neurons
            progress.update(len(index))
    return comparison.examples, comparison.neurons


class Comparison:
    """Where the measures of the batches come together."""

    def __init__(
        self, examples: Examples, neurons: NeuronMoments, names: tuple[str, str], positions: int
    ) -> None:
        self.examples, self.neurons = examples, neurons
        self.names, self.positions = names, positions
        self.column = {site: i for i, site in enumerate(examples.sites)}

    def add_block(
        self, index: np.ndarray, layer: int, p: Block, q: Block, heads: Mapping[str, Tensor], real: Tensor
    ) -> None:
        """Everything about block ``layer`` of the examples at ``index`` [B]."""
        self.add_states(index, layer, "residual", (p.before, q.before), real)
        self.check_attention(index, layer, (p.no_attention, q.no_attention), real)
        self.add_site(index, layer, "attention_out", (p.attention_out, q.attention_out), real)
        self.add_site(index, layer, "mlp_neurons", (p.neurons, q.neurons), real)
        self.add_site(index, layer, "mlp_out", (p.mlp_out, q.mlp_out), real)
        by_head = torch.stack(list(heads.values())).cpu().numpy()  # [measures, B, H]
        for name, values in zip(heads, by_head, strict=True):
            self.examples.heads[name][index, layer] = values
        means = (mean_vector(precise(x), real)[:, 0].double().cpu().numpy() for x in (p.neurons, q.neurons))
        self.neurons.add(layer, *means)

    def add_end(self, index: np.ndarray, last: Pair, normed: Pair, real: Tensor) -> None:
        """The residual stream that leaves the last block, before and after the final norm."""
        n_layers = self.examples.n_layers
        self.add_states(index, n_layers, "residual", last, real)
        self.add_states(index, n_layers, "final_norm", normed, real)

    def add_states(self, index: np.ndarray, layer: int, site: str, two: Pair, real: Tensor) -> None:
        """A hidden state: its magnitudes and how far apart the models are."""
        self.add_site(index, layer, site, two, real)
        distances = hidden_state_measures(precise(two[0]), precise(two[1]), real, self.positions)
        self.put(index, layer, site, distances)

    def add_site(self, index: np.ndarray, layer: int, site: str, two: Pair, real: Tensor) -> None:
        """Magnitudes in both models. Errors: InputError that names the model, layer, site and example if not finite."""
        self.put(index, layer, site, magnitudes(precise(two[0]), precise(two[1]), real))
        for name, measure in zip(self.names, ("norm_base", "norm"), strict=True):
            bad = index[~np.isfinite(self.examples.layers[measure][index, self.column[layer, site]])]
            if len(bad):
                example = self.examples.ids[bad.min()]
                raise InputError(
                    f"{name}: activations of layer {layer} ({site}) are not finite in example {example}"
                )

    def check_attention(self, index: np.ndarray, layer: int, two: Pair, real: Tensor) -> None:
        """InputError that names the model, layer, head and example if a real query's scores are out of range."""
        for name, no_attention in zip(self.names, two, strict=True):
            bad = (no_attention & real[:, None]).any(dim=-1).nonzero().tolist()
            if bad:
                row, head = min(bad, key=lambda place: (index[place[0]], place[1]))
                raise InputError(
                    f"{name}: attention scores of layer {layer}, head {head} are not finite or beyond {LARGEST:g} "
                    f"in example {self.examples.ids[index[row]]}"
                )

    def put(self, index: np.ndarray, layer: int, site: str, measured: Mapping[str, Tensor]) -> None:
        values = torch.stack(list(measured.values())).cpu().numpy()  # [measures, B]
        for name, row in zip(measured, values, strict=True):
            self.examples.layers[name][index, self.column[layer, site]] = row


def precise(x: Tensor) -> Tensor:
    """At least float32."""
    return x if x.dtype == torch.float64 else x.float()


def check_shapes(base: Model, tuned: Model, names: tuple[str, str]) -> int:
    """The number of neurons of a layer. Errors: InputError that names both models and all in which they differ.

    Sizes first; where they are equal, the matrices: one model may have more positions, or an unembedding of its own.
    """
    for described in (sizes, matrix_shapes):
        ours, theirs = described(base), described(tuned)
        different = [name for name in ours | theirs if ours.get(name) != theirs.get(name)]
        if different:
            p, q = (
                ", ".join(f"{name} {of.get(name, 'absent')}" for name in different) for of in (ours, theirs)
            )
            raise InputError(f"{names[1]}: its shape is not that of {names[0]}: {q}; expected {p}")
    return base.stream.bridge.cfg.d_mlp


def sizes(model: Model) -> dict[str, int]:
    stream = model.stream
    return {
        "layers": stream.n_layers,
        "heads": stream.n_heads,
        "key-value heads": stream.n_groups,
        "width": stream.d_model,
        "head width": stream.d_head,
        "neurons a layer": stream.bridge.cfg.d_mlp,
        "vocabulary": len(stream.embedding),
    }


def matrix_shapes(model: Model) -> dict[str, list[int]]:
    """Matrix -> its shape; those of the blocks with their layer behind the name."""
    return {
        name if layer is None else f"{name} of layer {layer}": list(matrix.shape)
        for layer, name, matrix in matrices(model)
    }
