"""Submissions to the leaderboard of the Mechanistic Interpretability Benchmark (MIB), circuit localization track.

A submission is a folder on the Hugging Face Hub with one folder a task and model, such as ``arc-easy_llama3``, of at
least two tasks and two models. Each holds one file of importance scores, or nine circuits without scores that have at
most 0.1, 0.2, 0.5, 1, 2, 5, 10, 20 and 50 % of the model's edges; files are JSON or .pt as the published EAP-IG library's.

Sources, all of 2025: the track's README, section "Submitting to the MIB Leaderboard" (yanivnik/MIB-shared-task at commit
0179403); tasks, models, edge counts and how the leaderboard finds, loads and evaluates the files
(mttk/MIB-circuit-track-autoeval, utils.py at dc2b777, evaluation.py at 730dd7a, circuit_loading.py at 9c50625).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rewire.circuits.eap_json import document
from rewire.circuits.eap_pt import packed
from rewire.circuits.graph import Graph
from rewire.circuits.published import PublishedGraph, to_published
from rewire.circuits.selection import Circuit, Scores, empty, top_n, units
from rewire.errors import InputError
from rewire.whole_file import write_together

# task -> the models that it is evaluated on
TASKS = {
    "ioi": ("gpt2", "qwen2.5", "gemma2", "llama3"),
    "mcqa": ("qwen2.5", "gemma2", "llama3"),
    "arithmetic-addition": ("llama3",),
    "arithmetic-subtraction": ("llama3",),
    "arc-easy": ("gemma2", "llama3"),
    "arc-challenge": ("llama3",),
}
GRAPHS = {
    "gpt2": Graph(12, 12, 768),  # gpt2-small
    "qwen2.5": Graph(24, 14, 896),  # Qwen/Qwen2.5-0.5B
    "gemma2": Graph(26, 8, 2304),  # google/gemma-2-2b
    "llama3": Graph(32, 32, 4096),  # meta-llama/Llama-3.1-8B
}
FRACTIONS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
BETTER_WHEN_HIGHER = ("kl_corrupted", "logit_diff", "prob_diff", "accuracy")
FORMATS: dict[str, Callable[[PublishedGraph], Iterable[bytes]]] = {".json": document, ".pt": packed}


def write_mib_importances(
    scores: Scores, folder: str | Path, task: str, model: str, suffix: str = ".pt"
) -> Path:
    """``scores`` of edges, nodes or neurons as ``folder``/task_model/importances.pt (or .json); returns that path.

    Signed as in the benchmark, see ``importances``; nothing is in the graph, as the leaderboard selects by itself.
    Errors: InputError for an unknown task, model or suffix, another model's graph, scores that are not finite, circuit
    files that the folder holds already, a place that cannot be written.
    """
    place = submission_folder(folder, task, model, scores.graph)
    path = place / f"importances{suffix}"
    published = to_published(path, empty(scores.graph), importances(scores))
    write_files(place, {path.name: published}, suffix)
    return path


def write_mib_circuits(
    circuits: Sequence[Circuit], folder: str | Path, task: str, model: str, suffix: str = ".pt"
) -> Path:
    """Nine circuits as ``folder``/task_model/0.001_edges.pt (or .json) to 0.5_edges.pt; returns that folder.

    The order of ``circuits`` does not matter, their sizes do: see FRACTIONS and ``weighted_edges``.
    Errors: InputError as ``write_mib_importances``, and for another number of circuits or one that is too large.
    """
    if len(circuits) != len(FRACTIONS):
        raise InputError(
            f"{len(circuits)} circuits of {task} {model}: the leaderboard takes {len(FRACTIONS)}"
        )
    for circuit in circuits:
        place = submission_folder(folder, task, model, circuit.graph)
    files = {}
    for circuit, fraction in zip(sorted(circuits, key=weighted_edges), FRACTIONS, strict=True):
        size, limit = weighted_edges(circuit), fraction * circuit.graph.n_edges
        if size > limit:
            raise InputError(f"{place}: a circuit of {size:.8g} edges, where {fraction:.1%} are {limit:.8g}")
        name = f"{fraction:g}_edges{suffix}"
        files[name] = to_published(place / name, circuit, None)
    write_files(place, files, suffix)
    return place


def mib_circuits(scores: Scores, absolute: bool = True) -> list[Circuit]:
    """The nine circuits that ``write_mib_circuits`` takes: the best edges, nodes or neurons that fit, pruned.

    ``absolute``: by |score| (the benchmark's CMD), else by the signed importance (its CPR). Of edges as many are taken
    as fit before pruning, as the leaderboard does itself; of nodes and neurons as many as fit after it.
    """
    signed = importances(scores)
    return [largest_circuit(signed, fraction * scores.graph.n_edges, absolute) for fraction in FRACTIONS]


def largest_circuit(scores: Scores, limit: float, absolute: bool) -> Circuit:
    """The best of ``scores`` that come to at most ``limit`` weighted edges."""
    if scores.level == "edge":
        return top_n(scores, int(limit), absolute)
    fits, too_many = 0, len(units(scores)) + 1
    while too_many - fits > 1:  # a larger selection contains the smaller
        n = (fits + too_many) // 2
        if weighted_edges(top_n(scores, n, absolute)) <= limit:
            fits = n
        else:
            too_many = n
    return top_n(scores, fits, absolute)


def weighted_edges(circuit: Circuit) -> float:
    """The size that the leaderboard limits: edges, each weighted by the share of its source's neurons in the circuit."""
    if circuit.neurons is None:
        return float(circuit.n_edges)
    share = circuit.neurons.double().mean(dim=1)
    return float(circuit.mask.sum(dim=1).double() @ share)


def importances(scores: Scores) -> Scores:
    """``scores`` signed as in the benchmark, whose metric is a loss: above 0 where to ablate makes the model worse."""
    if scores.metric not in BETTER_WHEN_HIGHER:
        return scores
    return replace(scores, values=-scores.values)


def submission_folder(folder: str | Path, task: str, model: str, graph: Graph) -> Path:
    """``folder``/task_model; ``task`` may be spelled with _ for -. Errors: InputError that lists what there is."""
    name = task.replace("_", "-")
    if name not in TASKS:
        raise InputError(f"task {task!r} is not one of the leaderboard's: {', '.join(TASKS)}")
    if model not in TASKS[name]:
        raise InputError(
            f"model {model!r} is not one of the leaderboard's for {name}: {', '.join(TASKS[name])}"
        )
    if graph != GRAPHS[model]:
        raise InputError(f"the leaderboard's {model} is {GRAPHS[model]}, this is of {graph}")
    return Path(folder) / f"{name}_{model}"


def write_files(place: Path, files: dict[str, PublishedGraph], suffix: str) -> None:
    """``files`` by name, all or none, as the only circuits in ``place``."""
    if suffix not in FORMATS:
        raise InputError(f"{place}: suffix {suffix!r} is not one of {', '.join(FORMATS)}")
    there = sorted(path.name for kind in FORMATS for path in place.glob(f"*{kind}"))
    others = [name for name in there if name not in files]
    if others:
        raise InputError(
            f"{place}: {others[0]} is there, the leaderboard would take it for one of the circuits"
        )
    write_together(place, ((name, FORMATS[suffix](content)) for name, content in files.items()))
