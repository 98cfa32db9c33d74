import torch

from rewire.circuits import attribution, flow_routes
from rewire.pairs import TokenPairs


def test_shares_are_the_published_librarys(case):
    """Where no source is close to what is read, the published library divides 0 by 0; ours gives 0."""
    expected = case.tensors["scores.information-flow-routes"]
    known = torch.isfinite(expected)
    for tokens in (1, 10_000):
        scores = attribution.attribute(
            case.model, case.pairs, method="information-flow-routes", batch_tokens=tokens
        )
        torch.testing.assert_close(scores.values[known], expected[known], rtol=1e-4, atol=1e-6)
        assert torch.isfinite(scores.values).all() and scores.values.min() >= 0
        assert scores.values.sum(0).max() <= 1 + 1e-5 and not scores.values[~case.model.graph.mask].any()
    assert known.float().mean() > 0.5


def test_shares_by_definition(case):
    """One example, plain loops."""
    one = case.pairs.subset(torch.tensor([1]))
    stream, graph = case.model.stream, case.model.graph
    embedding = stream.embed(one.clean)
    trace = stream.run(embedding, 0, None)
    outputs = flow_routes.source_outputs(stream, embedding, trace)[0]
    found = attribution.attribute(case.model, one, method="information-flow-routes").values
    for v, read in ((graph.n_destinations - 1, trace.final[0]), (0, trace.residual[0][0])):
        sources = int(graph.readable[v])
        share = torch.zeros(sources)
        for t in range(read.shape[0]):
            near = [
                max(float(read[t].abs().sum() - (read[t] - outputs[u, t]).abs().sum()), 0)
                for u in range(sources)
            ]
            if sum(near):
                share += torch.tensor(near) / sum(near) / read.shape[0]
        torch.testing.assert_close(found[:sources, v], share, rtol=1e-4, atol=1e-6)


def test_the_corrupted_run_does_not_matter(case):
    p = case.pairs
    same = TokenPairs(p.clean, p.clean, p.lengths, p.target_tokens)
    a, b = (attribution.attribute(case.model, x, method="information-flow-routes").values for x in (p, same))
    assert torch.equal(a, b)
