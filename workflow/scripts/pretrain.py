"""Reads articles; writes a base model trained on them from scratch, and its training table."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.checkpoints.scratch import pretrain

    pretrain(
        snakemake.params.model,
        snakemake.input.train,
        snakemake.input.validation,
        snakemake.output.folder,
        snakemake.output.table,
        snakemake.params.work,
    )
