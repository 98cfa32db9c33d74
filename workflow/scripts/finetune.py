"""Reads a base model and articles; writes the summarizer, the training table, and aside checkpoints on the way."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.checkpoints.finetuning import finetune

    finetune(
        snakemake.input.base,
        snakemake.input.train,
        snakemake.input.validation,
        snakemake.params.training["training"],
        snakemake.output.folder,
        snakemake.output.table,
        snakemake.params.work,
        snakemake.params.kept,
        snakemake.params.store,
        snakemake.params.language,
    )
