"""The circuit of every checkpoint."""

CIRCUIT = "results/circuits/{model}/{dataset}/{checkpoint}"
CIRCUIT_LOGS = "logs/circuits/{model}/{dataset}/{checkpoint}"


rule find_scores:
    """Scores of every edge."""
    input:
        checkpoint=FOLDER,
        pairs=CLEAN_PAIRS,
    output:
        f"{CIRCUIT}/scores.safetensors",
    log:
        f"{CIRCUIT_LOGS}/scores.log",
    benchmark:
        f"{CIRCUIT_LOGS}/scores.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    threads: threads_of
    resources:
        **reading("circuits", passes=config["circuits"]["steps"] + 2),
    params:
        code=code("circuit_scores.py"),
        threads=computing(threads_of),
        circuits=section(
            "circuits",
            "method",
            "steps",
            "grid",
            "metric",
            "keep_examples",
            "batch_tokens",
        ),
    script:
        "../scripts/circuit_scores.py"


# A job of its own: it takes two seconds a checkpoint, nearly all of it to import torch, and spares the attribution and
# all that reads the scores when the circuit's size changes. Only circuits that are asked for are selected: of adapters
# none is, they are compared by their scores.
rule select_circuit:
    """The circuit selected from the scores."""
    input:
        scores=f"{CIRCUIT}/scores.safetensors",
    output:
        f"{CIRCUIT}/circuit.json",
    log:
        f"{CIRCUIT_LOGS}/circuit.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(circuits=1),
    params:
        code=code("circuits.py"),
        fraction=config["circuits"]["fraction"],
    script:
        "../scripts/circuits.py"


rule circuits:
    """Target: the circuit of every checkpoint of every run."""
    input:
        each_checkpoint(f"{CIRCUIT}/circuit.json"),
