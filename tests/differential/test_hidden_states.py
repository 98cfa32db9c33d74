"""Hidden-state measures against the definitions on whole matrices, their invariances and their undefined cases."""

import pytest
import torch
from scipy.stats import pearsonr

from rewire.differential.hidden_states import evenly_spaced, hidden_state_measures, linear_cka


def states(seed, *shape, near=None):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return x if near is None else near + 1e-4 * x


def everything(lengths, n):
    return torch.arange(n) < torch.tensor(lengths)[:, None]


def test_measures_are_those_of_the_definitions():
    p, q = states(0, 3, 9, 5) + 2, states(1, 3, 9, 5) + 1
    real = everything([9, 4, 7], 9)
    found = hidden_state_measures(p, q, real, positions=20)
    for i, length in enumerate([9, 4, 7]):
        a, b = p[i, :length], q[i, :length]
        cosine = torch.nn.functional.cosine_similarity
        assert found["cosine_distance"][i].item() == pytest.approx(1 - cosine(a, b).mean().item())
        a0, b0 = a - a.mean(0), b - b.mean(0)
        assert found["centred_cosine_distance"][i].item() == pytest.approx(1 - cosine(a0, b0).mean().item())
        cka = (b0.T @ a0).norm() ** 2 / ((a0.T @ a0).norm() * (b0.T @ b0).norm())
        assert found["cka"][i].item() == pytest.approx(cka.item())
        upper = torch.triu_indices(length, length, 1)
        similar = [cosine(x[:, None], x[None], dim=-1)[upper[0], upper[1]] for x in (a, b)]
        assert found["rsa"][i].item() == pytest.approx(pearsonr(*similar).statistic)


def test_a_model_against_itself():
    p = states(2, 2, 6, 8).float()
    found = hidden_state_measures(p, p, everything([6, 5], 6), 64)
    assert (found["cosine_distance"] == 0).all() and (found["centred_cosine_distance"] == 0).all()
    for name in ("cka", "rsa"):
        torch.testing.assert_close(found[name], torch.ones(2, dtype=torch.float64), rtol=1e-12, atol=0)


def test_small_distances_keep_their_digits():
    p = states(3, 1, 6, 8) + 3
    q = states(4, 1, 6, 8, near=p)
    real = torch.ones(1, 6, dtype=torch.bool)
    exact = hidden_state_measures(p, q, real, 64)["cosine_distance"].item()
    rounded = hidden_state_measures(p.float(), q.float(), real, 64)["cosine_distance"].item()
    assert exact < 1e-7 and rounded == pytest.approx(exact, rel=1e-2)


def test_turning_and_scaling_the_space_leaves_cka_and_rsa():
    p, q = states(5, 2, 8, 6), states(6, 2, 8, 6)
    rotation, _ = torch.linalg.qr(states(7, 6, 6))
    real = everything([8, 6], 8)
    before, after = (hidden_state_measures(p, x, real, 64) for x in (q, 3 * q @ rotation))
    for name in ("cka", "rsa"):
        torch.testing.assert_close(before[name], after[name])
    assert not torch.allclose(before["cosine_distance"], after["cosine_distance"])


def test_a_common_direction_hides_differences_from_the_cosine_but_not_from_the_centred_one():
    p, q = states(8, 1, 20, 6), states(9, 1, 20, 6)
    shift = 100 * torch.ones(6, dtype=torch.float64)
    found = hidden_state_measures(p + shift, q + shift, torch.ones(1, 20, dtype=torch.bool), 64)
    assert found["cosine_distance"].item() < 1e-3 and found["centred_cosine_distance"].item() > 0.3


def test_positions_are_spread_over_the_example_whatever_the_padding():
    index, used = evenly_spaced(everything([12, 3, 5], 12), 4)
    assert index.tolist() == [[0, 3, 6, 9], [0, 1, 2, 0], [0, 1, 2, 3]]
    assert used.tolist() == [[True] * 4, [True, True, True, False], [True] * 4]
    longer, _ = evenly_spaced(everything([12, 3, 5], 30), 4)
    assert torch.equal(index, longer)


def test_cka_by_gram_matrices_ignores_padding():
    p, q = states(10, 1, 6, 3), states(11, 1, 6, 3)
    used = torch.tensor([[True] * 4 + [False] * 2])
    torch.testing.assert_close(linear_cka(p, q, used), linear_cka(p[:, :4], q[:, :4], used[:, :4]))


def test_undefined_measures_are_nan():
    p, q = states(12, 3, 4, 5), states(13, 3, 4, 5)
    found = hidden_state_measures(p, q, everything([1, 2, 4], 4), 64)
    undefined = {name: torch.isnan(values).tolist() for name, values in found.items()}
    assert undefined == {
        "cosine_distance": [False, False, False],
        "centred_cosine_distance": [True, False, False],
        "cka": [True, False, False],
        "rsa": [True, True, False],
    }
