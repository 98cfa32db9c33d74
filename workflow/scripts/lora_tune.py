"""Reads a base model, articles and the layers' criticality; writes the learning rates that were tried and the run at the best."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.lora.tuning import tune

    tune(
        snakemake.input.base,
        snakemake.input.train,
        snakemake.input.validation,
        next(iter(snakemake.input.criticality), None),
        snakemake.wildcards.strategy,
        snakemake.params.seed,
        snakemake.params.lora,
        snakemake.output.adapter,
        snakemake.output.tuning,
        snakemake.params.work,
        snakemake.params.language,
        snakemake.log.cost,
        snakemake.output.get("checkpoint"),
        snakemake.params.draw,
    )
