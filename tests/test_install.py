"""What is installed is what is in the folders, and importing it is cheap."""

import builtins
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import bayesimpute
from tests.public import GROUPS, NAMES

ROOT = Path(__file__).resolve().parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]

LOADED_LATER = ("arviz", "matplotlib", "numba", "numpy", "pandas", "pymc", "pytensor", "scipy")


def run_python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_package_list_names_every_folder_with_sources() -> None:
    package = ROOT / "bayesimpute"
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in package.rglob("*.py")
        if "models" not in path.relative_to(package).parts  # the link that mypy needs
    }
    assert set(SETUPTOOLS["packages"]) == folders | {"bayesimpute.models"}


def test_every_package_folder_says_what_it_holds() -> None:
    for name in SETUPTOOLS["packages"]:
        assert (import_module(name).__doc__ or "").strip(), name


def test_models_is_flat_because_a_folder_in_it_would_be_missing_from_the_wheel() -> None:
    assert not [p for p in (ROOT / "models").rglob("*.py") if p.parent != ROOT / "models"]


def test_the_package_says_that_it_is_typed_and_all_its_files_are_installed() -> None:
    assert (ROOT / "bayesimpute" / "py.typed").is_file()
    kept = SETUPTOOLS["package-data"]["*"]
    assert kept == ["py.typed", "*.pyi", "*.css"]
    others = {p.suffix for p in (ROOT / "bayesimpute").rglob("*") if p.is_file()}
    assert others <= {
        ".py",
        ".pyc",
        ".typed",
        ".nbi",
        ".nbc",
        *(Path(each).suffix for each in kept),
    }


def test_importing_the_package_loads_nothing_heavy(tmp_path: Path) -> None:
    code = f"import bayesimpute, sys; print(*sorted(set({LOADED_LATER!r}) & set(sys.modules)))"
    done = run_python(code, tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout + done.stderr


def test_the_models_folder_cannot_be_imported_a_second_time_under_its_own_name() -> None:
    done = run_python("import models", ROOT)
    assert done.returncode != 0
    assert "from bayesimpute.models import" in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_there_and_the_same_object_each_time(name: str) -> None:
    assert getattr(bayesimpute, name) is getattr(bayesimpute, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'bayesimpute' has no attribute 'imputee'"):
        _ = bayesimpute.imputee


def test_few_names_stand_at_the_top_and_none_replaces_a_built_in() -> None:
    assert len(bayesimpute.__all__) <= 30 and sorted(set(bayesimpute.__all__)) == sorted(
        bayesimpute.__all__
    )
    assert set(bayesimpute.__all__) <= {*NAMES, "__version__"}
    assert not set(bayesimpute.__all__) & set(dir(builtins))
    assert set(dir(bayesimpute)) == {*bayesimpute.__all__, "open"}


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_has_the_objects_that_stand_at_the_top_or_stood_there(group: str) -> None:
    home = getattr(bayesimpute, group)
    assert set(home.__all__) == set(GROUPS[group]) <= set(dir(home))
    for name in GROUPS[group]:
        at_the_top = getattr(bayesimpute, name, None)
        assert at_the_top in (None, getattr(home, name)), name


def test_every_public_name_is_at_the_top_or_in_a_group_or_an_error_or_a_result() -> None:
    grouped = {name for names in GROUPS.values() for name in names}
    for name in set(NAMES) - {*bayesimpute.__all__, *grouped, "open"}:
        value = getattr(bayesimpute, name)
        assert isinstance(value, type) or name in ("compare_joint", "plot_fmi"), name


def test_the_command_is_installed_and_leads_to_the_command_line() -> None:
    (command,) = entry_points(group="console_scripts", name="bayesimpute")
    assert callable(command.load())
