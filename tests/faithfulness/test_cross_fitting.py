import pytest
import torch

from rewire.errors import InputError
from rewire.faithfulness.cross_fitting import cross_fits, score, scores_with_examples


@pytest.fixture(scope="module")
def scores(stage):
    return scores_with_examples(stage.folder / "scores.safetensors", stage.model, stage.pairs, {})


def test_every_example_is_in_one_fold_of_nearly_equal_size(scores):
    members = [index for index, _ in cross_fits(scores, 5, seed=0)]
    assert torch.cat(members).sort().values.tolist() == list(range(12))
    assert {len(index) for index in members} == {2, 3}
    again = [index.tolist() for index, _ in cross_fits(scores, 5, seed=0)]
    assert again == [index.tolist() for index in members]
    assert again != [index.tolist() for index, _ in cross_fits(scores, 5, seed=1)]


def test_a_fold_is_judged_by_what_the_other_examples_score(scores, stage, circuits):
    for index, fitted in cross_fits(scores, 3, seed=0):
        others = torch.tensor([i for i in range(12) if i not in index.tolist()])
        anew = score(stage.model, stage.pairs.subset(others), circuits)
        assert torch.allclose(fitted.values, anew.values, rtol=1e-4, atol=1e-6)
        assert not torch.allclose(fitted.values, scores.values, rtol=1e-3)


def test_fewer_examples_than_folds_leave_one_out(few, stage, circuits):
    scores = scores_with_examples(few(3) / "scores.safetensors", stage.model, stage.pairs, circuits)
    assert [len(index) for index, _ in cross_fits(scores, 5, seed=0)] == [1, 1, 1]


def test_one_example_cannot_be_held_out(few, stage, circuits):
    scores = scores_with_examples(few(1) / "scores.safetensors", stage.model, stage.pairs, circuits)
    with pytest.raises(InputError, match="1 pair"):
        cross_fits(scores, 5, seed=0)


def test_a_file_without_examples_is_scored_anew(few, stage, circuits, scores):
    path = few(12, keep_examples=False) / "scores.safetensors"
    anew = scores_with_examples(path, stage.model, stage.pairs, circuits)
    assert torch.allclose(anew.values, scores.values) and torch.allclose(anew.examples, scores.examples)
