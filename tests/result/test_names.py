"""Any name a column may have: the tree and the file take it, and the user sees his own."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bayesimpute as bi
from bayesimpute.data.names import (
    original_name,
    original_pair,
    original_text,
    safe_name,
    safe_pair,
    safe_text,
)
from bayesimpute.errors import DataError

TAKEN = {"row", "chain", "draw", "x.row"}
FORBIDDEN = [chr(k) for k in (*range(32), 127)] + ["/"]

#: What a tree, a file, HTML, a formula or a table could take for something else.
ODD = [
    "", " ", ".", "..", "...", "/", "//", "/x", "x/", "a/b", "a∕b", "a//b", "../x", "./x",
    "a/../b", "row", "chain", "draw", "cluster", "index", "x", "x.row", "x.row.row", ".row",
    "row.row", "x_row", "chain.row", "draw_term", "x.mean", "x.sd", "x.share", "x.share_",
    "x.beta", "x.beta_term", "x.mean_term", "x_term", "x.diverging", "diverging", "n_steps",
    "tree_depth", "acceptance_rate", "lp", "all", "mean", "sd", "share", "_share", "share_",
    "monitor", "posterior", "sample_stats", "imputed_values", "observed_data", "constant_data",
    "bayesimpute", "description", "column_0", "where_0", "ignore", "draws_0", "y.share",
    "y.share_", "y", "Y", "y ", " y", "y\t", "\ty", "y\n", "y\ny", "a\x00b", "\x00", "a\x00",
    "\x01", "\x1b[31m", "\x7f", "\x85", "\xa0", "\u200b", "\u2028", "\ufeff",
    "\U0001f469\u200d\U0001f52c", "\u212b", "é", "e\u0301", "É", "\ufb01", "fi", "Å", "ß",
    "\u1e9e", "ss", "İ", "i\u0307", "\ud55c", "\u1112\u1161\u11ab", "\u0301", "\U0001f42d",
    "\u6587\u5b57", "\u05e2\u05d1\u05e8\u05d9\u05ea", "\u202eabc", "`", "``", "`0`", "`2e`", "x`",
    "row`", "`x`", "a`2f`b", "~x", "~", "^x", "*", "?", "[x]", "x[0]", "x[a, b]", "(x)", "I(x)",
    "x:z", "x: z", "x*z", "x+z", "x-z", "-x", "x|z", "||", "x,z", ",", ";", "x;z", "'", '"', "'x'",
    '"x"', "\\", "a\\b", "\\0", "\\n", "%", "%2F", "%s", "%(x)s", "{x}", "{", "}", "{{x}}", "$",
    "$x$", "$a$ and $b", "$\\frac$", "_x", "__x__", "_nc4_x", "_nc4_non_coord_x", "phony_dim_0",
    "_FillValue", "_Netcdf4Dimid", "CLASS", "NAME", "coordinates", "units", "class", "pass",
    "None", "nan", "NaN", "NA", "True", "False", "0", "1", "-1", "01", "1.0", "1e5", "Inf", "<b>",
    "<script>alert(1)</script>", "&amp;", "&", "<!--", "]]>", "--", "#", "#x", "@", "@x", "=",
    "=1+1", "!", "x!", "x'", "wt.loss", "Sum", "C", "Q", "np", "self", "data", "value", "values",
    "variable", "parameter", "name", "dtype", "shape", "T", "loc", "count", "size", "var", "con",
    "nul", "a.npy", "x.npz", "file", "file.npy", "field||x", "|", "step_size||x", "r_hat",
    "ess_bulk", "quantity", "vrb", ".it", "_merge", "level_0", "x" * 300, "é" * 300,
]  # fmt: skip


def test_the_list_is_long_and_each_name_is_there_once():
    assert len(ODD) == len(set(ODD)) > 200


@settings(max_examples=50)
@given(st.text(max_size=20), st.text(max_size=20))
def test_every_name_is_safe_and_can_be_read_back(name, other):
    for safe in (safe_name(name), safe_name(name, TAKEN), safe_name(name, {name, other})):
        assert original_name(safe) == name
        assert safe not in ("", ".", "..") and not any(each in safe for each in FORBIDDEN)
        assert safe == safe.strip()
    assert safe_name(name, TAKEN) not in TAKEN
    assert original_text(safe_text(name)) == name
    assert original_pair(safe_pair(name, other)) == (name, other)


def test_odd_names_are_safe_and_differ_also_for_a_reader_that_composes_characters():
    import unicodedata

    safe = [safe_name(name, TAKEN) for name in ODD]
    assert [original_name(name) for name in safe] == ODD
    assert len({unicodedata.normalize("NFC", name) for name in safe}) == len(ODD)
    pairs = {safe_pair(target, quantity) for target in ODD for quantity in ODD[:60]}
    assert len(pairs) == len(ODD) * 60


@pytest.mark.parametrize(
    "name", ["bmi", "wt.loss", "body weight", "Größe", "x_1", "1", "%fat", "a|b"]
)
def test_ordinary_names_stay_as_they_are(name):
    assert safe_name(name, TAKEN) == safe_text(name) == name
    assert safe_pair(name, "beta") == f"{name}.beta"


@pytest.fixture(scope="module")
def run():
    """Some sixty odd names are columns, every other one with gaps (a file of all takes long)."""
    oddest = ["", "row", "chain", "draw", "x", "x.row", "y", "y.share", "a\0b", "a/b", "$a$ and $b"]
    names = list(dict.fromkeys([*oddest, *ODD[::5], "a∕b", "e\u0301", "é", "a`2f`b", "_nc4_x"]))
    gaps = pd.DataFrame(np.random.default_rng(1).normal(size=(30, len(names))), columns=names)
    for k, name in enumerate(names):
        if name in oddest or k % 2:
            gaps.iloc[[k % 7, 9 + k % 5], k] = np.nan
    labels = pd.Categorical(["", "a\0", "a", "/", "`", "é", "e\u0301"] * 4 + ["", None])
    gaps["labels"] = labels
    monitors = {"fit": lambda data: {"chain": 1.0, "a\0": 2.0}, "fit_term": lambda data: 1.0}
    return bi.impute(
        gaps, m=2, iterations=1, seed=1, progress=False, method="sample",
        monitor={**monitors, "draw`": lambda data: 3.0},
    )  # fmt: skip


def test_the_user_sees_his_own_names(run):
    incomplete = [name for name in run.data if run.data[name].isna().any()]
    shown = run.diagnostics()
    assert set(shown["variable"]) == {*incomplete, "fit", "fit_term", "draw`"}
    quantities = set(shown.loc[shown["variable"].isin(["fit", "labels"]), "quantity"])
    assert quantities >= {
        "monitor[chain]",
        "monitor[a\0]",
        "share[a\0]",
        "share[]",
        "share[e\u0301]",
    }
    assert set(run.convergence()["vrb"]) == set(incomplete)
    assert set(run.events["variable"]) <= {"", *incomplete}
    stored = run.datatree["observed_data"].data_vars.values()
    assert {original_text(each.attrs["target"]) for each in stored} == set(incomplete)


def test_a_file_gives_every_name_back_and_goes_on(run, tmp_path):
    run.to_netcdf(tmp_path / "odd.nc")
    opened = bi.open(tmp_path / "odd.nc")
    pd.testing.assert_frame_equal(opened.complete("stacked"), run.complete("stacked"))
    assert opened.datatree.identical(run.datatree)


@pytest.mark.filterwarnings("ignore:Glyph")  # no font has one for a null byte
def test_odd_names_in_pictures_and_on_pages(run, tmp_path):
    known = ["row", "$a$ and $b", "a/b", "x.row", "", "labels"]
    run.plot_trace(known).canvas.draw()
    run.plot_chains("trace", known)
    plt.close("all")
    few = run.data[["row", "a\0b", "x.row"]].fillna({"x.row": 0.0, "row": 0.0})
    imp = bi.impute(few, m=2, iterations=1, seed=1, progress=False)
    imp.diagnose()
    assert imp.report(tmp_path / "odd.html").stat().st_size
    assert imp.complete("long").columns[:-2].tolist() == few.columns.tolist()
    assert imp.extend(1).iterations == 2


@pytest.mark.parametrize(
    "columns, said",
    [
        ([1, 2], "must be strings; 1 is a int"),
        ([("a", "b"), ("a", "c")], "must be strings"),
        ([None, "b"], "must be strings"),
        ([np.nan, "b"], "must be strings"),
        ([pd.Timestamp("2020-01-01"), "b"], "must be strings"),
        (["b", "b"], "'b' occurs more than once"),
        (["b", "x" * 10_001], "10,001 characters"),
        (["b", "\ud800"], "half a surrogate pair"),
    ],
)
def test_what_is_no_name_is_refused_with_the_way_out(columns, said):
    frame = pd.DataFrame([[1.0, 2.0], [np.nan, 3.0]])
    frame.columns = pd.Index(columns, dtype=object, tupleize_cols=True)
    with pytest.raises(DataError, match=said) as caught:
        bi.impute(frame)
    assert "ename" in str(caught.value)
