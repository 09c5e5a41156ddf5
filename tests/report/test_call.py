"""The call in a report leads to the specification it was written from."""

import io
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.imputation import specified
from bayesimpute.report.models import says
from bayesimpute.report.origin import call_text
from bayesimpute.specification.equations import equations
from bayesimpute.specification.specify import specify
from tests.report.test_notation import data


class Run:
    """What the call is written from, without having run."""

    def __init__(self, specification, m=7, iterations=9, seed=2**90):
        self.specification = specification
        self.m, self.iterations, self.seed = m, iterations, seed
        self.predictors = specification.predictors.copy()
        self.history = SimpleNamespace(further_seeds=())


def again(specification, df):
    """Specification of the call that the report shows, and its other arguments."""
    text, by_hand = call_text(Run(specification))
    matrix = pd.read_csv(io.StringIO(specification.predictors.to_csv()), index_col=0)
    seen = {}

    class Recorder:
        @staticmethod
        def impute(frame, m, iterations, seed, **arguments):
            seen.update(m=m, iterations=iterations, seed=seed)
            return specify(frame, **arguments)

    names = {"bi": Recorder, "df": df, "predictors": matrix}
    exec(text, names)
    return names["imp"], seen, by_hand


def frame():
    df = data()
    rng = np.random.default_rng(3)
    df["y"] = np.where(np.arange(60) % 5 == 0, np.nan, rng.normal(size=60))
    df["b it"] = np.where(np.arange(60) % 7 == 0, np.nan, rng.normal(size=60))
    df["left"] = np.where(np.arange(60) % 11 == 0, np.nan, rng.normal(size=60))
    df["twice"] = 2 * df["y"]
    return df


CASES = {
    "defaults": {"cluster": "school"},
    "one level": {"method": "normal"},
    "methods, passive, left out": {
        "cluster": "school",
        "method": {"y": "2l.pmm", "b it": "norm", "twice": "~ I(2 * y)", "left": ""},
        "model_options": {"y": {"donors": 3}},
    },
    "formula": {
        "cluster": "school",
        "formulas": {"y": "y ~ x * size + log(x + 1) + cluster_mean(x) + (1 + x | school)"},
        "method": {"y": "normal", "twice": "~ 2 * y"},
    },
    "formula without random intercept": {
        "formulas": {"y": "y ~ x + (0 + x | school)"},
        "method": {"y": "normal"},
    },
    "independent effects": {
        "formulas": {"y": "y ~ x + left + twice + (1 + left | school) + (0 + x + twice | school)"},
        "method": {"y": "normal"},
    },
    "independent slopes only": {
        "formulas": {"y": "y ~ x + left + (0 + x + left || school)"},
        "method": {"y": "normal"},
    },
    "order of visits": {"cluster": "school", "visit_sequence": ["twice", "y", "left", "b it"]},
    "joint": {"cluster": "school", "method": {"y": "joint", "left": "joint"}},
}


@pytest.mark.parametrize("name", CASES)
def test_the_call_gives_the_same_specification(name):
    df = frame()
    first = specify(df, **CASES[name])
    second, seen, by_hand = again(first, df)
    assert seen == {"m": 7, "iterations": 9, "seed": 2**90} and by_hand == []
    assert equations(second) == equations(first)
    assert second.targets == first.targets
    assert second.visit_sequence == first.visit_sequence
    pd.testing.assert_frame_equal(second.predictors, first.predictors)


@pytest.mark.parametrize("arguments", [
    {"formulas": {"y": "y ~ `b:c` + log(`x (1)`) + `x (1)`:`b it` + (1 + `b:c` | `school:id`)"}},
    {"formulas": {"y": "y ~ I(side == 'a:b'):x + (1 | `school:id`)"}},
    {"cluster": "school:id", "formulas": {"y": "y ~ I(`b it` > 0) + (1 | `school:id`)"}},
])  # fmt: skip
def test_the_call_knows_columns_with_colons_and_brackets(arguments):
    df = frame().rename(columns={"school": "school:id"})
    df = df.assign(**{"b:c": df["x"] ** 2, "x (1)": df["x"].abs() + 1})
    df["side"] = np.where(np.arange(60) % 3, "a:b", "c")
    first = specify(df, **arguments)
    second, _, _ = again(first, df)
    assert second.targets == first.targets
    assert "β1·(b·c)" not in equations(first)["y"]


def test_what_text_cannot_hold_is_named():
    df = frame()
    where = df.isna()
    where.loc[3, "y"] = True
    ignore = np.arange(60) < 2
    specification = specify(
        df,
        cluster="school",
        method={"y": bi.delta("normal", -1)},
        post={"y": bi.squeeze(0, 1)},
        where=where,
        ignore=ignore,
        monitor={"largest": lambda df: df["y"].max()},
    )
    text, by_hand = call_text(Run(specification))
    assert "'y': …" in text and "post=…" in text
    told = "; ".join(by_hand)
    for part in ("delta(normal, -1)", "squeeze(0, 1)", "1 observed cell of y", "2 rows", "largest"):
        assert part in told


@pytest.mark.parametrize("on", ["analysis", "conditional"])
def test_the_call_of_an_analysis_leads_to_the_same_models(on):
    df = frame()[["school", "y", "b it", "left"]]
    given = {"cluster": "school", "on": on, "family": {"y": "normal.robust"}}
    if on == "analysis":
        given["formulas"] = {"left": "left ~ `b it`"}
    specification = specified(df, analysis="y ~ `b it` * left + (1 | school)", **given)
    text, by_hand = call_text(Run(specification))
    names = {"df": df, "predictors": specification.predictors, "bi": Again}
    exec(text, names)
    made = names["imp"]
    assert by_hand == [] and made.analyses == specification.analyses
    assert made.visit_sequence == specification.visit_sequence
    assert {k: v.terms for k, v in made.targets.items()} == {
        k: v.terms for k, v in specification.targets.items()
    }
    for name, cells in (specification.live or {}).items():
        np.testing.assert_array_equal(made.live[name], cells)


class Again:
    """``bi`` whose ``impute`` only looks."""

    @staticmethod
    def impute(frame, m, iterations, seed, **arguments):
        return specified(frame, **arguments)


def test_cells_that_were_not_to_be_imputed_are_named():
    df = frame()[["school", "y"]]
    where = df.isna()
    where.loc[[0, 5], "y"] = False
    _, by_hand = call_text(Run(specify(df, where=where)))
    assert by_hand == ["where: 2 missing cells of y, left missing"]
    _, by_hand = call_text(Run(specify(df, method={"y": bi.only_where("pmm", "school != 's0'")})))
    assert not any("where:" in told for told in by_hand)


def test_a_shift_without_a_linear_predictor_is_said_to_be_of_the_values():
    df = frame()[["school", "y", "b it"]]
    method = {"y": bi.delta("sample", 1), "b it": bi.delta("normal", 1)}
    specification = specify(df, method=method)
    assert says(specification, "y")[-1].endswith("δ = 1 is added to the values drawn.")
    assert "linear predictor" in says(specification, "b it")[-1]
