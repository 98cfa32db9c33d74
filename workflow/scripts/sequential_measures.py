"""Reads a run's weights and its tasks' pairs; writes circuits, accuracy, faithfulness and change of every checkpoint."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.sequential.declared import run_of
    from rewire.sequential.stage import measure_run

    run = run_of(**snakemake.params.run)
    measure_run(
        run,
        snakemake.input.start,
        snakemake.input.checkpoints,
        snakemake.params.steps,
        dict(zip(run.tasks, zip(snakemake.input.validation, snakemake.input.test, strict=True), strict=True)),
        snakemake.params.sequential,
        dict(snakemake.output.items()),
    )
