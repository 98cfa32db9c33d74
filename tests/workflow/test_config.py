"""The config: presets build, mistakes are one line that names the culprit."""

import json
import math
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def copy(make_copy):
    return make_copy("config")


@pytest.mark.parametrize(
    "preset",
    [None, "smoke", "gpt2-cnn_dailymail", "gpt2-xsum", "gpt2-multi_news", "own-files", "adder", "bakeoff"],
)
def test_presets_build_their_graph_of_jobs(copy, preset, tmp_path):
    build(copy, preset, tmp_path)


@pytest.mark.parametrize("preset", [None, "smoke", "adder", "sort", "gpt2-probes"])
def test_presets_build_the_graph_of_their_probes(copy, preset, tmp_path):
    output = build(copy, preset, tmp_path, "probes")
    studies = {"gpt2-probes": 4, "sort": 1, "adder": 3}.get(preset, 2)  # times checkpoints
    assert f"patch_study {studies}" in " ".join(output.split())
    if preset in ("gpt2-probes", "sort"):
        assert "finetune" not in output and "cross_" not in output


@pytest.mark.parametrize(
    "preset, second",
    [(None, 4 + 12 + 2 + 3 * 2), ("smoke", 2 + 1 + 2), ("pythia-sequential", 56 + 1 + 3 * 2)],
)
def test_presets_build_the_graph_of_their_tasks(copy, preset, second, tmp_path):
    output = " ".join(build(copy, preset, tmp_path, "sequential").split())
    for rule in ("train_second_task", "measure_second_task"):
        assert f"{rule} {second}" in output
    assert "finetune" not in output and "write_articles" not in output
    assert ("copy_sequential_base" in output) == (preset == "pythia-sequential")


def build(copy, preset, tmp_path, *targets):
    """Asserts that a dry run of ``preset`` succeeds; returns what it says."""
    environment = {"REWIRE_MATERIAL": str(tmp_path)}
    (tmp_path / "data" / "cnn_dailymail").mkdir(parents=True, exist_ok=True)
    (tmp_path / "data" / "cnn_dailymail" / "validation500.jsonl").write_text("{}\n")
    path = f"config/{preset}.yaml" if preset else None
    done = copy.snakemake(*targets, "--dry-run", "--quiet", "rules", preset=path, **environment)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-3000:]
    return output


def study(**changes):
    """The default study with other values."""
    return {"probes": {"studies": {"seen-name": changes}}}


def news(files):
    """Articles in those files."""
    splits = {"train": "all[:9]", "validation": "all[9:12]", "test": "all[12:]"}
    return {
        "runs": [{"model": "small", "dataset": "news"}],
        "datasets": {"news": {"source": "files", "files": files, "splits": splits}},
    }


def mine(**entry):
    """A run of a local model."""
    return {
        "runs": [{"model": "mine", "dataset": "newswire"}],
        "models": {"mine": {"source": "local", **entry}},
    }


MISTAKES = {
    "study's file": (
        study(file="config/studies/nothing.yaml"),
        ["probes.studies.seen-name.file", "nothing.yaml"],
    ),
    "study's model": (study(models=["smal"]), ["probes.studies.seen-name.models", "'smal'", "small"]),
    "study's dataset": (study(datasets=["cnn"]), ["probes.studies.seen-name.datasets", "'cnn'", "newswire"]),
    "study's checkpoint": (
        study(checkpoints=["step-000011"]),
        ["probes.studies.seen-name.checkpoints", "'step-000011'", "step-000050", "final", "last"],
    ),
    "study's layer": (study(layers=[0, 4]), ["probes.studies.seen-name.layers", "4", "small has 4"]),
    "study without a file": (
        {"probes": {"studies": {"mine": {"models": ["small"]}}}},
        ["probes.studies.mine", "'file'"],
    ),
    "study's unknown key": (study(layer=[1]), ["probes.studies['seen-name']", "'layer'"]),
    "study named as a path": ({"probes": {"studies": {"a/b": {}}}}, ["probes.studies", "a/b"]),
    "no site to lead by": ({"probes": {"heads": ["q"]}}, ["probes.heads", "['q']"]),
    "unknown key": ({"pairs": {"exmaples": 3}}, ["pairs", "exmaples"]),
    "wrong type": ({"pairs": {"examples": "many"}}, ["pairs.examples", "'many'", "integer"]),
    "not allowed": ({"circuits": {"grid": "up"}}, ["circuits.grid", "'up'", "midpoint"]),
    "a single fraction": ({"faithfulness": {"fractions": [0.1]}}, ["faithfulness.fractions", "[0.1]"]),
    "too few random circuits": ({"faithfulness": {"random": 3}}, ["faithfulness.random", "3", "20"]),
    "model not in the catalogue": (
        {"runs": [{"model": "smal", "dataset": "newswire"}]},
        ["runs[0].model", "'smal'", "small"],
    ),
    "dataset not in the catalogue": (
        {"runs": [{"model": "small", "dataset": "cnn"}]},
        ["runs[0].dataset", "'cnn'", "newswire"],
    ),
    "corruption that is not built": (
        {"pairs": {"corruptions": ["mask"]}, "circuits": {"corruption": "shuffle"}},
        ["circuits.corruption", "'shuffle'"],
    ),
    "corruption of sums on articles": (
        {"pairs": {"corruptions": ["mask", "digit"]}},
        ["pairs.corruptions", "'digit'", "newswire"],
    ),
    "sums with nothing to train on": (
        {
            "runs": [{"model": "small", "dataset": "sums"}],
            "datasets": {"sums": {"source": "sums", "digits": 2}},
            "pairs": {"corruptions": ["digit"]},
            "circuits": {"corruption": "digit"},
        },
        ["runs[0]", "sums has no articles", "checkpoints"],
    ),
    "step after the end": ({"checkpoints": {"steps": [9999]}}, ["checkpoints.steps", "9999"]),
    "hub model without id": ({"models": {"x": {"source": "hub"}}}, ["models.x", "'id'"]),
    "name that is a path": ({"models": {"a/b": {"source": "hub", "id": "x"}}}, ["models", "a/b"]),
    "strategy layers": (
        {"lora": {"strategies": {"mine": {"layers": "best"}}}},
        ["lora.strategies.mine.layers", "'best'"],
    ),
    "a count of all layers": (
        {"lora": {"strategies": {"mine": {"layers": "all", "count": 2}}}},
        ["lora.strategies.mine.count", "no effect"],
    ),
    "a ratio without higher": (
        {"lora": {"strategies": {"standard": {"ratio": 3}}}},
        ["lora.strategies.standard.ratio", "higher"],
    ),
    "a strategy named base": (
        {"lora": {"strategies": {"base": {}}}},
        ["lora.strategies.base", "without training"],
    ),
    "summaries of articles that chose rates": (
        {"summaries": {"split": "validation"}, "pairs": {"split": "test"}},
        ["summaries.split", "'validation'"],
    ),
    "task that there is not": (
        {"sequential": {"tasks": ["add", "adding"]}},
        ["sequential.tasks", "'adding'", "add_sub", "digit_sum"],
    ),
    "pair of a task with itself": (
        {"sequential": {"pairs": [["add", "max"], ["sub", "sub"]]}},
        ["sequential.pairs", "'sub' after itself"],
    ),
    "pair that is no pair": (
        {"sequential": {"pairs": [["add", "max", "sub"]]}},
        ["sequential.pairs", "'sub'"],
    ),
    "tasks for a model that is not there": (
        {"sequential": {"models": ["calculators"]}},
        ["sequential.models", "'calculators'", "calculator"],
    ),
    "tasks for a tokenizer made of articles": (
        {"sequential": {"models": ["small"]}},
        ["sequential.models", "'small'", "words: tasks"],
    ),
    "articles for a tokenizer made of tasks": (
        {"runs": [{"model": "calculator", "dataset": "newswire"}]},
        ["runs[0].model", "calculator", "words: tasks"],
    ),
    "a step and a half": (
        {"checkpoints": {"training": {"steps": 20.5}}},
        ["checkpoints.training.steps", "20.5", "integer"],
    ),
    "a share that is no number": (
        {"circuits": {"fraction": math.nan}},
        ["circuits.fraction: nan is not a finite number"],
    ),
    "a rate without bound": (
        {"checkpoints": {"training": {"learning_rate": math.inf}}},
        ["checkpoints.training.learning_rate: inf is not a finite number"],
    ),
    "no number in an architecture": (
        {"models": {"small": {"architecture": {"initializer_range": math.nan}}}},
        ["models.small.architecture.initializer_range: nan"],
    ),
    "one rate of several": ({"lora": {"learning_rates": [0.1, math.inf]}}, ["lora.learning_rates[1]: inf"]),
    "a seed below 0": (
        {"checkpoints": {"training": {"seed": -1}}},
        ["checkpoints.training.seed", "-1", "minimum"],
    ),
    "a seed that numpy has not": (
        {"models": {"small": {"pretraining": {"seed": 2**32}}}},
        ["models.small.pretraining.seed", "4294967296", "maximum"],
    ),
    "articles' seed": ({"datasets": {"newswire": {"seed": -1}}}, ["datasets.newswire.seed", "-1"]),
    "draws beyond the last seed": (
        {"lora": {"seeds": [2**32 - 1], "strategies": {"random": {"draws": 2}}}},
        ["lora.strategies.random.draws", "4294967295"],
    ),
    "a run twice": (
        {"runs": [{"model": "small", "dataset": "newswire"}] * 2},
        ["runs[1]", "'small'", "'newswire'", "twice"],
    ),
    "a measure twice": (
        {"pairs": {"salience": {"measures": ["rouge1", "rougeL", "rouge1"]}}},
        ["pairs.salience.measures[2]: 'rouge1' is there twice"],
    ),
    "a fraction twice": (
        {"faithfulness": {"fractions": [0.1, 1, 1.0]}},
        ["faithfulness.fractions[2]: 1.0 is there twice"],
    ),
    "tasks together twice": (
        {"sequential": {"multi": [["add", "max"], ["max", "add"]]}},
        ["sequential.multi[1]: max+add is there twice"],
    ),
    "files of a variable that is not set": (
        news({"all": "${REWIRE_NOWHERE}/n.jsonl"}),
        ["datasets.news.files.all", "variable REWIRE_NOWHERE is not set"],
    ),
    "files of nobody's home": (news({"all": "~nobody-at-all/n.jsonl"}), ["datasets.news.files.all", "home"]),
    "a split of no file": (news({"some": "n.jsonl"}), ["datasets.news.splits.train", "'all[:9]'", "some"]),
    "a model's path of a variable that is not set": (
        mine(path="$REWIRE_NOWHERE/model"),
        ["models.mine.path", "variable REWIRE_NOWHERE is not set"],
    ),
    "a checkpoint's path of a variable that is not set": (
        mine(path="m", checkpoints={"final": "$REWIRE_NOWHERE"}),
        ["models.mine.checkpoints.final", "variable REWIRE_NOWHERE is not set"],
    ),
    "a study's file of a variable that is not set": (
        study(file="$REWIRE_NOWHERE/study.yaml"),
        ["probes.studies.seen-name.file", "variable REWIRE_NOWHERE is not set"],
    ),
    **{
        f"a checkpoint named {name}": (
            mine(path="m", checkpoints={"first": "m", name: "m"}),
            [f"models.mine.checkpoints.{name}", "choose another"],
        )
        for name in ("base", "last", "lora-standard", "cross-model", "pretraining.parquet")
    },
    "a strategy named as other results": (
        {"lora": {"strategies": {"standard-against-last": {}}}},
        ["lora.strategies.standard-against-last", "choose another"],
    ),
    "no strategy left": (
        {"lora": {"strategies": dict.fromkeys(("full", "standard", "targeted", "circuit", "random"))}},
        ["lora.strategies"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_names_it(copy, mistake):
    content, words = MISTAKES[mistake]
    write_mistake(copy, content)
    line = copy.refused(preset="config/mistake.yaml").removeprefix("WorkflowError: ")
    assert line.startswith("config: ") and len(line.splitlines()) == 1
    for word in words:
        assert word in line, line
    assert not (copy.folder / "results").exists()


def test_snakemake_says_what_is_wrong(copy):
    """As a user sees it, without a traceback; the others by the planner, which starts once."""
    content, _ = MISTAKES["no strategy left"]
    write_mistake(copy, content)
    done = copy.snakemake("--dry-run", preset="config/mistake.yaml")
    output = done.stdout + done.stderr
    assert done.returncode != 0 and "Traceback" not in output
    assert any("config: lora.strategies" in line for line in output.splitlines())


def write_mistake(copy, content):
    (copy.folder / "config/mistake.yaml").write_text(yaml.safe_dump(content))


def test_a_mistyped_target_fails_at_once(copy):
    for target in (
        "results/figures/small/newswire/hedas.png",
        "results/figures/smal/newswire/heads.png",
        "results/circuits/small/newswire/step-000011/circuit.json",
        "results/probes/small/newswire/final/seen-nam/summary.parquet",
        "results/figures/small/newswire/probes/final/seen-name/hedas.png",
        "results/figures/small/newswire/probes/cross-model/seen-nam.png",
        "results/sequential/calculator/add-mux/kept/measures.parquet",
        "results/sequential/calculator/add-add/kept/measures.parquet",
    ):
        assert copy.refused(target).startswith("MissingRuleException"), target


@pytest.mark.parametrize("preset", ["", "bakeoff", "own-files"])
def test_a_killed_run_resumes_and_early_stopping_can_stop(preset):
    """Both need more than one stop on the way: a save before the end, and a validation after patience is over."""
    lora = yaml.safe_load((ROOT / "config/config.yaml").read_text())["lora"]
    training = lora.pop("training")
    if preset:
        on_top = yaml.safe_load((ROOT / f"config/{preset}.yaml").read_text())["lora"]
        training |= on_top.pop("training", {})
        lora |= on_top
    assert training["resume_every"] < training["steps"]
    assert lora["validate_every"] * lora["patience"] < training["steps"]


def test_a_strategy_can_be_dropped(copy):
    (copy.folder / "config" / "dropped.yaml").write_text(
        yaml.safe_dump({"lora": {"strategies": {"targeted": None, "mine": {"layers": [0, 2]}}}})
    )
    done = copy.snakemake("--dry-run", "bakeoff", preset="config/dropped.yaml")
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-3000:]
    assert "strategy=mine" in output and "strategy=circuit" in output and "strategy=targeted" not in output


REVISION = "607a30d783dfa663caf39e06633721c8d4cfcd7e"
MODEL = {"config.json": {"model_type": "gpt2", "n_layer": 2}}
# where a model of two layers is: its path, and the folders that are there, of a home and of a Hub's cache
PATHS = {
    "at home": ("~/mine", {"mine": MODEL}),
    "under a variable": ("${HOME}/mine", {"mine": MODEL}),
    "an adapter": (
        "~/tuned",
        {"mine": MODEL, "tuned": {"adapter_config.json": {"base_model_name_or_path": "~/mine"}}},
    ),
    "an adapter on an adapter on the Hub": (
        "$HOME/twice",
        {
            "twice": {"adapter_config.json": {"base_model_name_or_path": "someone/tuned"}},
            f"hub/models--someone--tuned/snapshots/{REVISION}": {
                "adapter_config.json": {"base_model_name_or_path": "someone/model"}
            },
            f"hub/models--someone--model/snapshots/{REVISION}": MODEL,
        },
    ),
}


@pytest.mark.parametrize("where", PATHS)
def test_the_layers_of_a_model_are_known_wherever_it_is(copy, where, tmp_path):
    path, folders = PATHS[where]
    for folder, files in folders.items():
        (tmp_path / folder).mkdir(parents=True)
        for name, content in files.items():
            (tmp_path / folder / name).write_text(json.dumps(content))
        if folder.startswith("hub"):
            (tmp_path / folder).parent.parent.joinpath("refs").mkdir()
            (tmp_path / folder).parent.parent.joinpath("refs/main").write_text(REVISION)
    strategies = {"mine": {"layers": [0, 2]}}
    content = mine(path=path) | {"lora": {"strategies": strategies}}
    (copy.folder / "config/where.yaml").write_text(yaml.safe_dump(content))
    home = {"HOME": str(tmp_path), "HF_HOME": str(tmp_path)}
    done = copy.snakemake("--dry-run", preset="config/where.yaml", **home)
    said = done.stdout + done.stderr
    assert "lora.strategies.mine.layers: there is no layer 2; the model has layers 0..1 (mine)" in said


NAMES = [
    "final",
    "step-000050",
    "pretrain",
    "finetune",
    "training",
    "agreement",
    "three_way",
    "trajectories",
    "adapter",
    "lora",
    "probes",
    "claims",
    "curve",
    "effect",
]


@pytest.mark.parametrize("source", ["local", "scratch"])
def test_any_other_name_of_a_checkpoint_plans_everything(copy, source):
    """Names of stages, logs, tables, and of checkpoints of models that are trained here are nobody else's."""
    published = dict.fromkeys(NAMES, "m")
    content = {"models": {"small": {"checkpoints": published}}}
    if source == "local":
        content = mine(path="m", checkpoints=published) | study(models=["mine"])
    (copy.folder / "config/named.yaml").write_text(yaml.safe_dump(content))
    jobs = copy.planned("everything", preset="config/named.yaml")
    assert jobs["copy_checkpoint"] == len(NAMES) and "finetune" not in jobs and jobs["cross_study"] == 1
