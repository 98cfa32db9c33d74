"""A PEFT adapter on every architecture: the engine sees the adapted model, exactly."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from circuits.oracle import PatchedModel, mean_nll
from circuits.random_models import ARCHITECTURES, random_adapter, random_pairs
from peft import PeftModel
from transformers import AutoModelForCausalLM

from rewire.circuits import attribution, evaluation
from rewire.circuits.selection import Circuit
from rewire.models import load

TARGETS = 2
# RMSNorm is float32 in transformers, whatever the model is in
EXACT = {"gpt2": 1e-9, "gpt_neox": 1e-9, "llama": 1e-5, "qwen2": 1e-5}


class Adapted:
    """A base model and an adapter on disk, how precisely they can be compared, and the oracle of the merged model."""

    def __init__(self, kind, base, folder):
        self.base, self.adapter = base, random_adapter(base, folder)
        self.exact = EXACT[kind]

    def unmerged(self):
        base = AutoModelForCausalLM.from_pretrained(self.base, dtype=torch.float64)
        return PeftModel.from_pretrained(base, self.adapter).eval()

    def oracle(self):
        merged = self.unmerged().merge_and_unload()
        for module in merged.modules():
            if type(module).__name__.endswith(
                "RMSNorm"
            ):  # differences of float32 are too noisy to compare with
                module.forward = partial(in_its_own_precision, module)
        return PatchedModel(merged)


def in_its_own_precision(norm, x):
    return F.rms_norm(x, x.shape[-1:], norm.weight, norm.variance_epsilon)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def adapted(request, random_models, tmp_path_factory):
    return Adapted(request.param, random_models[request.param], tmp_path_factory.mktemp("adapter"))


@pytest.fixture(scope="module")
def model(adapted):
    return load(adapted.base, adapter=adapted.adapter, dtype=torch.float64)


def test_the_engine_runs_the_adapted_model(adapted, model):
    """Against PEFT's own forward, not merged: named by its base and adapter, or by the adapter's folder alone."""
    pairs = random_pairs()
    with torch.no_grad():
        logits = adapted.unmerged()(pairs.clean).logits
        without = AutoModelForCausalLM.from_pretrained(adapted.base, dtype=torch.float64)(pairs.clean).logits
    assert (logits - without).norm() > 0.1 * without.norm()
    nll = mean_nll(logits, pairs.clean, pairs.lengths, TARGETS)
    for loaded in (model, load(adapted.adapter, dtype=torch.float64)):
        stream = loaded.stream
        found = stream.logits(stream.run(stream.embed(pairs.clean), 0, None).final)
        torch.testing.assert_close(found, logits, rtol=adapted.exact, atol=adapted.exact)
        measured = evaluation.evaluate_baselines(loaded, pairs)["clean"]["nll"]
        torch.testing.assert_close(measured, nll, rtol=adapted.exact, atol=adapted.exact)


def test_scores_are_the_derivative_of_patching_each_edge(adapted, model):
    """Central finite differences on Hugging Face's modules with the adapter merged into them, edge by edge."""
    pairs, oracle, graph, step = random_pairs(), adapted.oracle(), model.graph, 1e-4
    scores = attribution.attribute(model, pairs, method="EAP").values
    before, after = oracle.outputs(pairs.clean), oracle.outputs(pairs.corrupted)
    real = (torch.arange(pairs.clean.shape[1]) < pairs.lengths[:, None])[..., None]
    noise = 1e-6 * float(scores.abs().max())
    for u, v in graph.mask.nonzero().tolist()[::17]:
        source, destination = graph.sources[u], graph.destinations[v]
        delta = (after[source] - before[source]) * real

        def moved(sign, destination=destination, delta=delta):
            def patch(name, x):
                return x + sign * step * delta if name == destination else x

            logits = oracle.run(oracle.embed(pairs.clean), patch)
            return mean_nll(logits, pairs.clean, pairs.lengths, TARGETS).mean()

        slope = float(moved(1) - moved(-1)) / (2 * step)
        assert float(scores[u, v]) == pytest.approx(slope, rel=1e-4, abs=noise), (source, destination)


def test_circuits_equal_brute_force_path_patching(adapted, model):
    pairs, oracle, graph = random_pairs(), adapted.oracle(), model.graph
    generator = torch.Generator().manual_seed(2)
    for share in (0.2, 0.6):
        mask = graph.mask & (torch.rand(graph.mask.shape, generator=generator) < share)
        found = evaluation.evaluate(model, [Circuit(mask, graph, 0)], pairs)["nll"][0]
        edges = {
            destination: {graph.sources[u] for u in mask[:, v].nonzero().flatten().tolist()}
            for v, destination in enumerate(graph.destinations)
        }
        logits = oracle.circuit(pairs.clean, pairs.corrupted, edges)
        expected = mean_nll(logits, pairs.clean, pairs.lengths, TARGETS)
        torch.testing.assert_close(found, expected, rtol=adapted.exact, atol=adapted.exact)


@pytest.mark.filterwarnings("ignore:.*tie")
def test_an_adapter_with_its_own_head_and_biases_unties_the_embedding(adapted, tmp_path):
    """What the adapter saves whole (the unembedding, biases) is the model's; the token embedding stays the base's."""
    adapter = random_adapter(
        adapted.base, tmp_path, bias="lora_only", modules_to_save=[head_of(adapted.base)]
    )
    pairs = random_pairs()
    base = AutoModelForCausalLM.from_pretrained(adapted.base, dtype=torch.float64)
    embedding = base.get_input_embeddings().weight.detach().clone()
    with torch.no_grad():
        logits = PeftModel.from_pretrained(base, adapter).eval()(pairs.clean).logits
    stream = load(adapter, dtype=torch.float64).stream
    torch.testing.assert_close(stream.embedding, embedding, rtol=0, atol=0)
    found = stream.logits(stream.run(stream.embed(pairs.clean), 0, None).final)
    torch.testing.assert_close(found, logits, rtol=adapted.exact, atol=adapted.exact)


def head_of(base):
    """Name of the module that unembeds."""
    model = AutoModelForCausalLM.from_pretrained(base)
    return next(name for name, module in model.named_modules() if module is model.get_output_embeddings())
