"""Reads a base model and articles; writes its checkpoints on the way to a summarizer, and the training table."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.checkpoints.finetuning import finetune

    training = snakemake.params.training
    finetune(
        snakemake.input.base,
        snakemake.input.train,
        snakemake.input.validation,
        training["training"],
        dict(zip(snakemake.params.steps, snakemake.output.folders, strict=True)),
        snakemake.output.table,
        snakemake.params.work,
        snakemake.params.language,
    )
