"""Reads a model that learned a task, and its circuit; writes how faithful the circuit is at growing size."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from pathlib import Path

    from rewire.sequential.curves import write_curve

    given, task, step = snakemake.input, snakemake.wildcards.run, snakemake.params.step
    write_curve(
        task,
        Path(given.checkpoints, step),
        Path(given.circuits, task, f"{step}.safetensors"),
        given.test,
        snakemake.params.sequential,
        snakemake.output[0],
    )
