"""Reads what each training run cost, as far as its log is still there; writes one table."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.lora.cost_table import read_costs, there, write_costs

    files = there(snakemake.params.costs)
    write_costs(snakemake.output[0], [row for file in files for row in read_costs(file)])
