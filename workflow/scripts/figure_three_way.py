"""Reads the comparisons of base, fine-tuned and LoRA model; draws them layer by layer."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.figures.three_way import draw

    draw(snakemake.input.table, snakemake.params.title, snakemake.output.png, snakemake.output.svg)
