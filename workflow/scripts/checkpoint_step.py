"""Reads what the fine-tuning kept, or else the base model and articles; writes the checkpoint of one step."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.checkpoints.steps import write_step

    write_step(
        snakemake.params.store,
        snakemake.input.base,
        snakemake.input.train,
        snakemake.params.training["training"],
        snakemake.params.step,
        snakemake.output[0],
        snakemake.params.work,
        snakemake.params.language,
    )
