"""Reads a second stage's weights, both tasks' pairs and what was measured of each alone; writes what became of both."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.sequential.declared import run_of
    from rewire.sequential.stage import Measured, last_of, measure_second_stage, scores_file

    given, steps = snakemake.input, snakemake.params.steps
    run = run_of(**snakemake.params.run)
    measure_second_stage(
        run,
        last_of(given.start, steps),
        given.checkpoints,
        steps,
        dict(zip(run.tasks, zip(given.validation, given.test, strict=True), strict=True)),
        Measured(given.first, given.first_circuits, max(steps)),
        scores_file(given.alone_circuits, run.tasks[1], max(steps)),
        snakemake.params.sequential,
        dict(snakemake.output.items()),
    )
