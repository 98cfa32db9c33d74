"""The learning rate with the lowest validation loss, its run's folder, and a call that is killed."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lora.lora_settings import files, inputs, lora, recipe, run

from rewire.errors import InputError
from rewire.lora import tuning
from rewire.lora.cost_table import COLUMNS, read_costs
from rewire.lora.tuning import SCHEMA, choose, chosen_rate, tried, tune
from rewire.pretrained import load_tokenizer, load_transformer
from rewire.tables import read_table, write_table

RATES = [1e-4, 0.1, 100.0]


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inputs(tmp_path_factory.mktemp("data"))


def tuned(base: Path, data: Path, out: Path, **changes: Any) -> Path:
    settings = lora(learning_rates=RATES) | changes
    where = (out / "adapter", out / "tuning.parquet", out / "work")
    more = {"cost": out / "cost.tsv", "checkpoint": out / "checkpoint"}
    tune(base, *files(data), "circuit", 0, settings, *where, **more)
    return out


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path, data: Path) -> Path:
    return tuned(tiny_model_folder, data, tmp_path_factory.mktemp("whole"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_table_and_the_chosen_run(
    whole: Path, tiny_model_folder: Path, data: Path, tmp_path: Path
) -> None:
    assert sorted(path.name for path in whole.iterdir()) == [
        "adapter",
        "checkpoint",
        "cost.tsv",
        "tuning.parquet",
    ]
    table = read_table(whole / "tuning.parquet")
    assert table.schema == SCHEMA
    rows = table.to_pylist()
    assert [row["learning_rate"] for row in rows] == RATES
    assert [row["chosen"] for row in rows] == [
        row["best_loss"] == min(table["best_loss"].to_pylist()) for row in rows
    ]
    assert [(row["seed"], row["at_edge"]) for row in rows] == [(0, False)] * 3
    rate = chosen_rate(whole / "tuning.parquet")
    assert rate == 0.1
    alone = run(tiny_model_folder, data, tmp_path, learning_rate=rate)
    assert contents(whole / "adapter") == contents(
        alone
    )  # as train_run at that rate: no need to train it again
    (plan,) = read_table(alone / "plan.parquet").to_pylist()
    assert {name: rows[1][name] for name in ("best_loss", "best_step", "steps")} == {
        name: plan[name] for name in ("best_loss", "best_step", "steps")
    }


def test_costs_of_every_rate(whole: Path) -> None:
    rows = read_costs(whole / "cost.tsv")
    assert list(rows[0]) == list(COLUMNS)
    assert [float(row["learning_rate"]) for row in rows] == RATES
    steps = read_table(whole / "tuning.parquet")["steps"].to_pylist()
    for row, ran in zip(rows, steps, strict=True):
        assert (row["strategy"], row["seed"], int(row["steps"])) == ("circuit", "0", ran)
        assert 0 < float(row["seconds"]) < 60
        assert 50 < float(row["peak_memory_mb"]) < 50_000
        assert row["device"]


def test_finished_rates_are_not_trained_again(
    whole: Path, tiny_model_folder: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, seen = tuning.train_run, []

    def killing(*args: Any) -> None:
        seen.append(args[7])
        if len(seen) == 3:
            raise Killed
        original(*args)

    monkeypatch.setattr(tuning, "train_run", killing)
    with pytest.raises(Killed):
        tuned(tiny_model_folder, data, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["work"]
    tuned(tiny_model_folder, data, tmp_path)
    assert seen == [*RATES, RATES[-1]]
    assert contents(tmp_path / "adapter") == contents(whole / "adapter")
    assert (tmp_path / "tuning.parquet").read_bytes() == (whole / "tuning.parquet").read_bytes()


@pytest.mark.parametrize("change", ["settings", "articles"])
def test_rates_finished_with_other_inputs_are_dropped(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    (tmp_path / "data").mkdir()
    data = inputs(tmp_path / "data")

    def killed(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(tuning, "write_table", killed)
    with pytest.raises(Killed):
        tuned(tiny_model_folder, data, tmp_path / "out", learning_rates=[1e-2])
    monkeypatch.undo()
    changes: dict[str, Any] = {"learning_rates": [1e-2]}
    if change == "settings":
        changes["rank"] = 3
    else:
        (data / "train.parquet").write_bytes((data / "validation.parquet").read_bytes())
    again = tuned(tiny_model_folder, data, tmp_path / "out", **changes)
    fresh = tuned(tiny_model_folder, data, tmp_path / "fresh", **changes)
    assert contents(again / "adapter") == contents(fresh / "adapter")


def test_choose() -> None:
    nan = float("nan")
    assert choose([{"best_loss": loss} for loss in (nan, 2.0, 1.0, 1.0)], "x") == 2
    with pytest.raises(InputError, match=r"lora.learning_rates: x diverged"):
        choose([{"best_loss": nan}, {"best_loss": float("inf")}], "x")


def test_a_choice_at_the_edge_of_the_grid_is_said() -> None:
    plans = [{"learning_rate": rate, "best_loss": 1.0} for rate in (1e-2, 1e-3, 1e-4)]
    found = [[row["at_edge"] for row in tried(plans, best)] for best in range(3)]
    assert found == [[True, False, False], [False] * 3, [False, False, True]]
    assert [row["at_edge"] for row in tried(plans[:1], 0)] == [True]


def test_every_draw_of_layers_is_tuned_by_itself(tiny_model_folder: Path, data: Path, tmp_path: Path) -> None:
    """Layers are drawn by the place in the list of seeds, whatever the seeds are."""
    train, validation, _ = files(data)
    settings = lora(learning_rates=[1e-3, 1e-2], training=recipe(steps=2))
    plans = {}
    for draw, seed in enumerate((10**9, 42)):
        out = tmp_path / str(seed)
        where = (out / "adapter", out / "tuning.parquet", out / "work")
        tune(tiny_model_folder, train, validation, None, "random", seed, settings, *where, draw=draw)
        rows = read_table(out / "tuning.parquet").to_pylist()
        assert [(row["seed"], row["learning_rate"]) for row in rows] == [(seed, 1e-3), (seed, 1e-2)]
        (plans[seed],) = read_table(out / "adapter" / "plan.parquet").to_pylist()
        assert plans[seed]["learning_rate"] == chosen_rate(out / "tuning.parquet")
    assert sorted(plan["layers"] for plan in plans.values()) == [[0], [1]]


def test_a_table_without_one_choice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, [{"learning_rate": 1.0, "chosen": True}] * 2, SCHEMA)
    with pytest.raises(InputError, match=r"t.parquet: 2 learning rates are chosen"):
        chosen_rate(path)
    write_table(path, [{"best_loss": 1.0}], SCHEMA.remove(SCHEMA.get_field_index("chosen")))
    with pytest.raises(InputError, match=r"t.parquet: not a tuning table"):
        chosen_rate(path)


def test_the_chosen_model_is_a_checkpoint_too(whole: Path, tiny_model_folder: Path) -> None:
    merged = load_transformer(tiny_model_folder, whole / "adapter").state_dict()
    saved = load_transformer(whole / "checkpoint").state_dict()
    assert all(torch.equal(value, saved[name]) for name, value in merged.items())
    assert load_tokenizer(whole / "checkpoint").eos_token_id == load_tokenizer(tiny_model_folder).eos_token_id
