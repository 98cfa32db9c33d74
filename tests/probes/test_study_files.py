"""The studies that come with the project: pairs that fit GPT-2's tokenizer, or sums and lists that are right."""

import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from rewire.articles import newswire
from rewire.models import Model
from rewire.pretrained import load_tokenizer
from rewire.probes.prompts import encode_study
from rewire.probes.studies import read_study

STUDIES = Path(__file__).parents[2] / "config" / "studies"
ENGLISH = ("contractions", "one-token", "indirect-object", "greater-than")


def study(name):
    return read_study(STUDIES / f"{name}.yaml")


@pytest.fixture(scope="module")
def gpt2(material):
    """What encoding asks of GPT-2: its tokenizer and its sizes."""
    model = Model(SimpleNamespace(), load_tokenizer(material / "tokenizers" / "gpt2"))
    model.__dict__["stream"] = SimpleNamespace(embedding=torch.empty(50257, 1), context=1024)
    return model


def test_every_file_is_a_study():
    assert {path.stem for path in STUDIES.iterdir()} == {*ENGLISH, "seen-name", "smoke", "adder", "sort"}
    for path in STUDIES.iterdir():
        assert read_study(path).pairs and read_study(path).about


def test_the_example_of_the_definitions_is_a_study(tmp_path):
    text = (STUDIES.parents[1] / "docs" / "definitions.md").read_text()
    example = text.split("## Probes")[1].split("```yaml\n")[1].split("```")[0]
    (tmp_path / "example.yaml").write_text(example)
    pairs = read_study(tmp_path / "example.yaml").pairs
    assert len(pairs) == 6 and pairs[0].clean == "We're with Ann and Bob, said"


@pytest.mark.parametrize("name", ENGLISH)
def test_gpt2_reads_every_pair(name, gpt2):
    """Equal token counts, answers of one token, labels where they should be; the answer does not change the prompt's tokens."""
    written = study(name)
    prompts = encode_study(written, gpt2)
    for pair, tokens, correct, incorrect in zip(
        written.pairs, prompts.clean, prompts.correct, prompts.incorrect, strict=True
    ):
        for answer, token in ((pair.correct, correct), (pair.incorrect, incorrect)):
            assert gpt2.tokenizer(pair.clean + answer)["input_ids"] == [*tokens.tolist(), int(token)]


def test_contractions_pair_both_forms_with_four_pronouns(gpt2):
    written = study("contractions")
    counts = Counter(pair.group for pair in written.pairs)
    assert set(counts) == {f"{form} {word}" for form in ("'re", "'s") for word in ("they", "we", "he", "she")}
    assert min(counts.values()) >= 8
    prompts = encode_study(written, gpt2)
    for pair, labels, spelled in zip(written.pairs, prompts.labels, prompts.spelled["clean"], strict=True):
        form, pronoun = pair.group.split()
        assert spelled[labels["contraction"]] == form and spelled[labels["pronoun"]] == "Ġ" + pronoun
        assert labels["contraction"] == labels["difference"] and labels["pronoun"] == labels["last"]
        assert pair.correct == ("'re" if pronoun in ("they", "we") else "'s")


def test_the_one_token_study_is_eleven_tokens_that_differ_in_one(gpt2):
    prompts = encode_study(study("one-token"), gpt2)
    assert len(prompts.clean[0]) == 11 and prompts.start[0] == 1
    for clean, corrupted in zip(prompts.clean, prompts.corrupted, strict=True):
        differs = (clean != corrupted).nonzero().squeeze(1)
        assert len(differs) == 1
    assert len(set(prompts.groups)) >= 5


def test_the_indirect_object_is_the_name_said_once():
    for pair in study("indirect-object").pairs:
        names = re.findall(r"[A-Z][a-z]+", pair.clean)
        said = Counter(name for name in names if name not in ("When", "Then", "Later"))
        assert said[pair.correct.strip()] == 1 and said[pair.incorrect.strip()] == 2
        for text in (pair.clean, pair.corrupted):  # the last clause does not give the answer away
            assert pair.correct.strip() not in re.split("[,.]", text)[-1]
        assert pair.incorrect.strip() not in re.split("[,.]", pair.corrupted)[-1]


def test_greater_years_are_greater():
    for pair in study("greater-than").pairs:
        start = int(re.search(r"year \d\d(\d\d)|From \d\d(\d\d)", pair.clean).group(0)[-2:])
        assert int(pair.incorrect) < start < int(pair.correct)
        assert re.search(r"\d\d01", pair.corrupted)


def test_seen_names_are_the_newswires_own_sentences():
    known = {*newswire.FIRST_NAMES, *newswire.LAST_NAMES, *newswire.PLACES}
    patterns = [
        wording.replace("{role}", "rival")
        for group in (
            *(group for event in newswire.EVENTS for group in event.salient),
            *newswire.MARKED_DECOYS,
            newswire.SIDE_NOTES,
        )
        for wording in group
    ]
    starts = [re.split(r"\{\w+\}", pattern)[0] for pattern in patterns]
    for pair in study("seen-name").pairs:
        assert pair.correct.strip() in pair.clean and pair.correct.strip() not in pair.corrupted
        assert pair.incorrect.strip() in pair.corrupted and pair.incorrect.strip() not in pair.clean
        for sentence in newswire.sentences(pair.clean + "."):
            assert any(sentence.startswith(start) for start in starts), sentence
            inside = re.findall(r"(?<!^)\b[A-Z]\w+", sentence)
            assert {*inside} <= known | {"Sunday"}, sentence


def test_sums_are_right():
    groups = Counter()
    for pair in study("adder").pairs:
        groups[pair.group] += 1
        read, other = (list(map(int, text.split())) for text in (pair.clean, pair.corrupted))
        for tokens, answer in ((read, pair.correct), (other, pair.incorrect)):
            total = 10 * tokens[0] + tokens[1] + 10 * tokens[2] + tokens[3]
            digits = [total % 10, total // 10 % 10, total // 100]
            assert tokens[4:] == digits[: len(tokens) - 4] and int(answer) == digits[len(tokens) - 4], pair
        assert len(read) - 4 == {"units": 0, "tens": 1, "carry": 1, "hundreds": 2}[pair.group]
        assert (read[0::2][:2] == other[0::2][:2]) == (pair.group in ("units", "carry"))
    assert set(groups.values()) == {16} and len(groups) == 4


def test_lists_are_in_order():
    for pair in study("sort").pairs:
        for text, answer in ((pair.clean, pair.correct), (pair.corrupted, pair.incorrect)):
            tokens = list(map(int, text.split()))
            in_order = sorted(tokens[:6])
            assert [*tokens[6:], int(answer)] == in_order[: len(tokens) - 5]
