"""Jobs of a finished run, done again in this process: a request a line on stdin, the outcome a line on stdout.

Snakemake works out what every job reads and writes; the job's script then runs here, so that Python and torch are
imported once. Started in the folder of the run, with ``src`` on the path.
"""

import contextlib
import io
import json
import os
import resource
import runpy
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, Quietness, ResourceSettings


def one_job_a_rule(preset: str) -> dict[str, Any]:
    """Rule -> one of its jobs, of those of the target ``everything`` with a script."""
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=2, resources={"gpu": 1}),
            config_settings=ConfigSettings(configfiles=[Path(preset)]),
            snakefile=Path("Snakefile"),
        )
        workflow.dag(dag_settings=DAGSettings(targets={"everything"}, forceall=True)).execute_workflow(
            executor="dryrun"
        )
        jobs = sorted(workflow._workflow.dag.jobs, key=lambda job: [str(path) for path in job.output])
        return {job.rule.name: job for job in jobs if job.rule.script is not None}


def described(job: Any) -> dict[str, Any]:
    """What a job reads, but for code: the last file or folder of each name; and all that it writes."""
    read = {}
    for name, paths in job.input.items():
        paths = [paths] if isinstance(paths, str) else paths
        if name != "code" and paths:
            read[name] = str(paths[-1])
    return {"inputs": read, "outputs": [str(path) for path in job.output]}


def run(job: Any, largest_file: int | None) -> dict[str, Any]:
    """Run a job's script: its exit code, what it said, and whether that is a traceback.

    ``largest_file``: bytes at which a file takes no more, as on a full disk.
    """
    script = Path("workflow/scripts") / Path(str(job.rule.script)).name
    given = {name: getattr(job, name)._plainstrings() for name in ("input", "output", "log")}
    given |= {"params": job.params, "wildcards": job.wildcards, "threads": job.threads}
    for path in map(Path, [*map(str, job.output), *map(str, job.log)]):
        path.parent.mkdir(parents=True, exist_ok=True)
    # in a process of its own it would read that from the environment
    torch.set_num_threads(getattr(job.params, "threads", job.threads))
    said, started = io.StringIO(), time.perf_counter()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            resource.setrlimit(
                resource.RLIMIT_FSIZE, (limits[0] if largest_file is None else largest_file, limits[1])
            )
            runpy.run_path(str(script), {"snakemake": SimpleNamespace(**given)}, "__main__")
            code, message = 0, ""
        except SystemExit as end:
            code, message = 1, str(end.code)
        except BaseException:
            code, message = 2, traceback.format_exc()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    return {"code": code, "message": message, "seconds": time.perf_counter() - started}


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    jobs = one_job_a_rule(sys.argv[1])
    print(json.dumps({name: described(job) for name, job in jobs.items()}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(run(jobs[request["rule"]], request["largest_file"])), file=answers, flush=True)


if __name__ == "__main__":
    os.environ["MPLBACKEND"] = "Agg"
    main()
