"""The repository holds together: lock and environment, config and schema, scripts and rules."""

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
IMPORTS = (ast.Import, ast.ImportFrom)


def lock() -> dict[str, str]:
    pins = (line.split("==") for line in (ROOT / "requirements.lock").read_text().split())
    return {name.lower().replace("_", "-"): version for name, version in pins}


def test_the_conda_environment_is_the_lock():
    environment = yaml.safe_load((ROOT / "envs" / "rewire.yaml").read_text())
    pip = next(item["pip"] for item in environment["dependencies"] if isinstance(item, dict))
    assert {
        name.lower().replace("_", "-"): version for name, version in (p.split("==") for p in pip)
    } == lock()


def test_every_dependency_is_locked():
    text = (ROOT / "pyproject.toml").read_text()
    lists = re.findall(r"^(?:dependencies|workflow|dev) = \[(.*?)\]", text, re.S | re.M)
    names = {re.split(r"[>=<]", name)[0].lower() for part in lists for name in re.findall(r'"([^"]+)"', part)}
    assert len(names) > 15 and names <= set(lock())


def test_every_section_of_the_config_is_in_the_schema_and_explained():
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    text = (ROOT / "config/config.yaml").read_text()
    config = yaml.safe_load(text) | yaml.safe_load((ROOT / "config/claims.yaml").read_text())
    assert set(config) == set(schema["properties"])
    for section in yaml.safe_load(text):
        before = text[: re.search(rf"^{section}:", text, re.M).start()].rstrip().splitlines()[-1]
        assert before.startswith("#"), f"{section}: has no explanation above it"


def test_the_schema_refuses_unknown_keys_everywhere():
    def objects(node, path):
        if isinstance(node, dict):
            if node.get("type") == "object":
                yield path, node
            for key, value in node.items():
                yield from objects(value, f"{path}.{key}")
        elif isinstance(node, list):
            for item in node:
                yield from objects(item, path)

    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    free = {
        path
        for path, node in objects(schema, "")
        if not {"additionalProperties", "unevaluatedProperties"} & set(node)
    }
    # values of a transformers config and keyword arguments of the generator are checked where they are used
    free -= {".$defs.schedule"}  # closed where it is used
    assert free == {".$defs.model.properties.architecture", ".$defs.dataset.properties.options"}


@pytest.mark.parametrize("script", sorted((ROOT / "workflow/scripts").glob("*.py")), ids=lambda p: p.stem)
def test_scripts_are_thin(script):
    text = script.read_text()
    assert text.startswith('"""Reads ') and "snakemake.config" not in text
    assert len(text.splitlines()) <= 25
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    assert f'script:\n        "../scripts/{script.name}"' in rules and f'code("{script.name}")' in rules


def test_rules_take_a_digest_of_their_own_code_as_a_param():
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        for rule in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]:
            if "script:" in rule:
                used = re.search(r"../scripts/(\w+\.py)", rule).group(1)
                params = rule.partition("\n    params:\n")[2]
                assert f'        code=code("{used}"),\n' in params, f"{path.name}: {rule.split(':')[0]}"
            assert not re.search(r"^    (shell|run):", rule, re.M)


def test_the_library_knows_nothing_of_snakemake_and_figures_import_no_torch():
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text()
        assert not re.search(r"^\s*(import|from) snakemake", text, re.M), path
        if "figures" in path.parts:
            assert not re.search(r"^\s*(import|from) (torch|transformers)\b", text, re.M), path
    assert all(not p.read_text().strip() for p in (ROOT / "src").rglob("__init__.py"))


def test_files_named_in_the_readme_exist():
    text = (ROOT / "README.md").read_text()
    named = re.findall(r"(?:config|docs|workflow|profiles|src|benchmarks|envs|tests)/[\w./-]+\.\w+", text)
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_digest_of_a_rule_s_code_sees_every_import():
    """The workflow finds imports by their words; what Python itself reads out of the same files."""
    text = (ROOT / "workflow/rules/common.smk").read_text()
    pattern = re.compile(re.search(r'^IMPORT = .*?r"(.*?)",', text, re.S | re.M)[1], re.M)
    for path in [*ROOT.glob("src/rewire/**/*.py"), *ROOT.glob("workflow/scripts/*.py")]:
        statements = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, IMPORTS)]
        names = {(getattr(node, "module", ""), alias.name) for node in statements for alias in node.names}
        ours = {(package, name) for package, name in names if f"{package}{name}".startswith("rewire")}
        found = pattern.findall(path.read_text())
        read = {(package, name) for package, members, _ in found for name in re.findall(r"\w+", members)}
        read |= {("", name) for _, _, modules in found for name in re.findall(r"[\w.]+", modules)}
        assert ours <= read, f"{path}: {ours - read}"
