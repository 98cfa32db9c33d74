import pytest
import torch
from circuits.oracle import PatchedModel, mean_nll
from circuits.random_models import random_pairs
from transformers import AutoModelForCausalLM

from rewire.circuits import attribution
from rewire.circuits.grouped_query import key_value_sums
from rewire.errors import InputError
from rewire.models import load


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_sums_are_the_derivative_of_patching_the_shared_head(random_models, kind):
    """What all query heads of a group read is moved together, on Hugging Face's modules."""
    model = load(random_models[kind], dtype=torch.float64)
    oracle = PatchedModel(AutoModelForCausalLM.from_pretrained(random_models[kind]))
    pairs, graph, groups, step = random_pairs(), model.graph, model.stream.n_groups, 1e-2
    scores = attribution.attribute(model, pairs, method="EAP")
    sums = key_value_sums(scores, groups)
    assert groups == 2 and sums.shape == (graph.n_sources, graph.n_layers, 2, groups)
    before, after = oracle.outputs(pairs.clean), oracle.outputs(pairs.corrupted)
    for source, layer, letter, group in ((0, 0, "k", 1), (3, 1, "v", 0), (5, 1, "k", 1)):
        delta = after[graph.sources[source]] - before[graph.sources[source]]
        heads = range(group * graph.n_heads // groups, (group + 1) * graph.n_heads // groups)
        shared = {f"a{layer}.h{head}<{letter}>" for head in heads}

        def nll(sign, delta=delta, shared=shared):
            logits = oracle.run(
                oracle.embed(pairs.clean), lambda name, x: x + sign * step * delta if name in shared else x
            )
            return mean_nll(logits, pairs.clean, pairs.lengths, 2).mean()

        expected = float(nll(1) - nll(-1)) / (2 * step)
        found = float(sums[source, layer, "kv".index(letter), group])
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-3 * float(scores.values.abs().max()))


def test_without_sharing_the_sums_are_the_scores(case):
    scores = attribution.attribute(case.model, case.pairs)
    sums = key_value_sums(scores, case.model.graph.n_heads)
    column = case.model.graph.destinations.index("a1.h0<v>")
    assert torch.equal(sums[:, 1, 1, 0], scores.values[:, column])


def test_scores_of_nodes_and_odd_groups_are_refused(case):
    scores = attribution.attribute(case.model, case.pairs)
    with pytest.raises(InputError, match="do not divide"):
        key_value_sums(scores, case.model.graph.n_heads + 1)
    with pytest.raises(InputError, match="level 'node'"):
        key_value_sums(attribution.attribute(case.model, case.pairs, level="node"), 1)
