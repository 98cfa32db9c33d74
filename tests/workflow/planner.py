"""Dry runs in one process: a request a line on stdin, the plan a line on stdout; Snakemake is imported once."""

import asyncio
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    Quietness,
    RerunTrigger,
    ResourceSettings,
)


def plan(targets: list[str], preset: str | None, record: bool = False) -> dict[str, Any]:
    """What Snakemake would run in this folder under the default profile's triggers.

    ``jobs``: rule -> number of jobs. ``changed``: rules with a finished job whose own params or list of inputs are no
    longer those that it was made with, whatever jobs before it do. ``outputs``: every file that would be made.
    ``record``: put down the targets' jobs as finished, as if they had made the files that are there.
    """
    profile = yaml.safe_load(Path("profiles/default/config.yaml").read_text())
    triggers = frozenset(RerunTrigger.parse_choice(trigger) for trigger in profile["rerun-triggers"])
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=2, resources={"gpu": 1}),
            config_settings=ConfigSettings(configfiles=[Path(preset)] if preset else []),
            snakefile=Path("Snakefile"),
        )
        settings = DAGSettings(targets=set(targets), rerun_triggers=triggers)
        workflow.dag(dag_settings=settings).execute_workflow(executor="dryrun")
        dag = workflow._workflow.dag
        recorded = workflow._workflow.persistence
        if record:
            for job in {job for job in dag.jobs if set(targets) & set(map(str, job.output))}:
                asyncio.run(recorded.finished(job))
        jobs = list(dag.needrun_jobs(exclude_finished=False))
        changed = {
            job.rule.name for job in jobs if recorded.params_changed(job) or any(recorded.input_changed(job))
        }
        return {
            "jobs": Counter(job.rule.name for job in jobs),
            "changed": sorted(changed),
            "outputs": sorted(str(path) for job in jobs for path in job.output),
        }


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    environment = dict(os.environ)
    for line in sys.stdin:
        try:
            answer = plan(**json.loads(line))
        except Exception as error:  # whatever a plan fails with is the answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        os.environ.clear()
        os.environ.update(environment)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
