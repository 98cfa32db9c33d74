"""The figure of adapted models' circuits."""

import numpy as np
import pytest

from rewire.errors import InputError
from rewire.figures import bakeoff_circuits
from rewire.figures.frames import read_frame
from rewire.lora.circuits import SCHEMA
from rewire.tables import write_table

STRATEGIES = [
    "full",
    "standard",
    "targeted",
    "circuit",
    "circuit-rank",
    "circuit-heads",
    "random",
    "inverse",
    "last-k",
]


def write(path, strategies, known=True):
    models, noise, rows = ["base", "final", *strategies], np.random.default_rng(0), []
    for i, reference in enumerate(models):
        for model in models[i + 1 :]:
            for measure, shift in (("edge_jaccard", 0.0), ("node_jaccard", 0.15), ("spearman", 0.1)):
                value = float(noise.uniform(0.3, 0.8)) + shift
                row = {
                    "model": model,
                    "reference": reference,
                    "measure": measure,
                    "value": value,
                    "examples": 32,
                }
                if known and i < 2:
                    row |= {"low": value - 0.1, "high": value + 0.1}
                    for name, mean in (("floor", 0.8), ("reference_floor", 0.75), ("random", 0.2)):
                        row |= {name: mean, f"{name}_low": mean - 0.08, f"{name}_high": mean + 0.06}
                rows.append(row)
    write_table(path, rows, SCHEMA)
    return path


@pytest.mark.parametrize(
    ("strategies", "known"), [(STRATEGIES, True), (STRATEGIES[1:3], True), (STRATEGIES[:4], False)]
)
def test_every_model_is_in_it(tmp_path, strategies, known):
    path = write(tmp_path / "circuits.parquet", strategies, known)
    bakeoff_circuits.draw(path, "small on newswire", tmp_path / "a.png", tmp_path / "a.svg")
    assert (tmp_path / "a.png").stat().st_size > 10_000
    figure = bakeoff_circuits.figure(read_frame(path, bakeoff_circuits.COLUMNS), "small on newswire")
    left, last, base = figure.axes[:3]
    assert [label.get_text() for label in left.get_yticklabels()] == ["base", "final", *strategies]
    assert [label.get_text() for label in last.get_yticklabels()] == strategies
    assert (last.get_title(loc="left"), base.get_title(loc="left")) == ("Against final", "Against base")
    numbers = [float(text.get_text()) for text in left.texts]
    n = len(strategies) + 2
    assert len(numbers) == n * n - (0 if known else n)  # the diagonal is the noise floor


def test_the_same_table_the_same_bytes(tmp_path):
    path = write(tmp_path / "circuits.parquet", STRATEGIES[:3])
    files = [[tmp_path / f"{i}.{kind}" for kind in ("png", "svg")] for i in range(2)]
    for pair in files:
        bakeoff_circuits.draw(path, "a", *pair)
    assert [f.read_bytes() for f in files[0]] == [f.read_bytes() for f in files[1]]


def test_a_table_without_its_columns_is_named(tmp_path):
    path = write(tmp_path / "circuits.parquet", STRATEGIES[:2])
    write_table(tmp_path / "bad.parquet", {"model": ["a"]}, SCHEMA.empty_table().select(["model"]).schema)
    with pytest.raises(InputError, match=r"bad\.parquet: no column 'reference'"):
        bakeoff_circuits.draw(tmp_path / "bad.parquet", "a", tmp_path / "b.png", tmp_path / "b.svg")
    assert path.exists()
    assert not (tmp_path / "b.png").exists()
