"""What jobs ask for: enough and not much more than they were measured to use, on models of three sizes; one GPU at a time."""

import json
import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path

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
LARGE = BIGGER | {  # forty million, in as few steps as can be
    "models": {
        "small": {
            "architecture": {"n_layer": 12, "n_head": 8, "n_embd": 512, "n_positions": 256},
            "tokenizer": {"vocabulary": 900},
            "pretraining": {"steps": 2},
        }
    },
    "checkpoints": {"steps": [1], "training": {"steps": 2}},
    "faithfulness": {"fractions": [0.1, 1.0]},
    "robustness": {"resamples": 4, "noise_shares": [0.5]},
    "summaries": {"examples": 4},
    "lora": {"validate_every": 1, "training": {"steps": 2, "resume_every": 1}},
}
DEVICES = ("/dev/nvidia0", "/dev/kfd")
HERE = bool(shutil.which("nvidia-smi") or shutil.which("rocm-smi") or any(map(os.path.exists, DEVICES)))
OVERVIEW = re.compile(r"^(?:local)?rule (\w+):\n(.*?)(?=^\S|\Z)", re.M | re.S)


def run(copy, *arguments: str, presets: list[str], **environment: str) -> str:
    """What Snakemake says, with ``presets`` on top of one another."""
    done = copy.snakemake(*arguments, "--configfile", *presets, preset=None, **environment)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


def planned_jobs(copy, *targets: str, presets: list[str], **environment: str) -> list[dict[str, str]]:
    """Every job of a dry run: its rule, log and resources."""
    output = run(copy, *targets, "--dry-run", "--forceall", presets=presets, **environment)
    jobs = []
    for rule, text in OVERVIEW.findall(output):
        lines = dict(re.findall(r"^    (\w+): (.*)$", text, re.M))
        resources = dict(part.split("=", 1) for part in lines["resources"].split(", "))
        jobs.append({"rule": rule, "log": lines.get("log", "").split(", ")[0]} | resources)
    return jobs


def search_path(folder: Path, program: str) -> str:
    """A PATH on which there is such a program, which does nothing."""
    (folder / program).write_text("")
    (folder / program).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def check(copy, jobs: list[dict[str, str]], roomy: Collection[str] = ()) -> dict[str, tuple[int, int]]:
    """Asserts that jobs asked for what they used, and but for ``roomy`` rules not for much more.

    Returns rule -> peak and declared MB of those with a log of this run.
    """
    found, wrong = {}, []
    for job in jobs:
        log = copy.folder / job["log"]
        peak = re.search(r"peak memory (\d+) MB", log.read_text()) if log.is_file() else None
        if peak:
            used, declared = int(peak[1]), int(job["mem_mb"])
            most = float("inf") if job["rule"] in roomy else 4 * used + 1000
            if not used <= declared <= most:
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
    with_gpu = search_path(tmp_path, "nvidia-smi")
    output = run(copy, "everything", "--dry-run", presets=[SMOKE], PATH=with_gpu)
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


# of each way to run a model the files that show it; the criteria of a circuit of so many heads take an hour
OF_LARGE = {
    "pretrain": "checkpoints/{cell}/pretraining.parquet",
    "finetune": "checkpoints/{cell}/training.parquet",
    "find_scores": "circuits/{cell}/final/scores.safetensors",
    "compare_with_base": "differential/{cell}/final/layers.parquet",
    "compare_with_last": "differential/{cell}/lora-standard-against-last/layers.parquet",
    "evaluate_circuit": "faithfulness/{cell}/step-000001/curve.parquet",
    "test_robustness": "robustness/{cell}/edges.parquet",
    "measure_pairs": "pairs/{cell}/effect.parquet",
    "tune_strategy": "lora/{cell}/full/tuning.parquet",
    "tune_draw": "lora/{cell}/random/seed-1/tuning.parquet",
    "train_adapter": "lora/{cell}/full/seed-1/adapter",
}
# ask for batches of the longest articles, which are not among the few that are read here
ROOMY = {
    "summarize": "summaries/{cell}/final.parquet",
    "summarize_adapters": "lora/{cell}/full/summaries.parquet",
}


@pytest.mark.skipif(not NIGHTLY, reason="a run of a large model: REWIRE_NIGHTLY=1 runs it")
def test_whatever_runs_a_large_model_asks_for_what_it_uses(smoke, make_copy):
    copy = make_copy("large")
    (copy.folder / "config" / "large.yaml").write_text(yaml.safe_dump(LARGE))
    presets = [SMOKE, "config/large.yaml"]
    targets = [f"results/{name.format(cell='small/newswire')}" for name in (OF_LARGE | ROOMY).values()]
    run(copy, *targets, presets=presets)
    large = check(copy, planned_jobs(copy, *targets, presets=presets), roomy={*ROOMY, "keep_step"})
    assert large.keys() >= ROOMY.keys()
    check_grown(check(smoke, planned_jobs(smoke, presets=[SMOKE])), large, OF_LARGE)


def check_grown(
    small: dict[str, tuple[int, int]], bigger: dict[str, tuple[int, int]], rules: Collection[str]
) -> None:
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


@pytest.mark.parametrize("there", ["program", "device", None])
def test_jobs_share_a_gpu_one_after_the_other(make_copy, tmp_path, there):
    """Where there is an nvidia-smi, or a device alone, never two GPU jobs at once; without a GPU, side by side."""
    copy = make_copy(f"gpu-{there}")
    if there != "program" and HERE:
        pytest.skip("a GPU is here")
    if there == "device":
        (tmp_path / "device").write_text("")
        rules = copy.folder / "workflow/rules/resources.smk"
        assert DEVICES[0] in rules.read_text()
        rules.write_text(rules.read_text().replace(DEVICES[0], str(tmp_path / "device")))
    found = search_path(tmp_path, "nvidia-smi") if there == "program" else os.environ["PATH"]
    with (copy.folder / "Snakefile").open("a") as snakefile:
        snakefile.write(TWO_JOBS)
    run(copy, "two", presets=[SMOKE], PATH=found)
    times = [[float(time) for time in (copy.folder / f"{name}.txt").read_text().split()] for name in "ab"]
    first, second = sorted(times)
    assert (first[1] <= second[0]) == (there is not None)


PYTHIA = {  # of 1.4 billion parameters, as its config.json says
    "model_type": "gpt_neox", "num_hidden_layers": 24, "hidden_size": 2048, "num_attention_heads": 16,
    "intermediate_size": 8192, "max_position_embeddings": 2048, "vocab_size": 50304, "tie_word_embeddings": False,
}  # fmt: skip
# model -> with a GPU: the least and the most MB that a job of any rule that runs a model asks for; for training in full; and
# what that asks for at least without one
BOUNDS = {
    "gpt2": ((3_500, 12_000), (4_500, 12_000), 12_000),
    "pythia": ((14_000, 32_000), (20_000, 32_000), 100_000),
}
DAY = 24 * 60


@pytest.fixture(scope="module")
def sized(make_copy):
    """A copy with models of two sizes, and their preset: no weights are needed to plan."""
    copy = make_copy("sized")
    (copy.folder / "pythia").mkdir()
    (copy.folder / "pythia/config.json").write_text(json.dumps(PYTHIA))
    (copy.folder / "gpt2").mkdir()
    (copy.folder / "gpt2/config.json").write_text(json.dumps({"model_type": "gpt2"}))
    modules = ["attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"]
    models = {
        "gpt2": {"source": "local", "path": "gpt2"},
        "pythia": {"source": "local", "path": "pythia", "target_modules": modules},
    }
    trained = {"training": {"steps": 7500, "batch_size": 8}}
    content = {
        "models": models,
        "runs": [{"model": name, "dataset": "newswire"} for name in models],
        "checkpoints": trained,
        "lora": trained,
        "probes": {"studies": {}},
        "sequential": {"models": []},
    }
    (copy.folder / "config/sized.yaml").write_text(yaml.safe_dump(content))
    return copy, ["config/sized.yaml"]


@pytest.mark.parametrize("model", BOUNDS)
def test_with_a_gpu_the_host_s_memory_and_a_day_do(sized, tmp_path, model):
    """Activations are on the GPU: the host holds what is loaded and saved. Without a GPU it holds everything."""
    copy, presets = sized
    with_gpu = search_path(tmp_path, "nvidia-smi")
    jobs = [
        job
        for job in planned_jobs(copy, presets=presets, PATH=with_gpu)
        if job.get("gpu") == "1" and f"/{model}/" in job["log"]
    ]
    assert {"finetune", "tune_strategy", "find_scores", "compare_with_base", "summarize"} <= {
        job["rule"] for job in jobs
    }
    (least, most), (training, _), alone = BOUNDS[model]
    for job in jobs:
        assert least <= int(job["mem_mb"]) <= most, job
        assert 30 < int(job["runtime"]) <= DAY, job
    memory = {job["rule"]: int(job["mem_mb"]) for job in jobs}
    assert memory["finetune"] >= training
    if not HERE:
        target = f"results/checkpoints/{model}/newswire/final"
        jobs = planned_jobs(copy, target, presets=presets)
        (memory,) = (int(job["mem_mb"]) for job in jobs if job["rule"] == "finetune")
        assert memory >= alone


def test_a_site_may_lift_the_day(sized, tmp_path):
    copy, presets = sized
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile/config.yaml").write_text("set-resources:\n  tune_strategy:\n    runtime: 4320\n")
    jobs = planned_jobs(copy, "--profile", str(tmp_path / "profile"), presets=presets)
    asked = {(job["rule"] == "tune_strategy", job["runtime"]) for job in jobs if "/pythia/" in job["log"]}
    assert (True, "4320") in asked and not [time for own, time in asked if not own and int(time) > DAY]


ATTEMPTS = """

rule tried:
    output: "{name}.txt"
    wildcard_constraints: name="short|long"
    resources: **asked(lambda wildcards: 3e9, lambda wildcards: {"short": 3e15, "long": 2e17}[wildcards.name])
    shell: "echo {resources.mem_mb} {resources.runtime} >> tried-{wildcards.name}; false"
"""


def test_attempts_double_up_to_a_day(make_copy):
    copy = make_copy("attempts")
    with (copy.folder / "Snakefile").open("a") as snakefile:
        snakefile.write(ATTEMPTS)
    tried = {}
    for name in ("short", "long"):
        done = copy.snakemake(f"{name}.txt", "--retries", "2")
        assert done.returncode == 1, done.stderr[-2000:]
        lines = (copy.folder / f"tried-{name}").read_text().splitlines()
        tried[name] = [tuple(map(int, line.split())) for line in lines]
    assert tried["short"] == [(3000, 40), (6000, 80), (12000, 160)]
    assert tried["long"] == [(3000, 697), (6000, 1394), (12000, DAY)]


def test_articles_are_asked_for_by_the_file_that_they_are_in(make_copy, tmp_path):
    """Measured: 231 MB of jsonl take 1,760 MB, with whatever slice of it; 114 MB of csv 913; 49 MB of parquet by zstd 975."""
    copy = make_copy("articles")
    measured = {"jsonl": (231, 1760), "csv": (113, 913), "parquet": (49, 975)}
    splits = {split: split for split in ("train", "validation", "test")}
    datasets = {"hub": {"source": "hub", "id": "nobody/nothing", "splits": splits}}
    for ending, (megabytes, _) in measured.items():
        file = tmp_path / ("{all}.jsonl" if ending == "jsonl" else f"all.{ending}")  # braces: no input
        file.touch()
        os.truncate(file, megabytes * 10**6)  # a hole: planning asks for the size alone
        splits = {"train": "all", "validation": "all[:10]", "test": "all[10:20]"}
        datasets[ending] = {"source": "files", "files": {"all": str(file)}, "splits": splits}
    (copy.folder / "config/articles.yaml").write_text(yaml.safe_dump({"datasets": datasets}))
    targets = [
        f"results/articles/{name}/{split}.parquet"
        for name in (*datasets, "newswire")
        for split in ("train", "validation")
    ]
    jobs = planned_jobs(copy, *targets, presets=[SMOKE, "config/articles.yaml"])
    asked = {tuple(job["log"].split("/")[2:]): int(job["mem_mb"]) for job in jobs}
    for name, (_, peak) in measured.items():
        assert peak < asked[name, "validation.log"] == asked[name, "train.log"] < 2 * peak
    assert asked["hub", "train.log"] == 3000 and asked["newswire", "train.log"] < 1100
