"""What the README shows runs; so do those examples of the site that tests can make short."""

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

ROOT = Path(__file__).resolve().parents[1]


def block(page, beginning):
    """Give the one cell of a page that has a line with this beginning."""
    text = (ROOT / page).read_text("utf-8")
    cells = re.findall(r"```(?:python|\{code-cell\} ipython3)\n(.*?)```", text, flags=re.DOTALL)
    (found,) = (c for c in cells if any(line.startswith(beginning) for line in c.splitlines()))
    return compile(found, page, "exec")


COMMANDS = re.findall(
    r"^bayesimpute (.*)$", (ROOT / "docs/start.md").read_text("utf-8"), flags=re.MULTILINE
)


@pytest.fixture
def quickly():
    """``bi`` with a short ``impute``; the README's arguments win."""
    short = partial(bi.impute, m=2, iterations=1, progress=False, cores=1)
    return SimpleNamespace(**{name: getattr(bi, name) for name in NAMES} | {"impute": short})


@pytest.fixture
def df():
    """Data with all columns that the example of methods speaks of."""
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


@pytest.mark.slow
def test_the_first_example_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it writes a report
    exec(block("README.md", "study ="), {})
    assert (tmp_path / "report.html").stat().st_size > 0


def test_the_example_of_methods_runs(quickly, df):
    names = {"bi": quickly, "patients": df, "pm": pm, "few": {}}
    exec(block("docs/guide/specify.md", "method = {"), names)
    done = names["imp"].complete(1)
    assert not done.isna().any().any()
    assert set(done.loc[done["sex"] == "male", "pregnant"]) == {"no"}


def test_the_example_of_a_selection_model_runs(quickly, df):
    rng = np.random.default_rng(2)
    data = df[["weight"]].assign(region=df["study"], interview_time=rng.exponential(5, len(df)))
    data.loc[data["interview_time"] + rng.normal(0, 3, len(df)) > 6, "weight"] = np.nan
    names = {"bi": quickly, "df": data}
    exec(block("docs/how-to/not-at-random.md", 'predictors.loc["weight"'), names)
    assert names["imp"].identification().iloc[0]["exclusion"] == "interview_time"


def test_the_example_of_an_analysis_runs(quickly, capsys):
    rng = np.random.default_rng(3)
    data = pd.DataFrame(rng.normal(size=(240, 3)), columns=["hours", "motivation", "score"])
    data["school"] = np.arange(240) % 12
    level, slope = rng.normal(size=(2, 12))[:, data["school"]]
    data["score"] += level + (1 + slope) * data["hours"] * (1 + data["motivation"])
    data.loc[::5, "hours"] = np.nan
    short = partial(quickly.impute, m=2, iterations=2)
    names = {"bi": SimpleNamespace(impute=lambda df, analysis, **_: short(df, analysis=analysis))}
    exec(block("docs/how-to/analysis.md", "analysis ="), names | {"df": data})
    imp = short(data, analysis="score ~ hours * motivation + (1 + hours | school)")
    assert {"hours:motivation", "sd(hours | school)"} <= set(imp.analysis.index)


def test_the_example_of_an_own_model_runs(quickly):
    data = bi.simulate.simulate_popularity(seed=1, schools=6, pupils=60).incomplete
    names = {"bi": quickly, "df": data[["school", "popular", "sex"]]}
    exec(block("docs/how-to/own-model.md", "def student_t"), names)
    assert not names["imp"].complete(1).isna().any().any()


def test_the_commands_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    study = bi.simulate.simulate_popularity(seed=1, schools=30, pupils=600)
    study.incomplete.to_csv("pupils.csv", index=False)
    study.incomplete.to_csv("popmis.csv", index=False)
    rng = np.random.default_rng(1)
    clinics = pd.DataFrame({"clinic": np.arange(200) % 10, "age": rng.normal(50, 9, 200)})
    clinics["body weight"] = clinics["age"] + rng.normal(20, 9, 200)
    clinics["stage"] = rng.choice(["I", "II", "III", ""], 200)
    clinics.loc[::7, "body weight"] = np.nan
    clinics.to_csv("clinics.csv", index=False)
    for command in COMMANDS:
        assert main(shlex.split(command)) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "popular ~ texp + sex + (1 | school)\n" in said and "stageII" in said
    assert bi.open("clinics.nc").method["stage"] == "ordinal"
    assert len(bi.open("imp.nc").complete("all")) == 20
