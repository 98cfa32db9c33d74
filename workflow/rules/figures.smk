"""Every figure of every run: results/figures/{model}/{dataset}/{figure}.png, and .svg beside it."""

FIGURES = [
    "training",
    "pairs",
    "layers",
    "heads",
    "faithfulness",
    "evolution",
    "robustness",
    "circuit",
    "bakeoff",
]


def reported(name, category):
    """Output of a figure rule of one cell; the PNG goes into the report with its caption."""
    files = figure(name)
    shown = report(
        files["png"],
        caption=f"../report/{name}.rst",
        category=category,
        subcategory="{model} on {dataset}",
        labels={"figure": name},
    )
    return files | {"png": shown}


rule draw_training:
    """Losses, learning rate and gradient norm of the fine-tuning."""
    input:
        code=code("figure_training.py"),
        table=f"{CELL}/training.parquet",
    output:
        **reported("training", "Training"),
    log:
        "logs/figures/{model}/{dataset}/training.log",
    conda:
        "../../envs/rewire.yaml"
    params:
        title=title,
    script:
        "../scripts/figure_training.py"


rule draw_pairs:
    """How much each corruption hurts, and how far the circuits agree that they give."""
    input:
        code=code("figure_pairs.py"),
        effects="results/pairs/{model}/{dataset}/effect.parquet",
        agreement=AGREEMENT,
    output:
        **reported("pairs", "Pairs"),
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


rule draw_robustness:
    """How far circuits agree under other examples and noise, and how often resamples find each edge."""
    input:
        code=code("figure_robustness.py"),
        agreement=AGREEMENT,
        edges=INCLUSION,
    output:
        **reported("robustness", "Robustness"),
    log:
        "logs/figures/{model}/{dataset}/robustness.log",
    conda:
        "../../envs/rewire.yaml"
    params:
        title=title,
    script:
        "../scripts/figure_robustness.py"


rule draw_circuit:
    """The last checkpoint's circuit."""
    input:
        code=code("figure_circuit.py"),
        circuit=of_checkpoints(f"{CIRCUIT}/circuit.json", lambda model: [last(model)]),
    output:
        **reported("circuit", "Circuits"),
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
        **reported("bakeoff", "LoRA"),
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
        png=report(
            "results/figures/claims.png",
            caption="../report/claims.rst",
            category="Claims",
            labels={"figure": "claims"},
        ),
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
