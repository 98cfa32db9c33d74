import torch

from rewire.differential.averages import mean_over_tokens, mean_vector


def test_means_leave_out_padding_and_are_nan_where_nothing_is_real():
    values = torch.tensor([[[1.0, 2.0, 50.0], [3.0, 5.0, 50.0]], [[7.0, 8.0, 9.0], [7.0, 8.0, 9.0]]])
    real = torch.tensor([[True, True, False], [False, False, False]])
    means = mean_over_tokens(values, real[:, None])
    assert means[0].tolist() == [1.5, 4.0] and torch.isnan(means[1]).all() and means.dtype == torch.float64


def test_the_mean_vector_of_real_tokens():
    states = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [9.0, 9.0]]])
    assert mean_vector(states, torch.tensor([[True, True, False]])).tolist() == [[[2.0, 2.0]]]
