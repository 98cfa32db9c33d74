"""Reads a base model and what a bake-off run trained; writes the adapted model as a checkpoint folder."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.checkpoints.published import copy_checkpoint

    copy_checkpoint(snakemake.input.base, snakemake.output[0], adapter=snakemake.input.adapter)
