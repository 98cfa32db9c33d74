"""Reads a base, a checkpoint and pairs; writes what changed, per example and in sum."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.differential.stage import write_differential

    write_differential(
        snakemake.input.base,
        snakemake.input.checkpoint,
        snakemake.input.pairs,
        snakemake.params.differential,
        dict(snakemake.output.items()),
    )
