"""Reads a base model, articles, the layers' criticality and the tuned learning rate; writes one run of a strategy."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.params.threads):
    from rewire.lora.adapters import train_run
    from rewire.lora.tuning import chosen_rate

    train_run(
        snakemake.input.base,
        snakemake.input.train,
        snakemake.input.validation,
        next(iter(snakemake.input.criticality), None),
        snakemake.wildcards.strategy,
        int(snakemake.wildcards.seed),
        snakemake.params.lora,
        chosen_rate(snakemake.input.tuning),
        snakemake.output.adapter,
        snakemake.params.work,
        snakemake.params.language,
        snakemake.log.cost,
    )
