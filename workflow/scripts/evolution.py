"""Reads the scores of all checkpoints; writes how their circuits differ, where, and whether edges change more than nodes."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.evolution.stage import write_evolution

    scores = dict(zip(snakemake.params.checkpoints, snakemake.input.scores, strict=True))
    write_evolution(
        scores, snakemake.params.steps, snakemake.params.evolution, dict(snakemake.output.items())
    )
