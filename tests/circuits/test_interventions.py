import pytest
import torch
from circuits.random_models import random_pairs

from rewire.circuits import attribution, evaluation
from rewire.circuits.interventions import mean_outputs
from rewire.circuits.selection import Circuit
from rewire.errors import InputError
from rewire.models import load
from rewire.pairs import TokenPairs


@pytest.mark.parametrize("metric", ["nll", "logit_diff"])
def test_zero_scores_are_the_published_librarys(case, metric):
    expected = case.tensors[f"scores.EAP-zero.{metric}"]
    scores = attribution.attribute(case.model, case.pairs, metric, "EAP", intervention="zero")
    assert (scores.values - expected).norm() <= 1e-4 * expected.norm()


@pytest.mark.parametrize("metric", ["nll", "logit_diff"])
def test_exact_scores_are_the_published_librarys(case, metric):
    expected = case.tensors[f"scores.exact.{metric}"]
    scores = attribution.attribute(case.model, case.pairs, metric, "exact")
    # differences of float32 metrics: 1e-6 either side, whatever the size of the difference
    torch.testing.assert_close(scores.values, expected, rtol=1e-4, atol=2e-6)


def test_zero_ablated_circuits_are_the_published_librarys(case):
    compared = 0
    for name in case.names("evaluate.zero."):
        metric = name.split(".")[1]
        circuit = Circuit(case.tensors[f"in_graph.{name}"].bool(), case.model.graph, 0)
        values = evaluation.evaluate(case.model, [circuit], case.pairs, [metric], intervention="zero")[
            metric
        ][0]
        expected = case.tensors[f"evaluate.zero.{name}"]
        torch.testing.assert_close(values, expected, rtol=1e-4, atol=2e-6)
        compared += 1
    assert compared >= 20


@pytest.mark.parametrize("intervention", ["zero", "mean", "mean-positional"])
def test_the_whole_graph_is_clean_whatever_the_intervention(case, intervention):
    graph = case.model.graph
    whole = Circuit(graph.mask, graph, graph.n_edges)
    values = evaluation.evaluate(case.model, [whole], case.pairs, ["nll"], intervention=intervention)["nll"][
        0
    ]
    expected = evaluation.evaluate_baselines(case.model, case.pairs, ["nll"])["clean"]["nll"]
    torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-5)


def test_the_positional_mean_of_one_example_is_the_example(case):
    """Every edge then carries what it carries anyway: any circuit is the clean run."""
    one = case.pairs.subset(torch.tensor([0]))
    graph = case.model.graph
    empty = Circuit(torch.zeros_like(graph.mask), graph, 0)
    values = evaluation.evaluate(case.model, [empty], one, ["nll"], intervention="mean-positional")["nll"]
    expected = evaluation.evaluate_baselines(case.model, one, ["nll"])["clean"]["nll"]
    torch.testing.assert_close(values[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "llama"])
def test_means_are_over_real_tokens_and_examples(random_models, kind):
    stream, pairs = load(random_models[kind], dtype=torch.float64).stream, random_pairs()
    outputs, embeddings = [], []
    for row, length in enumerate(pairs.lengths.tolist()):
        tokens = pairs.clean[row : row + 1, :length]
        outputs.append(stream.run(stream.embed(tokens), 0, None).mlp_out[1][0])
        embeddings.append(stream.embed(tokens)[0])
    for batch_tokens in (1, 10_000):
        mean = mean_outputs(stream, pairs, False, batch_tokens)
        torch.testing.assert_close(mean.mlp_out[1][0], torch.cat(outputs).mean(0))
        torch.testing.assert_close(mean.embedding[0], torch.cat(embeddings).mean(0))
        positional = mean_outputs(stream, pairs, True, batch_tokens)
        for position in (0, 7, 8):  # the second example has no position 8
            seen = torch.stack([x[position] for x in outputs if len(x) > position])
            torch.testing.assert_close(positional.mlp_out[1][position], seen.mean(0))


def test_padding_and_batches_change_no_mean(case):
    p = case.pairs
    padding = torch.full((len(p), 1), 5)
    wider = TokenPairs(
        torch.cat([p.clean, padding], 1), torch.cat([p.corrupted, padding], 1), p.lengths, p.target_tokens
    )
    graph = case.model.graph
    half = Circuit(graph.mask & (torch.rand(graph.mask.shape) < 0.5), graph, 0)
    for intervention in ("zero", "mean", "mean-positional"):
        a = evaluation.evaluate(case.model, [half], p, ["nll"], 10_000, intervention)["nll"]
        for pairs, tokens in ((p, 1), (wider, 50)):
            if pairs.clean.shape[1] <= case.model.stream.context:
                b = evaluation.evaluate(case.model, [half], pairs, ["nll"], tokens, intervention)["nll"]
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_unknown_and_unfitting_interventions_are_refused(case):
    with pytest.raises(InputError, match="'median'"):
        attribution.attribute(case.model, case.pairs, method="EAP", intervention="median")
    with pytest.raises(InputError, match="EAP-IG-inputs.*patching"):
        attribution.attribute(case.model, case.pairs, intervention="zero")
