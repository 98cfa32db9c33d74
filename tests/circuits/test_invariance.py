"""How examples are ordered, padded and batched changes no example's result, in any architecture."""

import pytest
import torch
import torch.nn.functional as F
from circuits.random_models import ARCHITECTURES
from hypothesis import given, settings
from hypothesis import strategies as st

from rewire.circuits import attribution, evaluation
from rewire.circuits.interventions import INTERVENTIONS
from rewire.circuits.metrics import METRICS
from rewire.circuits.selection import Circuit
from rewire.models import load
from rewire.pairs import TokenPairs

METHODS = ("EAP", "EAP-IG-inputs", "EAP-IG-activations", "information-flow-routes")
LENGTHS = torch.tensor([9, 5, 12, 7, 9])
# RMSNorm is float32 in transformers, whatever the model is in
EXACT = {"gpt2": 1e-9, "gpt_neox": 1e-9, "llama": 1e-4, "qwen2": 1e-4}


def examples() -> TokenPairs:
    """Five pairs of several lengths that differ from several positions on, one after its first target is read."""
    generator = torch.Generator().manual_seed(5)
    clean, other = torch.randint(0, 50, (2, 5, 12), generator=generator)
    position, start = torch.arange(12), torch.tensor([[3], [3], [6], [4], [0]])
    corrupted = torch.where((position >= start) & (position < start + 3), other, clean)
    return TokenPairs(clean, corrupted, LENGTHS, torch.tensor([1, 3, 3, 1, 2]), other[:, 0])


@st.composite
def rearrangements(draw: st.DrawFn) -> tuple[torch.Tensor, TokenPairs, int]:
    """An order, the examples in that order with more padding of any kind, and tokens a batch."""
    pairs, extra = examples(), draw(st.integers(0, 8))  # up to 20 wide: the models read 16
    order = torch.tensor(draw(st.permutations(range(len(pairs)))))
    beyond = torch.arange(pairs.clean.shape[1] + extra) >= pairs.lengths[order, None]
    clean, corrupted = (
        F.pad(side[order], (0, extra)).masked_fill(beyond, draw(st.integers(-100, 49)))
        for side in (pairs.clean, pairs.corrupted)
    )
    made = TokenPairs(
        clean, corrupted, pairs.lengths[order], pairs.target_tokens[order], pairs.wrong_token[order]
    )
    return order, made, draw(st.sampled_from([1, 10, 18, 24, 36, 10_000]))


class Reference:
    """A float64 model and what it gives for the examples as they are, all in one batch."""

    def __init__(self, folder, exact):
        self.model, self.exact = load(folder, dtype=torch.float64), exact
        graph, generator = self.model.graph, torch.Generator().manual_seed(6)
        masks = [
            graph.mask & (torch.rand(graph.mask.shape, generator=generator) < share) for share in (0.3, 0.8)
        ]
        self.circuits = [Circuit(mask, graph, 0) for mask in masks]
        self.scores = {method: self.score(method, examples(), 10_000) for method in METHODS}
        self.values = {kind: self.evaluate(kind, examples(), 10_000) for kind in INTERVENTIONS}

    def score(self, method, pairs, tokens):
        return attribution.attribute(
            self.model,
            pairs,
            method=method,
            steps=1,
            grid="midpoint",
            batch_tokens=tokens,
            examples=True,
        )

    def evaluate(self, intervention, pairs, tokens):
        return evaluation.evaluate(self.model, self.circuits, pairs, METRICS, tokens, intervention)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def reference(request, random_models):
    return Reference(random_models[request.param], EXACT[request.param])


def assert_same(found, expected, exact):
    torch.testing.assert_close(found, expected, rtol=exact, atol=exact * float(expected.abs().max()))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=4, deadline=None)
@given(rearranged=rearrangements())
def test_scores(reference, method, rearranged):
    order, pairs, tokens = rearranged
    expected, found = reference.scores[method], reference.score(method, pairs, tokens)
    float32 = max(reference.exact, 1e-6)  # what scores are kept in
    assert_same(found.values, expected.values, float32)
    assert_same(found.examples, expected.examples[order], float32)
    if expected.completeness_gap is not None:
        assert found.completeness_gap == pytest.approx(expected.completeness_gap, rel=reference.exact)


@pytest.mark.parametrize("intervention", INTERVENTIONS)
@settings(max_examples=4, deadline=None)
@given(rearranged=rearrangements())
def test_values_of_circuits(reference, intervention, rearranged):
    order, pairs, tokens = rearranged
    found = reference.evaluate(intervention, pairs, tokens)
    for metric, expected in reference.values[intervention].items():
        assert_same(found[metric], expected[:, order], reference.exact)


@settings(max_examples=4, deadline=None)
@given(rearranged=rearrangements())
def test_values_of_the_whole_model(reference, rearranged):
    order, pairs, tokens = rearranged
    expected = evaluation.evaluate_baselines(reference.model, examples(), METRICS, 10_000)
    found = evaluation.evaluate_baselines(reference.model, pairs, METRICS, tokens)
    for run, values in expected.items():
        for metric, value in values.items():
            assert_same(found[run][metric], value[order], reference.exact)
