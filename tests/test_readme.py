"""What the README shows runs, and what it names is there."""

import re
import shlex
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayesimpute as bi
from bayesimpute.cli import main
from tests.public import NAMES

README = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = re.findall(r"^bayesimpute (.*)$", README, flags=re.MULTILINE)


@pytest.fixture
def quickly():
    """``bi`` with a short ``impute``; the README's arguments win."""
    short = partial(bi.impute, m=2, iterations=1, progress=False, cores=1)
    return SimpleNamespace(**{name: getattr(bi, name) for name in NAMES} | {"impute": short})


@pytest.fixture
def df():
    """Data with all columns that the README's examples speak of."""
    rng = np.random.default_rng(1)
    n = 240
    study = np.repeat(np.arange(8), 30)
    sex = rng.choice(["female", "male"], n)
    df = pd.DataFrame(
        {
            "study": study,
            "sex": sex,
            "pupil": pd.Categorical(rng.choice(["both", "none", "one"], n)),
            "ct": pd.Categorical(rng.choice(["I", "II", "III"], n), ordered=True),
            "pregnant": pd.Categorical(np.where(sex == "male", "no", rng.choice(["no", "yes"], n))),
            "weight": rng.normal(70, 10, n),
            "dose": rng.normal(5, 1, n),
            "arm": rng.choice(["a", "b"], n),
        }
    )
    for k, name in enumerate(("pupil", "ct", "pregnant", "weight", "dose")):
        df[name] = df[name].where(np.arange(n) % 10 != k)
    return df


def test_the_readme_has_the_examples_that_are_run_here():
    assert len(BLOCKS) == 5 and len(COMMANDS) == 3


@pytest.mark.slow
def test_its_first_example_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it writes a report
    exec(compile(BLOCKS[0], "README.md", "exec"), {})
    assert (tmp_path / "report.html").stat().st_size > 0


def test_its_example_of_methods_runs(quickly, df):
    names = {"bi": quickly, "df": df, "pm": pm}
    exec(compile(BLOCKS[1], "README.md", "exec"), names)
    done = names["imp"].complete(1)
    assert not done.isna().any().any()
    assert set(done.loc[done["sex"] == "male", "pregnant"]) == {"no"}


def test_its_example_of_a_selection_model_runs(quickly, df):
    rng = np.random.default_rng(2)
    data = df[["weight"]].assign(region=df["study"], interview_time=rng.exponential(5, len(df)))
    data.loc[data["interview_time"] + rng.normal(0, 3, len(df)) > 6, "weight"] = np.nan
    names = {"bi": quickly, "df": data}
    exec(compile(BLOCKS[2], "README.md", "exec"), names)
    assert names["imp"].identification().iloc[0]["exclusion"] == "interview_time"


def test_its_example_of_an_analysis_runs(quickly, capsys):
    rng = np.random.default_rng(3)
    data = pd.DataFrame(rng.normal(size=(240, 3)), columns=["hours", "motivation", "score"])
    data["school"] = np.arange(240) % 12
    level, slope = rng.normal(size=(2, 12))[:, data["school"]]
    data["score"] += level + (1 + slope) * data["hours"] * (1 + data["motivation"])
    data.loc[::5, "hours"] = np.nan
    short = partial(quickly.impute, m=2, iterations=2)
    names = {"bi": SimpleNamespace(impute=lambda df, analysis, **_: short(df, analysis=analysis))}
    exec(compile(BLOCKS[3], "README.md", "exec"), names | {"df": data})
    imp = short(data, analysis="score ~ hours * motivation + (1 + hours | school)")
    assert {"hours:motivation", "sd(hours | school)"} <= set(imp.analysis.index)


def test_its_example_of_an_own_model_runs(quickly):
    data = bi.simulate.simulate_popularity(seed=1, schools=6, pupils=60).incomplete
    names = {"bi": quickly, "df": data[["school", "popular", "sex"]]}
    exec(compile(BLOCKS[4], "README.md", "exec"), names)
    assert not names["imp"].complete(1).isna().any().any()


def test_its_commands_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    study = bi.simulate.simulate_popularity(seed=1, schools=30, pupils=600)
    study.incomplete.to_csv("pupils.csv", index=False)
    study.incomplete.to_csv("popmis.csv", index=False)
    for command in COMMANDS:
        assert main(shlex.split(command)) == 0, capsys.readouterr().err
    assert len(bi.open("imp.nc").complete("all")) == 20


def test_every_name_it_gives_is_there():
    for name in set(re.findall(r"\bbi\.(?:simulate\.)?[A-Za-z_]\w*", README)):
        home: object = bi
        for part in name.split(".")[1:]:
            assert hasattr(home, part), name
            home = getattr(home, part)
    for name in set(re.findall(r"\bimp\.([a-z_]\w*)", README)) - {"nc"}:
        assert hasattr(bi.Imputations, name), name
    # the lists of the table: `missing_pattern`, `missing_pairs`, …
    for name in set(re.findall(r"`(missing_\w+|plot_\w+|pool_\w+|flux)`", README)):
        assert hasattr(bi, name) or hasattr(bi.Imputations, name), name


def test_every_file_and_target_it_points_at_is_there():
    home = Path(__file__).resolve().parents[1]
    for path in set(re.findall(r"`((?:tests|benchmarks|notebooks|bayesimpute)/[\w./]+)`", README)):
        made = path == "notebooks/executed/"  # by `make notebooks`, and not kept
        assert made or (home / path).exists(), path
    makefile = (home / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"\bmake ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
