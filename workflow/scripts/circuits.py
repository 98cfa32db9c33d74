"""Reads the score of every edge; writes the circuit selected from them."""

from rewire.jobs import job

with job(snakemake.log[0], snakemake.threads):
    from rewire.circuit_choice import select_circuit

    select_circuit(snakemake.input.scores, snakemake.params.fraction, snakemake.output[0])
