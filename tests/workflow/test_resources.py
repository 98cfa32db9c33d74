"""What jobs ask for: enough and not much more than they were measured to use, on models of three sizes; one GPU at a time."""

import os
import re
import shutil

import pytest
import yaml
from nightly import NIGHTLY
from workflow.gpu_rules import ON_GPU

SMOKE = "config/smoke.yaml"
BIGGER = {  # ten million parameters; batches are full. On top of the smoke run
    "models": {
        "small": {
            "architecture": {"n_layer": 6, "n_head": 6, "n_embd": 384},
            "tokenizer": {"vocabulary": 900},
            "pretraining": {"steps": 4},
        }
    },
    "checkpoints": {"steps": [2], "training": {"steps": 4}},
    "differential": {"batch_tokens": 1024},
    "circuits": {"batch_tokens": 1024},
}
LARGE = BIGGER | {  # forty million; every rule's, in as few steps as can be
    "models": {
        "small": {
            "architecture": {"n_layer": 12, "n_head": 8, "n_embd": 512, "n_positions": 256},
            "tokenizer": {"vocabulary": 900},
            "pretraining": {"steps": 2},
        }
    },
    "checkpoints": {"steps": [1], "training": {"steps": 2}},
}
OVERVIEW = re.compile(r"^(?:local)?rule (\w+):\n(.*?)(?=^\S|\Z)", re.M | re.S)


def run(copy, *arguments: str, presets: list[str], **environment: str) -> str:
    """What Snakemake says, with ``presets`` on top of one another."""
    done = copy.snakemake(*arguments, "--configfile", *presets, preset=None, **environment)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


def planned_jobs(copy, *targets: str, presets: list[str]) -> list[dict[str, str]]:
    """Every job of a dry run: its rule, log and resources."""
    output = run(copy, *targets, "--dry-run", "--forceall", presets=presets)
    jobs = []
    for rule, text in OVERVIEW.findall(output):
        lines = dict(re.findall(r"^    (\w+): (.*)$", text, re.M))
        resources = dict(part.split("=", 1) for part in lines["resources"].split(", "))
        jobs.append({"rule": rule, "log": lines.get("log", "")} | resources)
    return jobs


def check(copy, jobs: list[dict[str, str]]) -> dict[str, tuple[int, int]]:
    """Asserts that jobs asked for what they used; rule -> peak and declared MB of those with a log of this run."""
    found, wrong = {}, []
    for job in jobs:
        log = copy.folder / job["log"]
        peak = re.search(r"peak memory (\d+) MB", log.read_text()) if log.is_file() else None
        if peak:
            used, declared = int(peak[1]), int(job["mem_mb"])
            if not used <= declared <= 4 * used + 1000 + 2000 * ("articles" in job["log"]):
                wrong.append(f"{job['log']}: {used} of {declared} MB")
            found[job["rule"]] = (used, declared)
    assert not wrong
    return found


def test_every_rule_says_what_it_needs(smoke):
    jobs = [job for job in planned_jobs(smoke, presets=[SMOKE]) if job["log"]]
    assert len({job["rule"] for job in jobs}) > 35
    for job in jobs:
        assert {"mem_mb", "runtime", "gpu"} <= set(job), job


def test_jobs_ask_for_what_they_use(smoke):
    assert len(check(smoke, planned_jobs(smoke, presets=[SMOKE]))) > 35


def test_probes_ask_for_what_they_use(probed):
    jobs = [job for job in planned_jobs(probed, "probes", presets=[SMOKE]) if "/probes/" in job["log"]]
    for job in jobs:
        assert {"mem_mb", "runtime", "gpu"} <= set(job), job
    assert len(check(probed, jobs)) == 18


def test_tasks_ask_for_what_they_use(sequenced):
    jobs = [
        job for job in planned_jobs(sequenced, "sequential", presets=[SMOKE]) if "sequential" in job["log"]
    ]
    rules = set(check(sequenced, jobs))
    assert rules >= {
        "pretrain_on_tasks",
        "train_task",
        "train_second_task",
        "measure_task",
        "measure_second_task",
    }
    for job in jobs:
        assert {"mem_mb", "runtime", "gpu"} <= set(job), job


def test_what_runs_a_model_asks_for_a_gpu_and_nothing_else_does(make_copy, tmp_path):
    copy = make_copy("partitions")
    (tmp_path / "nvidia-smi").write_text("")
    (tmp_path / "nvidia-smi").chmod(0o755)
    output = run(copy, "everything", "--dry-run", presets=[SMOKE], PATH=f"{tmp_path}:{os.environ['PATH']}")
    asked = {"0": set(), "1": set()}
    for rule, text in OVERVIEW.findall(output):
        if number := re.search(r"\bgpu=(\d)", text):
            asked[number[1]].add(rule)
    # AddSub, whose circuit is grown, is no task of the smoke run
    assert asked["1"] == ON_GPU - {"grow_circuit"}
    assert not asked["0"] & asked["1"] and len(asked["0"]) > 30


def test_threads_grow_with_the_model(make_copy):
    """A small model runs no faster for more threads; trainings that others wait for take two."""
    copy = make_copy("threads")
    target = "results/circuits/small/newswire/base/circuit.json"
    for width, expected in ((384, {"pretrain": "2"}), (768, {"pretrain": "4", "find_scores": "4"})):
        size = {"models": {"small": {"architecture": {"n_layer": 6, "n_head": 6, "n_embd": width}}}}
        (copy.folder / "config" / "size.yaml").write_text(yaml.safe_dump(size))
        presets = [SMOKE, "config/size.yaml"]
        done = copy.snakemake(target, "--dry-run", "--configfile", *presets, preset=None, cores=8)
        assert done.returncode == 0, done.stderr[-2000:]
        threads = {
            rule: found[1]
            for rule, text in OVERVIEW.findall(done.stdout + done.stderr)
            if (found := re.search(r"threads: (\d+)", text))
        }
        assert threads == expected


def test_a_bigger_model_asks_for_what_it_uses(smoke, make_copy):
    copy = make_copy("bigger")
    (copy.folder / "config" / "bigger.yaml").write_text(yaml.safe_dump(BIGGER))
    presets = [SMOKE, "config/bigger.yaml"]
    targets = [
        f"results/{name}"
        for name in (
            "circuits/small/newswire/final/circuit.json",
            "differential/small/newswire/final/layers.parquet",
        )
    ]
    run(copy, *targets, presets=presets)
    bigger = check(copy, planned_jobs(copy, *targets, presets=presets))
    small = check(smoke, planned_jobs(smoke, *targets, presets=[SMOKE]))
    check_grown(small, bigger, ("pretrain", "finetune", "find_scores", "compare_with_base"))


@pytest.mark.skipif(not NIGHTLY, reason="a run of a large model: REWIRE_NIGHTLY=1 runs it")
def test_every_job_of_a_large_model_asks_for_what_it_uses(smoke, make_copy):
    copy = make_copy("large")
    (copy.folder / "config" / "large.yaml").write_text(yaml.safe_dump(LARGE))
    presets = [SMOKE, "config/large.yaml"]
    run(copy, presets=presets)
    large = check(copy, planned_jobs(copy, presets=presets))
    small = check(smoke, planned_jobs(smoke, presets=[SMOKE]))
    assert large.keys() == small.keys()
    check_grown(small, large, ON_GPU & small.keys())


def check_grown(small: dict[str, tuple[int, int]], bigger: dict[str, tuple[int, int]], rules) -> None:
    """Asserts that the model's size shows in what ``rules`` use, and in what they ask for."""
    for rule in rules:
        assert bigger[rule][0] > 1.1 * small[rule][0], f"{rule}: no bigger than with the small model"
        assert bigger[rule][1] > 1.1 * small[rule][1], f"{rule}: asks for no more"


def test_a_model_of_unknown_size_is_taken_for_gpt2_small(make_copy):
    copy = make_copy("sizes")
    training = {"steps": 1, "batch_size": 1, "learning_rate": 0.001}
    gpt2 = {"source": "scratch", "architecture": {"model_type": "gpt2"}, "tokenizer": {"vocabulary": 50257}}
    models = {
        "hub": {"source": "hub", "id": "nobody/nothing"},
        "local": {"source": "local", "path": "/nothing"},
        "scratch": gpt2 | {"pretraining": training},
    }
    content = {"models": models, "runs": [{"model": name, "dataset": "newswire"} for name in models]}
    (copy.folder / "config" / "sizes.yaml").write_text(yaml.safe_dump(content))
    targets = [f"results/circuits/{name}/newswire/base/circuit.json" for name in models]
    jobs = planned_jobs(copy, *targets, presets=["config/sizes.yaml"])
    asked = {int(job["mem_mb"]) for job in jobs if job["rule"] == "find_scores"}
    assert len(asked) == 1 and 5_000 < asked.pop() < 20_000


TWO_JOBS = """

rule two:
    input: "a.txt", "b.txt"

rule hold:
    output: "{name}.txt"
    wildcard_constraints: name="[ab]"
    resources: gpu=gpu
    shell: "start=$(date +%s.%N); sleep 1; echo $start $(date +%s.%N) > {output}"
"""


@pytest.mark.parametrize("there", [True, False])
def test_jobs_share_a_gpu_one_after_the_other(make_copy, tmp_path, there):
    """Where there is an nvidia-smi, never two GPU jobs at once, however many cores; without a GPU, side by side."""
    copy = make_copy(f"gpu-{there}")
    programs = tmp_path / "programs"
    programs.mkdir()
    if there:
        (programs / "nvidia-smi").write_text("")
        (programs / "nvidia-smi").chmod(0o755)
    elif shutil.which("nvidia-smi"):
        pytest.skip("a GPU is here")
    with (copy.folder / "Snakefile").open("a") as snakefile:
        snakefile.write(TWO_JOBS)
    run(copy, "two", presets=[SMOKE], PATH=f"{programs}:{os.environ['PATH']}")
    times = [[float(time) for time in (copy.folder / f"{name}.txt").read_text().split()] for name in "ab"]
    first, second = sorted(times)
    assert (first[1] <= second[0]) == there
