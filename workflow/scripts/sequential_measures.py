"""Reads a run's weights, its tasks' pairs (and what was measured of each alone); writes circuits, accuracy, faithfulness and change of every checkpoint."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.sequential.declared import run_of
    from rewire.sequential.stage import Measured, measure_run

    given = snakemake.input
    run = run_of(**snakemake.params.run)
    alone = [Measured(*files, 0) for files in zip(given.alone, given.alone_circuits, strict=True)]
    measure_run(
        run,
        given.start,
        given.checkpoints,
        snakemake.params.steps,
        dict(zip(run.tasks, zip(given.validation, given.test, strict=True), strict=True)),
        snakemake.params.sequential,
        dict(snakemake.output.items()),
        dict(zip(run.tasks, alone, strict=True)) if alone else None,
    )
