"""Every figure of every run: results/figures/{model}/{dataset}/{figure}.png, and .svg beside it."""

FIGURES = [
    "training",
    "pairs",
    "layers",
    "heads",
    "faithfulness",
    "evolution",
    "circuit",
    "bakeoff",
]


rule draw_training:
    """Losses, learning rate and gradient norm of the fine-tuning."""
    input:
        code=code("figure_training.py"),
        table=f"{CELL}/training.parquet",
    output:
        **figure("training"),
    log:
        "logs/figures/{model}/{dataset}/training.log",
    conda:
        "../../envs/rewire.yaml"
    params:
        title=title,
    script:
        "../scripts/figure_training.py"


rule draw_pairs:
    """How much each corruption hurts."""
    input:
        code=code("figure_pairs.py"),
        table="results/pairs/{model}/{dataset}/effect.parquet",
    output:
        **figure("pairs"),
    log:
        "logs/figures/{model}/{dataset}/pairs.log",
    conda:
        "../../envs/rewire.yaml"
    params:
        title=title,
    script:
        "../scripts/figure_pairs.py"


rule draw_layers:
    """What changes in which layer, over the checkpoints."""
    input:
        code=code("figure_layers.py"),
        layers=of_checkpoints(f"{DIFFERENTIAL}/layers.parquet", tuned),
        heads=of_checkpoints(f"{DIFFERENTIAL}/heads.parquet", tuned),
    output:
        **figure("layers"),
    log:
        "logs/figures/{model}/{dataset}/layers.log",
    conda:
        "../../envs/rewire.yaml"
    params:
        title=title,
        checkpoints=lambda wildcards: tuned(wildcards.model),
        steps=lambda wildcards: ordered(checkpoint_steps(wildcards.model)),
    script:
        "../scripts/figure_layers.py"


rule draw_heads:
    """Entropy change and attention KL of every head, at the last checkpoint."""
    input:
        code=code("figure_heads.py"),
        heads=of_checkpoints(
            f"{DIFFERENTIAL}/heads.parquet", lambda model: [last(model)]
        ),
    output:
        **figure("heads"),
    log:
        "logs/figures/{model}/{dataset}/heads.log",
    conda:
        "../../envs/rewire.yaml"
    params:
        title=title,
        checkpoint=lambda wildcards: last(wildcards.model),
    script:
        "../scripts/figure_heads.py"


rule draw_faithfulness:
    """Faithfulness against circuit size, with the band of random circuits."""
    input:
        code=code("figure_faithfulness.py"),
        tables=of_checkpoints(FAITHFULNESS),
    output:
        **figure("faithfulness"),
    log:
        "logs/figures/{model}/{dataset}/faithfulness.log",
    conda:
        "../../envs/rewire.yaml"
    params:
        title=title,
        checkpoints=lambda wildcards: checkpoints(wildcards.model),
        steps=lambda wildcards: ordered(checkpoint_steps(wildcards.model)),
    script:
        "../scripts/figure_faithfulness.py"


rule draw_evolution:
    """Edges and nodes that stay, come and go."""
    input:
        code=code("figure_evolution.py"),
        table=EVOLUTION,
    output:
        **figure("evolution"),
    log:
        "logs/figures/{model}/{dataset}/evolution.log",
    conda:
        "../../envs/rewire.yaml"
    params:
        title=title,
    script:
        "../scripts/figure_evolution.py"


rule draw_circuit:
    """The last checkpoint's circuit."""
    input:
        code=code("figure_circuit.py"),
        circuit=of_checkpoints(f"{CIRCUIT}/circuit.json", lambda model: [last(model)]),
    output:
        **figure("circuit"),
    log:
        "logs/figures/{model}/{dataset}/circuit.log",
    conda:
        "../../envs/rewire.yaml"
    params:
        title=title,
    script:
        "../scripts/figure_circuit.py"


rule draw_bakeoff:
    """ROUGE and right facts of every LoRA strategy."""
    input:
        code=code("figure_bakeoff.py"),
        table=f"{LORA}/bakeoff.parquet",
    output:
        **figure("bakeoff"),
    log:
        "logs/figures/{model}/{dataset}/bakeoff.log",
    conda:
        "../../envs/rewire.yaml"
    params:
        title=title,
    script:
        "../scripts/figure_bakeoff.py"


rule draw_claims:
    """The table of claims as a picture."""
    input:
        code=code("figure_claims.py"),
        table="results/claims.parquet",
    output:
        png="results/figures/claims.png",
        svg="results/figures/claims.svg",
    log:
        "logs/figures/claims.log",
    conda:
        "../../envs/rewire.yaml"
    script:
        "../scripts/figure_claims.py"


rule figures:
    """Target: every figure."""
    input:
        [
            f"results/figures/{m}/{d}/{name}.png"
            for m, d in RUNS
            for name in figures_of(m, d, FIGURES)
        ],
        rules.draw_claims.output,
