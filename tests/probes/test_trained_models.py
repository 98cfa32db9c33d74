"""On models whose workings are known, the probes say what is known. docs/sort-and-adder.md found it by other means."""

from pathlib import Path

import pandas as pd
import pytest

from rewire.probes import stage
from rewire.probes.grid import grid_summary, patch_grid
from rewire.probes.heads import attention_to
from rewire.probes.pair_runs import batches

STUDIES = Path(__file__).parents[2] / "config" / "studies"
SETTINGS = {
    "components": ["residual_pre", "attention_out", "mlp_out"],
    "heads": ["z", "v", "pattern"],
    "head_positions": [],
    "batch_tokens": 4096,
}


def recovered(model, prompts):
    """Mean share of the logit difference: a Series by group, site, layer, head and place (head -1, place "": none)."""
    frame, ends = patch_grid(model, prompts, SETTINGS)
    assert (ends["clean"][:, 0] > 0.5).all() and (
        ends["corrupted"][:, 1] > 0.5
    ).all()  # both questions are answered
    table = pd.DataFrame(grid_summary(frame, prompts, ends))
    table = table[table["measure"] == "recovered"].fillna({"head": -1, "place": ""})
    return table.set_index(["group", "site", "layer", "head", "place"])["value"].sort_index()


def test_the_adder_brings_the_carry_with_two_heads_and_units_with_none(material):
    model, prompts = stage.open_study(material / "models" / "adder" / "trained", STUDIES / "adder.yaml")
    found = recovered(model, prompts)
    carry = found.loc["carry"]
    heads = carry.loc["z"].droplevel("place").sort_values(ascending=False)
    assert list(heads.index[:2]) == [(1, 0), (1, 2)] and heads.iloc[:2].sum() > 0.9 and heads.iloc[2] < 0.1
    assert carry.loc[("attention_out", 1, -1, "last")] > 0.9
    # by what they read there, not by where they look
    assert carry.loc[("v", 1, 0, "")] > 0.5 and carry.loc["pattern"].abs().max() < 0.1
    # before them it stands at the operands, after them where the answer is read
    assert (
        carry.loc[("residual_pre", 1, -1, "last")] < 0.01 and carry.loc[("residual_pre", 2, -1, "last")] > 0.9
    )
    units = found.loc["units"]
    assert units.loc["z"].abs().max() < 0.2
    for layer in range(3):  # the last digit read is where the units are worked out
        assert units.loc[("residual_pre", layer, -1, "second units")] == pytest.approx(1, abs=1e-4)
    tens = found.loc["tens"]
    assert tens.loc["z"].droplevel("place").idxmax() == (
        2,
        0,
    )  # the heads of the tens' column, docs/sort-and-adder.md
    assert tens.loc[("attention_out", 2, -1, "last")] > 0.5


def test_the_sorter_reads_the_changed_symbol_in_its_first_layer_from_where_it_stands(material):
    model, prompts = stage.open_study(material / "models" / "sort", STUDIES / "sort.yaml")
    found = recovered(model, prompts).loc["all"]
    assert found.loc[("residual_pre", 0, -1, "changed")] == pytest.approx(1, abs=1e-4)
    assert (
        found.loc[("residual_pre", 2, -1, "changed")] < 0.1 < 0.8 < found.loc[("residual_pre", 2, -1, "last")]
    )
    # any one head can be missed, all of a layer's together bring more than one alone
    assert found.loc["z"].max() < 0.2 < found.loc[("attention_out", 1, -1, "last")]
    # the first layer's heads look at where the question stands
    batch = next(batches(model, prompts, 4096))
    on_question = sum(attention_to(batch.clean, batch.answers[:, 0] * 0 + place)[:, 0] for place in range(6))
    assert float(on_question.mean()) > 0.5
