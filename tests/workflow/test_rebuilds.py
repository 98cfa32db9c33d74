"""Rebuilds exactly what changed: the precise jobs that a dry run plans on the finished smoke run after each change."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rewire.lora.cost_table import COLUMNS

CELL = "small/newswire"
# every job of the smoke run
COUNTS = {
    "write_articles": 3, "pretrain": 1, "finetune": 1, "keep_step": 1, "build_pairs": 2, "build_continuations": 1, "measure_pairs": 1,
    "compare_with_base": 3, "compare_with_last": 1, "follow_training": 1, "compare_three_ways": 1, "find_scores": 8, "select_circuit": 3,
    "evaluate_circuit": 3, "test_circuit": 2, "compare_circuits": 1, "test_robustness": 1, "summarize": 2, "rank_layers": 1,
    "tune_strategy": 5, "train_adapter": 4, "tune_draw": 1, "summarize_adapters": 5, "hold_bakeoff": 1, "add_costs": 1, "compare_adapted_circuits": 1,
    "judge_claims": 1,
}  # fmt: skip
FIGURES = (
    "training pairs layers heads critical_layers neurons trajectories three_way faithfulness areas criteria evolution "
    "evolution_layers edge_centric circuit_evolution robustness circuit bakeoff bakeoff_losses bakeoff_parameters "
    "bakeoff_circuits claims"
)
EVERY_JOB = COUNTS | {f"draw_{name}": 1 for name in FIGURES.split()} | {"all": 1}


def jobs(rules: str, drawn: str = "", **counts: int) -> dict[str, int]:
    """The jobs of ``rules`` and of the figures ``drawn``, as many as the whole run has, but for ``counts``."""
    names = [*rules.split(), *(f"draw_{name}" for name in drawn.split()), "all"]
    return {name: EVERY_JOB[name] for name in names} | counts


def without(rules: str, drawn: str = "", **counts: int) -> dict[str, int]:
    """Every job but those of ``rules`` and of the figures ``drawn``."""
    return {
        name: n for name, n in EVERY_JOB.items() if name not in jobs(rules, drawn) or name == "all"
    } | counts


JUDGED = "judge_claims", "claims"
CONTEST = "hold_bakeoff judge_claims", "bakeoff bakeoff_losses bakeoff_parameters claims"
SUMMARIES = f"summarize summarize_adapters {CONTEST[0]}", CONTEST[1]
RANKED = {
    "tune_strategy": 2,
    "train_adapter": 2,
    "summarize_adapters": 2,
}  # those that ask which layers are critical
NO_PAIRS = "write_articles pretrain build_pairs build_continuations"


@contextmanager
def edited(file: Path) -> Iterator[None]:
    """The file with one more comment, for a while."""
    text = file.read_text()
    file.write_text(f"{text}\n# edited\n")
    try:
        yield
    finally:
        file.write_text(text)


# a module of the library or a script, every job that an edit plans; selection is imported inside functions too
EDITS: dict[str, dict[str, int]] = {
    "src/rewire/circuits/selection.py": without(
        "write_articles pretrain finetune keep_step build_pairs build_continuations summarize follow_training "
        "tune_draw compare_with_base compare_with_last compare_three_ways",
        "training layers heads neurons trajectories three_way",
        **RANKED,
    ),
    "src/rewire/lora/bakeoff.py": jobs(*CONTEST),
    "src/rewire/summaries.py": jobs(*SUMMARIES),
    "src/rewire/statistics.py": without(  # its intervals rank the layers, by which adapters are placed
        "write_articles pretrain finetune keep_step build_pairs build_continuations measure_pairs summarize "
        "tune_draw select_circuit",
        "circuit",
        find_scores=2,
        **RANKED,
    ),
    "src/rewire/figures/heads.py": jobs("", "heads"),
    "src/rewire/figures/head_map.py": jobs("", "critical_layers heads"),
    "src/rewire/claims/table.py": jobs(*JUDGED),
    "workflow/scripts/figure_heads.py": jobs("", "heads"),
}


@pytest.mark.parametrize("file", EDITS)
def test_an_edit_reruns_the_rules_that_import_the_file(smoke, file):
    with edited(smoke.folder / file):
        assert smoke.planned() == EDITS[file]
    assert smoke.planned() == {}


# dotted key of the config, another value, every job that it plans
SETTINGS: dict[str, tuple[Any, dict[str, int]]] = {
    "models.small.pretraining.seed": (1, without("write_articles")),
    "datasets.newswire.seed": (1, EVERY_JOB),
    "datasets.newswire.rows.test": (21, jobs(*SUMMARIES, write_articles=1)),
    "datasets.newswire.language": ("de", without("write_articles pretrain")),
    "checkpoints.training.seed": (
        1,
        without(
            f"{NO_PAIRS} tune_draw",
            compare_with_base=2,
            find_scores=4,
            select_circuit=2,
            evaluate_circuit=2,
            test_circuit=1,
            summarize=1,
            **RANKED,
        ),
    ),
    "pairs.examples": (
        9,
        without("write_articles pretrain finetune keep_step summarize tune_draw", "training", **RANKED),
    ),
    "pairs.corruptions": (
        ["mask", "random", "shuffle"],
        jobs("measure_pairs test_robustness judge_claims", "pairs robustness claims", build_pairs=1),
    ),
    "differential.top_neurons": (5, jobs("", "neurons")),
    "circuits.fraction": (
        0.2,
        jobs(
            "select_circuit test_circuit test_robustness judge_claims",
            "circuit criteria pairs robustness claims",
        ),
    ),
    "faithfulness.knockouts": (2, jobs("test_circuit", "criteria")),
    "robustness.splits": (3, jobs("test_robustness judge_claims", "pairs robustness claims")),
    "evolution.alpha": (
        0.01,
        jobs(
            "compare_circuits judge_claims",
            "evolution evolution_layers edge_centric circuit_evolution claims",
        ),
    ),
    "summaries.max_new_tokens": (13, jobs(*SUMMARIES)),
    "lora.alpha": (0.01, jobs(*CONTEST)),
    "lora.seeds": (
        [0, 1, 2],
        jobs(*CONTEST, train_adapter=4, tune_draw=1, summarize_adapters=5, add_costs=1),
    ),
    "lora.strategies.last": (
        {"layers": "last"},
        jobs(
            f"{CONTEST[0]} add_costs compare_adapted_circuits",
            f"{CONTEST[1]} bakeoff_circuits",
            tune_strategy=1,
            train_adapter=1,
            summarize_adapters=1,
            find_scores=1,
        ),
    ),
    "lora.strategies.targeted.least": (
        True,
        jobs(
            f"{CONTEST[0]} add_costs compare_adapted_circuits",
            f"{CONTEST[1]} bakeoff_circuits",
            tune_strategy=1,
            train_adapter=1,
            summarize_adapters=1,
            find_scores=1,
        ),
    ),
    "lora.critical_heads": (3, {}),
    "claims.masking-hurts.rule.above": (0.1, jobs(*JUDGED)),
}


@pytest.mark.parametrize("key", SETTINGS)
def test_a_setting_reruns_the_rules_that_read_it_and_what_follows(smoke, key):
    value, expected = SETTINGS[key]
    assert smoke.planned(preset=smoke.preset({key: value})) == expected


BY_STEP = (
    "layers trajectories faithfulness areas evolution evolution_layers edge_centric circuit_evolution claims"
)
ORDERED = "follow_training compare_circuits judge_claims"  # by the checkpoints' steps


def test_a_checkpoint_more_plans_its_own_jobs_and_what_aggregates(smoke):
    own = dict.fromkeys(
        ("keep_step", "compare_with_base", "find_scores", "select_circuit", "evaluate_circuit"), 1
    )
    plan = smoke.plan(preset=smoke.preset({"checkpoints.steps": [10, 15]}))
    assert plan.jobs == jobs(ORDERED, BY_STEP) | own
    of_a_checkpoint = [path for path in plan.outputs if "/step-" in path or "/final" in path]
    assert len(of_a_checkpoint) > 5 and all("/step-000015" in path for path in of_a_checkpoint)


def test_a_checkpoint_fewer_trains_nothing(smoke):
    assert smoke.planned(preset=smoke.preset({"checkpoints.steps": []})) == jobs(ORDERED, BY_STEP)


PROBE_FIGURES = ("positions", "heads", "neurons", "logits", "attention", "patterns", "pairings", "agreement")
# a module of the probes and the jobs of the target `probes` that an edit plans
PROBE_EDITS = {
    "src/rewire/figures/probe_heads.py": {"draw_probe_heads": 2, "probes": 1},
    "src/rewire/figures/cross_model.py": {"draw_cross_study": 1, "draw_cross_pairs": 1, "probes": 1},
    "workflow/scripts/probes_readings.py": {
        "read_study": 2, "compare_groups": 2, "write_probe_page": 2, "probes": 1,
    } | dict.fromkeys((f"draw_probe_{n}" for n in ("logits", "attention", "patterns", "pairings", "agreement")), 2),
    "src/rewire/figures/page_script.py": {"write_probe_page": 2, "probes": 1},
    "workflow/scripts/probes_comparison.py": {
        "compare_groups": 2, "draw_probe_pairings": 2, "draw_probe_agreement": 2, "probes": 1,
    },
    "config/studies/smoke.yaml": {
        "patch_study": 2, "patch_neurons": 2, "read_study": 2, "compare_groups": 2, "write_probe_page": 2,
        "cross_study": 1, "draw_cross_study": 1, "probes": 1,
    } | dict.fromkeys((f"draw_probe_{n}" for n in PROBE_FIGURES), 2),
}  # fmt: skip


@pytest.mark.parametrize("file", PROBE_EDITS)
def test_an_edit_reruns_the_probes_that_read_the_file(probed, file):
    with edited(probed.folder / file):
        assert probed.planned("probes") == PROBE_EDITS[file]
        assert probed.planned() == {}
    assert probed.planned("probes") == {}


RUNS = [{"model": "small", "dataset": "newswire"}]
SECOND_MODEL = {
    "models.second": {
        "source": "scratch",
        "architecture": {"model_type": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": 32, "n_positions": 160},
        "tokenizer": {"vocabulary": 600},
        "pretraining": {"steps": 40, "batch_size": 8, "learning_rate": 0.003},
    }
}
SECOND_DATASET = {
    "datasets.second": {"source": "newswire", "rows": {"train": 20, "validation": 20, "test": 20}, "seed": 3}
}


def test_an_entry_that_no_run_names_plans_nothing(smoke):
    assert smoke.planned(preset=smoke.preset(SECOND_MODEL | SECOND_DATASET)) == {}


def test_a_new_model_plans_its_cell_alone(smoke):
    more = SECOND_MODEL | {"runs": [*RUNS, {"model": "second", "dataset": "newswire"}]}
    plan = smoke.plan(preset=smoke.preset(more))
    assert plan.jobs == without("write_articles")
    other = smoke.plan(preset=smoke.preset(more | {"models.second.pretraining.seed": 5}))
    for outputs in (plan.outputs, other.outputs):
        assert not [path for path in outputs if "/small/" in path]
    both = smoke.plan(preset=smoke.preset(more | {"models.small.pretraining.seed": 5}))
    assert [path for path in both.outputs if "/small/" in path]


def test_a_new_dataset_plans_its_cell_alone(smoke):
    plan = smoke.plan(
        preset=smoke.preset(SECOND_DATASET | {"runs": [*RUNS, {"model": "small", "dataset": "second"}]})
    )
    assert plan.jobs == EVERY_JOB
    assert not [path for path in plan.outputs if "newswire" in path]


def test_a_lost_table_is_made_again_where_it_is_asked_for(smoke, tmp_path):
    """What was made of it is still right, so that nothing else needs it."""
    name = f"results/pairs/{CELL}/effect.parquet"
    shutil.move(smoke.folder / name, tmp_path / "effect.parquet")
    try:
        assert smoke.planned() == {}
        assert smoke.planned(name) == {"measure_pairs": 1}
    finally:
        shutil.move(tmp_path / "effect.parquet", smoke.folder / name)
    assert smoke.planned() == {}


def test_cleared_logs_train_nothing_again(clone):
    """What trainings cost is logged, and gone; the table of it alone is written anew."""
    shutil.rmtree(clone.folder / "logs")
    assert clone.planned() == {"add_costs": 1, "all": 1}
    costs = f"logs/lora/{CELL}/costs.tsv"
    done = clone.snakemake(costs)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert (clone.folder / costs).read_text().splitlines() == ["\t".join(COLUMNS)]
    assert "tuning.cost.tsv is not there" in (clone.folder / f"logs/lora/{CELL}/costs.log").read_text()


def test_a_clone_elsewhere_with_the_results_copied_in_has_nothing_to_do(clone):
    """The results keep their times (cp -a), the sources have new ones, as after a clone: their content decides."""
    for file in [*clone.folder.glob("src/**/*.py"), *clone.folder.glob("workflow/**/*.*")]:
        file.touch()
    assert clone.planned() == {}


def test_results_without_what_they_were_made_with_are_taken_with_a_warning(clone):
    """Only .snakemake/metadata knows the config and the code of a file: without it Snakemake sees no change of them."""
    said = [dry_run_of(clone)]
    shutil.rmtree(clone.folder / ".snakemake/metadata")
    said.append(dry_run_of(clone))
    assert ["without .snakemake/metadata" in text for text in said] == [False, True]
    assert "--forceall" in said[1] and "Nothing to be done" in said[1]


def dry_run_of(copy) -> str:
    done = copy.snakemake("--dry-run")
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


def test_the_model_under_a_local_adapter_is_an_input(make_copy):
    copy = make_copy("adapter")
    for name, file, content in (
        ("under", "config.json", {}),
        ("mine", "adapter_config.json", {"base_model_name_or_path": "under"}),
    ):
        (copy.folder / name).mkdir()
        (copy.folder / name / file).write_text(json.dumps(content))
    target = "results/checkpoints/adapted/newswire/base"
    preset = copy.preset({"models.adapted": {"source": "local", "path": "mine"}})
    (copy.folder / target).mkdir(parents=True)
    copy.record(target, preset=preset)
    assert copy.planned(target, preset=preset) == {}
    (copy.folder / "under/model.safetensors").touch()
    assert copy.planned(target, preset=preset) == {"copy_base": 1}
