"""Critical layers and the rank of a neuron, from the tables of the differential analysis."""

import numpy as np
import pytest
from differential_examples import made_up_examples, made_up_neurons
from hypothesis import given, settings
from hypothesis import strategies as st

from rewire.claims.differential import critical_among, neuron_rank
from rewire.claims.frames import NotRun
from rewire.differential.tables import write_examples


@pytest.fixture
def tables(tmp_path):
    """Changes grow with the layer: of 4 layers the last ones are the most critical."""
    paths = {name: tmp_path / f"{name}.parquet" for name in ("layers", "heads")}
    write_examples(made_up_examples(n=20), paths["layers"], paths["heads"])
    return paths | {"neurons": made_up_neurons(tmp_path / "neurons.parquet")}


@pytest.mark.parametrize(("published", "shared"), [((2, 3), 2), ((0, 3), 1), ((0, 1), 0)])
def test_critical_layers_are_counted(tables, published, shared):
    found = critical_among(*published)(tables)
    assert (found.value, found.n) == (shared, 20)
    assert 0 <= found.low <= shared <= found.high <= 2


def test_a_resample_can_change_which_layers_are_critical(tmp_path):
    """Layers that change alike: the interval says that two of four is as good as a guess."""
    examples = made_up_examples(n=8, seed=3)
    noise = np.random.default_rng(0)
    for measure in ("attention_kl", "entropy"):
        examples.heads[measure][:] = noise.lognormal(0, 1, examples.heads[measure].shape)
    examples.layers["norm"][:] = examples.layers["norm_base"] * noise.lognormal(
        0, 0.5, examples.layers["norm"].shape
    )
    paths = {name: tmp_path / f"{name}.parquet" for name in ("layers", "heads")}
    write_examples(examples, paths["layers"], paths["heads"])
    found = critical_among(1, 2)(paths)
    assert found.low < found.high


def test_a_model_without_the_layer_or_neuron_is_not_run(tables):
    for measure in (critical_among(2, 3, 5), neuron_rank(5, 304), neuron_rank(1, 16)):
        with pytest.raises(NotRun):
            measure(tables)
    for measure in (critical_among(2, 3), neuron_rank(1, 3)):
        with pytest.raises(NotRun):
            measure({})


@settings(deadline=None)
@given(seed=st.integers(0, 50), neuron=st.integers(0, 15))
def test_the_rank_of_a_neuron(tmp_path_factory, seed, neuron):
    path = made_up_neurons(tmp_path_factory.mktemp("neurons") / "neurons.parquet", seed=seed)
    found = neuron_rank(2, neuron)({"neurons": path})
    assert 1 <= found.low <= found.high <= 16
    if neuron == 3:  # the one that changes by far the most
        assert (found.value, found.low) == (1, 1)
    else:
        assert found.value > 1


def test_no_interval_without_a_standard_error(tmp_path):
    path = made_up_neurons(tmp_path / "neurons.parquet", n=4)
    found = neuron_rank(0, 3)({"neurons": path})
    assert found.value == 1
    assert np.isnan(found.low)
