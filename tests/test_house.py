"""The rules of the repository itself."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.small_model import ROOT

MAY_IMPORT = {
    "data": set[str](),
    "models": {"data"},
    "eval": {"data", "models"},
    "training": {"data", "models", "eval"},
    "serving": {"data", "models"},
}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported_roots(module: Path) -> set[str]:
    roots = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: import by the full name"
            roots.add((node.module or "").split(".")[0])
    return roots


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_what_stands_below_them(package: str) -> None:
    assert modules(package)
    for module in modules(package):
        allowed = MAY_IMPORT[package] | {package}
        assert imported_roots(module) & MAY_IMPORT.keys() <= allowed, module


def test_a_serving_process_loads_no_training_library() -> None:
    program = (
        "import sys; import serving.app, models.registry\n"
        "heavy = {'torch', 'transformers', 'datasets', 'sklearn', 'scipy', 'pandas', 'pyarrow'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["serving.app", "models.export"])
def test_no_library_reports_that_it_is_used(module: str) -> None:
    program = f"import {module}, sys; sys.exit('openvino_telemetry.main' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_bento_does_not_report_that_it_is_used() -> None:
    (tracking,) = yaml.safe_load((ROOT / "bentofile.yaml").read_text())["envs"]
    assert tracking == {"name": "BENTOML_DO_NOT_TRACK", "value": "true"}


def test_the_bento_installs_what_the_project_says_serving_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bento = yaml.safe_load((ROOT / "bentofile.yaml").read_text())
    assert bento["python"]["packages"] == project["dependencies"]


def test_every_requirement_is_a_range_and_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    required = [*project["dependencies"], *(each for extra in extras.values() for each in extra)]
    locked = (ROOT / "constraints.txt").read_text().lower()
    for requirement in required:
        name = requirement.split(">=")[0]
        if not name.startswith("framescope"):
            assert ">=" in requirement, requirement
            assert f"\n{name.lower()}==" in locked, requirement


def test_modules_stay_short() -> None:
    for package in MAY_IMPORT:
        for module in modules(package):
            lines = module.read_text(encoding="utf-8").count("\n")
            assert lines <= 350, f"{module} has {lines} lines"


def test_only_the_codebook_names_the_labels() -> None:
    labels = {
        label["key"]
        for label in yaml.safe_load((ROOT / "data/codebook.yaml").read_text())["labels"]
    }
    for package in MAY_IMPORT:
        for module in modules(package):
            strings = {
                node.value
                for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
            assert not strings & labels, f"{module} names {strings & labels}"
