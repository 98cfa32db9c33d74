"""Reads a base model, articles and the layers' criticality; writes a trained PEFT adapter."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.lora.adapters import train_adapter

    train_adapter(
        snakemake.input.base,
        snakemake.input.train,
        snakemake.input.validation,
        snakemake.input.criticality,
        snakemake.wildcards.strategy,
        int(snakemake.wildcards.seed),
        snakemake.params.lora,
        snakemake.output[0],
        snakemake.params.work,
        snakemake.params.language,
    )
