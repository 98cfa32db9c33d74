"""Models that are not finite somewhere: the example and the place are named, and nothing else is refused."""

import pytest
import torch
from circuits.random_models import random_pairs
from transformers import AutoModelForCausalLM

from rewire.circuits import attribution, evaluation, selection
from rewire.errors import InputError
from rewire.models import load
from rewire.pairs import TokenPairs

NAN, INF = float("nan"), float("inf")
# model, parameter, which of it, value -> example, run, place
BROKEN = {
    "a bias": ("gpt2", "transformer.h.1.mlp.c_proj.bias", 0, NAN, 1, "clean", r"layer 1 \(mlp_out\)"),
    "infinite": (
        "gpt2",
        "transformer.h.1.attn.c_proj.bias",
        3,
        INF,
        1,
        "clean",
        r"layer 1 \(attention_out\)",
    ),
    "a head": ("gpt2", "transformer.h.2.attn.c_attn.bias", 31, NAN, 1, "clean", r"layer 2 \(head 1\)"),
    "a position": ("gpt2", "transformer.wpe.weight", 7, NAN, 0, "clean", r"layer 0 \(residual\)"),
    "the final norm": ("gpt2", "transformer.ln_f.bias", 0, NAN, 1, "clean", "the final norm"),
    "the unembedding": ("llama", "lm_head.weight", 49, NAN, 1, "clean", "the logits"),
    "a corrupted token": (
        "llama",
        "model.embed_tokens.weight",
        None,
        NAN,
        2,
        "corrupted",
        r"layer 0 \(residual\)",
    ),
}
METHODS = {
    "EAP-IG-inputs": {},
    "EAP": {"method": "EAP"},
    "nodes": {"method": "EAP", "level": "node"},
    "activations": {"method": "EAP-IG-activations", "intervention": "zero"},
    "mean": {"method": "EAP", "intervention": "mean"},
    "exact": {"method": "exact", "level": "node"},
}


@pytest.fixture(scope="module", params=BROKEN)
def broken(request, random_models, tmp_path_factory):
    """A model, its pairs (the shortest, example 1, comes first), and what is to be said of them."""
    kind, name, which, value, example, side, place = BROKEN[request.param]
    pairs, folder = random_pairs(), tmp_path_factory.mktemp("broken")
    if which is None:  # a token of the last example's corrupted side alone
        which = next(t for t in range(50) if t not in pairs.clean and t not in pairs.corrupted)
        pairs.corrupted[2, 4] = which
    model = AutoModelForCausalLM.from_pretrained(random_models[kind])
    with torch.no_grad():
        model.get_parameter(name)[which] = value
    model.save_pretrained(folder)
    return load(folder), pairs, rf"^example {example}: its {side} run is not finite from {place} on$"


@pytest.mark.parametrize("method", METHODS)
def test_attribution_names_the_example_and_the_place(broken, method):
    model, pairs, message = broken
    for tokens in (1, 1000):
        with pytest.raises(InputError, match=message):
            attribution.attribute(model, pairs, batch_tokens=tokens, **METHODS[method])


@pytest.mark.parametrize("metric", ["nll", "kl", "accuracy"])
def test_evaluation_names_the_example_and_the_place(broken, metric):
    model, pairs, message = broken
    for tokens in (1, 1000):
        with pytest.raises(InputError, match=message):
            evaluation.evaluate_baselines(model, pairs, [metric], tokens)
        with pytest.raises(InputError, match=message):
            evaluation.evaluate(model, [selection.empty(model.graph)], pairs, [metric], tokens)


def test_information_flow_routes_name_them_too(random_models, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(random_models["gpt2"])
    with torch.no_grad():
        model.transformer.h[1].mlp.c_proj.bias[0] = NAN
    model.save_pretrained(tmp_path)
    with pytest.raises(
        InputError, match=r"^example 1: its clean run is not finite from layer 1 \(mlp_out\) on$"
    ):
        attribution.attribute(load(tmp_path), random_pairs(), method="information-flow-routes")


def test_examples_that_a_broken_weight_does_not_touch_are_measured(random_models, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(random_models["gpt2"])
    with torch.no_grad():
        model.transformer.wpe.weight[7] = NAN
    model.save_pretrained(tmp_path)
    short = random_pairs().subset(torch.tensor([1]))
    assert torch.isfinite(attribution.attribute(load(tmp_path), short).values).all()
    assert torch.isfinite(evaluation.evaluate_baselines(load(tmp_path), short)["clean"]["nll"]).all()


def test_what_has_no_value_by_definition_is_not_refused(case, monkeypatch):
    """Identical pairs have no completeness gap, a circuit's own run may overflow; nothing is run twice to find out."""
    monkeypatch.setattr("rewire.circuits.finite.refuse_broken_runs", lambda *_: pytest.fail("run again"))
    p = case.pairs
    same = TokenPairs(p.clean, p.clean, p.lengths, p.target_tokens)
    assert torch.isnan(torch.tensor(attribution.attribute(case.model, same).completeness_gap))
    whole = selection.whole(case.model.graph)
    assert torch.isfinite(evaluation.evaluate(case.model, [whole], p)["nll"]).all()
    run_circuit = evaluation.run_circuit
    monkeypatch.setattr(evaluation, "run_circuit", lambda *given: run_circuit(*given) * INF)
    assert not torch.isfinite(evaluation.evaluate(case.model, [whole], p)["nll"]).any()


def test_scores_that_overflow_without_the_runs_are_refused(case, monkeypatch):
    scores = attribution.EdgeGradients.scores
    monkeypatch.setattr(attribution.EdgeGradients, "scores", lambda self: scores(self) * 1e300 * 1e300)
    with pytest.raises(InputError, match=r"^example \d: its scores are not finite$"):
        attribution.attribute(case.model, case.pairs)
