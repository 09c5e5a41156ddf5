"""The files that say what the project needs agree with one another."""

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
NEEDED: list[str] = PROJECT["project"]["dependencies"] + EXTRAS["dev"]


def listed(file: str) -> list[str]:
    """Requirements of a file with one a line, as a list item or bare; comments left out."""
    lines = [line.split("#")[0].strip() for line in (ROOT / file).read_text("utf-8").splitlines()]
    return [line.removeprefix("- ") for line in lines if line]


def name_of(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def test_environment_yml_and_pyproject_ask_for_the_same() -> None:
    entries = listed("environment.yml")
    asked = entries[entries.index("dependencies:") + 1 :]
    python = "python" + PROJECT["project"]["requires-python"]
    assert sorted(set(asked) - {"pip", "pip:"}) == sorted([*NEEDED, python])


def test_every_requirement_has_an_exact_version_that_satisfies_it() -> None:
    exact = {name_of(line): line.partition("==")[2] for line in listed("constraints.txt")}
    assert all(exact.values()), "constraints.txt holds name==version lines only"
    for requirement in NEEDED + EXTRAS["docs"]:
        least = requirement.partition(">=")[2]
        assert as_numbers(exact[name_of(requirement)]) >= as_numbers(least), requirement


def test_every_requirement_says_why_it_is_there() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    for requirement in NEEDED + EXTRAS["docs"]:
        assert re.search(rf'"{re.escape(requirement)}",\s*# \S', text), requirement


def test_linear_algebra_has_one_thread_while_tests_run_side_by_side() -> None:
    np.linalg.inv(np.eye(2))
    found = [each for each in threadpool_info() if each["internal_api"] == "openblas"]
    assert {each["num_threads"] for each in found} <= {1}


def test_the_python_to_develop_with_is_one_that_is_supported() -> None:
    chosen = (ROOT / ".python-version").read_text("utf-8").strip()
    least = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert as_numbers(chosen) >= as_numbers(least)


def test_a_citation_names_the_version_and_the_authors_of_the_project() -> None:
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    (authors,) = PROJECT["project"]["authors"]
    assert f"version: {PROJECT['project']['version']}\n" in citation
    assert f"- name: {authors['name']}\n" in citation


def test_the_workflow_runs_the_one_list_of_checks_on_the_supported_pythons() -> None:
    workflow = (ROOT / ".github/workflows/tests.yml").read_text("utf-8")
    assert "run: .ci/run\n" in workflow
    for classifier in PROJECT["project"]["classifiers"]:
        version = classifier.removeprefix("Programming Language :: Python :: ")
        assert version == classifier or f'"{version}"' in workflow
