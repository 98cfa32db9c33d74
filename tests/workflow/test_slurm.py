"""``--profile slurm`` on a real Slurm of one node (tests/slurm): what jobs ask for, where they run, how they fail."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from nightly import NIGHTLY
from workflow.gpu_rules import ON_GPU
from workflow.test_kills import contents

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"no Slurm here: {', '.join(MISSING)} not found"),
    pytest.mark.skipif(os.geteuid() != 0, reason="starting a Slurm needs root"),
]
SCRIPTS = Path(__file__).parent.parent / "slurm"
PATIENCE = 900  # seconds a run may take
QUICK = (  # no accounting database to ask, and no queue to be patient with
    ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"]
    + [
        "--seconds-between-status-checks",
        "2",
        "--latency-wait",
        "10",
        "--default-resources",
        "gpu_model=fake",
    ]
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The folder of a running Slurm: one at a time, whatever tests other workers of pytest-xdist have taken."""
    folder = tmp_path_factory.mktemp("slurm")
    try:
        os.mknod(folder / "device", 0o020600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("device files cannot be made here: no GPU to pretend")
    with (Path(tempfile.gettempdir()) / "rewire-slurm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.lexists("/etc/slurm/slurm.conf"):
            pytest.skip("another Slurm is set up here")
        try:
            subprocess.run([SCRIPTS / "start.sh", folder], check=True, timeout=120)
            yield folder
        finally:
            subprocess.run([SCRIPTS / "stop.sh", folder], check=True, timeout=120)


@pytest.fixture(scope="module")
def submit(cluster, make_copy):
    """Run ``snakemake --profile slurm`` in a copy of the repository; the finished process and the copy's folder."""
    copies = {}

    def run(*arguments: str, presets: list[str], place: str = "slurm", patience: int = PATIENCE):
        if place not in copies:
            copies[place] = make_copy(place)
            (copies[place].folder / "slurm").symlink_to("profiles/slurm")
        folder = copies[place].folder
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm", *QUICK, "--configfile", *presets]
        done = subprocess.run(
            # a Snakemake that has lost its cluster may outlive SIGTERM
            ["timeout", "--kill-after", "10", str(patience), *command, "--", *arguments],
            cwd=folder,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
        )
        return done, folder

    return run


def jobs() -> list[dict[str, str]]:
    """What Slurm knows of every job, in the order of submission; ``rule`` is Snakemake's."""
    shown = subprocess.run(
        ["scontrol", "show", "jobs", "--oneliner"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = [
        dict(re.findall(r"(\S+?)=(\S*)", line)) for line in shown.stdout.splitlines() if "JobId=" in line
    ]
    for job in found:
        job["rule"] = re.sub(r"^rule_|_wildcards_.*$", "", job.get("Comment", ""))
    return sorted(found, key=lambda job: int(job["JobId"]))


def test_rules_run_where_they_belong(submit):
    pairs = "results/pairs/small/newswire/mask.parquet"
    targets = ("articles", pairs, "results/checkpoints/twin/newswire/pretraining.parquet")
    done, folder = submit(*targets, presets=["config/smoke.yaml", str(SCRIPTS / "preset.yaml")])
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    assert all((folder / target).is_file() for target in targets[1:])
    ran = jobs()
    # `articles` itself is local
    assert sorted(job["rule"] for job in ran) == ["build_pairs", *["pretrain"] * 2, *["write_articles"] * 3]
    for job in ran:
        on_gpu = job["rule"] == "pretrain"
        assert job["JobState"] == "COMPLETED" and int(job["MinMemoryNode"].rstrip("M")) >= 900, job
        assert job["Partition"] == ("gpu" if on_gpu else "cpu"), job
        assert job.get("TresPerJob") == ("gres:gpu:fake:1" if on_gpu else None), job
    partitions = {job["JobId"]: job["Partition"] for job in ran}
    devices = {}
    for log in (
        "checkpoints/small/newswire/pretrain",
        "checkpoints/twin/newswire/pretrain",
        "pairs/small/newswire/mask",
    ):
        text = (folder / f"logs/{log}.log").read_text()
        found = re.search(r"CUDA_VISIBLE_DEVICES (\w*), Slurm job (\d+) in partition (\w+)", text)
        assert found and partitions[found[2]] == found[3], text
        devices.setdefault(found[3], []).append(found[1])
    # the two ran at once, though profiles/default lets one machine run one
    assert sorted(devices["gpu"]) == ["0", "1"] and devices["cpu"] in (["unset"], [""])


@pytest.mark.skipif(not NIGHTLY, reason="a second smoke run: REWIRE_NIGHTLY=1 runs it")
def test_the_smoke_run_on_a_cluster_gives_the_bytes_of_one_machine(submit, finished):
    before = len(jobs())
    done, folder = submit(presets=["config/smoke.yaml"], place="whole", patience=3000)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    ran = jobs()[before:]
    assert {job["JobState"] for job in ran} == {"COMPLETED"} and len({job["rule"] for job in ran}) > 40
    for job in ran:
        on_gpu = job["rule"] in ON_GPU
        assert job["Partition"] == ("gpu" if on_gpu else "cpu"), job
        assert job.get("TresPerJob") == ("gres:gpu:fake:1" if on_gpu else None), job
    found, expected = contents(folder), contents(finished)
    assert "results/claims.parquet" in found
    assert not [name for name in found if found[name] != expected[name]]


def test_a_failing_job_is_tried_with_more_memory_and_reported(submit, tmp_path):
    (tmp_path / "news.jsonl").write_text('{"id": "a", "text": "One. Two."}\n')
    bad = {"source": "files", "files": {"all": str(tmp_path / "news.jsonl")}}
    bad["splits"] = dict.fromkeys(("train", "validation", "test"), "all")
    preset = tmp_path / "bad.yaml"
    preset.write_text(
        yaml.safe_dump({"datasets": {"bad": bad}, "runs": [{"model": "small", "dataset": "bad"}]})
    )
    before = len(jobs())
    done, _ = submit("results/articles/bad/train.parquet", presets=["config/smoke.yaml", str(preset)])
    output = done.stdout + done.stderr
    assert done.returncode == 1, output[-3000:]
    tried = jobs()[before:]
    assert [job["JobState"] for job in tried] == ["FAILED"] * 3
    first, second, third = (int(job["MinMemoryNode"].rstrip("M")) for job in tried)
    assert second == pytest.approx(2 * first, abs=2) and third == pytest.approx(4 * first, abs=4)
    assert "logs/articles/bad/train.log" in output
    assert "news.jsonl" in output and "'article'" in output  # the log itself is shown
