import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from rewire.circuits import attribution
from rewire.circuits.graph import Graph
from rewire.circuits.resampling import reweighted, split_weights
from rewire.circuits.selection import Scores
from rewire.errors import InputError
from rewire.statistics import bootstrap_weights


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(2, 8), st.integers(0, 99))
def test_parts_are_disjoint_and_hold_everyone(n, parts, seed):
    if n < parts:
        with pytest.raises(InputError, match=f"{n} examples cannot be split into {parts}"):
            split_weights(n, parts, seed)
        return
    weights = split_weights(n, parts, seed)
    members = weights > 0
    assert (members.sum(axis=0) == 1).all()
    sizes = members.sum(axis=1)
    assert sizes.max() - sizes.min() <= 1
    np.testing.assert_allclose(weights.sum(axis=1), 1)


def test_reweighted_scores_are_those_of_the_chosen_examples(case):
    """A resample's scores, without running the model, are what attribution gives on those examples."""
    scores = attribution.attribute(case.model, case.pairs, examples=True)
    n = len(case.pairs)
    weights = np.stack([np.full(n, 1 / n), bootstrap_weights(n, 1, 3)[0]])
    full, resample = reweighted(scores, weights)
    torch.testing.assert_close(full.values, scores.values, rtol=1e-5, atol=1e-7)
    drawn = torch.from_numpy(np.repeat(np.arange(n), np.rint(weights[1] * n).astype(int)))
    again = attribution.attribute(case.model, case.pairs.subset(drawn))
    torch.testing.assert_close(resample.values, again.values, rtol=1e-4, atol=1e-6)


def test_scores_without_examples_and_odd_weights_are_refused():
    graph = Graph(2, 2, 8)
    bare = Scores(torch.zeros(graph.mask.shape), graph, "EAP", "nll")
    with pytest.raises(InputError, match="examples=True"):
        reweighted(bare, np.ones((1, 3)))
    kept = Scores(bare.values, graph, "EAP", "nll", examples=torch.zeros(4, graph.n_edges))
    with pytest.raises(InputError, match="3 examples for scores of 4"):
        reweighted(kept, np.ones((1, 3)))
