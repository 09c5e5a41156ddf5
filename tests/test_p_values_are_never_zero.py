"""No p value is 0, and none is written as 0: not of an effect that no float can hold either."""

import re
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.checking.overimputation import LooPit, draw_loo_pit
from bayesimpute.html import frame, printed
from bayesimpute.report.analyses import analyses
from bayesimpute.report.content import pooled_of
from bayesimpute.simulate.calibration import Calibration
from bayesimpute.wording import CHANCES, LEAST_CHANCE, p_statement, p_value, rounded

#: A number that is nothing: 0, 0.0, 0.0000, 0.0e+00.
NOTHING = re.compile(r"(?<![\d.,e−-])0(?:\.0*)?(?:e[+-]?0+)?(?![\d.,])")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    n = 3000
    x, group = rng.normal(size=n), np.repeat(list("abc"), n // 3)
    df = pd.DataFrame({
        "x": x, "y": 1e3 * x + rng.normal(size=n), "group": group, "noise": rng.normal(size=n),
        "far": np.where(group == "a", 1e5, 0.0) + rng.normal(size=n),
        "school": np.arange(n) % 1000, "rare": rng.normal(size=n),
    })  # fmt: skip
    df.loc[: n // 3 - 1, "noise"] = np.nan
    return df


@pytest.fixture(scope="module")
def fits(data):
    columns = data[["x", "y", "group", "noise"]]
    imp = bi.impute(columns, m=2, iterations=1, method="sample", seed=1, progress=False)
    return imp.fit("y ~ x + group")


def calibration():
    ranks = pd.DataFrame({"θ": np.zeros(4000, dtype=int)})
    made = object.__new__(Calibration)
    for name, value in {
        "method": "normal", "scenario": SimpleNamespace(pattern="sporadic"), "ranks": ranks,
        "draws": 19, "autocorrelation": pd.Series({"θ": 0.0}), "level": 0.01, "seed": 1,
    }.items():  # fmt: skip
        object.__setattr__(made, name, value)
    return made


@pytest.fixture(scope="module")
def tables(fits, data):
    """Public tables with p values, each of an effect whose tail is below every float."""
    pair = data[["x", "y"]]
    return {
        "pool": fits.pool().table,
        "summary": fits.pool().summary(),
        "test": fits.test(["x = 0"]).table,
        "pool_chi2": bi.pool_chi2([1e5, 1e5], 1).table,
        "pool_F": bi.pool_F([1e6, 1e6], 2).table,
        "anova": fits.anova(),
        "pool_correlation": bi.pool_correlation([pair, pair.assign(y=pair["y"] * 2)]),
        "missing_tests": bi.missing_tests(data, cluster="school"),
        "calibration": calibration().table,
    }


def test_no_p_value_is_0_in_a_table_or_as_it_is_written(tables):
    for name, table in tables.items():
        columns = table.columns.intersection(pd.Index(CHANCES))
        assert len(columns) > 0, name
        least = table[columns].min().min()
        assert least >= LEAST_CHANCE, name
        assert least < 1e-100, f"{name}: the effect of this test is too small"
        whole = table[columns].reset_index(drop=True)
        for text in (
            whole.to_string(index=False),
            str(frame(whole, index=False)),
            str(printed(whole, 4, index=False)),
            rounded(whole, 4).to_string(index=False),
        ):
            assert not NOTHING.search(re.sub("<[^ ][^>]*>", " ", text)), (name, text)


def test_texts_say_that_a_p_value_is_small_and_not_that_it_is_nothing(fits):
    pooled, test = fits.pool(), fits.test(["x = 0"])
    shown = {"regression": fits, "test": test, "table": pooled.table}
    every = {label: pooled_of(each) for label, each in shown.items()}
    content = SimpleNamespace(analyses=shown, pooled=every, complete_cases={})
    page = str(analyses(content))
    assert page.count("&lt; 0.001") >= 1 and "&lt; 1e-300" in page
    for text in (repr(pooled), repr(test), pooled._repr_html_(), test._repr_html_(), page):
        assert re.search("(<|&lt;) (0.0+1|1e-300)", text), text
        assert not re.search(r"p = 0(\.0*)?\D", text)
    assert "p < 0.0001" in repr(test)


def test_the_picture_of_places_says_so_too():
    at = np.linspace(0.1, 0.9, 9)
    found = LooPit("y", np.full(50, 0.5), at, at - 0.5, at * 0 - 0.1, at * 0 + 0.1, 0.95, 0.0, 0.0,
                   "weights")  # fmt: skip
    (ax,) = draw_loo_pit(found).axes
    assert "p < 0.001" in " ".join(text.get_text() for text in ax.get_legend().get_texts())
    plt.close("all")


@pytest.mark.parametrize("p", [0.0, 5e-324, 1e-20, 0.00007, 0.0004, 0.00049])
@pytest.mark.parametrize("digits", [2, 3, 4])
def test_a_small_p_value_is_below_the_last_decimal(p, digits):
    if p < 10**-digits:
        assert p_value(p, digits) == f"< {10**-digits:.{digits}f}"
        assert p_statement(p, digits).startswith("p < 0.")
    else:
        assert p_value(p, digits) == f"{p:.{digits}f}" and float(p_value(p, digits)) > 0
    assert p_value(float("nan"), digits) == "NaN"
    assert p_statement(0.5, 3) == "p = 0.500"


@pytest.mark.parametrize("name", CHANCES)
def test_tables_of_other_packages_are_read_alike(name):
    table = pd.DataFrame({"estimate": [0.0, 1.0], name: [1e-30, 0.5]})
    assert rounded(table, 3)[name].tolist() == ["< 0.001", "0.500"]
    assert "&lt; 1e-300" in str(frame(table.assign(**{name: [0.0, 0.5]})))
