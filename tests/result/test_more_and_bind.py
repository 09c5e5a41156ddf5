"""More imputations of the same data: of one run, and of several."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import SpecificationError


def data(n=120):
    rng = np.random.default_rng(2)
    df = pd.DataFrame({"g": np.arange(n) % 6, "x": rng.normal(size=n)})
    df["y"] = df["x"] + rng.normal(size=n)
    df["c"] = np.where(df["y"] + rng.normal(size=n) > 0, "u", "v")
    for name in ("x", "y", "c"):
        df.loc[rng.random(n) < 0.25, name] = None
    return df


def run(m, iterations=3, seed=4, **arguments):
    monitor = {"mean": lambda df: df["y"].mean()}
    return bi.impute(
        data(), cluster="g", m=m, iterations=iterations, seed=seed, monitor=monitor,
        progress=False, cores=1, **arguments,
    )  # fmt: skip


def assert_same(one, two, place="history"):
    """All bits of two histories."""
    assert type(one) is type(two), place
    if is_dataclass(one):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(two, field.name), f"{place}.{field.name}")
    elif isinstance(one, dict):
        assert one.keys() == two.keys(), place
        for key in one:
            assert_same(one[key], two[key], f"{place}[{key!r}]")
    elif isinstance(one, tuple):
        assert len(one) == len(two), place
        for k, pair in enumerate(zip(one, two, strict=True)):
            assert_same(*pair, f"{place}[{k}]")
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, two, err_msg=place)
    else:
        assert one == two, place


def test_more_is_as_if_asked_for_at_first():
    assert_same(run(2).more(5, progress=False).history, run(5).history)


def test_more_by_other_ways_and_after_more_iterations_is_the_same():
    whole = run(4, iterations=5)
    with ThreadPoolExecutor(2) as pool:
        by_pool = run(2).extend(2, progress=False).more(4, executor=pool)
    by_threads = run(1, iterations=5).more(3, cores=2).more(4, cores=2)
    assert_same(by_pool.history, whole.history)
    assert_same(by_threads.history, whole.history)
    # and they go on alike
    assert_same(by_threads.extend(1).history, whole.extend(1).history)


def test_more_after_the_file(tmp_path):
    imp = bi.impute(data(), m=2, iterations=2, seed=1, progress=False)
    imp.to_netcdf(tmp_path / "run.nc")
    again = bi.open(tmp_path / "run.nc").more(3)
    assert_same(again.history, bi.impute(data(), m=3, iterations=2, seed=1, progress=False).history)


def test_more_by_other_versions_is_noted():
    imp = run(1, iterations=1)
    old = replace(imp, versions={**imp.versions, "numba": "0.1"}).more(2, progress=False)
    (said,) = old.events.query("action == 'other versions'")["message"]
    assert said.startswith("Imputations from 2 on were made with other versions: numba 0.1 →")


def test_fewer_are_refused_and_as_many_are_the_same_object():
    imp = run(2, iterations=1)
    assert imp.more(2) is imp
    with pytest.raises(SpecificationError, match="2 imputations already"):
        imp.more(1)


def test_runs_with_other_seeds_are_bound(tmp_path):
    one, two = (bi.impute(data(), m=k, iterations=2, seed=k, progress=False) for k in (2, 3))
    both = one.bind(two)
    assert both.m == 5
    for k, frame in enumerate([*one, *two], start=1):
        pd.testing.assert_frame_equal(both.complete(k), frame, check_exact=True)
    means = [imp.fit("y ~ x").pool().table.loc["x", "ubar"] for imp in (one, two, both)]
    assert means[2] == pytest.approx((2 * means[0] + 3 * means[1]) / 5)
    both.to_netcdf(tmp_path / "both.nc")
    again = bi.open(tmp_path / "both.nc")
    pd.testing.assert_frame_equal(again.complete("long"), both.complete("long"))
    for imp in (both, again):
        for call in (lambda i: i.extend(1), lambda i: i.more(9), lambda i: i.impute_new(data())):
            with pytest.raises(SpecificationError, match="several runs"):
                call(imp)
    # the intercepts of two runs are at other centres of what is missing
    assert "intercept" in set(one.diagnostics()["quantity"])
    assert set(both.diagnostics()["quantity"]) == {"mean", "sd", "share[v]"}
    (advice,) = both.diagnose().query("finding == 'too few iterations to tell'")["advice"]
    assert advice.startswith("one.extend(8).bind(two.extend(8))")
    with pytest.raises(SpecificationError, match="same random numbers"):
        both.bind(two)


def test_an_analysis_is_of_each_run_whose_units_are_its_own():
    given = {"analysis": "y ~ x", "m": 1, "iterations": 1, "progress": False}
    one, two = (bi.impute(data()[["x", "y"]], seed=k, **given) for k in (1, 2))
    with pytest.raises(SpecificationError, match="analysis: these are imputations of several"):
        _ = one.bind(two).analysis


def test_what_cannot_be_bound_is_said():
    imp = bi.impute(data(), m=1, iterations=1, seed=1, progress=False)
    other = {
        "same random numbers": {},
        "iterations": {"iterations": 2, "seed": 2},
        "differ in": {"seed": 2, "method": {"y": "normal"}},
    }
    for words, arguments in other.items():
        given = {"m": 1, "iterations": 1, "seed": 1, "progress": False} | arguments
        with pytest.raises(SpecificationError, match=words):
            imp.bind(bi.impute(data(), **given))


def test_derived_imputations_are_not_bound():
    imp = run(1, iterations=1)
    for derived in (imp.query("g > 0"), imp.assign(z=1)):
        for one, two in ((derived, derived), (imp, derived)):
            with pytest.raises(SpecificationError, match="bind the runs"):
                one.bind(two)


def test_what_fills_other_cells_is_not_bound():
    df = pd.DataFrame({"x": [1.0, None, 3.0], "y": [None, 1.0, 2.0]})
    some, all_of_them = (
        bi.from_completed([df.fillna(each)], incomplete=df) for each in ({"x": 2.0}, 2.0)
    )
    with pytest.raises(SpecificationError, match="which cells are filled"):
        some.bind(all_of_them)
