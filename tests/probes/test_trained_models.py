"""On models whose workings are known, the probes say what is known. docs/sort-and-adder.md found it by other means, docs/probes.md tells it."""

from pathlib import Path

import pandas as pd
import pytest

from rewire.probes import stage
from rewire.probes.grid import grid_summary, patch_grid
from rewire.probes.heads import attention_to
from rewire.probes.pair_runs import baselines, batches
from rewire.probes.readings import read_heads_and_logits

ROOT = Path(__file__).parents[2]
STUDIES, PAGE = ROOT / "config" / "studies", ROOT / "docs" / "probes.md"
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


def told() -> list[list[str]]:
    """The cells of the table of heads in docs/probes.md."""
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return [row for row in rows[1:] if "---" not in row[0]]


def test_the_page_says_what_the_adders_heads_recover_and_look_at(material):
    model, prompts = stage.open_study(material / "models" / "adder" / "trained", STUDIES / "adder.yaml")
    found = recovered(model, prompts)
    labels = ["first tens", "first units", "second tens", "second units"]
    attention = read_heads_and_logits(model, prompts, [(0, 0)], labels, 1, 4096)["attention"]
    attention["group"] = attention["id"].map(dict(zip(prompts.ids, prompts.groups, strict=True)))
    looked = (
        attention[attention["run"] == "clean"]
        .groupby(["group", "layer", "head", "place"])["attention"]
        .mean()
    )
    assert len(told()) == 7
    for group, name, *shares, places, weight in told():
        layer, head = map(int, name.split("."))
        own = [found.loc[(group, site, layer, head, "")] for site in ("z", "v", "pattern")]
        assert [round(100 * share) for share in own] == [pytest.approx(int(share), abs=1) for share in shares]
        total = sum(looked.loc[(group, layer, head, place)] for place in places.split(", "))
        assert 100 * total == pytest.approx(int(weight), abs=1), (group, name)
    at = lambda *place: pytest.approx(found.loc[place], abs=0.011)  # noqa: E731
    said = {
        0.59: ("carry", "residual_pre", 0, -1, "first units"),
        0.46: ("carry", "residual_pre", 0, -1, "second units"),
        0.95: ("carry", "attention_out", 1, -1, "last"),
        0.40: ("hundreds", "attention_out", 0, -1, "last"),
        0.49: ("hundreds", "attention_out", 1, -1, "last"),
        0.79: ("tens", "mlp_out", 0, -1, "second tens"),
        0.69: ("tens", "residual_pre", 2, -1, "second tens"),
        0.73: ("tens", "attention_out", 2, -1, "last"),
        0.96: ("units", "mlp_out", 0, -1, "last"),
    }
    text = PAGE.read_text()
    for share, place in said.items():
        assert share == at(*place), place
        assert f"{100 * share:.0f} %" in text


def test_the_page_says_what_the_sorters_layers_recover(material):
    model, prompts = stage.open_study(material / "models" / "sort", STUDIES / "sort.yaml")
    found = recovered(model, prompts).loc["all"]
    said = {
        0.37: ("attention_out", 1, -1, "last"),
        0.41: ("residual_pre", 1, -1, "changed"),
        0.04: ("residual_pre", 2, -1, "changed"),
        0.27: ("residual_pre", 1, -1, "last"),
        0.85: ("residual_pre", 2, -1, "last"),
        0.74: ("mlp_out", 2, -1, "last"),
    }
    text = PAGE.read_text().split("## The sorter")[1]
    for share, place in said.items():
        assert share == pytest.approx(found.loc[place], abs=0.011), place
        assert f"{100 * share:.0f} %" in text
    assert found.loc["z"].max() <= 0.1


def test_the_untrained_adder_has_nothing_to_move(material):
    """It gives both questions the same answer: what a patch could recover is nothing."""
    ends = {}
    for name in ("untrained", "trained"):
        model, prompts = stage.open_study(material / "models" / "adder" / name, STUDIES / "adder.yaml")
        found = baselines(model, prompts, 4096)
        ends[name] = (found["clean"][:, 2] - found["corrupted"][:, 2]).mean()
    assert abs(ends["untrained"]) < 0.02 * ends["trained"]
