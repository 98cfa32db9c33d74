"""Figures of the probes: results/figures/{model}/{dataset}/probes/{checkpoint}/{study}/{figure}.png, .svg, and interactive.html."""


rule draw_probe_positions:
    """What each layer and token recovers."""
    input:
        prompts=f"{PROBES}/prompts.parquet",
        patches=f"{PROBES}/patches.parquet",
    output:
        **probed("positions"),
    log:
        f"{DRAWN_LOG}/positions.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_probe_positions.py"),
        title=probe_title,
    script:
        "../scripts/figure_probe_positions.py"


rule draw_probe_heads:
    """What each head recovers by its output, queries, keys, values and attention."""
    input:
        summary=f"{PROBES}/summary.parquet",
    output:
        **probed("heads"),
    log:
        f"{DRAWN_LOG}/heads.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_probe_heads.py"),
        title=probe_title,
    script:
        "../scripts/figure_probe_heads.py"


rule draw_probe_neurons:
    """What each neuron recovers, against what it adds to the logits directly."""
    input:
        neurons=f"{PROBES}/neurons.parquet",
    output:
        **probed("neurons"),
    log:
        f"{DRAWN_LOG}/neurons.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_probe_neurons.py"),
        title=probe_title,
    script:
        "../scripts/figure_probe_neurons.py"


rule draw_probe_logits:
    """Logit lens and direct logit attribution by layer, component and head."""
    input:
        readings=f"{PROBES}/readings.parquet",
    output:
        **probed("logits"),
    log:
        f"{DRAWN_LOG}/logits.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_probe_logits.py"),
        title=probe_title,
    script:
        "../scripts/figure_probe_logits.py"


rule draw_probe_attention:
    """Where the leading heads look, and what that would add."""
    input:
        readings=f"{PROBES}/readings.parquet",
        summary=f"{PROBES}/summary.parquet",
    output:
        **probed("attention"),
    log:
        f"{DRAWN_LOG}/attention.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_probe_attention.py"),
        title=probe_title,
    script:
        "../scripts/figure_probe_attention.py"


rule draw_probe_patterns:
    """Where the leading heads look from every token of a sentence."""
    input:
        prompts=f"{PROBES}/prompts.parquet",
        patterns=f"{PROBES}/patterns.parquet",
        summary=f"{PROBES}/summary.parquet",
    output:
        **probed("patterns"),
    log:
        f"{DRAWN_LOG}/patterns.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_probe_patterns.py"),
        title=probe_title,
    script:
        "../scripts/figure_probe_patterns.py"


rule write_probe_page:
    """A page to point at: patch grid, heads and attention over the sentence, token and value beside the mouse."""
    input:
        prompts=f"{PROBES}/prompts.parquet",
        patches=f"{PROBES}/patches.parquet",
        summary=f"{PROBES}/summary.parquet",
        patterns=f"{PROBES}/patterns.parquet",
    output:
        html=report(
            f"{DRAWN}/interactive.html",
            caption="../report/probe_page.rst",
            category="Probes",
            subcategory="{model} on {dataset}",
            labels={
                "figure": "interactive",
                "study": "{study}",
                "checkpoint": "{checkpoint}",
            },
        ),
    log:
        f"{DRAWN_LOG}/interactive.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("probes_page.py"),
        title=probe_title,
    script:
        "../scripts/probes_page.py"


rule draw_probe_pairings:
    """Which groups of prompts use the same parts."""
    input:
        summary=f"{PROBES}/summary.parquet",
        neurons=f"{PROBES}/neurons.parquet",
        readings=f"{PROBES}/readings.parquet",
        pairings=f"{PROBES}/pairings.parquet",
    output:
        **probed("pairings"),
    log:
        f"{DRAWN_LOG}/pairings.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_probe_pairings.py"),
        title=probe_title,
    script:
        "../scripts/figure_probe_pairings.py"


rule draw_probe_agreement:
    """In which parts groups of prompts agree and in which they differ."""
    input:
        agreement=f"{PROBES}/agreement.parquet",
    output:
        **probed("agreement"),
    log:
        f"{DRAWN_LOG}/agreement.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_probe_agreement.py"),
        title=probe_title,
    script:
        "../scripts/figure_probe_agreement.py"


rule draw_cross_study:
    """What base and last checkpoint recover with each other's activations, on a study's prompts."""
    input:
        summary=f"{CROSS_STUDY}/summary.parquet",
    output:
        **shown(
            f"{DRAWN_CROSS}/{{study}}", "cross_study", figure="cross-model, {study}"
        ),
    log:
        "logs/figures/{model}/{dataset}/probes/cross-model/{study}.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_cross_model.py"),
        title=lambda wildcards: f"{wildcards.study}, {title(wildcards)}",
    script:
        "../scripts/figure_cross_model.py"


rule draw_cross_pairs:
    """The same on the clean articles of the pairs."""
    input:
        summary=f"{CROSS_PAIRS}/summary.parquet",
    output:
        **shown(f"{DRAWN_CROSS}-pairs", "cross_pairs", figure="cross-model, pairs"),
    log:
        "logs/figures/{model}/{dataset}/probes/cross-model-pairs.log",
    conda:
        "../../envs/rewire.yaml"
    threads: 1
    resources:
        **on_tables(),
    params:
        code=code("figure_cross_model.py"),
        title=lambda wildcards: f"pairs, {title(wildcards)}",
    script:
        "../scripts/figure_cross_model.py"


rule probes:
    """Target: every study's tables and figures, and cross-model patches where a study reads base and last checkpoint."""
    input:
        study_figures(STUDIES),
        rules.judge_probe_claims.output,
        cells(f"{DRAWN_CROSS}-pairs.png", CROSSED_RUNS),


for study in STUDIES:

    rule:
        name:
            study_target(study)
        input:
            study_figures([study]),
        localrule: True

    # the text inside a rule is a constant
    made = workflow.get_rule(study_target(study))
    made.docstring = f"Target: {study}, of the probes' studies."
