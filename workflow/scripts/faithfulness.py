"""Reads a checkpoint, pairs and edge scores; writes the faithfulness of its circuits and of random ones."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.faithfulness import write_faithfulness

    write_faithfulness(
        snakemake.input.checkpoint,
        snakemake.input.pairs,
        snakemake.input.scores,
        snakemake.params.faithfulness,
        snakemake.output[0],
    )
