"""Reads a checkpoint and pairs; writes the score of every edge."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.circuit_scores import find_scores

    find_scores(
        snakemake.input.checkpoint,
        snakemake.input.pairs,
        snakemake.params.circuits,
        snakemake.output[0],
    )
