"""What a person meets first: the list of targets, and the report of a finished run."""

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent.parent
STAGES = {"articles", "pairs", "differential", "circuits", "faithfulness", "evolution", "robustness"}
OF_STUDIES = {"probes_seen_name"}
TARGETS = STAGES | {
    "all",
    "bakeoff",
    "claims",
    "downloads",
    "everything",
    "figures",
    "probes",
    "sequential",
    "sequential_faithfulness",
    "summaries",
    "trained",
}


def test_every_target_is_listed_with_what_it_is(make_copy):
    done = make_copy("targets").snakemake("--list-target-rules", preset=None)
    listed = dict(re.findall(r"^(\w+) \((.+)\)$", done.stdout, re.M))
    assert done.returncode == 0 and listed.keys() >= TARGETS | OF_STUDIES
    assert len(listed) == len(done.stdout.strip().splitlines())  # no rule without a description
    told = {name: text for name, text in listed.items() if text.startswith("Target: ")}
    assert told.keys() >= TARGETS and len(set(told.values())) == len(told)
    assert all(text.endswith(".") and len(text) < 140 for text in told.values())
    rules = "".join(
        path.read_text() for path in [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
    )
    local = re.search(r"^localrules:\n((?:    .+\n)+)", rules, re.M)
    assert (
        local is not None and {*re.findall(r"\w+", local[1])} == told.keys() - OF_STUDIES
    )  # nothing of them goes to a cluster


def test_every_study_is_a_target(make_copy):
    """By its name with underscores, of its own figures alone; two of one name are refused."""
    shared = {"file": "config/studies/seen-name.yaml", "models": ["small"], "checkpoints": ["base"]}
    copy = make_copy("studies")

    def planned(**studies):
        config = json.dumps({"studies": studies})
        return copy.snakemake("-n", "probes_two_b", "--config", f"probes={config}", preset=None)

    done = planned(**{"one-a": shared, "two-b": shared})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/two-b/heads.png" in done.stdout and "/one-a/" not in done.stdout
    twice = planned(**{"two.b": shared, "two-b": shared})
    assert twice.returncode != 0
    assert (
        "config: probes.studies.two.b: 'two-b' is as a target probes_two_b too" in twice.stdout + twice.stderr
    )


def test_targets_of_the_readme_are_targets():
    text = (ROOT / "README.md").read_text()
    commands = re.findall(r"snakemake (?:--cores \d+|--profile slurm) ([a-z]+)(?=[ \n])", text)
    assert "probes" in commands and set(commands) <= TARGETS


def test_downloads_are_what_the_hub_holds(make_copy):
    """Base models, published checkpoints, and articles, of the runs and of sequential fine-tuning; nothing else."""
    copy = make_copy("downloads")
    article = {"source": "hub", "id": "a/b", "splits": {s: s for s in ("train", "validation", "test")}}
    article["columns"] = {"id": "i", "article": "a", "summary": "s"}
    content = {
        "models": {
            "hub": {"source": "hub", "id": "a/b", "checkpoints": {"tuned": "a/c"}},
            "other": {"source": "hub", "id": "a/d"},
        },
        "datasets": {"news": article, "tasked": article, "unused": article},
        "runs": [{"model": "hub", "dataset": "news"}, {"model": "small", "dataset": "newswire"}],
        "sequential": {
            "models": ["other"],
            "tasks": ["summarization", "add"],
            "articles": {"dataset": "tasked"},
            "variants": dict.fromkeys(("prior", "inside", "outside", "random")),
            "multi": [],
        },
    }
    (copy.folder / "config/hub.yaml").write_text(yaml.safe_dump(content))
    plan = copy.plan("downloads", preset="config/hub.yaml")
    articles = {f"results/articles/{d}/{s}.parquet" for d in ("news", "tasked") for s in article["splits"]}
    folder = "results/checkpoints/hub/news"
    assert set(plan.outputs) == articles | {
        f"{folder}/base",
        f"{folder}/tuned",
        "results/sequential/other/base",
    }


NO_NETWORK = """
import socket

def refuse(*given, **named):
    open({marker!r}, "w").close()
    raise OSError("this machine has no network")

socket.create_connection = socket.getaddrinfo = socket.socket.connect = socket.socket.connect_ex = refuse
"""


def test_the_report_is_made_and_shown_without_a_network(smoke, tmp_path):
    """Every figure with its caption is inside the one file, and the file asks the network for nothing."""
    marker = tmp_path / "asked"
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK.format(marker=str(marker)))
    done = smoke.snakemake("--report", str(tmp_path / "report.html"), PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert not marker.exists()
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    figures = sorted(path.relative_to(smoke.folder) for path in smoke.folder.glob("results/figures/**/*.png"))
    drawn = [path for path in figures if not re.search("/probes/|sequential", str(path))]  # of `all`
    assert len(drawn) == 22 and [path for path in drawn if str(path) not in html] == []
    assert len(set(re.findall(r"data:image/png;[^,]*base64,[\w+/=]{1000,}", html))) == len(drawn)
    fetched = re.findall(
        r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)\s*=\s*["']?(?:https?:)?//[^"'>\s]+""", html
    )
    assert fetched == []
