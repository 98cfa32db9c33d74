"""Hidden states and attention of every checkpoint against the base."""

DIFFERENTIAL = "results/differential/{model}/{dataset}/{checkpoint}"
CLEAN_PAIRS = (
    f"results/pairs/{{model}}/{{dataset}}/{config['circuits']['corruption']}.parquet"
)


rule compare_with_base:
    """Per layer and head, example by example."""
    input:
        code=code("differential.py"),
        base=f"{CELL}/base",
        checkpoint=FOLDER,
        pairs=CLEAN_PAIRS,
    output:
        layers=f"{DIFFERENTIAL}/layers.parquet",
        heads=f"{DIFFERENTIAL}/heads.parquet",
    log:
        "logs/differential/{model}/{dataset}/{checkpoint}.log",
    benchmark:
        "logs/differential/{model}/{dataset}/{checkpoint}.benchmark.tsv"
    conda:
        "../../envs/rewire.yaml"
    resources:
        gpu=gpu,
    params:
        differential=section("differential"),
    script:
        "../scripts/differential.py"


rule differential:
    """Target: the differential analysis of every checkpoint of every run."""
    input:
        each_checkpoint(f"{DIFFERENTIAL}/heads.parquet"),
