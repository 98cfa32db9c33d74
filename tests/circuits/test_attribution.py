import math

import pytest
import torch
from circuits.oracle import PatchedModel, mean_nll
from circuits.random_models import ARCHITECTURES, random_pairs
from transformers import AutoModelForCausalLM

from rewire.circuits import attribution, selection
from rewire.errors import InputError
from rewire.models import load
from rewire.pairs import TokenPairs

METHODS = ("EAP", "EAP-IG-inputs", "clean-corrupted", "EAP-IG-activations")
SELECT = {"topn": selection.top_n, "greedy": selection.greedy}


@pytest.mark.parametrize("metric", ["nll", "logit_diff", "kl"])
@pytest.mark.parametrize("method", METHODS)
def test_scores_and_circuits_are_the_published_librarys(case, method, metric):
    expected = case.tensors.get(f"scores.{method}.{metric}")
    if expected is None:
        assert (method, metric) == ("EAP", "kl")  # its gradient is 0 on the clean run
        return
    options = (
        {"steps": 3, "grid": "right"} if method == "EAP-IG-activations" else {"steps": 5, "grid": "left"}
    )
    scores = attribution.attribute(case.model, case.pairs, metric, method, **options)
    assert (scores.values - expected).norm() <= 1e-4 * expected.norm()
    torch.testing.assert_close(scores.values, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    compared = 0
    for name in case.names(f"in_graph.{method}.{metric}."):
        rule, n = name.split(".")
        circuit = SELECT[rule](scores, int(n))
        assert torch.equal(circuit.mask, case.tensors[f"in_graph.{method}.{metric}.{name}"].bool()), name
        compared += 1
    assert compared == (
        0
        if method in ("clean-corrupted", "EAP-IG-activations")
        else len(case.names(f"in_graph.{method}.{metric}.")) or -1
    )


def test_batch_size_padding_and_order_change_nothing(case):
    reference = attribution.attribute(case.model, case.pairs, batch_tokens=10_000)
    longest = int(case.pairs.lengths.max())
    for tokens in (1, 3 * longest):
        again = attribution.attribute(case.model, case.pairs, batch_tokens=tokens)
        torch.testing.assert_close(again.values, reference.values, rtol=1e-4, atol=1e-7)
        assert math.isclose(again.completeness_gap, reference.completeness_gap, rel_tol=1e-3)
    p = case.pairs
    order = torch.randperm(len(p), generator=torch.Generator().manual_seed(0))
    permuted = TokenPairs(p.clean[order], p.corrupted[order], p.lengths[order], p.target_tokens[order])
    shuffled = attribution.attribute(case.model, permuted, batch_tokens=10_000)
    torch.testing.assert_close(shuffled.values, reference.values, rtol=1e-4, atol=1e-7)
    room = case.model.stream.context - p.clean.shape[1]
    padding = torch.full((len(p), room), 7)
    wider = TokenPairs(
        torch.cat([p.clean, padding], 1), torch.cat([p.corrupted, padding + 1], 1), p.lengths, p.target_tokens
    )
    padded = attribution.attribute(case.model, wider, batch_tokens=10_000)
    torch.testing.assert_close(padded.values, reference.values, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("method", "alphas"), [("EAP", [1.0]), ("EAP-IG-inputs", [1 / 6, 0.5, 5 / 6])])
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_scores_are_the_derivative_of_patching_each_edge(random_models, kind, method, alphas):
    """Central finite differences in float64 on Hugging Face's own modules, edge by edge."""
    folder = random_models[kind]
    model = load(folder, dtype=torch.float64)
    oracle = PatchedModel(AutoModelForCausalLM.from_pretrained(folder))
    pairs = random_pairs()
    clean, corrupted, lengths, targets = pairs.clean, pairs.corrupted, pairs.lengths, 2
    scores = attribution.attribute(model, pairs, "nll", method, steps=3, grid="midpoint")
    before, after = oracle.outputs(clean), oracle.outputs(corrupted)
    graph, step = model.graph, 1e-4
    real = (torch.arange(clean.shape[1]) < lengths[:, None])[..., None]
    largest = float(scores.values.abs().max())
    for u, source in list(enumerate(graph.sources))[::3]:
        delta = (after[source] - before[source]) * real
        for v, destination in list(enumerate(graph.destinations))[::5]:
            if not graph.mask[u, v]:
                assert scores.values[u, v] == 0
                continue
            slopes = []
            for alpha in alphas:
                embedding = oracle.embed(corrupted) + alpha * (oracle.embed(clean) - oracle.embed(corrupted))
                values = []
                for sign in (1, -1):

                    def patch(name, x, sign=sign, destination=destination, delta=delta):
                        return x + sign * step * delta if name == destination else x

                    values.append(mean_nll(oracle.run(embedding, patch), clean, lengths, targets).mean())
                slopes.append((values[0] - values[1]) / (2 * step))
            expected = torch.stack(slopes).mean().item()
            # RMSNorm is float32 in transformers, whatever the model is in: differences of it are noisy
            noise = 1e-8 if kind in ("gpt2", "gpt_neox") else 2e-3 * largest
            assert float(scores.values[u, v]) == pytest.approx(expected, rel=1e-4, abs=noise), (
                source,
                destination,
            )


def test_completeness_gap_vanishes_with_more_steps(case):
    gaps = [
        attribution.attribute(case.model, case.pairs, steps=steps, grid="midpoint").completeness_gap
        for steps in (2, 8, 64)
    ]
    assert gaps[2] < 0.01 and gaps[2] < gaps[0]


def test_identical_pairs_score_exactly_zero(case):
    p = case.pairs
    scores = attribution.attribute(case.model, TokenPairs(p.clean, p.clean, p.lengths, p.target_tokens))
    assert not scores.values.any() and math.isnan(scores.completeness_gap)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"method": "magic"}, "magic"),
        ({"grid": "up"}, "up"),
        ({"steps": 0}, "0 steps"),
        ({"metric": "m"}, "'m'"),
        ({"metric": "accuracy"}, "no gradient"),
        ({"metric": "kl_reverse", "method": "EAP"}, "kl_reverse: its gradient on the clean run is 0"),
    ],
)
def test_unknown_options_are_named(case, options, word):
    with pytest.raises(InputError, match=word):
        attribution.attribute(case.model, case.pairs, **options)


def test_too_long_examples_are_refused(case):
    tokens = torch.zeros(1, case.model.stream.context + 2, dtype=torch.long)
    with pytest.raises(InputError, match="context"):
        attribution.attribute(case.model, TokenPairs(tokens, tokens))


def test_the_last_token_is_not_read_and_needs_no_room(case):
    generator = torch.Generator().manual_seed(0)
    clean = torch.randint(0, 50, (2, case.model.stream.context + 1), generator=generator)
    corrupted = clean.clone()
    corrupted[:, 3] = 7
    pairs = TokenPairs(clean, corrupted, target_tokens=2)
    scores = attribution.attribute(case.model, pairs, steps=50, grid="midpoint")
    assert scores.completeness_gap < 0.05
    for option in ({"method": "information-flow-routes"}, {"method": "EAP", "intervention": "mean"}):
        with pytest.raises(InputError, match="context"):
            attribution.attribute(case.model, pairs, **option)


def test_no_gradient_is_left_on_the_model(case):
    attribution.attribute(case.model, case.pairs)
    assert all(p.grad is None and not p.requires_grad for p in case.model.bridge.parameters())
