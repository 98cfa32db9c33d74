"""Every key of the schema: another value plans the rules that read it. A key that is not tried here fails.

A key that changes a result and reruns nothing would be the worst bug that the workflow can have.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from workflow.keys import (
    BOUNDS,
    CELLS_OF_STUDIES,
    COMBINE,
    ELSEWHERE,
    FILES,
    FOLDERS,
    FOREIGN,
    JUDGE,
    JUDGE_TASKS,
    LEFT_OUT,
    MEASURE_STAGES,
    OF_OTHER_SOURCES,
    OF_SEQUENTIAL,
    OF_THE_PROBES,
    OF_THE_SMOKE_RUN,
    OF_WHAT_IS_LEFT_OUT,
    STANDARD,
    STUDY,
    WITHOUT_EFFECT,
)

ROOT = Path(__file__).parent.parent.parent


def changed(key: str, value: Any) -> dict[str, Any]:
    """The preset's changes for another value at ``key``: what the schema asks for besides comes along."""
    if key == STANDARD + "ratio":
        return {STANDARD + "higher": "circuit", key: value}
    if key == "claims.edges-change-more.rule.test":
        claim = {"statement": "s", "source": "s", "measure": "edges_beyond_nodes"}
        return {"claims.tested": claim | {"rule": {"test": "edge_centric"}}}
    return {key: value}


@pytest.mark.parametrize("key", [*OF_THE_SMOKE_RUN, *BOUNDS])
def test_another_value_plans_the_rules_that_read_it(smoke, key):
    value, rules = (OF_THE_SMOKE_RUN | BOUNDS)[key]
    plan = smoke.plan(preset=smoke.preset(changed(key, value)))
    assert set(plan.changed) == rules
    assert rules <= set(plan.jobs)


@pytest.mark.parametrize("key", OF_THE_PROBES)
def test_another_value_plans_the_probes_that_read_it(probed, key):
    value, rules = OF_THE_PROBES[key]
    preset = probed.preset({key: value})
    plan = probed.plan("probes", preset=preset)
    assert set(plan.changed) == rules
    assert rules <= set(plan.jobs)
    assert probed.planned(preset=preset) == {}


@pytest.mark.parametrize("key", OF_SEQUENTIAL)
def test_another_value_plans_the_stages_of_tasks_that_read_it(sequenced, key):
    value, rules = OF_SEQUENTIAL[key]
    preset = sequenced.preset(changed(key, value))
    plan = sequenced.plan("sequential", preset=preset)
    assert set(plan.changed) == rules
    assert rules <= set(plan.jobs)
    assert sequenced.planned(preset=preset) == {}


def test_circuits_of_tasks_are_found_as_others_are(sequenced):
    for key in ("method", "steps", "grid", "metric", "batch_tokens"):
        value, _ = (OF_THE_SMOKE_RUN | BOUNDS)[f"circuits.{key}"]
        plan = sequenced.plan("sequential", preset=sequenced.preset({f"circuits.{key}": value}))
        assert set(plan.changed) == MEASURE_STAGES | COMBINE, key


def test_a_claim_is_judged_on_the_runs_of_its_stage(sequenced):
    preset = sequenced.preset(claim_on("sequential"))
    assert set(sequenced.plan("sequential", preset=preset).changed) == JUDGE_TASKS
    assert set(sequenced.plan(preset=sequenced.preset(claim_on(None))).changed) == JUDGE


def claim_on(stage):
    """A preset's change: one more claim, on a stage or on the runs."""
    claim = {"statement": "s", "source": "s", "measure": "union_lead", "rule": {"above": 0}}
    return {"claims.more": claim | ({"stage": stage} if stage else {})}


def test_no_model_no_sequential_run(sequenced):
    assert sequenced.planned("sequential", preset=sequenced.preset({"sequential.models": []})) == {
        "sequential": 1
    }


@pytest.mark.parametrize("key", CELLS_OF_STUDIES)
def test_a_study_is_run_where_it_says(probed, key):
    value, jobs = CELLS_OF_STUDIES[key]
    assert probed.planned("probes", preset=probed.preset({key: value})) == jobs


@pytest.mark.parametrize("key", [STUDY + "models", STUDY + "datasets"])
def test_a_study_that_is_run_nowhere_plans_nothing(probed, key):
    another = {"probes.top_heads": 2}
    assert "read_study" in probed.planned("probes", preset=probed.preset(another))
    assert probed.planned("probes", preset=probed.preset(another | {key: []})) == {}


def test_claims_about_studies_are_judged_with_the_probes(probed):
    preset = probed.preset({"claims.gpt2-contractions-mlps.rule.between": [1, 2]})
    assert probed.planned("probes", preset=preset) == {"judge_probe_claims": 1, "probes": 1}
    about = probed.preset({"claims.gpt2-contractions-mlps.study": "seen-name"})
    assert set(probed.plan("probes", preset=about).changed) == {"judge_probe_claims"}


def test_the_pairs_that_cross_model_patches_read(probed):
    plan = probed.plan("probes", preset=probed.preset({"circuits.corruption": "random"}))
    assert set(plan.changed) == {"cross_pairs"}


@pytest.mark.parametrize("split", ["train", "validation"])
def test_summaries_are_judged_on_articles_that_chose_nothing(smoke, split):
    """Rates and the steps that are kept are chosen on ``validation``, whatever the pairs are made of."""
    preset = smoke.preset(
        {"summaries.split": split, "pairs.split": "train" if split == "validation" else "test"}
    )
    message = smoke.refused(preset=preset)
    assert f"summaries.split: {split!r}" in message


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"layers": [0, 9]}, "layers: there is no layer 9; the model has layers 0..1 (small)"),
        ({"layers": "circuit", "count": 3}, "count is 3; the model has 2 layers (small)"),
    ],
)
def test_layers_that_a_model_has_not_are_refused_before_anything_runs(smoke, declared, said):
    message = smoke.refused(preset=smoke.preset({"lora.strategies.mine": declared}))
    assert f"lora.strategies.mine.{said}" in message


@pytest.mark.parametrize("key", WITHOUT_EFFECT)
def test_a_key_that_nothing_reads_plans_nothing(smoke, key):
    assert smoke.planned(preset=smoke.preset({key: WITHOUT_EFFECT[key]})) == {}


def test_whole_floats_plan_nothing(smoke):
    """20.0 where 20 was run: of settings, of checkpoints, of layers."""
    content = yaml.safe_load((smoke.folder / "config/smoke.yaml").read_text())
    floats = {
        "checkpoints.steps": [float(step) for step in content["checkpoints"]["steps"]],
        "checkpoints.training.steps": float(content["checkpoints"]["training"]["steps"]),
        "lora.seeds": [float(seed) for seed in content["lora"]["seeds"]],
        "pairs.examples": float(content["pairs"]["examples"]),
        "models.small.pretraining.batch_size": float(content["models"]["small"]["pretraining"]["batch_size"]),
    }
    assert smoke.planned(preset=smoke.preset(floats)) == {}


@pytest.fixture(scope="module")
def foreign(smoke):
    """The finished run with empty files that count as made from the entries of ``FOREIGN``."""
    for folder in FOLDERS:
        (smoke.folder / folder).mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (smoke.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (smoke.folder / name).touch()
    smoke.record(*FOLDERS, *FILES, preset=smoke.preset(FOREIGN))
    return smoke


def test_foreign_entries_start_out_finished(foreign):
    assert foreign.planned(*FOLDERS, *FILES, preset=foreign.preset(FOREIGN)) == {}


@pytest.mark.parametrize("key", OF_OTHER_SOURCES)
def test_another_value_of_an_entry_plans_its_files_alone(foreign, key):
    value, files = OF_OTHER_SOURCES[key]
    section, name, *_ = key.split(".")
    entry = f"{section}.{name}"
    changes = FOREIGN | {entry: yaml.safe_load(yaml.safe_dump(FOREIGN[entry]))}
    if key.endswith(".source"):
        renamed = {"path": "id", "files": "id"}
        changes[entry] = {renamed.get(k, k): "a/b" if k in renamed else v for k, v in changes[entry].items()}
    plan = foreign.plan(*FOLDERS, *FILES, preset=foreign.preset(changes | {key: value}))
    assert [file for file in plan.outputs if not file.endswith("pretraining.parquet")] == sorted(files)


@pytest.mark.parametrize("key", OF_WHAT_IS_LEFT_OUT)
def test_another_value_plans_the_rule_that_reads_it_where_there_is_one(smoke, key):
    which, value, rule = OF_WHAT_IS_LEFT_OUT[key]
    changes, folders, files = LEFT_OUT[which]
    for folder in folders:
        (smoke.folder / folder).mkdir(parents=True, exist_ok=True)
    for name in files:
        (smoke.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (smoke.folder / name).touch()
    made = [*folders, *files]
    smoke.record(*made, preset=smoke.preset(changes))
    assert smoke.planned(*made, preset=smoke.preset(changes)) == {}
    plan = smoke.plan(*made, preset=smoke.preset(changes | {key: value}))
    assert plan.changed == [rule] and plan.jobs[rule] == 1


def leaves(schema: Mapping[str, Any]) -> Iterator[str]:
    """The schema's keys that hold a value, dotted; a name that the user gives is *, an item of a list []."""

    def resolved(node: Mapping[str, Any]) -> dict[str, Any]:
        if "$ref" not in node:
            return dict(node)
        inner = resolved(schema["$defs"][node["$ref"].removeprefix("#/$defs/")])
        properties = {**inner.get("properties", {}), **node.get("properties", {})}
        return {**inner, **node, "properties": properties} if properties else {**inner, **node}

    def walk(node: Mapping[str, Any], path: str) -> Iterator[str]:
        node = resolved(node)
        inner = [(f"{path}.{key}", part) for key, part in node.get("properties", {}).items()]
        if isinstance(node.get("additionalProperties"), dict):
            inner.append((f"{path}.*", node["additionalProperties"]))
        if resolved(node.get("items", {})).get("type") == "object":
            inner.append((f"{path}[]", node["items"]))
        if not inner:
            yield path.removeprefix(".")
        for name, part in inner:
            yield from walk(part, name)

    return walk(schema, "")


def test_every_key_of_the_schema_is_tried():
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    keys = list(leaves(schema))
    tried = {
        *OF_THE_SMOKE_RUN,
        *OF_THE_PROBES,
        *CELLS_OF_STUDIES,
        *OF_SEQUENTIAL,
        *BOUNDS,
        *OF_WHAT_IS_LEFT_OUT,
        *OF_OTHER_SOURCES,
        "summaries.split",
        "sequential.models",
        "claims.more.stage",
    }
    assert len(keys) > 100 and {"lora.training.beta2", "models.*.pretraining.seed", *ELSEWHERE} <= set(keys)
    assert [key for key in keys if key not in ELSEWHERE and not any(fnmatchcase(t, key) for t in tried)] == []
