"""The training loop: units, rows, resuming, and when an unfinished run is dropped."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import tiny_model, tiny_tokenizer, training_settings

from rewire.checkpoints.token_mean_trainer import IGNORED, Example, collate, keeps_logits, target_loss
from rewire.checkpoints.training import (
    SCHEMA,
    Milestones,
    evenly_spaced,
    train,
    training_rows,
    write_training_table,
)
from rewire.checkpoints.unfinished import last_checkpoint
from rewire.tables import read_table


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_tokenizer()


def examples(count: int, seed: int = 0) -> list[Example]:
    """Random tokens, 3..30 long, a random part of them in the loss."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (1,), generator=generator))

    made = []
    for _ in range(count):
        tokens = [draw(1, 400) for _ in range(draw(3, 31))]
        ignored = draw(1, len(tokens) - 1)
        made.append(Example(tokens, [IGNORED] * ignored + tokens[ignored:]))
    return made


def token_loss(model: Any, data: list[Example]) -> float:
    """Mean NLL over all labelled tokens of ``data``, one example at a time."""
    total, count = 0.0, 0
    for example in data:
        with torch.no_grad():
            logits = model(torch.tensor([example.tokens])).logits[0, :-1].log_softmax(-1)
        for position, label in enumerate(example.labels[1:]):
            if label != IGNORED:
                total -= float(logits[position, label])
                count += 1
    return total / count


def stops(*steps: int) -> Milestones:
    """Validated and kept at the same steps."""
    return Milestones(validated=steps, kept=steps)


def run(
    tokenizer: Any, work: Path, keep: Any = None, dropout: float = 0.1, data: int = 0, **changes: Any
) -> tuple:
    """(rows, final weights) of a run; the milestones are 3 and the last step."""
    model = tiny_model(tokenizer, dropout=dropout)
    settings = training_settings(**changes)
    milestones = stops(*sorted({3, settings["steps"]}))
    keep = keep or (lambda *_: None)
    rows = train(model, examples(20, data), examples(7, 1), settings, work, milestones, keep, 0)
    return rows, {name: value.clone() for name, value in model.state_dict().items()}


def killed_at(step: int) -> Any:
    def keep(model: Any, at: int) -> None:
        if at == step:
            raise Killed

    return keep


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_collate_pads_on_the_right_outside_the_loss() -> None:
    batch = collate([Example([5, 6, 7], [IGNORED, 6, 7]), Example([8], [8])])
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[IGNORED, 6, 7], [8, IGNORED, IGNORED]]


def test_rows_and_their_units(tokenizer: Any, tmp_path: Path) -> None:
    kept: list[int] = []
    settings = training_settings(steps=6, log_every=2, warmup=2)
    model = tiny_model(tokenizer)
    start = token_loss(model, examples(20))
    rows = train(
        model,
        examples(20),
        examples(7, 1),
        settings,
        tmp_path / "work",
        stops(3, 6),
        lambda _, s: kept.append(s),
        0,
    )
    assert kept == [3, 6]
    assert [row["step"] for row in rows] == [0, 2, 3, 4, 6]
    by_step = {row["step"]: row for row in rows}
    assert [step for step, row in by_step.items() if row.get("validation_loss") is not None] == [0, 3, 6]
    assert [step for step, row in by_step.items() if row.get("train_loss") is not None] == [2, 4, 6]
    assert abs(by_step[2]["train_loss"] - start) < 0.3  # nats a token, about ln 400 at the start
    assert abs(by_step[0]["validation_loss"] - math.log(400)) < 0.5
    assert all(by_step[step]["gradient_norm"] > 0 for step in (2, 4, 6))
    assert by_step[6]["validation_loss"] == pytest.approx(token_loss(model.eval(), examples(7, 1)), abs=0.05)
    path = tmp_path / "training.parquet"
    write_training_table(path, rows)
    table = read_table(path)
    assert table.column_names == SCHEMA.names
    assert table["validation_loss"].null_count == 2


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_validation_loss_is_the_mean_over_tokens(tokenizer: Any, tmp_path: Path, batch_size: int) -> None:
    rows, _ = run(tokenizer, tmp_path / "work", steps=1, batch_size=batch_size)
    expected = token_loss(tiny_model(tokenizer), examples(7, 1))
    assert rows[0]["validation_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("window", [True, False])
def test_the_loss_is_the_model_s_own(tokenizer: Any, window: bool) -> None:
    """Unembedding fewer positions changes neither the loss nor its gradients."""
    model, batch = tiny_model(tokenizer), collate(examples(6))
    model(**batch).loss.backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    total, count = target_loss(model, batch, window)
    (total / count).backward()
    assert int(count) == int((batch["labels"][:, 1:] != IGNORED).sum())
    assert float(total.detach() / count) == pytest.approx(float(model(**batch).loss.detach()), rel=1e-6)
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter.grad, expected[name], rtol=1e-4, atol=1e-7), name


def test_only_positions_from_the_first_target_on_are_unembedded(tokenizer: Any) -> None:
    model, seen = tiny_model(tokenizer), []
    assert keeps_logits(model)
    model.lm_head.register_forward_hook(lambda *found: seen.append(found[-1].shape[1]))
    data = [Example([1] * 9, [IGNORED] * 6 + [1] * 3), Example([1] * 5, [IGNORED] * 4 + [1])]
    target_loss(model, collate(data), True)
    assert seen == [6]  # the token at 4 is predicted at 3: positions 3 to 8
    target_loss(model, collate(data), False)
    assert seen == [6, 9]


def test_validation_does_not_change_what_follows(tokenizer: Any, tmp_path: Path) -> None:
    weights = []
    for name, milestones in (("a", stops(2, 3, 4)), ("b", Milestones())):
        model = tiny_model(tokenizer, dropout=0.1)
        train(
            model,
            examples(6),
            examples(7, 1),
            training_settings(),
            tmp_path / name,
            milestones,
            lambda *_: None,
            0,
        )
        weights.append(dict(model.state_dict()))
    assert same(*weights)


@pytest.mark.parametrize("resume_every", [2, 100])
def test_a_run_that_ends_early_is_the_same_up_to_there(
    tokenizer: Any, tmp_path: Path, resume_every: int
) -> None:
    """Its weights are those the whole run has at that step: schedule, data and dropout do not know of the end."""
    settings, found = training_settings(steps=6, resume_every=resume_every), []
    for name, milestones in (
        ("whole", Milestones(validated=[2, 6], kept=[4])),
        ("early", Milestones(kept=[4], until=4)),
    ):
        model = tiny_model(tokenizer, dropout=0.1)
        validation = examples(7, 1) if name == "whole" else []

        def keep(current: Any, step: int) -> None:
            found.append((step, {key: value.clone() for key, value in current.state_dict().items()}))

        rows = train(model, examples(20), validation, settings, tmp_path / name, milestones, keep, 0)
        assert max(row["step"] for row in rows) == (6 if name == "whole" else 4)
    assert [step for step, _ in found] == [4, 4]
    assert same(found[0][1], found[1][1])


def test_milestones_are_evenly_spaced_and_end_with_the_last_step() -> None:
    assert evenly_spaced(250, 10) == list(range(25, 251, 25))
    assert evenly_spaced(3, 10) == [1, 2, 3] and evenly_spaced(1, 5) == [1]


def test_the_learning_rate_warms_up_and_decays(tokenizer: Any, tmp_path: Path) -> None:
    rows, _ = run(tokenizer, tmp_path / "work", steps=6, warmup=3, schedule="linear")
    rates = [row["learning_rate"] for row in rows if row.get("learning_rate") is not None]
    assert len(rates) == 6
    assert max(rates) <= 1e-2
    assert rates == sorted(rates[:4]) + sorted(rates[4:], reverse=True)


def test_without_validation_examples_the_loss_is_nan(tokenizer: Any, tmp_path: Path) -> None:
    settings = training_settings(steps=2)
    rows = train(
        tiny_model(tokenizer), examples(8), [], settings, tmp_path / "w", Milestones(), lambda *_: None, 0
    )
    assert math.isnan(rows[0]["validation_loss"])


def test_training_rows_merge_what_was_logged_at_a_step() -> None:
    history = [
        {"step": 2, "loss": 3.0, "grad_norm": 1.5, "learning_rate": 0.1, "epoch": 0.5},
        {"step": 2, "eval_loss": 2.5, "eval_runtime": 9.0},
        {"step": 1, "loss": 4.0, "learning_rate": 0.2},
    ]
    assert training_rows(history, 5.0) == [
        {"step": 0, "validation_loss": 5.0},
        {"step": 1, "train_loss": 4.0, "learning_rate": 0.2},
        {"step": 2, "train_loss": 3.0, "gradient_norm": 1.5, "learning_rate": 0.1, "validation_loss": 2.5},
    ]


@pytest.mark.parametrize(
    "changes", [{}, {"log_every": 2}, {"resume_every": 4, "log_every": 3}, {"log_every": 5}]
)
def test_a_killed_run_resumes_and_ends_the_same(tokenizer: Any, tmp_path: Path, changes: dict) -> None:
    rows, weights = run(tokenizer, tmp_path / "whole", **changes)
    with pytest.raises(Killed):
        run(tokenizer, tmp_path / "killed", killed_at(6), **changes)
    assert last_checkpoint(tmp_path / "killed") is not None
    again, ended = run(tokenizer, tmp_path / "killed", **changes)
    assert same(weights, ended)
    assert again == rows


def test_killed_before_the_first_save(tokenizer: Any, tmp_path: Path) -> None:
    rows, weights = run(tokenizer, tmp_path / "whole", resume_every=5)
    with pytest.raises(Killed):
        run(tokenizer, tmp_path / "killed", killed_at(3), resume_every=5)
    assert last_checkpoint(tmp_path / "killed") is None
    again, ended = run(tokenizer, tmp_path / "killed", resume_every=5)
    assert same(weights, ended)
    assert again == rows


def test_same_seed_same_weights_and_another_seed_others(tokenizer: Any, tmp_path: Path) -> None:
    rows, weights = run(tokenizer, tmp_path / "a")
    again, same_weights = run(tokenizer, tmp_path / "b")
    assert same(weights, same_weights)
    assert rows == again
    model = tiny_model(tokenizer, dropout=0.1)
    settings = training_settings()
    train(model, examples(20), examples(7, 1), settings, tmp_path / "c", stops(3, 6), lambda *_: None, 1)
    assert not same(weights, dict(model.state_dict()))


@pytest.mark.parametrize("changes", [{"learning_rate": 2e-2}, {"steps": 7}, {"batch_size": 5}])
def test_changed_settings_drop_the_unfinished_run(tokenizer: Any, tmp_path: Path, changes: dict) -> None:
    with pytest.raises(Killed):
        run(tokenizer, tmp_path / "work", killed_at(6))
    rows, weights = run(tokenizer, tmp_path / "work", **changes)
    expected_rows, expected = run(tokenizer, tmp_path / "fresh", **changes)
    assert same(weights, expected)
    assert rows == expected_rows


def test_changed_examples_drop_the_unfinished_run(tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(tokenizer, tmp_path / "work", killed_at(6))
    rows, weights = run(tokenizer, tmp_path / "work", data=5)
    expected_rows, expected = run(tokenizer, tmp_path / "fresh", data=5)
    assert same(weights, expected)
    assert rows == expected_rows


def test_another_base_model_drops_the_unfinished_run(tokenizer: Any, tmp_path: Path) -> None:
    def once(work: Path, seed: int, keep: Any = lambda *_: None) -> dict:
        model = tiny_model(tokenizer, seed=seed)
        train(model, examples(20), examples(7, 1), training_settings(), work, stops(3, 6), keep, 0)
        return {name: value.clone() for name, value in model.state_dict().items()}

    with pytest.raises(Killed):
        once(tmp_path / "work", 0, killed_at(6))
    assert same(once(tmp_path / "work", 1), once(tmp_path / "fresh", 1))
