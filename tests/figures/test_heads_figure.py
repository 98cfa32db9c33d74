import numpy as np

from rewire.figures import heads
from rewire.figures.frames import read_frame


def test_both_files_and_the_same_bytes(tables, drawn):
    table = tables.heads()
    text = drawn(lambda png, svg: heads.draw(table, "step-001000", "small on newswire", png, svg))
    assert "Attention heads, step 1,000 against base: small on newswire" in text


def test_maps_are_means_and_the_colours_of_change_are_centred(tables):
    frame = read_frame(tables.heads(), heads.COLUMNS)
    change, kl = heads.figure(frame, "final", "x").axes[:2]
    mesh, other = change.collections[0], kl.collections[0]
    assert mesh.norm.vmin == -mesh.norm.vmax and other.norm.vmin == 0
    expected = (frame["entropy"] - frame["entropy_base"]).groupby([frame["layer"], frame["head"]]).mean()
    assert np.allclose(mesh.get_array().ravel(), expected)
    falls = int((expected < 0).sum())
    assert change.get_title(loc="left") == f"Entropy falls in {falls} of 16 heads ({100 * falls / 16:.0f} %)"
    assert len(change.texts) == 16 and change.get_ylim() == (0, 4)  # layer 0 at the bottom


def test_many_heads_are_not_annotated(tables):
    change = heads.figure(
        read_frame(tables.heads(shape=(9, 8), examples=2), heads.COLUMNS), "final", "x"
    ).axes[0]
    assert not change.texts


def test_a_model_against_itself_and_no_data(tables):
    frame = read_frame(tables.heads(examples=2), heads.COLUMNS)
    same = frame.assign(entropy=frame["entropy_base"], attention_kl=np.nan)
    change, kl = heads.figure(same, "base", "x").axes[:2]
    assert change.get_title(loc="left") == "Entropy falls in 0 of 16 heads (0 %)"
    assert kl.texts[0].get_text() == "no data"
