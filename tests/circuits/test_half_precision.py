"""bfloat16 and float16 models: what is measured and summed is float32, whatever the activations are in."""

import pytest
import torch
import torch.nn.functional as F
from circuits.random_models import ARCHITECTURES, random_pairs
from scipy.stats import spearmanr
from transformers import AutoModelForCausalLM

from rewire.circuits import attribution, evaluation
from rewire.circuits.interventions import mean_outputs
from rewire.circuits.selection import Circuit
from rewire.models import load
from rewire.pairs import TokenPairs

METHODS = ("EAP", "EAP-IG-inputs", "clean-corrupted", "EAP-IG-activations", "information-flow-routes")
# relative norm of the difference that activations rounded to so many bits leave in these models
TOLERANCE = {torch.bfloat16: 0.1, torch.float16: 0.01}
RANKS = {torch.bfloat16: 0.95, torch.float16: 0.999}


class Halves:
    """A model in half precision (``model``), and the same rounded weights in float32 (``reference``)."""

    def __init__(self, source, folder, dtype):
        self.dtype = dtype
        AutoModelForCausalLM.from_pretrained(source, dtype=dtype).save_pretrained(folder)
        self.model, self.reference = load(folder, dtype=dtype), load(folder, dtype=torch.float32)


@pytest.fixture(scope="module", params=[(k, d) for k in ARCHITECTURES for d in TOLERANCE], ids=str)
def halves(request, random_models, tmp_path_factory):
    kind, dtype = request.param
    return Halves(random_models[kind], tmp_path_factory.mktemp("half"), dtype)


def relative(found, expected):
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_float32_and_close_to_the_float32_models(halves, method):
    pairs, edges = random_pairs(), halves.model.graph.mask
    found = attribution.attribute(halves.model, pairs, method=method).values
    expected = attribution.attribute(halves.reference, pairs, method=method).values
    assert found.dtype == torch.float32 and found.isfinite().all()
    assert relative(found, expected) < TOLERANCE[halves.dtype]
    # in the ranks of scores near zero is rounding alone, another on another processor
    leading = edges & (expected.abs() >= expected[edges].abs().max() / 100)
    assert leading.sum() > 40
    assert spearmanr(found[leading], expected[leading]).statistic > RANKS[halves.dtype]


def test_steps_are_averaged_in_float32(halves):
    """A method's gradients are the mean of those of its parts: to float32 tolerance, the runs being the same."""

    def scores(method, steps=1, grid="left"):
        return attribution.attribute(halves.model, random_pairs(), "nll", method, steps, grid).values

    ends = (scores("EAP") + scores("EAP-IG-inputs")) / 2
    assert relative(scores("clean-corrupted"), ends) < 1e-6
    for method in ("EAP-IG-inputs", "EAP-IG-activations"):
        parts = (scores(method, 2) + scores(method, 2, "midpoint")) / 2
        assert relative(scores(method, 4), parts) < 1e-6


@pytest.mark.parametrize("method", ["EAP-IG-inputs", "information-flow-routes"])
def test_many_examples_lose_nothing(halves, method):
    """21 copies score as one does, and the mean score is the mean of the examples' scores: in batches or in one."""
    pairs = random_pairs().subset(torch.tensor([1]))
    copies = pairs.subset(torch.zeros(21, dtype=torch.long))
    once = attribution.attribute(halves.model, pairs, method=method, steps=2)
    often = attribution.attribute(halves.model, copies, method=method, steps=2, batch_tokens=1)
    assert relative(often.values, once.values) < 1e-6
    three = random_pairs().subset(torch.arange(21) % 3)
    kept = attribution.attribute(halves.model, three, method=method, steps=2, examples=True)
    mean = torch.zeros_like(kept.values)
    mean[halves.model.graph.mask] = kept.examples.double().mean(0).float()
    assert relative(kept.values, mean) < 1e-6


def test_each_flow_is_a_share_to_float32_tolerance(halves):
    """They sum to one over the sources of a destination, but where nothing is near what is read."""
    totals = [
        attribution.attribute(model, random_pairs(), method="information-flow-routes").values.sum(0)
        for model in (halves.model, halves.reference)
    ]
    torch.testing.assert_close(*totals, rtol=1e-6, atol=1e-6)


def test_metrics_are_measured_in_float32(halves):
    pairs, stream = random_pairs(), halves.model.stream
    values = evaluation.evaluate_baselines(halves.model, pairs, ["nll", "kl"])
    for i, (length, targets) in enumerate(
        zip(pairs.lengths.tolist(), pairs.target_tokens.tolist(), strict=True)
    ):
        tokens = pairs.clean[i : i + 1, :length].to(stream.embedding.device)
        logits = stream.logits(stream.run(stream.embed(tokens), 0, None).final)[0]
        assert logits.dtype == halves.dtype
        expected = F.cross_entropy(logits[-1 - targets : -1].float(), tokens[0, -targets:])
        # what is left is the activations of a batch against those of one example
        assert float(values["clean"]["nll"][i]) == pytest.approx(
            float(expected), rel=TOLERANCE[halves.dtype] / 10
        )
    for run in values.values():
        assert all(value.dtype == torch.float32 and value.isfinite().all() for value in run.values())
    assert values["clean"]["kl"].abs().max() == 0
    assert torch.any(values["clean"]["nll"].to(halves.dtype).float() != values["clean"]["nll"])


def test_circuits_run_as_the_float32_models(halves):
    graph, pairs = halves.model.graph, random_pairs()
    generator = torch.Generator().manual_seed(1)
    masks = [
        graph.mask & (torch.rand(graph.mask.shape, generator=generator) < share) for share in (0, 0.4, 1)
    ]
    circuits = [Circuit(mask, graph, 0) for mask in masks]
    found = evaluation.evaluate(halves.model, circuits, pairs)["nll"]
    expected = evaluation.evaluate(halves.reference, circuits, pairs)["nll"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=TOLERANCE[halves.dtype] / 2, atol=0)
    baselines = evaluation.evaluate_baselines(halves.model, pairs)
    torch.testing.assert_close(found[0], baselines["corrupted"]["nll"], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found[2], baselines["clean"]["nll"], rtol=TOLERANCE[halves.dtype] / 2, atol=0)


@pytest.mark.parametrize("positional", [False, True])
def test_means_count_every_example(halves, positional):
    """bfloat16 counts to 256, float16 to 2,048: of 300 examples one way and 300 another, each has half the weight."""
    pairs, stream = random_pairs(), halves.model.stream
    pairs = TokenPairs(pairs.clean[[0, 2]], pairs.corrupted[[0, 2]])
    first, second = (mean_outputs(stream, pairs.subset(torch.tensor([i])), positional, 1) for i in (0, 1))
    both = mean_outputs(stream, pairs.subset(torch.arange(600) // 300), positional, 90)
    for kind in ("embedding", "z", "mlp_out"):
        parts = [getattr(mean, kind) for mean in (first, second, both)]
        for one, other, half in zip(*[[x] if kind == "embedding" else x for x in parts], strict=True):
            step = torch.finfo(halves.dtype).eps * max(float(one.abs().max()), float(other.abs().max()))
            assert half.dtype == halves.dtype
            torch.testing.assert_close(half.float(), (one.float() + other.float()) / 2, rtol=0, atol=step)
