"""Reads a checkpoint, pairs and edge scores; writes the faithfulness of its circuits and their nulls, and the areas."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.faithfulness.curve import write_faithfulness

    write_faithfulness(
        snakemake.input.checkpoint,
        snakemake.input.pairs,
        snakemake.input.get("other_task") or None,
        snakemake.input.scores,
        snakemake.params.circuits,
        snakemake.params.faithfulness,
        snakemake.output.curve,
        snakemake.output.areas,
    )
