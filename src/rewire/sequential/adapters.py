"""What a stage trains: a new adapter, the first stage's adapter further, or every parameter.

Definitions: docs/definitions.md, "Sequential fine-tuning".
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rewire.circuits.graph import Graph
from rewire.circuits.scores_file import read_scored_circuit
from rewire.circuits.selection import Circuit
from rewire.errors import InputError
from rewire.lora.adapter_files import add_adapter, lora_config
from rewire.lora.budget import adapter_sizes, parameters
from rewire.lora.heads import LAYOUTS, live_parts, live_sizes
from rewire.lora.plan import Plan
from rewire.lora.strategies import Head
from rewire.pretrained import load_transformer, put_adapter, resolve_adapter
from rewire.sequential.declared import CONTINUED, MERGED, OUTSIDE, RANDOM, STACKED

log = logging.getLogger(__name__)

KEY = "sequential.adapter.target_modules"


def prepared(
    start: str | Path,
    settings: Mapping[str, Any],
    adapters: str | None = None,
    circuit: str | Path | None = None,
    side: str | None = None,
    seed: int = 0,
) -> tuple[Any, int]:
    """The model at ``start``, with what is to be trained marked as such, and how many parameters that is.

    ``settings``: the section's adapter and full. ``adapters``: of a second stage, what becomes of the first one's:
    ``continued`` (it is trained further), ``stacked`` (frozen under a new one), ``merged`` (part of the weights under a
    new one); None for a first stage, whose ``start`` is a base model. ``circuit``: scores file whose circuit's nodes
    (``side`` inside), all others (outside) or as many drawn with ``seed`` (random) are trained alone, on merged weights.
    """
    base, first = resolve_adapter(start, None)
    if adapters == CONTINUED and first is None or settings["full"] and adapters in (None, CONTINUED):
        return counted(trained_in_full(load_transformer(start)))
    if adapters == CONTINUED:
        model = load_transformer(base)
        return counted(put_adapter(model, str(first), is_trainable=True))
    if adapters == STACKED:
        return counted(stacked(base, first, settings["adapter"]))
    model = load_transformer(start)
    plan = uniform_plan(model, settings["adapter"])
    if circuit is not None:
        assert adapters == MERGED and side is not None
        plan = masked_plan(model, settings["adapter"], read_scored_circuit(circuit)[1], side, seed)
    adapted = add_adapter(model, plan, settings["adapter"])
    adapted.peft_config["default"].base_model_name_or_path = str(start)
    return adapted, plan.parameters  # rows of a head that is not chosen are held at 0, and not among them


def trained_in_full(model: Any) -> Any:
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return model


def stacked(base: str | Path, first: str | Path | None, settings: Mapping[str, Any]) -> Any:
    """A new adapter beside the frozen ``first`` one. What it computes is what a new one on merged weights does."""
    if first is None:
        raise InputError(f"{base}: adapters are stacked on an adapter, and this is a whole model")
    model = load_transformer(base)
    plan = uniform_plan(model, settings)
    config = lora_config(model, plan, settings)
    adapted = put_adapter(model, str(first), adapter_name="first")
    adapted.add_adapter("default", config)
    adapted.base_model.set_adapter(["first", "default"])
    for name, parameter in adapted.named_parameters():
        parameter.requires_grad_("lora_" in name and ".default." in name)
    adapted.peft_config["default"].base_model_name_or_path = str(first)
    return adapted


def uniform_plan(model: Any, settings: Mapping[str, Any]) -> Plan:
    """An adapter of ``settings["rank"]`` on the target modules of every layer.

    Errors: InputError for a module that the model has not.
    """
    sizes = adapter_sizes(model, settings["target_modules"], KEY)
    return plan_of(model, sizes, settings["rank"])


def masked_plan(model: Any, settings: Mapping[str, Any], circuit: Circuit, side: str, seed: int = 0) -> Plan:
    """The same on the parameters of some nodes alone: the ``circuit``'s heads and MLPs, all the others, or random ones.

    A head's parameters are its rows of q, k and v and its columns of the output; heads that share a key and value
    (grouped queries) share its parameters. Embeddings, norms and biases are on neither side.
    Errors: InputError where there is nothing to train on that side.
    """
    sizes = adapter_sizes(model, settings["target_modules"], KEY)
    heads, mlps = nodes_of_side(circuit, side)
    if side == RANDOM:
        own, graph = (set(heads), mlps), circuit.graph
        shared = getattr(model.config, "num_key_value_heads", None) or graph.n_heads
        heads, mlps = random_places(heads, mlps, graph, graph.n_heads // shared, seed)
        kept = len(own[0].intersection(heads)), len(own[1] & mlps)
        log.info("%d of %d heads, %d of %d MLPs are the circuit's", kept[0], len(heads), kept[1], len(mlps))
    attention = LAYOUTS.get(model.config.model_type, {})
    live = live_parts(model, sizes, heads) if heads else {}
    chosen = live_sizes(sizes, live)
    for name, size in sizes.items():
        if size[0] in mlps and not any(name.endswith(f".{ending}") for ending in attention):
            chosen[name] = size
    if not chosen:
        raise InputError(f"sequential: nothing to train {side} the circuit: it has {circuit.n_edges} edges")
    plan = plan_of(model, {name: chosen[name] for name in sizes if name in chosen}, settings["rank"])
    return Plan(plan.layers, plan.ranks, plan.parameters, plan.frozen, heads, live)


def nodes_of_side(circuit: Circuit, side: str) -> tuple[list[Head], set[int]]:
    """The heads, and the layers of the MLPs, that are nodes of ``circuit``, or (``side`` outside) are not."""
    graph, nodes = circuit.graph, circuit.nodes
    kept = ~nodes if side == OUTSIDE else nodes
    heads, mlps = [], set()
    for layer in range(graph.n_layers):
        first = graph.first_source(layer)
        heads += [(layer, head) for head in range(graph.n_heads) if kept[first + head]]
        if kept[first + graph.n_heads]:
            mlps.add(layer)
    return heads, mlps


def random_places(
    heads: Sequence[Head], mlps: Collection[int], graph: Graph, group: int, seed: int
) -> tuple[list[Head], set[int]]:
    """As many heads and MLPs drawn at random, with as many parameters: layers trade places, and heads within a layer.

    ``group``: neighbouring heads that share a key and value, and stay together; 1: none do. MLPs trade layers apart from
    heads. The circuit's own places may be drawn.
    """
    rng = np.random.default_rng(seed)
    layers, mlp_layers = rng.permutation(graph.n_layers), rng.permutation(graph.n_layers)
    taken = []
    for layer in range(graph.n_layers):
        every = np.arange(graph.n_heads).reshape(-1, group)
        place = rng.permuted(rng.permutation(every), axis=1).flatten()
        taken += [(int(layers[layer]), int(place[head])) for at, head in heads if at == layer]
    return sorted(taken), {int(mlp_layers[layer]) for layer in mlps}


def plan_of(model: Any, sizes: Mapping[str, tuple[int, int]], rank: int) -> Plan:
    ranks = dict.fromkeys(sizes, rank)
    frozen = sum(parameter.numel() for parameter in model.parameters())
    return Plan(sorted({layer for layer, _ in sizes.values()}), ranks, parameters(sizes, ranks), frozen)


def counted(model: Any) -> tuple[Any, int]:
    """A model with the number of its parameters that are trained."""
    return model, sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def is_adapted(model: Any) -> bool:
    """Whether what is trained is an adapter, not the whole model."""
    return hasattr(model, "peft_config")
