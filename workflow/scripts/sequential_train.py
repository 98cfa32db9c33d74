"""Reads a model and tables of pairs (and the first task's circuit); writes the weights on the way and the training table."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from pathlib import Path

    from rewire.sequential.training import train_stage

    params, circuits = snakemake.params, snakemake.input.get("circuits")
    train_stage(
        Path(snakemake.input.start, params.checkpoint),
        snakemake.input.train,
        snakemake.input.validation,
        params.sequential,
        snakemake.output.folder,
        snakemake.output.table,
        params.work,
        params.variant,
        Path(circuits, params.task, f"{params.checkpoint}.safetensors") if circuits else None,
    )
