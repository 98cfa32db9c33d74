"""Reads the base, a checkpoint and pairs; writes what changed per layer and per head, example by example."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.differential import write_differential

    write_differential(
        snakemake.input.base,
        snakemake.input.checkpoint,
        snakemake.input.pairs,
        snakemake.params.differential,
        snakemake.output.layers,
        snakemake.output.heads,
    )
