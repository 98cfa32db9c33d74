"""Nothing from data or config reaches a shell, an unpickler or a parser that would obey it."""

import ast
import csv
import json
import re
import xml.etree.ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from nightly import NIGHTLY
from tiny_models import articles_table, newswire_rows, tiny_tokenizer

from rewire.tables import read_table

ROOT = Path(__file__).parent.parent.parent
CODE = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "workflow/scripts").glob("*.py")])
RULES = [ROOT / "Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))]
FORBIDDEN = {
    "os.system", "os.popen", "os.execv", "os.execvp", "os.spawnv", "eval", "exec", "compile", "shell",
    "pickle.load", "pickle.loads", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "joblib.load", "dill.load",
}  # fmt: skip
LOADS = (".from_pretrained", ".from_config")
OF_OWN = ("PeftModel.", "PreTrainedTokenizerFast.")  # classes that load no code of the model's


def calls(text: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call in Python source, with its dotted name."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def offences(text: str) -> list[str]:
    """What must not be in the project's code: shells, evaluation, unpickling, unsafe YAML, remote code."""
    found = []
    for name, call in calls(text):
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        unsafe_load = name == "torch.load" and keywords.get("weights_only") != "True"
        shell = keywords.get("shell", "False") != "False"
        # left out, transformers asks whoever sits at the terminal
        remote = (
            name.endswith(LOADS)
            and not name.startswith(OF_OWN)
            and keywords.get("trust_remote_code") != "False"
        )
        if name in FORBIDDEN or unsafe_load or shell or remote:
            found.append(ast.unparse(call))
    if text.count("trust_remote_code") != text.count("trust_remote_code=False"):
        found.append("trust_remote_code")
    return found


@pytest.mark.parametrize(
    "text",
    [
        "import os; os.system('ls')",
        "subprocess.run('ls', shell=True)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "yaml.load(text, Loader=yaml.Loader)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "AutoModel.from_pretrained(name)",
        "options = {'trust_remote_code': True}",
        "pickle.loads(data)",
        "eval(text)",
    ],
)
def test_the_search_finds_what_it_looks_for(text):
    assert offences(text)


def test_the_code_has_no_shell_no_pickle_and_no_remote_code():
    assert len(CODE) > 100
    assert {str(path): found for path in CODE if (found := offences(path.read_text()))} == {}


def test_rules_are_scripts_alone():
    directive = re.compile(r"^\s+(shell|run|wrapper|cwl|notebook|template_engine)\s*:", re.M)
    for path in RULES:
        text = path.read_text()
        assert not directive.search(text), path
        assert not re.search(r"\b(shell|os\.system|os\.popen|subprocess|eval|exec)\b[.(]", text), path
        assert "trust_remote_code" not in text, path


@pytest.fixture(scope="module")
def copy(make_copy):
    return make_copy("safety")


HOSTILE = [
    "$(touch x)",
    "`touch x`",
    "x; touch x",
    "../x",
    "a b",
    "'",
    '"',
    "a'b\"c",
    "x\ny",
    "x\n",
    "{wildcards}",
    "-x",
    "",
]


@pytest.mark.parametrize("kind", ["models", "datasets", "lora.strategies"])
def test_hostile_names_are_refused_in_one_line(copy, kind):
    entry = {
        "models": {"source": "hub", "id": "x"},
        "datasets": {"source": "sums", "digits": 2},
        "lora.strategies": {"layers": "all"},
    }[kind]
    for name in HOSTILE:
        content = {name: entry}
        for part in reversed(kind.split(".")):
            content = {part: content}
        (copy.folder / "config/hostile.yaml").write_text(yaml.safe_dump(content))
        message = copy.refused(preset="config/hostile.yaml")
        assert f"config: {kind}" in message and "\n" not in message.strip(), (name, message)
    assert not (copy.folder / "x").exists()


def test_hostile_values_stay_values(copy):
    """A path, a Hub id or a sentence may be anything: it is planned for, and nothing runs it."""
    for value in HOSTILE[:-1]:
        content = {
            "models": {
                "mine": {"source": "local", "path": value, "checkpoints": {"final": value}},
            },
            "datasets": {
                "news": {
                    "source": "hub",
                    "id": value,
                    "splits": dict.fromkeys(("train", "validation", "test"), value),
                }
            },
            "runs": [{"model": "mine", "dataset": "news"}],
        }
        (copy.folder / "config/hostile.yaml").write_text(yaml.safe_dump(content))
        jobs = copy.planned("results/claims.parquet", preset="config/hostile.yaml")
        assert (jobs["copy_base"], jobs["copy_checkpoint"], jobs["write_articles"]) == (1, 1, 3)
    assert not (copy.folder / "x").exists() and not (copy.folder.parent / "x").exists()


@pytest.mark.parametrize("value", [*HOSTILE[:-1], "n{v1}", "{dataset}", "{a,b}", "$", "${}", "n*[!x]?"])
def test_hostile_file_names_are_files_like_others(copy, value):
    """What is in such a file is what the articles are made of: nothing of its name is obeyed."""
    name = f"{value}.jsonl"
    (copy.folder / name).write_text("".join(f'{{"article": "a {i}", "summary": "s"}}\n' for i in range(3)))
    splits = dict.fromkeys(("train", "validation", "test"), "all")
    content = {"datasets": {"news": {"source": "files", "files": {"all": name}, "splits": splits}}}
    (copy.folder / "config/hostile.yaml").write_text(yaml.safe_dump(content))
    target = "results/articles/news/test.parquet"
    (copy.folder / target).parent.mkdir(parents=True, exist_ok=True)
    (copy.folder / target).touch()
    copy.record(target, preset="config/hostile.yaml")
    assert copy.planned(target, preset="config/hostile.yaml") == {}
    (copy.folder / name).write_text('{"article": "another", "summary": "s"}\n')
    assert copy.planned(target, preset="config/hostile.yaml") == {"write_articles": 1}
    assert not (copy.folder / "x").exists() and not (copy.folder.parent / "x").exists()


def test_a_file_with_braces_at_home_is_read(copy, tmp_path):
    (tmp_path / "n{v1}.jsonl").write_text('{"article": "Selby.", "summary": "s"}\n')
    splits = dict.fromkeys(("train", "validation", "test"), "all")
    files = {"all": "~/n{v1}.jsonl"}
    content = {"datasets": {"read": {"source": "files", "files": files, "splits": splits}}}
    (copy.folder / "config/hostile.yaml").write_text(yaml.safe_dump(content))
    target = "results/articles/read/test.parquet"
    done = copy.snakemake(target, preset="config/hostile.yaml", HOME=str(tmp_path))
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert [row["article"] for row in read_table(copy.folder / target).to_pylist()] == ["Selby."]


def test_a_model_in_a_folder_with_braces_is_watched(copy):
    folder = copy.folder / "m{a}"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    for entry in (
        {"source": "local", "path": "m{a}"},
        {"source": "hub", "id": "a/b", "checkpoints": {"final": "m{a}"}},
    ):
        (copy.folder / "config/hostile.yaml").write_text(yaml.safe_dump({"models": {"braced": entry}}))
        name = "final" if "checkpoints" in entry else "base"
        target = f"results/checkpoints/braced/newswire/{name}"
        (copy.folder / target).mkdir(parents=True)
        copy.record(target, preset="config/hostile.yaml")
        assert copy.planned(target, preset="config/hostile.yaml") == {}
        (folder / "config.json").write_text(json.dumps({"n_layer": name}))
        assert list(copy.planned(target, preset="config/hostile.yaml").values()) == [1]


def test_yaml_tags_build_nothing(copy):
    (copy.folder / "config/hostile.yaml").write_text("pairs: !!python/object/apply:os.mkdir [made]\n")
    copy.refused(preset="config/hostile.yaml")
    assert not (copy.folder / "made").exists()


TEXTS = {
    "markup": "<script>alert('x')</script> & <b>&amp;</b> ]]> <!-- -- -->",
    "control characters": "a\x00b\x07c\x1bd\x7fe\tf\rg\nh\x85i\u2028j",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 🇬🇷",
    "right to left": "\u202eאבג العربية\u202c",
    "formulas": "=1+1 $\\frac{1}{0$ $x^{$ %s {0} \\N",
    "one long line": "word " * 200_000,
}
ORDINARY = "The mayor of Selby left Rome. Doctors met Ann Lee there. "


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A folder of a tiny random model with its tokenizer."""
    from tiny_models import tiny_model

    folder = tmp_path_factory.mktemp("reader") / "model"
    tokenizer = tiny_tokenizer()
    tiny_model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", TEXTS)
def test_any_article_passes_through_pairs_and_summaries(kind, reader, tmp_path):
    from rewire.articles.sources import write_articles
    from rewire.pair_table import write_pairs
    from rewire.pairs import read_pairs
    from rewire.summaries import write_summaries

    text = TEXTS[kind]
    rows = [
        {"id": f"{kind} {i}", "article": ORDINARY + text + " " + ORDINARY, "summary": f"{text[:40]} Selby."}
        for i in range(2)
    ]
    source = articles_table(tmp_path / "source.parquet", rows)
    entry = {
        "source": "files",
        "files": {"all": str(source)},
        "columns": {"id": "id", "article": "article", "summary": "summary"},
        "splits": dict.fromkeys(("train", "validation", "test"), "all"),
    }
    write_articles(entry, "test", tmp_path / "articles.parquet")
    kept = read_table(tmp_path / "articles.parquet").to_pylist()
    assert [row["article"].strip() for row in kept] == [row["article"].strip() for row in rows]
    settings = {
        "examples": 2,
        "salience": {"measures": ["rouge1"], "by": "top", "value": 1},
        "noise_share": 0.3,
        "seed": 0,
    }
    write_pairs(tmp_path / "articles.parquet", reader, "mask", settings, tmp_path / "pairs.parquet")
    ids, pairs = read_pairs(tmp_path / "pairs.parquet")
    assert ids == [row["id"] for row in rows] and pairs.clean.shape[1] <= 128
    asked = {"examples": 2, "batch_size": 2, "max_new_tokens": 4, "beams": 1}
    write_summaries(reader, tmp_path / "articles.parquet", asked, tmp_path / "summaries.parquet")
    written = read_table(tmp_path / "summaries.parquet").to_pylist()
    assert [row["reference"].strip() for row in written] == [row["summary"].strip() for row in rows]


@pytest.mark.parametrize("kind", TEXTS)
def test_any_text_is_shown_without_breaking_tsv_and_svg(kind, tmp_path):
    from rewire.claims.table import write_claims
    from rewire.figures.claims import draw

    claim = {
        "statement": TEXTS[kind][:300],
        "source": TEXTS[kind][:300],
        "published": TEXTS[kind][:40],
        "measure": "mask_effect",
        "rule": {"above": 0},
        "about": ["a model that is not here"],
    }
    write_claims({("m", "d"): {}}, {"mine": claim}, tmp_path / "c.parquet", tmp_path / "c.tsv")
    with (tmp_path / "c.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, dialect="excel-tab"))
    assert len(rows) == 1 and rows[0]["statement"] == claim["statement"] and rows[0]["verdict"] == "not run"
    draw(tmp_path / "c.parquet", tmp_path / "c.png", tmp_path / "c.svg")
    tree = xml.etree.ElementTree.parse(tmp_path / "c.svg")
    assert not [node for node in tree.iter() if str(node.tag).lower().endswith("script")]
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(not NIGHTLY, reason="minutes: REWIRE_NIGHTLY=1 runs it")
def test_any_article_passes_through_every_stage(make_copy):
    """The whole smoke study on articles that hold each of TEXTS: tokenizer, trainings, circuits, adapters, figures."""
    copy = make_copy("hostile")
    texts = [text if len(text) < 1000 else text[:20_000] for text in TEXTS.values()]
    rows = [
        {
            "id": f"{i} {texts[i % len(texts)][:9]}",
            "article": f"{row['article']} {texts[i % len(texts)]} {row['article']}",
            "summary": f"{row['summary']} {texts[i % len(texts)][:20]}",
        }
        for i, row in enumerate(newswire_rows(260))
    ]
    rows[3]["article"] += TEXTS["one long line"]
    articles_table(copy.folder / "hostile.parquet", rows)
    dataset = {
        "source": "files",
        "files": {"all": "hostile.parquet"},
        "columns": {"id": "id", "article": "article", "summary": "summary"},
        "splits": {"train": "all[:200]", "validation": "all[200:240]", "test": "all[240:]"},
    }
    preset = copy.preset(
        {
            "datasets.hostile": dataset,
            "runs": [{"model": "small", "dataset": "hostile"}],
        }
    )
    done = copy.snakemake(preset=preset)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    results = copy.folder / "results"
    for figure in results.rglob("*.svg"):
        tree = xml.etree.ElementTree.parse(figure)
        assert not [node for node in tree.iter() if str(node.tag).lower().endswith("script")], figure
    written = read_table(results / "summaries/small/hostile/final.parquet").to_pylist()
    assert len(written) == 6 and all(row["id"] in {r["id"] for r in rows[240:]} for row in written)
    with (results / "claims.tsv").open(newline="") as file:
        assert len({len(row) for row in csv.reader(file, dialect="excel-tab")}) == 1
