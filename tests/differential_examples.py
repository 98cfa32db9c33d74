"""Made-up results of a comparison, for what builds on them: no model needed."""

from pathlib import Path

import numpy as np

from rewire.differential.neurons import NeuronMoments
from rewire.differential.summary import SCHEMA as SUMMARY
from rewire.differential.summary import summary_rows
from rewire.differential.tables import Examples, no_examples
from rewire.differential.weights import SCHEMA as WEIGHTS
from rewire.tables import write_table


def made_up_examples(
    n: int = 12, n_layers: int = 4, n_heads: int = 3, size: float = 1.0, seed: int = 0
) -> Examples:
    """Changes of about ``size`` that grow with the layer; entropy falls in odd heads and rises in even ones."""
    noise = np.random.default_rng(seed)
    examples = no_examples([f"a{i}" for i in range(n)], n_layers, n_heads)
    depth = np.array([layer + 1 for layer, _ in examples.sites]) / n_layers
    states = np.array([site in ("residual", "final_norm") for _, site in examples.sites])
    shape = (n, len(examples.sites))
    for measure in ("cosine_distance", "centred_cosine_distance"):
        values = 0.2 * size * depth * noise.lognormal(0, 0.2, shape)
        examples.layers[measure][:, states] = values[:, states]
    for measure in ("cka", "rsa"):
        values = 1 - 0.3 * min(size, 1) * depth * noise.uniform(0.8, 1.2, shape)
        examples.layers[measure][:, states] = values[:, states]
    for measure in ("norm", "mean_absolute"):
        base = noise.uniform(1, 2, shape)
        examples.layers[f"{measure}_base"][:] = base
        examples.layers[measure][:] = base * (1 + size * depth * noise.normal(0.1, 0.05, shape))
    heads = (n, n_layers, n_heads)
    sign = np.where(np.arange(n_heads) % 2, -1.0, 1.0)
    grows = (np.arange(n_layers) + 1)[:, None] / n_layers
    for measure in ("entropy", "normalised_entropy", "gini"):
        base = noise.uniform(0.3, 0.6, heads)
        examples.heads[f"{measure}_base"][:] = base
        examples.heads[measure][:] = base + size * sign * grows * noise.normal(0.1, 0.05, heads)
    for measure in ("attention_kl", "attention_kl_reverse", "attention_js"):
        examples.heads[measure][:] = size * grows * noise.lognormal(-1, 0.2, heads)
    return examples


def made_up_neurons(
    path: Path, n: int = 12, shape: tuple[int, int] = (4, 16), size: float = 1.0, seed: int = 0
) -> Path:
    """A neurons table; neuron 3 of every layer changes most."""
    noise = np.random.default_rng(seed)
    moments = NeuronMoments(*shape)
    for layer in range(shape[0]):
        base = noise.normal(0, 1, (n, shape[1]))
        change = noise.normal(0, 0.3, shape[1]) * size
        change[3] = -4 * size
        moments.add(layer, base, base + change + noise.normal(0, 0.1, base.shape))
    moments.write(path)
    return path


def made_up_tables(folder: Path, size: float = 1.0, seed: int = 0, **shape: int) -> dict[str, Path]:
    """``summary``, ``neurons`` and ``weights`` of one checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.parquet" for name in ("summary", "neurons", "weights")}
    examples = made_up_examples(size=size, seed=seed, **shape)
    write_table(paths["summary"], summary_rows(examples, 200), SUMMARY)
    made_up_neurons(paths["neurons"], len(examples.ids), (examples.n_layers, 16), size, seed)
    rows = [
        {"layer": layer, "matrix": matrix, "change": 0.1 * size, "norm_base": 2.0, "relative": 0.05 * size}
        for layer in (None, *range(examples.n_layers))
        for matrix in (("W_E",) if layer is None else ("W_Q", "W_out"))
    ]
    write_table(paths["weights"], rows, WEIGHTS)
    return paths
