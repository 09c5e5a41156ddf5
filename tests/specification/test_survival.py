"""Surv(time, event) as the outcome of an analysis: what is read, decided and refused."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.design import DesignBuilder
from bayesimpute.errors import BayesimputeError
from bayesimpute.specification.formula_reader import read_formula
from bayesimpute.specification.specify import specify

ANALYSIS = "Surv(time, died) ~ age * stage + (1 | centre)"


@pytest.fixture
def df():
    rng = np.random.default_rng(0)
    centre = np.repeat([f"c{k}" for k in range(6)], 10)
    df = pd.DataFrame({"time": rng.exponential(size=60) + 0.1, "died": rng.integers(0, 2, 60)})
    df["age"], df["stage"], df["centre"] = rng.normal(size=60), rng.integers(0, 2, 60), centre
    df["aux"] = rng.normal(size=60)
    df.loc[::3, "age"] = np.nan
    df.loc[::4, "aux"] = np.nan
    return df


def made(df, analysis=ANALYSIS, **options):
    return specify(df, cluster="centre", analysis=analysis, **options)


def test_the_outcome_is_two_columns():
    read = read_formula("Surv(`follow up`, died) ~ .", ["follow up", "died", "x"])
    assert (read.outcome, read.event) == ("follow up", "died")
    assert read.predictors == ("x",) and read.names == ("follow up", "died", "x")


def test_the_event_goes_to_the_model_and_is_no_column_of_any_other(df):
    found = made(df)
    assert found.methods["time"] == "piecewise" and found.targets["time"].options["event"] == "died"
    assert set(found.targets) == {"age", "aux", "time"}
    for name in ("age", "aux"):
        assert not {"time", "died"} & {t.label for t in found.targets[name].terms}
    assert found.live["age"].sum() == 20 and not found.live["time"].any()
    builder = DesignBuilder.of(found, found.targets["time"])
    rows = builder.build({k: np.nan_to_num(v) for k, v in found.table.values.items()})
    np.testing.assert_array_equal(rows.columns["event"], df["died"])
    np.testing.assert_array_equal(rows.rows(rows.y > 1).columns["event"], df["died"][df.time > 1])


def test_events_stay_events_where_the_groups_are_a_column_called_event(df):
    df = df.assign(event=np.arange(60) % 3)
    found = made(df, method={"time": bi.by_group("weibull", "event")})
    target = found.targets["time"]
    rows = DesignBuilder.of(found, target).build(dict(found.known))
    np.testing.assert_array_equal(rows.columns["event"], df["died"])
    groups = target.method.rows(rows)
    np.testing.assert_array_equal(groups["2"], df["event"] == 2)


@pytest.mark.parametrize(
    ("column", "which"),
    [
        (lambda d: d == 1, "True"),
        (lambda d: d.astype(float), "1"),
        (lambda d: d.map({0: "alive", 1: "dead"}), "'dead'"),
        (lambda d: pd.Categorical(d.map({0: "x", 1: "a"}), categories=["x", "a"]), "'a'"),
    ],
)
def test_which_value_is_the_event_is_said(df, column, which):
    died = df["died"].to_numpy()
    df["died"] = column(df["died"])
    found = made(df)
    (event,) = (e for e in found.events if e.action == "events and censored times")
    assert f"'died' = {which} is the event: {died.sum()} of 60" in event.message
    indicators = DesignBuilder.of(found, found.targets["time"]).indicators
    np.testing.assert_array_equal(indicators["event"], died)


def test_an_analysis_without_surv_takes_every_time_as_an_event(df):
    found = made(df.drop(columns="died"), "time ~ age + (1 | centre)", family="weibull")
    assert found.methods["time"] == "weibull" and "event" not in found.targets["time"].options


REFUSED = {
    "missing in 1": lambda d: {"df": d.assign(time=d["time"].where(d.index > 0))},
    "'died' says whether.*missing in 1": lambda d: {
        "df": d.assign(died=d["died"].astype(float).where(d.index > 0))
    },
    "has the value 2; recode it, such as df\\['event'\\] = df\\['died'\\] == 2": lambda d: {
        "df": d.assign(died=d["died"] + 1)
    },
    "object with 3 categories|3 categories": lambda d: {
        "df": d.assign(died=[*"abc"] * 20)
    },
    "has no event": lambda d: {"df": d.assign(died=0)},
    "'time' is 0 in one of 1 row": lambda d: {"df": d.assign(time=d["time"].where(d.index > 0, 0))},
    "must be a number, such as days": lambda d: {
        "df": d.assign(time=pd.to_timedelta(d["time"], unit="D"))
    },
    "needs 'piecewise'": lambda d: {"df": d, "family": "normal"},
    "needs a model of the time to an event": lambda d: {"df": d, "method": {"time": "gamma"}},
    "its formula has Surv\\(time, died\\)": lambda d: {
        "df": d, "model_options": {"time": {"event": "stage"}}
    },
    "'died' is part of the outcome": lambda d: {
        "df": d, "analysis": "Surv(time, died) ~ age + died"
    },
    "'time' is part of the outcome": lambda d: {
        "df": d, "analysis": ["Surv(time, died) ~ age", "aux ~ time + age"]
    },
    "'died' is part of the outcome of": lambda d: {
        "df": d, "analysis": ["Surv(time, died) ~ age", "died ~ age"]
    },
    "cannot predict 'age' as well": lambda d: {
        "df": d, "formulas": {"age": "age ~ stage + died"}
    },
    "cannot predict 'aux' as well": lambda d: {
        "df": d, "formulas": {"aux": "aux ~ stage + log(time)"}
    },
    "predicts itself": lambda d: {"df": d, "analysis": "Surv(time, died) ~ age + time"},
    "takes two columns": lambda d: {"df": d, "analysis": "Surv(time) ~ age"},
    "Late entry": lambda d: {"df": d, "analysis": "Surv(age, time, died) ~ stage"},
    "not 'died == 1'; make one": lambda d: {"df": d, "analysis": "Surv(time, died == 1) ~ age"},
    "both the time and the event": lambda d: {"df": d, "analysis": "Surv(time, time) ~ age"},
    "stands left of the ~": lambda d: {"df": d, "analysis": "aux ~ Surv(time, died)"},
    "no column 'dead'": lambda d: {"df": d, "analysis": "Surv(time, dead) ~ age"},
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_refused_before_any_work(df, text):
    with pytest.raises(BayesimputeError, match=text):
        made(**REFUSED[text](df))


def test_chained_equations_take_the_analysis_for_what_is_fitted_later(df):
    found = made(df, on="conditional")
    assert set(found.targets) == {"age", "aux"} and found.analyses[0].event == "died"
    assert "died" in [t.label for t in found.targets["age"].terms]
    with pytest.raises(bi.AnalysisError, match="White & Royston"):
        bi.congenial(ANALYSIS, df, "centre")
