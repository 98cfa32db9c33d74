"""Reads a checkpoint, pairs and edge scores; writes how necessary, complete and minimal its circuit is."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.faithfulness.criteria import write_criteria

    write_criteria(
        snakemake.input.checkpoint,
        snakemake.input.pairs,
        snakemake.input.scores,
        snakemake.params.circuits,
        snakemake.params.faithfulness,
        snakemake.output[0],
    )
