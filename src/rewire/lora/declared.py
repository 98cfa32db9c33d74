"""What an entry of ``lora.strategies`` may say. Plain Python: a config is checked before any environment exists."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

CRITERIA = ("differential", "circuit", "circuit_raw")
HEAD_CRITERIA = ("circuit", "circuit_raw")
ALL, RANDOM = "all", "random"
BASE = "base"  # the model without training
# what an entry that does not say so means
DEFAULTS: dict[str, Any] = {"layers": ALL, "least": False, "adapter": True}


def is_drawn(declared: Mapping[str, Any]) -> bool:
    """Whether each seed of the strategy has layers of its own."""
    return RANDOM in (declared.get("layers"), declared.get("higher"))


def needs_criticality(declared: Mapping[str, Any]) -> bool:
    """Whether the strategy asks which layers or heads changed; a choice that is not known here might."""
    known = (None, ALL, RANDOM, "last")
    layers = declared.get("layers")
    chosen = [declared.get("higher"), *([] if isinstance(layers, list) else [layers])]
    return "heads" in declared or any(choice not in known for choice in chosen)


def needs_count(declared: Mapping[str, Any]) -> bool:
    """Whether a number of layers is taken."""
    layers = declared.get("layers", ALL)
    return "heads" not in declared and (
        "higher" in declared or not (layers == ALL or isinstance(layers, list))
    )


def problem(name: str, declared: Mapping[str, Any], choices: Collection[str]) -> str | None:
    """What is wrong with a strategy, in one line that names the key: values that are not known, keys that contradict
    each other or would have no effect. ``choices``: what ``layers`` and ``higher`` may name.
    """
    key = f"lora.strategies.{name}"
    if name == BASE:
        return f"{key}: this name is the model's without training, choose another"
    said = {part: value for part, value in declared.items() if value != DEFAULTS.get(part, ...)}
    if said.get("adapter") is False:
        more = sorted(set(said) - {"adapter"})
        return (
            f"{key}.adapter: false trains every parameter and goes without {', '.join(more)}"
            if more
            else None
        )
    found = unknown_value(said, choices) or without_effect(said)
    return found and f"{key}.{found}"


def beyond(name: str, declared: Mapping[str, Any], n_layers: int) -> str | None:
    """What of a strategy is too much for a model of ``n_layers``, in one line that names the key."""
    layers, count = declared.get("layers"), declared.get("count")
    above = [layer for layer in layers if layer >= n_layers] if isinstance(layers, list) else []
    if above:
        return f"lora.strategies.{name}.layers: there is no layer {above[0]}; the model has layers 0..{n_layers - 1}"
    if count is not None and "heads" not in declared and count > n_layers:
        return f"lora.strategies.{name}.count is {count}; the model has {n_layers} layers"
    return None


def unknown_value(said: Mapping[str, Any], choices: Collection[str]) -> str | None:
    layers = said.get("layers", ALL)
    if isinstance(layers, list):
        if not layers or len(set(layers)) < len(layers) or min(layers) < 0:
            return f"layers: {layers} is not a list of different layers, counted from 0"
    elif layers not in choices:
        return f"layers: {layers!r} is not one of {', '.join(choices)}, nor a list of layers"
    for part, names in (("higher", choices), ("heads", HEAD_CRITERIA)):
        if part in said and said[part] not in names:
            return f"{part}: {said[part]!r} is not one of {', '.join(names)}"
    if said.get("modules") == []:
        return "modules: names no module"
    for part, least in (("rank", 1), ("count", 1)):
        if said.get(part, least) < least:
            return f"{part}: {said[part]} is not at least {least}"
    return f"ratio: {said['ratio']} is not above 0" if said.get("ratio", 1) <= 0 else None


def without_effect(said: Mapping[str, Any]) -> str | None:
    layers, higher = said.get("layers", ALL), said.get("higher")
    if "heads" in said and ("layers" in said or higher):
        return "heads: goes without layers and higher"
    if said.get("least") and "heads" not in said and layers not in CRITERIA:
        return f"least: needs layers that are one of {', '.join(CRITERIA)}"
    if higher == ALL:
        return "higher: all would rank no layer above another"
    if "ratio" in said and not higher:
        return "ratio: needs higher, the layers whose rank it multiplies"
    if "count" in said and "heads" not in said and not needs_count(said):
        where = "layers: all takes" if layers == ALL else "a list of layers takes"
        return f"count: has no effect, {where} them all and there is no higher"
    if "draws" in said and not is_drawn(said):
        return "draws: only layers (or higher) that are random are drawn"
    return None
