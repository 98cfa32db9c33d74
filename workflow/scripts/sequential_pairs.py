"""Reads the tables of all runs; writes them as one, and a row for each task after another."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.sequential.declared import run_of
    from rewire.sequential.pairs import files_of, write_pairs_table
    from rewire.sequential.tables import EVOLUTION

    runs = [run_of(**described) for described in snakemake.params.runs]
    names = ("measures", *EVOLUTION, "cross", "overlaps", "training")
    tables = {name: snakemake.input[name] for name in names}
    write_pairs_table(
        runs, files_of(runs, tables), snakemake.params.sequential, dict(snakemake.output.items())
    )
