"""Reads the circuits of all checkpoints; writes how each differs from the previous one and from the base."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.evolution import write_evolution

    scores = dict(zip(snakemake.params.checkpoints, snakemake.input.scores, strict=True))
    write_evolution(scores, snakemake.params.steps, snakemake.output[0])
