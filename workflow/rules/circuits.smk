"""The circuit of every checkpoint."""

CIRCUIT = "results/circuits/{model}/{dataset}/{checkpoint}"


rule find_circuit:
    """Scores of every edge, and the circuit selected from them."""
    input:
        checkpoint=FOLDER,
        pairs=CLEAN_PAIRS,
    output:
        scores=f"{CIRCUIT}/scores.safetensors",
        circuit=f"{CIRCUIT}/circuit.json",
    log:
        "logs/circuits/{model}/{dataset}/{checkpoint}.log",
    benchmark:
        "logs/circuits/{model}/{dataset}/{checkpoint}.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **reading("circuits", passes=config["circuits"]["steps"] + 2),
    params:
        code=code("circuits.py"),
        circuits=section("circuits"),
    script:
        "../scripts/circuits.py"


rule circuits:
    """Target: the circuit of every checkpoint of every run."""
    input:
        each_checkpoint(f"{CIRCUIT}/circuit.json"),
