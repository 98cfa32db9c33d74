import pytest
import torch

from rewire.differential.magnitudes import magnitudes


def test_they_are_means_over_real_tokens():
    x = torch.tensor([[[3.0, -4.0], [0.0, 2.0], [9.0, 9.0]], [[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]])
    real = torch.tensor([[True, True, False], [True, True, True]])
    found = magnitudes(x, 2 * x, real)
    assert found["norm_base"].tolist() == pytest.approx([(5 + 2) / 2 / 2**0.5, 1.0])
    assert found["mean_absolute_base"].tolist() == pytest.approx([(3.5 + 1) / 2, 1.0])
    for name in ("norm", "mean_absolute"):
        torch.testing.assert_close(found[name], 2 * found[f"{name}_base"])


def test_padding_may_be_anything():
    x = torch.ones(1, 3, 4)
    broken = x.clone()
    broken[0, 2] = float("nan")
    real = torch.tensor([[True, True, False]])
    assert magnitudes(x, broken, real)["norm"].item() == pytest.approx(1.0)
