"""Fine-tuning to a summarizer: what is in the loss, the checkpoints, and a run that is killed."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import articles_table, newswire_rows, training_settings

from rewire.checkpoints import finetuning
from rewire.checkpoints.finetuning import SummaryExamples, checkpoint_name, finetune
from rewire.checkpoints.training import IGNORED
from rewire.errors import InputError
from rewire.pretrained import load_tokenizer, load_transformer
from rewire.tables import read_table

STEPS = (2, 5, 6)


class Killed(Exception):
    pass


def run(base: Path, data: Path, out: Path, steps: tuple[int, ...] = STEPS, **changes: Any) -> None:
    finetune(
        base,
        data / "train.parquet",
        data / "validation.parquet",
        training_settings(**changes),
        {step: out / checkpoint_name(step) for step in steps},
        out / "training.parquet",
        out / "work",
    )


def weights(out: Path) -> dict[int, bytes]:
    return {step: (out / checkpoint_name(step) / "model.safetensors").read_bytes() for step in STEPS}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path, data: Path) -> Path:
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole")
    run(tiny_model_folder, data, out)
    return out


def test_names_sort_by_step() -> None:
    assert [checkpoint_name(step) for step in (100, 5)] == ["step-000100", "step-000005"]


def test_only_the_summary_and_its_eos_are_in_the_loss(tiny_model_folder: Path, data: Path) -> None:
    tokenizer = load_tokenizer(tiny_model_folder)
    made = SummaryExamples(data / "train.parquet", tokenizer, 128, "en")
    for example, row in zip(made, newswire_rows(12), strict=True):
        assert len(example.tokens) == len(example.labels)
        labelled = [i for i, label in enumerate(example.labels) if label != IGNORED]
        assert labelled == list(range(labelled[0], len(example.labels)))
        assert [example.labels[i] for i in labelled] == [example.tokens[i] for i in labelled]
        text = tokenizer.decode([example.labels[i] for i in labelled])
        assert text == f" {row['summary'].strip()}{tokenizer.eos_token}"
        assert tokenizer.decode(example.tokens[: labelled[0]]) == f"{row['article']}\nTL;DR:"


def test_an_article_is_tokenised_when_it_is_asked_for(
    tiny_model_folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, built = finetuning.prompts.build, []

    def counting(tokenizer: Any, name: str, *rest: Any) -> Any:
        built.append(name)
        return original(tokenizer, name, *rest)

    monkeypatch.setattr(finetuning.prompts, "build", counting)
    made = SummaryExamples(data / "train.parquet", load_tokenizer(tiny_model_folder), 128, "en")
    ids = [row["id"] for row in newswire_rows(12)]
    assert built == ids[:1]  # its hash takes in one
    assert (len(made), made[5], made[2:4]) == (12, made[5], [made[2], made[3]])
    assert built == [ids[0], ids[5], ids[2], ids[3]]
    with pytest.raises(IndexError):
        made[12]


def test_examples_differ_where_the_articles_or_how_they_are_read_do(
    tiny_model_folder: Path, data: Path
) -> None:
    tokenizer = load_tokenizer(tiny_model_folder)
    made = [
        SummaryExamples(data / f"{split}.parquet", tokenizer, context, language).fingerprint
        for split, context, language in (
            ("train", 128, "en"),
            ("train", 128, "en"),
            ("validation", 128, "en"),
            ("train", 120, "en"),
            ("train", 128, "de"),
        )
    ]
    assert made[0] == made[1]
    assert len(set(made)) == 4


def test_the_article_s_tokens_are_read_but_not_predicted(tiny_model_folder: Path, data: Path) -> None:
    """The loss that the model computes from the labels is the summary's alone."""
    model, tokenizer = load_transformer(tiny_model_folder), load_tokenizer(tiny_model_folder)
    example = SummaryExamples(data / "train.parquet", tokenizer, 128, "en")[0]
    tokens, labels = torch.tensor([example.tokens]), torch.tensor([example.labels])
    start = example.labels.count(IGNORED)
    with torch.no_grad():
        out = model(tokens, labels=labels)
    logs = out.logits[0].log_softmax(-1)
    by_hand = -sum(float(logs[t - 1, example.tokens[t]]) for t in range(start, len(example.tokens)))
    assert float(out.loss) == pytest.approx(by_hand / (len(example.tokens) - start), rel=1e-5)


def test_checkpoints_are_whole_models_at_their_steps(whole: Path, tiny_model_folder: Path) -> None:
    assert sorted(path.name for path in whole.iterdir()) == [
        "step-000002",
        "step-000005",
        "step-000006",
        "training.parquet",
    ]
    assert len(set(weights(whole).values())) == len(STEPS)
    for step in STEPS:
        folder = whole / checkpoint_name(step)
        assert load_tokenizer(folder).eos_token_id == 0
        assert load_transformer(folder).config.n_layer == 2
    assert (whole / "step-000002" / "model.safetensors").read_bytes() != (
        tiny_model_folder / "model.safetensors"
    ).read_bytes()


def test_the_training_table(whole: Path) -> None:
    rows = read_table(whole / "training.parquet").to_pylist()
    assert [row["step"] for row in rows] == list(range(7))
    assert [row["step"] for row in rows if row["validation_loss"] is not None] == [0, *STEPS]
    assert rows[0]["train_loss"] is None
    assert rows[-1]["train_loss"] < rows[1]["train_loss"]


def test_same_seed_same_bytes(whole: Path, tiny_model_folder: Path, data: Path, tmp_path: Path) -> None:
    run(tiny_model_folder, data, tmp_path)
    for path in sorted(whole.rglob("*")):
        if path.is_file():
            assert (tmp_path / path.relative_to(whole)).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize("at", STEPS)
def test_a_killed_run_ends_in_the_same_bytes(
    whole: Path,
    tiny_model_folder: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: int,
) -> None:
    save = finetuning.save_checkpoint

    def killed(folder: Path, model: Any, tokenizer: Any) -> None:
        if folder.name == checkpoint_name(at):
            raise Killed
        save(folder, model, tokenizer)

    monkeypatch.setattr(finetuning, "save_checkpoint", killed)
    with pytest.raises(Killed):
        run(tiny_model_folder, data, tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name != "work"]
    monkeypatch.undo()
    run(tiny_model_folder, data, tmp_path)
    assert weights(tmp_path) == weights(whole)
    assert (tmp_path / "training.parquet").read_bytes() == (whole / "training.parquet").read_bytes()
    assert not (tmp_path / "work").exists()


def test_killed_while_the_outputs_are_put_in_place(
    whole: Path, tiny_model_folder: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise Killed

    monkeypatch.setattr(finetuning, "write_training_table", killed)
    with pytest.raises(Killed):
        run(tiny_model_folder, data, tmp_path)
    monkeypatch.undo()
    for step in STEPS:  # Snakemake removes the outputs of a job that failed
        for file in sorted((tmp_path / checkpoint_name(step)).rglob("*")):
            file.unlink()
        (tmp_path / checkpoint_name(step)).rmdir()
    run(tiny_model_folder, data, tmp_path)
    assert weights(tmp_path) == weights(whole)


def test_a_checkpoint_after_the_last_step_is_refused(
    tiny_model_folder: Path, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="7"):
        run(tiny_model_folder, data, tmp_path, steps=(2, 7))


def test_a_summary_longer_than_the_context_is_named(
    tiny_model_folder: Path, data: Path, tmp_path: Path
) -> None:
    rows = newswire_rows(2)
    rows[1]["summary"] = "Selby " * 200
    articles_table(tmp_path / "train.parquet", rows)
    articles_table(tmp_path / "validation.parquet", rows[:1])
    with pytest.raises(InputError, match=rows[1]["id"]):
        run(tiny_model_folder, tmp_path, tmp_path / "out")
