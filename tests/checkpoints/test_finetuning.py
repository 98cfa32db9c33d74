"""Fine-tuning to a summarizer: what is in the loss, the checkpoints, and a run that is killed."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import articles_table, newswire_rows, training_settings

from rewire.checkpoints import finetuning
from rewire.checkpoints.finetuning import SummaryExamples, finetune, train_until
from rewire.checkpoints.names import checkpoint_name
from rewire.checkpoints.steps import write_step
from rewire.checkpoints.token_mean_trainer import IGNORED
from rewire.errors import InputError
from rewire.pretrained import load_tokenizer, load_transformer
from rewire.tables import read_table

KEPT, LAST = (2, 5), 6
STEPS = (*KEPT, LAST)


class Killed(Exception):
    pass


def run(base: Path, data: Path, out: Path, kept: tuple[int, ...] = KEPT, **changes: Any) -> None:
    finetune(
        base,
        data / "train.parquet",
        data / "validation.parquet",
        training_settings(**changes),
        out / checkpoint_name(LAST),
        out / "training.parquet",
        out / "work",
        kept,
        out / "kept",
    )


def folder_of(out: Path, step: int) -> Path:
    return (out if step == LAST else out / "kept") / checkpoint_name(step)


def weights(out: Path) -> dict[int, bytes]:
    return {step: (folder_of(out, step) / "model.safetensors").read_bytes() for step in STEPS}


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
    assert sorted(path.name for path in whole.iterdir()) == ["kept", "step-000006", "training.parquet"]
    assert sorted(path.name for path in (whole / "kept").iterdir()) == ["step-000002", "step-000005"]
    assert len(set(weights(whole).values())) == len(STEPS)
    for step in STEPS:
        assert load_tokenizer(folder_of(whole, step)).eos_token_id == 0
        assert load_transformer(folder_of(whole, step)).config.n_layer == 2
    assert weights(whole)[2] != (tiny_model_folder / "model.safetensors").read_bytes()


def test_the_training_table_does_not_depend_on_what_is_kept(
    whole: Path, tiny_model_folder: Path, data: Path, tmp_path: Path
) -> None:
    rows = read_table(whole / "training.parquet").to_pylist()
    assert [row["step"] for row in rows] == list(range(7))
    assert all(row["validation_loss"] is not None for row in rows)  # ten times in a run, or at every step
    assert rows[0]["train_loss"] is None
    assert rows[-1]["train_loss"] < rows[1]["train_loss"]
    run(tiny_model_folder, data, tmp_path, kept=())
    assert (tmp_path / "training.parquet").read_bytes() == (whole / "training.parquet").read_bytes()
    assert not (tmp_path / "kept").exists()


def step_of(base: Path, data: Path, out: Path, step: int, store: Path) -> Path:
    folder = out / checkpoint_name(step)
    write_step(store, base, data / "train.parquet", training_settings(), step, folder, out / "work")
    return folder


def test_a_step_that_was_kept_is_moved(
    whole: Path, tiny_model_folder: Path, data: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(whole / "kept", store)
    folder = step_of(Path("no such model"), data, tmp_path, 5, store)
    assert (folder / "model.safetensors").read_bytes() == weights(whole)[5]
    assert [path.name for path in store.iterdir()] == ["step-000002"]


@pytest.mark.parametrize("step", KEPT)
def test_a_step_that_was_not_kept_is_trained_to_the_same_bytes(
    whole: Path, tiny_model_folder: Path, data: Path, tmp_path: Path, step: int
) -> None:
    folder = step_of(tiny_model_folder, data, tmp_path, step, tmp_path / "nothing")
    for file in sorted(folder_of(whole, step).iterdir()):
        assert (folder / file.name).read_bytes() == file.read_bytes(), file.name
    assert not (tmp_path / "work").exists()


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
    shutil.rmtree(tmp_path / checkpoint_name(LAST))  # Snakemake removes the outputs of a job that failed
    run(tiny_model_folder, data, tmp_path)
    assert weights(tmp_path) == weights(whole)


def test_a_checkpoint_after_the_last_step_is_refused(
    tiny_model_folder: Path, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="7"):
        run(tiny_model_folder, data, tmp_path, kept=(2, 7))
    with pytest.raises(InputError, match="6"):
        train_until(
            tiny_model_folder,
            data / "train.parquet",
            training_settings(),
            LAST,
            tmp_path / "a",
            tmp_path / "b",
        )


def test_a_summary_longer_than_the_context_is_named(
    tiny_model_folder: Path, data: Path, tmp_path: Path
) -> None:
    rows = newswire_rows(2)
    rows[1]["summary"] = "Selby " * 200
    articles_table(tmp_path / "train.parquet", rows)
    articles_table(tmp_path / "validation.parquet", rows[:1])
    with pytest.raises(InputError, match=rows[1]["id"]):
        run(tiny_model_folder, tmp_path, tmp_path / "out")
