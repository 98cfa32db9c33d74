"""Reads the table of all checkpoints' differential measures; draws them against the training step."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.trajectories import draw

    draw(
        snakemake.input.table,
        snakemake.params.title,
        snakemake.output.png,
        snakemake.output.svg,
        snakemake.params.named,
    )
