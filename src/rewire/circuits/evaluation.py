"""Run circuits: edges inside carry the current value, edges outside an ablated one: the corrupted run's, zero or a mean.

The input of every destination is the ablated residual stream plus, for each edge of the circuit, what its source
writes now minus what it writes ablated. The ablated run is cached once a batch for all circuits, and
heads and MLPs that no edge of the circuit starts from are skipped. Definitions: docs/definitions.md, "Faithfulness".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rewire.circuits.finite import check_whole_model
from rewire.circuits.interventions import constants
from rewire.circuits.runs import PairRuns
from rewire.circuits.selection import Circuit
from rewire.errors import InputError
from rewire.models import Model
from rewire.pairs import TokenPairs
from rewire.progress import bar


def evaluate(
    model: Model,
    circuits: Sequence[Circuit],
    pairs: TokenPairs,
    metrics: Sequence[str] = ("nll",),
    batch_tokens: int = 2048,
    intervention: str = "patching",
) -> dict[str, Tensor]:
    """Each metric of each circuit on each example: [circuits, examples] by metric name, float32 (float64 models: float64).

    ``intervention``: what edges outside a circuit carry (``interventions.INTERVENTIONS``). The whole graph gives the
    clean run and, with ``patching``, the empty graph the corrupted run, to float tolerance. A circuit's own values may be
    not finite: nothing keeps activations in range that no model ever had.
    Errors: InputError that names the example and the layer if the whole model's clean or corrupted run is not finite.
    """
    model.check_pairs(pairs)
    for number, circuit in enumerate(circuits):
        if circuit.graph != model.graph:
            raise InputError(
                f"circuit {number} is of another graph than the model's: {circuit.graph}, {model.graph}"
            )
    outputs = constants(model, pairs, intervention, batch_tokens)
    values = {metric: torch.empty(len(circuits), len(pairs), dtype=model.precision) for metric in metrics}
    done = 0
    with bar(len(circuits) * len(pairs), "evaluation", "run") as progress:

        def measure(index: Tensor, batch: TokenPairs) -> None:
            progress.n = done * len(circuits)  # less than it shows if a batch is done again
            runs = PairRuns(model.stream, batch, outputs)
            check_whole_model(model, pairs, index, runs)
            for numbers in same_mask(circuits):
                logits = run_circuit(runs, circuits[numbers[0]])
                for metric in metrics:
                    measured = runs.measure(metric, logits).cpu()
                    for number in numbers:
                        values[metric][number, index] = measured
                progress.update(len(batch) * len(numbers))

        for index, _ in pairs.in_batches(batch_tokens, measure, "evaluation"):
            done += len(index)
    return values


def same_mask(circuits: Sequence[Circuit]) -> list[list[int]]:
    """Positions of the circuits, those with the same edges and neurons together: each set is run once."""
    groups: dict[bytes, list[int]] = {}
    for number, circuit in enumerate(circuits):
        neurons = b"" if circuit.neurons is None else circuit.neurons.numpy().tobytes()
        groups.setdefault(circuit.mask.numpy().tobytes() + neurons, []).append(number)
    return list(groups.values())


def evaluate_baselines(
    model: Model, pairs: TokenPairs, metrics: Sequence[str] = ("nll",), batch_tokens: int = 2048
) -> dict[str, dict[str, Tensor]]:
    """Each metric of the whole model: ``["clean"][metric]`` and ``["corrupted"][metric]``, [examples].

    Errors: InputError that names the example and the layer if one of these runs is not finite.
    """
    model.check_pairs(pairs)
    values = {
        run: {metric: torch.empty(len(pairs), dtype=model.precision) for metric in metrics}
        for run in ("clean", "corrupted")
    }

    def measure(index: Tensor, batch: TokenPairs) -> None:
        runs = PairRuns(model.stream, batch)
        check_whole_model(model, pairs, index, runs)
        for metric in metrics:
            values["clean"][metric][index] = runs.measure(metric, runs.references.clean).cpu()
            values["corrupted"][metric][index] = runs.measure(metric, runs.references.corrupted).cpu()

    for _ in pairs.in_batches(batch_tokens, measure, "evaluation"):
        pass
    return values


@torch.no_grad()
def run_circuit(runs: PairRuns, circuit: Circuit) -> Tensor:
    """[N, V]: the circuit's logits where the N target tokens are read."""
    return _CircuitRun(runs, circuit).logits()


class _CircuitRun:
    """One circuit on one batch. ``changes`` [B, n, W, D]: current minus corrupted output of the circuit's n sources."""

    def __init__(self, runs: PairRuns, circuit: Circuit) -> None:
        self.runs, self.stream, self.graph = runs, runs.stream, circuit.graph
        self.active = circuit.nodes.nonzero().squeeze(
            1
        )  # the sources of the circuit, in the order they write
        self.mask = circuit.mask[self.active].to(runs.clean_embedding)  # [n, destinations]
        self.neurons = None  # [n, 1, D]: the coordinates that the circuit's sources write to
        if circuit.neurons is not None:
            self.neurons = circuit.neurons[self.active].to(runs.clean_embedding)[:, None]
        batch, window, width = runs.clean_embedding.shape
        self.changes = runs.clean_embedding.new_empty(batch, len(self.active), window, width)
        self.filled = 0  # sources written so far; the rest of ``changes`` is not to be read

    def _write(self, change: Tensor) -> None:
        """Append the changes [B, k, W, D] of the next k active sources."""
        end = self.filled + change.shape[1]
        if self.neurons is not None:
            change = change * self.neurons[self.filled : end]
        self.changes[:, self.filled : end] = change
        self.filled = end

    def _inputs(self, corrupted: Tensor, destinations: Tensor) -> Tensor:
        """[B, k, W, D]: what each of k destinations reads, from the corrupted residual stream [B, W, D]."""
        batch, k = len(corrupted), len(destinations)
        mask = self.mask[: self.filled, destinations].T.expand(batch, k, self.filled)
        changes = self.changes[:, : self.filled].flatten(2)
        inputs = torch.baddbmm(corrupted.flatten(1)[:, None].expand(batch, k, -1), mask, changes)
        return inputs.unflatten(2, corrupted.shape[1:])

    def logits(self) -> Tensor:
        runs, graph, stream = self.runs, self.graph, self.stream
        active = set(self.active.tolist())
        if 0 in active:
            self._write((runs.clean_embedding - runs.ablated_embedding)[:, None])
        for layer in range(stream.n_layers):
            first = graph.first_source(layer)
            heads = torch.tensor([h for h in range(stream.n_heads) if first + h in active], dtype=torch.long)
            mlp = first + stream.n_heads in active
            before = self.filled
            if len(heads):
                self._write(self._head_changes(layer, heads))
            if mlp:
                after, self.filled = self.filled, before if graph.parallel else self.filled
                change = self._mlp_change(layer)
                self.filled = after
                self._write(change)
        trace, targets = runs.ablated, runs.targets
        assert trace.final is not None
        at = targets.position - runs.start
        # only the target positions are unembedded: [filled] x [N, filled, D]
        change = self.changes[targets.example, :, at]
        final = trace.final[targets.example, at] + torch.einsum("n,bnd->bd", self.mask[:, -1], change)
        return stream.logits(final)

    def _head_changes(self, layer: int, heads: Tensor) -> Tensor:
        """[B, k, W, D]: change in what the k ``heads`` of ``layer`` write."""
        stream, trace = self.stream, self.runs.ablated
        letters = torch.arange(3)[:, None]
        columns = self.graph.first_destination(layer) + letters * stream.n_heads + heads  # [3, k]
        # [3, k]: inputs that an edge of the circuit reaches; on the CPU, as what it indexes is
        wired = self.mask[: self.filled, columns].any(dim=0).cpu()
        qkv = trace.qkv[layer][:, :, :, heads].clone()  # [B, W, 3, k, E]
        if wired.any():
            letter, place = wired.nonzero(as_tuple=True)
            inputs = stream.normalise(self._inputs(trace.residual[layer], columns[wired]))
            weight = stream.weight_qkv[layer][letter, heads[place]]  # [m, D, E]
            bias = stream.bias_qkv[layer][letter, heads[place]]
            qkv[:, :, letter, place] = (torch.matmul(inputs, weight) + bias[:, None]).transpose(1, 2)
        past = self.runs.past
        own = None if past is None else (past[layer][0][:, heads], past[layer][1][:, heads])
        z, _ = stream.attend(qkv, self.runs.start, own)
        change = (z - trace.z[layer][:, :, heads]).transpose(1, 2)  # [B, k, W, E]
        return torch.matmul(change, stream.weight_o[layer][heads])

    def _mlp_change(self, layer: int) -> Tensor:
        """[B, 1, W, D]: change in what the MLP of ``layer`` writes."""
        trace = self.runs.ablated
        column = torch.tensor([self.graph.first_destination(layer) + 3 * self.stream.n_heads])
        inputs = self._inputs(trace.mlp_in[layer], column)
        return self.stream.mlp(layer, inputs) - trace.mlp_out[layer][:, None]
