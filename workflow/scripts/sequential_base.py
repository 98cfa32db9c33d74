"""Reads nothing but the config's tasks; writes a base model from scratch that reads their prompts."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.sequential.base import pretrain_base

    pretrain_base(
        snakemake.params.model,
        snakemake.params.tasks,
        snakemake.params.sequential,
        snakemake.output.folder,
        snakemake.output.table,
        snakemake.params.work,
    )
