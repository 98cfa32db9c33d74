import numpy as np
import pytest
import torch

from rewire.models import Model
from rewire.probes.pair_runs import batches
from rewire.probes.patterns import SCHEMA, first_of_groups, patterns
from rewire.probes.prompts import Prompts

HEADS = [(0, 1), (1, 0)]


@pytest.fixture(scope="module")
def frames(base: Model, prompts: Prompts):
    return [frame for batch in batches(base, prompts, 512) for frame in patterns(batch, prompts, HEADS)]


def test_the_first_prompt_of_every_group():
    assert first_of_groups(["b", "a", "b", "c", "a"]) == {0, 1, 3}


def test_the_models_own_attention(base, prompts, frames):
    """In both runs of one prompt a group, every query and head, against an ordinary forward pass with hooks."""
    assert {(f["id"][0], f["run"][0], f["layer"][0], f["head"][0]) for f in frames} == {
        (prompts.ids[number], run, *head)
        for number in first_of_groups(prompts.groups)
        for run in ("clean", "corrupted")
        for head in HEADS
    }
    for frame in frames:
        assert [name for name in frame if name != "number"] == SCHEMA.names
        tokens = getattr(prompts, frame["run"][0])[frame["number"][0]][None]
        layer, head = int(frame["layer"][0]), int(frame["head"][0])
        name = f"blocks.{layer}.attn.hook_pattern"
        with torch.no_grad():
            _, cache = base.bridge.run_with_cache(tokens, names_filter=[name])
        own = cache[name][0, head].double().numpy()
        table = np.zeros_like(own)
        table[frame["query"], frame["key"]] = frame["attention"]
        np.testing.assert_allclose(table, own, atol=1e-9)
        np.testing.assert_allclose(frame.groupby("query")["attention"].sum(), 1, atol=1e-9)
