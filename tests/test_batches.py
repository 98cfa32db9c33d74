"""A batch that does not fit in memory is halved and done again: the same numbers, a word in the log."""

import logging
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from circuits.random_models import random_pairs, save_random_model
from tiny_models import newswire_rows, tiny_model, tiny_tokenizer, training_settings

from rewire import prompts
from rewire.batches import Batches
from rewire.checkpoints.token_mean_trainer import Example
from rewire.checkpoints.training import Milestones, train
from rewire.circuits import selection
from rewire.circuits.attribution import attribute
from rewire.circuits.evaluation import evaluate, evaluate_baselines
from rewire.differential.comparison import compare
from rewire.errors import InputError
from rewire.models import load
from rewire.pairs import TokenPairs
from rewire.residual import ResidualStream
from rewire.summaries import generate

CPU = (
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: "
    "you tried to allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)"
)
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError(CPU),
    MemoryError(),
]
LIMIT = 2  # examples that fit at once


def too_many(limit: int, error: Exception) -> Any:
    """Work that fails above ``limit`` examples, and a list of the sizes of all batches that it was given."""
    tried: list[int] = []

    def work(batch: list[int]) -> list[int]:
        tried.append(len(batch))
        if len(batch) > limit:
            raise error
        return [10 * i for i in batch]

    return work, tried


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_batch_is_halved_until_it_fits_and_the_size_is_kept(error: Exception, caplog: Any) -> None:
    work, tried = too_many(3, error)
    batches = Batches(8, "attribution")
    order, ones = [5, 3, 8, 1, 0, 2, 4, 6, 7, 9], [1] * 10
    with caplog.at_level(logging.WARNING):
        found = list(batches.run(order, ones, work))
    assert [i for batch, _ in found for i in batch] == order
    assert [value for _, values in found for value in values] == [10 * i for i in order]
    assert tried == [8, 4, 2, 2, 2, 2, 2]
    assert [record.getMessage() for record in caplog.records] == [
        "attribution: 8 examples at once do not fit in memory, going on with 4",
        "attribution: 4 examples at once do not fit in memory, going on with 2",
    ]
    assert [len(batch) for batch, _ in batches.run(order, ones, work)] == [2] * 5
    assert len(tried) == 12


def test_sizes_decide_how_many_go_together() -> None:
    sizes = [9, 1, 3, 4, 20, 2]
    work, _ = too_many(6, MemoryError())
    order = sorted(range(6), key=sizes.__getitem__)
    assert [batch for batch, _ in Batches(9, "x").run(order, sizes, work)] == [[1, 5, 2], [3], [0], [4]]
    assert list(Batches(9, "x").run([], [], work)) == []


def test_an_example_that_does_not_fit_alone_is_named() -> None:
    def work(batch: list[int]) -> None:
        if 6 in batch:
            raise ERRORS[0]

    done = []
    with pytest.raises(InputError, match=r"^evaluation: example 6 alone does not fit in memory$"):
        for batch, _ in Batches(4, "evaluation").run(range(8), [1] * 8, work):
            done += batch
    assert done == [0, 1, 2, 3, 4, 5]


def test_another_error_is_not_taken_for_memory() -> None:
    def work(batch: list[int]) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        list(Batches(4, "x").run(range(8), [1] * 8, work))


def test_what_a_failed_batch_held_is_free_when_it_is_tried_again() -> None:
    held: list[weakref.ref] = []

    def work(batch: list[int]) -> int:
        assert not [one for one in held if one() is not None]
        large = torch.zeros(1000)
        held.append(weakref.ref(large))
        if len(batch) > 1:
            raise RuntimeError(CPU)
        return len(batch)

    assert [count for _, count in Batches(4, "x").run(range(4), [1] * 4, work)] == [1] * 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_model(tmp_path_factory.mktemp("batches"), "gpt2")


@pytest.fixture(scope="module")
def pairs() -> TokenPairs:
    """Nine examples of unequal length: with LIMIT, batches of 1 and 2."""
    three = random_pairs()
    lengths = torch.tensor([9, 8, 9, 7, 6, 8, 9, 9, 7])
    clean, corrupted = (
        torch.cat([x, x + 1 - 2 * (x == 49), x.roll(1, 0)]) for x in (three.clean, three.corrupted)
    )
    return TokenPairs(clean, corrupted, lengths, 2)


@pytest.fixture
def cramped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The last layer's MLP fails above LIMIT examples, as memory runs out in the middle of a batch; which were tried."""
    tried: list[int] = []
    whole = ResidualStream.mlp

    def mlp(self: ResidualStream, layer: int, x: torch.Tensor) -> torch.Tensor:
        if layer == self.n_layers - 1:
            tried.append(len(x))
            if len(x) > LIMIT:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, layer, x)

    monkeypatch.setattr(ResidualStream, "mlp", mlp)
    return tried


def flat(result: Any) -> np.ndarray:
    """All numbers of a result."""
    if isinstance(result, torch.Tensor):
        return result.numpy().ravel()
    if isinstance(result, np.ndarray):
        return result.ravel().astype(float)
    return np.concatenate([flat(part) for part in (result.values() if isinstance(result, dict) else result)])


def scores(model: Any, pairs: TokenPairs, **options: Any) -> list:
    found = attribute(model, pairs, examples=True, **options)
    gap = torch.tensor([0.0 if found.completeness_gap is None else found.completeness_gap])
    return [found.values, found.examples, gap]


def compared(model: Any, pairs: TokenPairs, other: Path) -> list:
    examples, neurons = compare(model, load(other), pairs, positions=4)
    return [examples.layers, examples.heads, neurons.count, neurons.mean, neurons.squares]


MEASURES = {
    "EAP": lambda model, pairs, _: scores(model, pairs, method="EAP"),
    "EAP-IG-inputs": lambda model, pairs, _: scores(model, pairs, steps=3),
    "EAP-IG-activations": lambda model, pairs, _: scores(model, pairs, method="EAP-IG-activations", steps=2),
    "neurons": lambda model, pairs, _: scores(model, pairs, level="neuron"),
    "flow routes": lambda model, pairs, _: scores(model, pairs, method="information-flow-routes"),
    "exact": lambda model, pairs, _: scores(model, pairs, method="exact", level="node"),
    "mean ablation": lambda model, pairs, _: scores(
        model, pairs, method="EAP", intervention="mean-positional"
    ),
    "faithfulness": lambda model, pairs, _: evaluate(
        model, [selection.whole(model.graph), selection.empty(model.graph)], pairs, ["nll", "kl"]
    ),
    "baselines": lambda model, pairs, _: evaluate_baselines(model, pairs, ["nll", "accuracy"]),
    "differential": compared,
}


@pytest.mark.parametrize("name", MEASURES)
def test_numbers_are_the_same_after_a_batch_that_did_not_fit(
    name: str, folder: Path, pairs: TokenPairs, tmp_path: Path, request: Any, caplog: Any
) -> None:
    other = save_random_model(tmp_path / "other", "gpt2")
    model = load(folder)
    measure = MEASURES[name]
    expected = flat(measure(model, pairs, other))
    tried = request.getfixturevalue("cramped")
    with caplog.at_level(logging.WARNING, logger="rewire"):
        found = flat(measure(model, pairs, other))
    assert np.isfinite(expected).any() and found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert max(tried) == 9 and tried[-1] <= LIMIT
    assert "9 examples at once do not fit in memory, going on with 4" in caplog.text


def test_an_example_of_pairs_that_does_not_fit_alone_is_named(
    folder: Path, pairs: TokenPairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mlp(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model = load(folder)
    assert model.graph.n_edges
    monkeypatch.setattr(ResidualStream, "mlp", mlp)
    with pytest.raises(InputError, match=r"^attribution: example 4 alone does not fit in memory$"):
        attribute(model, pairs)


def cramp(model: Any, limit: int) -> list[int]:
    """Let ``model`` run out of memory above ``limit`` rows; the sizes of the batches that it is given."""
    tried: list[int] = []

    def check(_: Any, arguments: Any, options: Any) -> None:
        ids = options["input_ids"] if "input_ids" in options else arguments[0]
        tried.append(len(ids))
        if len(ids) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model.register_forward_pre_hook(check, with_kwargs=True)
    return tried


@pytest.mark.parametrize("beams", [1, 2])
def test_summaries_are_the_same_after_a_batch_that_did_not_fit(beams: int) -> None:
    tokenizer = tiny_tokenizer()
    model = tiny_model(tokenizer)
    questions = [prompts.question(tokenizer, row["article"], 100) for row in newswire_rows(7)]
    expected = generate(model, tokenizer, questions, 7, 6, beams)
    tried = cramp(model, LIMIT * beams)
    assert generate(model, tokenizer, questions, 7, 6, beams) == expected
    assert max(tried) == 7 * beams and tried[-1] <= LIMIT * beams


def trained(folder: Path, model: Any) -> tuple[list[dict[str, Any]], torch.Tensor]:
    """The training table of three steps of four examples, and the weights after them."""
    generator = torch.Generator().manual_seed(0)
    stops = Milestones(validated=[2, 3], kept=[2, 3])
    examples = [
        Example(tokens := torch.randint(1, 400, (5 + i % 4,), generator=generator).tolist(), tokens)
        for i in range(11)
    ]
    settings = training_settings(batch_size=4, steps=3)
    rows = train(model, examples[:4], examples[4:], settings, folder, stops, lambda *_: None, 0)
    return rows, torch.cat([p.detach().flatten() for p in model.parameters()])


def cramp_mode(model: Any, training: bool, limit: int) -> list[int]:
    """As ``cramp``, in training or in validation alone."""
    tried: list[int] = []

    def check(module: Any, arguments: Any, options: Any) -> None:
        if module.training == training:
            tried.append(len(options["input_ids"]))
            if tried[-1] > limit:
                raise RuntimeError(CPU)

    model.register_forward_pre_hook(check, with_kwargs=True)
    return tried


def test_the_validation_loss_is_the_same_and_training_goes_on(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    rows, weights = trained(tmp_path / "free", tiny_model(tokenizer))
    model = tiny_model(tokenizer)
    tried = cramp_mode(model, False, 1)
    again, after = trained(tmp_path / "work", model)
    for row, other in zip(rows, again, strict=True):
        assert row.keys() == other.keys()
        assert list(row.values()) == pytest.approx(list(other.values()), rel=1e-5, nan_ok=True)
    assert torch.equal(weights, after)
    assert tried == [4, 2, *[1] * 7 * 3]  # found out once, not again at every validation


def test_a_training_step_is_the_same_in_parts(tmp_path: Path, caplog: Any) -> None:
    """Examples have unequal numbers of targets: the parts' losses are no means of their own."""
    tokenizer = tiny_tokenizer()
    rows, weights = trained(tmp_path / "free", tiny_model(tokenizer))
    model = tiny_model(tokenizer)
    tried = cramp_mode(model, True, 1)
    with caplog.at_level(logging.WARNING, logger="rewire"):
        again, after = trained(tmp_path / "work", model)
    for row, other in zip(rows, again, strict=True):
        assert list(row.values()) == pytest.approx(list(other.values()), rel=1e-4, nan_ok=True)
    torch.testing.assert_close(after, weights, rtol=1e-4, atol=1e-5)
    assert not torch.equal(weights, torch.cat([p.flatten() for p in tiny_model(tokenizer).parameters()]))
    assert tried == [4, 2, *[1] * 4 * 3]
    assert "training: the batch does not fit in memory, going on with 1 at once" in caplog.text


def test_what_a_failed_part_had_added_up_is_dropped(tmp_path: Path) -> None:
    """Memory runs out at the second of two parts, after the gradient of the first."""
    tokenizer = tiny_tokenizer()
    _, weights = trained(tmp_path / "free", tiny_model(tokenizer))
    model = tiny_model(tokenizer)
    tried: list[int] = []

    def check(module: Any, arguments: Any, options: Any) -> None:
        if module.training:
            tried.append(len(options["input_ids"]))
            if len(tried) in (1, 3):
                raise RuntimeError(CPU)

    model.register_forward_pre_hook(check, with_kwargs=True)
    _, after = trained(tmp_path / "work", model)
    torch.testing.assert_close(after, weights, rtol=1e-4, atol=1e-5)
    assert tried == [4, 2, 2, *[1] * 4 * 3]


def test_a_last_batch_of_one_example_that_does_not_fit_is_an_error_too(tmp_path: Path) -> None:
    """Of nine examples in batches of eight the ninth alone is longer than memory holds."""
    model = tiny_model(tiny_tokenizer())

    def check(module: Any, arguments: Any, options: Any) -> None:
        if module.training and len(options["input_ids"]) == 1:
            raise RuntimeError(CPU)

    model.register_forward_pre_hook(check, with_kwargs=True)
    examples = [Example([1, 2, 3], [1, 2, 3])] * 9
    settings = training_settings(batch_size=8, steps=4)
    with pytest.raises(InputError, match=r"^training: one example alone does not fit in memory$"):
        train(model, examples, [], settings, tmp_path / "work", Milestones(), lambda *_: None, 0)


def test_what_a_failed_attempt_drew_is_drawn_again(tmp_path: Path) -> None:
    """A resumed run fails once more than one that was not killed: dropout draws the same units in both."""
    weights = []
    for drawn in (0, 1000):
        model = tiny_model(tiny_tokenizer(), dropout=0.5)

        def check(module: Any, arguments: Any, options: Any, drawn: int = drawn) -> None:
            if module.training and len(options["input_ids"]) > 4:
                torch.rand(drawn)
                raise RuntimeError(CPU)

        model.register_forward_pre_hook(check, with_kwargs=True)
        settings = training_settings(batch_size=8, steps=2)
        examples = [Example([1, 2, 3, i], [1, 2, 3, i]) for i in range(8)]
        train(model, examples, [], settings, tmp_path / str(drawn), Milestones(), lambda *_: None, 0)
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*weights)


def test_an_example_that_no_training_step_fits_is_an_error_in_one_line(tmp_path: Path) -> None:
    model = tiny_model(tiny_tokenizer())
    cramp_mode(model, True, 0)
    with pytest.raises(InputError, match=r"^training: one example alone does not fit in memory$"):
        trained(tmp_path / "work", model)


REAL = """
import logging, resource, sys
import torch
torch.set_num_threads(1)
from rewire.circuits.attribution import attribute
from rewire.models import load
from rewire.pairs import TokenPairs

logging.basicConfig(stream=sys.stdout, format="%(message)s")
model = load(sys.argv[1])
generator = torch.Generator().manual_seed(0)
clean, corrupted = torch.randint(0, 20_000, (2, 24, 60), generator=generator)
pairs = TokenPairs(clean, corrupted, target_tokens=50)
few = attribute(model, pairs, steps=1, batch_tokens=120)
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + int(sys.argv[2]), resource.RLIM_INFINITY))
many = attribute(model, pairs, steps=1, batch_tokens=24 * 60)
torch.testing.assert_close(many.values, few.values, rtol=1e-4, atol=1e-6)
print("the same")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads what the process holds from /proc")
def test_real_memory_that_runs_out(tmp_path: Path) -> None:
    """24 examples at once want 50 x 24 x 20,000 logits of 4 bytes several times over; 300 MB are left."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    sizes = {"n_layer": 1, "n_head": 2, "n_embd": 8, "n_positions": 64, "vocab_size": 20_000}
    GPT2LMHeadModel(GPT2Config(**sizes)).save_pretrained(tmp_path / "model")
    done = subprocess.run(
        [sys.executable, "-c", REAL, str(tmp_path / "model"), str(300_000_000)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "attribution: 24 examples at once do not fit in memory, going on with 12" in done.stdout
    assert done.stdout.endswith("the same\n")
