"""Every neuron of a layer: its patches by hand, its ranks, its tokens, its direct effect in the last layer."""

import numpy as np
import pandas as pd
import pytest
import torch
from probes.hooks import Hooks
from scipy import stats

from rewire.errors import InputError
from rewire.probes.neuron_tables import neuron_tables
from rewire.probes.pair_runs import baselines
from rewire.probes.patches import every
from rewire.probes.runs import output_matrix

SETTINGS = {"layers": [0, 1], "position": "last", "top": 2, "tokens": 4, "batch_tokens": 256}


@pytest.fixture(scope="module")
def tables(base, prompts):
    rows, examples = neuron_tables(base, prompts, SETTINGS)
    return pd.DataFrame(rows), examples


def test_shares_are_those_of_hooked_forwards(tables, base, prompts):
    """Two neurons a layer in every prompt, by TransformerLens' hooks; the share is a ratio of means."""
    rows, examples = tables
    for layer in (0, 1):
        leading = rows[(rows["group"] == "all") & (rows["layer"] == layer) & (rows["rank"] <= 2)]
        for neuron in leading["neuron"]:
            found = []
            for i in range(len(prompts)):
                pair = prompts.clean[i][None], prompts.corrupted[i][None]
                hooks = Hooks(base.bridge, *pair, prompts.start[i : i + 1])
                patch = every([0], ["neuron"], [layer], neurons=[neuron], positions=[len(pair[0][0]) - 1])
                with torch.no_grad():
                    corrupted = base.bridge(pair[1])[0, -1]
                logits = [hooks.logits(patch, 0)[-1], hooks.clean_logits[0, -1], corrupted]
                found.append([float(x[prompts.correct[i]] - x[prompts.incorrect[i]]) for x in logits])
            own = examples[(examples["layer"] == layer) & (examples["neuron"] == neuron)]
            np.testing.assert_allclose(own["logit_diff"], [row[0] for row in found], rtol=1e-6)
            patched, clean, corrupted = np.mean(found, axis=0)
            share = leading[leading["neuron"] == neuron]["recovered"].item()
            assert share == pytest.approx((patched - corrupted) / (clean - corrupted), rel=1e-6)


def test_p_is_a_paired_t_test_of_the_logit_difference(tables, base, prompts):
    rows, examples = tables
    corrupted = baselines(base, prompts, 256)["corrupted"][:, 2]
    row = rows[(rows["group"] == "all") & (rows["layer"] == 1) & (rows["rank"] == 1)].iloc[0]
    own = examples[(examples["layer"] == 1) & (examples["neuron"] == row["neuron"])]["logit_diff"].to_numpy()
    assert row["p"] == pytest.approx(stats.ttest_rel(own, corrupted).pvalue, rel=1e-6)
    family = rows[(rows["group"] == "all") & (rows["layer"] == 1)]
    np.testing.assert_allclose(family["q"], stats.false_discovery_control(family["p"]), rtol=1e-9)
    assert rows[rows["group"] == "Kendal"]["p"].isna().all()  # four pairs


def test_ranks_tokens_and_groups(tables, base, prompts):
    rows, _ = tables
    count = output_matrix(base.stream, 0).shape[0]
    assert rows.groupby(["group", "layer"]).size().eq(count).all() and set(rows["group"]) == {
        "all",
        "Ashford",
        "Kendal",
    }
    for _, own in rows.groupby(["group", "layer"]):
        assert sorted(own["rank"]) == list(range(1, count + 1))
        shares = own.sort_values("rank")["recovered"].abs().to_numpy()
        assert (np.diff(shares) <= 1e-12).all()
    named = rows[rows["promoted"].notna()]
    assert len(named) == 2 * 2 * 3 and named["promoted"].map(len).eq(4).all()
    row = named[(named["group"] == "all") & (named["layer"] == 1)].iloc[0]
    written = output_matrix(base.stream, 1)[row["neuron"]]
    gain = base.bridge.ln_final.original_component.weight
    logits = ((written - written.mean()) * gain) @ base.bridge.W_U
    assert row["promoted"] == prompts.spell(logits.topk(4).indices.tolist())
    assert row["suppressed"] == prompts.spell((-logits).topk(4).indices.tolist())


def test_all_positions_together(base, prompts):
    rows, examples = neuron_tables(base, prompts, SETTINGS | {"layers": [0], "position": "all"})
    assert examples["position"].isna().all() and examples["recovered"].notna().all()
    at_last = neuron_tables(base, prompts, SETTINGS | {"layers": [0]})[0]
    assert [row["recovered"] for row in rows] != [row["recovered"] for row in at_last]


def test_what_neurons_refuse(base, prompts):
    with pytest.raises(InputError, match="neurons: layer 2 is out of range: there are 2, from 0"):
        neuron_tables(base, prompts, SETTINGS | {"layers": [2]})
    with pytest.raises(InputError, match="position 'verb' is declared by no prompt"):
        neuron_tables(base, prompts, SETTINGS | {"position": "verb"})
    some = prompts.labels[3].pop("name")
    try:
        with pytest.raises(InputError, match=f"pair {prompts.ids[3]} has no position 'name'"):
            neuron_tables(base, prompts, SETTINGS | {"position": "name"})
    finally:
        prompts.labels[3]["name"] = some
