"""Reads a base model, articles and the layers' criticality; writes a strategy's learning rates and its first seed's run."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.lora.tuning import tune

    tune(
        snakemake.input.base,
        snakemake.input.train,
        snakemake.input.validation,
        snakemake.input.criticality,
        snakemake.wildcards.strategy,
        snakemake.params.seed,
        snakemake.params.lora,
        snakemake.output.adapter,
        snakemake.output.tuning,
        snakemake.params.work,
        snakemake.params.language,
        snakemake.output.cost,
        snakemake.output.checkpoint,
    )
