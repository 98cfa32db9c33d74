import numpy as np
import pytest
from figures.probe_tables import EACH, GROUPS, HEADS, LAYERS, NEURONS, ProbeTables
from tokenizers import pre_tokenizers

from rewire.errors import InputError
from rewire.figures import (
    cross_model,
    probe_agreement,
    probe_attention,
    probe_heads,
    probe_logits,
    probe_neurons,
    probe_pairings,
    probe_patterns,
    probe_positions,
)
from rewire.figures.frames import read_frame
from rewire.figures.probe_tables import SUMMARY, shown
from rewire.figures.style import BLUE, ORANGE, PURPLE

TITLE = "names of small"


@pytest.fixture
def probe_tables(tmp_path):
    return ProbeTables(tmp_path)


DRAWN = {  # module, the tables that it reads, a word of the drawing
    "positions": (probe_positions, ("prompts", "patches"), "‹name›"),
    "heads": (probe_heads, ("summary",), "ratio of means over 6 prompts"),
    "neurons": (probe_neurons, ("neurons",), "␣&amp;&lt;"),
    "logits": (probe_logits, ("readings",), "position embedding"),
    "attention": (probe_attention, ("readings", "summary"), "2.1 (recovers 90 %)"),
    "patterns": (probe_patterns, ("prompts", "patterns", "summary"), "2.1 (recovers 90 %)"),
    "pairings": (probe_pairings, ("summary", "neurons", "readings", "pairings"), "Pearson correlation over"),
    "agreement": (probe_agreement, ("agreement",), "2.1  2/2"),
    "cross-model": (cross_model, ("cross",), "base −1.5 logits, fine-tuned 8 logits"),
}


@pytest.mark.parametrize("name", DRAWN)
def test_both_files_and_the_same_bytes(name, probe_tables, drawn):
    module, needed, word = DRAWN[name]
    paths = [getattr(probe_tables, table)() for table in needed]
    text = drawn(lambda png, svg: module.draw(*paths, TITLE, png, svg))
    assert TITLE in text and word in text


@pytest.mark.parametrize("name", DRAWN)
def test_a_table_without_a_column_is_named(name, probe_tables, tmp_path):
    module, needed, _ = DRAWN[name]
    paths = [getattr(probe_tables, table)() for table in needed]
    read_frame(paths[-1], ())[[]].assign(nothing=1).to_parquet(paths[-1])
    with pytest.raises(InputError, match=rf"{needed[-1]}\.parquet: no column"):
        module.draw(*paths, TITLE, tmp_path / "x.png", tmp_path / "x.svg")
    assert not (tmp_path / "x.png").exists()


def test_a_token_shows_its_space():
    assert [shown(token) for token in ("Ġthe", "▁the", "Ċ", "the")] == ["␣the", "␣the", "⏎", "the"]


def test_a_token_of_bytes_is_read():
    """As GPT-2's tokenizer spells them, and texts of other tokenizers as they are."""
    spelling = pre_tokenizers.ByteLevel(add_prefix_space=False)
    for text in ("schön", " Straße", "日本", "naïve 5 €", "\t\x00\xa0\xad\x7f", "ÿ"):
        spelled = "".join(piece for piece, _ in spelling.pre_tokenize_str(text))
        assert shown(spelled) == text.replace(" ", "␣").replace("\t", "⇥")
    assert [shown(token) for token in ("Ã¶n", "sch", "Ġsch", "ï¿½")] == ["ön", "sch", "␣sch", "�"]
    assert shown("Ã") == shown("Â") == "�" and shown("▁schön") == "␣schön" and shown("日本") == "日本"
    assert [shown(token) for token in ("schön", "für", "mädchen")] == ["schön", "für", "mädchen"]


class TestPositions:
    @pytest.fixture
    def frames(self, probe_tables):
        prompts = read_frame(probe_tables.prompts(), probe_positions.PROMPTS)
        return prompts, read_frame(probe_tables.patches(), probe_positions.PATCHES)

    def test_shares_by_layer_and_token_from_the_first_that_differs(self, frames):
        prompts, patches = frames
        out = probe_positions.figure(prompts, patches, "x")
        panels = out.axes[:6]
        titles = [axes.get_title(loc="left") for axes in panels]
        assert titles[0] == f"start, template 1 (n = {EACH})\nresidual stream, entering"
        assert titles[1:3] == ["attention out", "MLP out"] and titles[3].startswith("end, template 2")
        for axes, length in zip(panels[::3], (3, 4), strict=True):
            values = axes.collections[0].get_array().reshape(LAYERS, length)
            assert np.allclose(values, [1] + [0] * (length - 1))
            attention = panels[panels.index(axes) + 1].collections[0].get_array().reshape(LAYERS, length)
            assert np.allclose(attention, [0] * (length - 1) + [0.25])
        norm = panels[0].collections[0].norm
        assert norm.vmin == -norm.vmax == -1

    def test_tokens_are_the_prompts_own_or_labels_where_prompts_differ(self, frames):
        axes = probe_positions.figure(*frames, "x").axes[3]
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["‹name›", "␣said", "␣that", "‹last›"]
        one = frames[0][frames[0]["id"] == "1-2"]
        assert probe_positions.token(one, 1) == "␣name2|␣other"
        nameless = frames[0].assign(labels=[[]] * len(frames[0]), positions=[[]] * len(frames[0]))
        assert probe_positions.token(nameless[nameless["template"] == 1], 3) == "␣verb0 …"

    def test_kinds_of_every_group_come_first_and_the_rest_is_counted(self, frames):
        prompts, patches = frames
        many = prompts.assign(template=range(len(prompts)))
        kinds = probe_positions.kinds_of(many)
        assert [own["group"].iloc[0] for own in kinds[:4]] == ["start", "end", "start", "end"]
        out = probe_positions.figure(many, patches, "x")
        assert f"{probe_positions.SETS} of 12 kinds of prompts" in out._supxlabel.get_text()

    def test_written_pairs_are_of_a_kind_where_they_differ_at_the_same_place(self, frames):
        prompts, patches = frames
        written = prompts[prompts["template"] == 1].assign(template=0).reset_index(drop=True)
        written.loc[:1, "difference"] = 2
        kinds = probe_positions.kinds_of(written)
        assert [len(own) for own in kinds] == [4, 2]
        out = probe_positions.figure(written, patches, "x")
        assert out.axes[0].get_title(loc="left").startswith("start (n = 4)\n")
        assert len(out.axes[3].get_xticklabels()) == 2

    def test_runs_that_answer_alike_leave_no_share(self, frames):
        prompts, patches = frames
        out = probe_positions.figure(prompts.assign(logit_diff_clean=-4.0), patches, "x")
        assert out.axes[0].texts[0].get_text() == "no data"


class TestHeads:
    def test_maps_are_centred_and_on_one_scale(self, probe_tables):
        frame = read_frame(probe_tables.summary(), SUMMARY)
        panels = probe_heads.figure(frame, "x").axes[:6]
        values = panels[0].collections[0].get_array().reshape(LAYERS, HEADS)
        assert values[2, 1] == 0.9 and np.abs(np.delete(values, 9)).max() < 0.5
        assert {axes.collections[0].norm.vmax for axes in panels[:5]} == {0.9}
        assert panels[5].get_yticklabels()[0].get_text() == "2.1"

    def test_a_site_that_was_not_patched_is_empty(self, probe_tables):
        frame = read_frame(probe_tables.summary(), SUMMARY)
        panels = probe_heads.figure(frame[frame["site"] != "q"], "x").axes[:6]
        assert [bool(axes.texts and axes.texts[0].get_text() == "no data") for axes in panels[:3]] == [
            False,
            True,
            False,
        ]


def test_the_leading_neurons_are_named_with_their_tokens(probe_tables):
    frame = read_frame(probe_tables.neurons(), probe_neurons.COLUMNS)
    cloud, named = probe_neurons.figure(frame, "x").axes[:2]
    labels = [tick.get_text() for tick in named.get_yticklabels()]
    assert len(labels) == 9 and labels[0] == "2.0  ␣the ␣&< ⏎"
    assert "2.0" in [text.get_text() for text in cloud.texts]
    assert cloud.get_title(loc="left") == "120 neurons, one at a time, over 12 prompts"


def test_names_in_the_cloud_do_not_cover_one_another(probe_tables):
    frame = read_frame(probe_tables.neurons(), probe_neurons.COLUMNS)
    frame.loc[frame["layer"] < 2, ["recovered", "direct"]] *= 0.001
    close = (frame["layer"] == 2) & (frame["neuron"] == 1)
    frame.loc[close, ["recovered", "direct"]] = [0.299, 0.599]
    names = [text.get_text() for text in probe_neurons.figure(frame, "x").axes[0].texts]
    assert "2.0" in names and "2.1" not in names


def test_components_stand_in_the_order_of_the_forward_pass(probe_tables):
    frame = read_frame(probe_tables.readings(), SUMMARY)
    out = probe_logits.figure(frame, "x")
    forest = next(axes for axes in out.axes if axes.get_title(loc="left").startswith("Direct"))
    labels = [tick.get_text() for tick in forest.get_yticklabels()]
    assert labels == [
        "token embedding", "position embedding", "attention 0", "MLP 0", "attention 1", "MLP 1", "attention 2", "MLP 2",
        "final biases",
    ]  # fmt: skip
    rotary = frame[frame["site"] != "direct:position"]
    assert "position embedding" not in [label for *_, label in probe_logits.components(rotary)]
    lens = out.axes[0].lines[0]
    assert np.allclose(lens.get_ydata(), 0.3 * np.arange(LAYERS + 1))


def test_leading_heads_come_in_the_order_of_what_they_recover(probe_tables):
    readings, patches = (read_frame(p, SUMMARY) for p in (probe_tables.readings(), probe_tables.summary()))
    out = probe_attention.figure(readings, patches, "x")
    titles = [axes.get_title(loc="left") for axes in out.axes[:2]]
    assert titles[0] == "2.1 (recovers 90 %)" and titles[1].startswith("0.3 (recovers")
    assert [tick.get_text() for tick in out.axes[0].get_yticklabels()] == ["name", "last"]


class TestPairings:
    def test_profiles_and_correlations_stand_in_one_order(self, probe_tables):
        pairings = read_frame(probe_tables.pairings(), probe_pairings.PAIRINGS)
        out = probe_pairings.figure(probe_tables.profiles(), pairings, "x")
        titles = [axes.get_title(loc="left") for axes in out.axes[:10:2]]
        assert [title.split(",")[0].split(":")[0] for title in titles] == [
            "Attention and MLP of each layer", "Heads", "Components", "Neurons", "Direct attribution to heads and MLPs",
        ]  # fmt: skip
        for family, size in ((1, LAYERS * HEADS * 5), (3, LAYERS * NEURONS), (4, LAYERS * HEADS)):
            profile, correlation = out.axes[2 * family : 2 * family + 2]
            groups = [tick.get_text() for tick in profile.get_yticklabels()]
            assert set(groups) == set(GROUPS)
            assert groups == [tick.get_text() for tick in correlation.get_yticklabels()]
            table = profile.collections[0].get_array().reshape(2, -1)
            values = correlation.collections[0].get_array().reshape(2, 2)
            assert table.shape[1] == size
            assert np.allclose(values, np.corrcoef(table)) and values[0, 1] < 1

    def test_of_many_neurons_the_largest_are_drawn(self, probe_tables, monkeypatch):
        monkeypatch.setattr(probe_pairings, "COLUMNS", 9)
        pairings = read_frame(probe_tables.pairings(), probe_pairings.PAIRINGS)
        neurons = probe_pairings.figure(probe_tables.profiles(), pairings, "x").axes[6]
        assert ", the 9 largest of 120:" in neurons.get_title(loc="left")
        drawn = neurons.collections[0].get_array().reshape(2, 9)
        assert np.allclose(drawn, [[0.1, 0.05, 0.1 / 3, 0.2, 0.1, 0.2 / 3, 0.3, 0.15, 0.1]] * 2)

    def test_a_study_of_one_group_says_so(self, probe_tables):
        path = probe_tables.pairings(("start",))
        pairings = read_frame(path, probe_pairings.PAIRINGS, empty=True)
        assert not len(pairings)
        out = probe_pairings.figure(probe_tables.profiles(("start",)), pairings, "x")
        assert {axes.texts[0].get_text() for axes in out.axes} == {"nothing that two groups share"}
        rows = read_frame(probe_tables.agreement(("start",)), probe_agreement.COLUMNS, empty=True)
        alone = probe_agreement.figure(rows, "x")
        assert {axes.texts[0].get_text() for axes in alone.axes} == {"nothing that two groups share"}


def test_parts_that_lead_in_all_groups_come_first_with_their_verdict(probe_tables):
    rows = read_frame(probe_tables.agreement(), probe_agreement.COLUMNS)
    panels = {axes.get_title(loc="left"): axes for axes in probe_agreement.figure(rows, "x").axes}
    direct = panels["Heads, direct attribution"]
    labels = [tick.get_text() for tick in direct.get_yticklabels()]
    assert labels[0] == "2.1  2/2" and "1.2  1/2" in labels
    drawn = {
        line.get_color(): line.get_xydata().tolist() for line in direct.lines if line.get_label() == "mean"
    }
    untested = probe_agreement.figure(rows.assign(verdict="untested"), "x")
    colours = {
        line.get_color()
        for axes in untested.axes
        for line in axes.lines
        if line.get_label() == "mean" and len(line.get_xdata())
    }
    assert colours == {PURPLE}
    assert drawn[BLUE][0] == [2.0, 0.0] and drawn[ORANGE] == [[pytest.approx(1.01), labels.index("1.2  1/2")]]


class TestCrossModel:
    def test_curves_and_heads_of_both_directions(self, probe_tables):
        frame = read_frame(probe_tables.cross(), cross_model.COLUMNS)
        out = cross_model.figure(frame, "x")
        assert np.allclose(out.axes[0].lines[0].get_ydata(), [1 / 3, 2 / 3, 1])
        heads = next(axes for axes in out.axes if axes.get_title(loc="left") == "Heads, output (z)")
        values = heads.collections[0].get_array().reshape(LAYERS, HEADS)
        assert np.allclose(values, 0.1 * np.arange(LAYERS)[:, None])

    def test_losses_are_in_nats_and_shares_outside_the_axis_are_counted(self, probe_tables):
        frame = read_frame(probe_tables.cross("nll"), cross_model.COLUMNS)
        out = cross_model.figure(frame, "x")
        assert "NLL of the targets, base −1.5 nats a token" in out._supxlabel.get_text()
        far = frame["site"].eq("residual_post") & frame["layer"].eq(0) & frame["direction"].eq("into-base")
        frame.loc[far, "recovered"] = 50.0
        assert "1 of 18 values lie outside" in cross_model.figure(frame, "x").axes[0].get_xlabel()
