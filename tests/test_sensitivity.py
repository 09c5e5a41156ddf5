"""An answer over a grid of assumptions: values, tipping points, going on, pictures."""

from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayesimpute as bi
from bayesimpute.errors import ImputationWarning, SamplingError, SpecificationError
from bayesimpute.result.run import versions
from bayesimpute.sensitivity_grid import Sensitivity, _grid

RUN = {"m": 4, "iterations": 3, "further": 2, "seed": 1, "progress": False}


@pytest.fixture(scope="module")
def trial():
    """A treatment worth 0.5; a third of the answers are missing."""
    rng = np.random.default_rng(3)
    n = 300
    treated = np.resize([0.0, 1.0], n)
    z = rng.normal(size=n)
    y = 1 + 0.5 * treated + 0.5 * z + rng.normal(size=n)
    seen = 0.4 + z + 0.5 * (y - 1) + rng.normal(size=n) > 0
    return pd.DataFrame({"treated": treated, "z": z, "y": np.where(seen, y, np.nan)})


@pytest.fixture(scope="module")
def shifts(trial):
    return bi.sensitivity(
        trial, "y", "y ~ 1", "(Intercept)", delta=[0, -1, -2, -4], null=0.5,
        method={"y": "normal"}, **RUN,
    )  # fmt: skip


def test_a_shift_moves_the_mean_by_the_share_missing(trial, shifts):
    share = trial["y"].isna().mean()
    estimate = shifts.table.set_index("delta")["estimate"]
    for delta in (-1.0, -2.0, -4.0):
        assert estimate[delta] - estimate[0.0] == pytest.approx(share * delta, abs=0.12)
    positive = shifts.table["p_positive"].to_numpy()
    assert positive[0] > 0.99 and positive[-1] < 0.2


def test_the_tipping_point_lies_between_its_neighbours(shifts):
    table, tips = shifts.table, shifts.tipping
    crossing = tips[tips["what"] == "estimate crosses"].iloc[0]
    above = table[table["estimate"] > 0.5]["delta"].min()
    below = table[table["estimate"] < 0.5]["delta"].max()
    assert below < crossing["value"] < above
    assert "estimate crosses 0.5 at delta" in repr(shifts)


def test_the_same_call_gives_the_same_bits_and_goes_on_after_a_break(trial, tmp_path, monkeypatch):
    arguments = {
        "rho": [-0.5, 0.0, 0.5], "method": {"y": "heckman"},
        "model_options": {"y": {"selection_only": ("z",)}}, **RUN,
    }  # fmt: skip
    formulas = {"formulas": {"y": "y ~ treated + z"}}
    call = ("y", "y ~ treated", "treated")
    whole = bi.sensitivity(trial, *call, **arguments, **formulas)

    import bayesimpute.sensitivity_grid as module

    done = []

    def breaking(*given, **more):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return original(*given, **more)

    original = module.go_on
    monkeypatch.setattr(module, "go_on", breaking)
    with pytest.warns(ImputationWarning, match="after 2 of 3 points"):
        part = bi.sensitivity(trial, *call, folder=tmp_path, **arguments, **formulas)
    pd.testing.assert_frame_equal(part.table, whole.table[:2], check_exact=True)
    assert len(list(tmp_path.glob("point-*.nc"))) == 2
    done.clear()
    unseeded = {**arguments, "seed": None}  # the folder knows it
    again = bi.sensitivity(trial, *call, folder=tmp_path, **unseeded, **formulas)
    assert len(done) == 1  # two points were read
    pd.testing.assert_frame_equal(whole.table, again.table, check_exact=True)
    assert whole.table["estimate"].nunique() == 3
    with pytest.raises(SpecificationError, match="different: model options"):
        bi.sensitivity(
            trial, *call, folder=tmp_path, **{**arguments, "rho": [0.3, 0.4]}, **formulas
        )
    for change, words in {
        "seed": (2, "seed"), "m": (5, "m"), "iterations": (4, "iterations"),
        "further": (1, "further"), "post": ({"y": bi.squeeze(0, 9)}, "post of 'y'"),
        "ignore": (trial["z"] > 1, "ignore"),
    }.items():  # fmt: skip
        other = {**arguments, **formulas, change: words[0]}
        with pytest.raises(SpecificationError, match=rf"different: {words[1]}"):
            bi.sensitivity(trial, *call, folder=tmp_path, **other)


def test_only_some_rows_are_shifted(trial):
    call = (trial, "y", "y ~ treated", "treated")
    arguments = {"method": {"y": "normal"}, "delta": [0, 2], **RUN}
    both = bi.sensitivity(*call, **arguments).table["estimate"].diff().iloc[1]
    one = bi.sensitivity(*call, delta_where="treated == 1", **arguments)
    assert one.table["estimate"].diff().iloc[1] > both + 0.2
    with pytest.raises(SpecificationError, match="give both"):
        bi.sensitivity(*call, rho=[0.0], delta_where="treated == 1", method={"y": "heckman"}, **RUN)


def test_rho_and_delta_together_and_rho_estimated(trial):
    arguments = {
        "formulas": {"y": "y ~ treated + z"}, "method": {"y": "heckman"},
        "model_options": {"y": {"selection_only": ("z",)}}, **RUN,
    }  # fmt: skip
    call = (trial, "y", "y ~ 1", "(Intercept)")
    found = bi.sensitivity(*call, rho=[-0.6, 0, 0.6], delta=[0, 1], **arguments)
    assert len(found.table) == 6 and found.axes == ("rho", "delta")
    wide = found.table.pivot(index="rho", columns="delta", values="estimate")
    assert (wide[1.0] > wide[0.0]).all()
    # the higher ρ, the lower what is not seen
    assert wide[0.0].is_monotonic_decreasing
    # priors of ρ are for the point at which it is estimated
    priors = {"y": {"atanh_rho": pm.Normal.dist(0.3, 0.5)}}
    mixed = bi.sensitivity(*call, rho=[0.0, 0.5, None], priors=priors, **arguments)
    assert mixed.table["rho"].isna().sum() == 1
    for result in (found, mixed):
        figure = result.plot()
        assert figure.axes[0].get_xlabel().startswith("ρ")


def test_one_value_of_an_axis_is_no_axis(trial):
    found = bi.sensitivity(
        trial, "y", "y ~ 1", "(Intercept)", rho=[0.5], delta=[0, -3], method={"y": "heckman"},
        formulas={"y": "y ~ treated + z"}, **RUN,
    )  # fmt: skip
    assert found.axes == ("delta",)
    assert found.plot().axes[0].get_xlabel().startswith("δ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "give rho=, delta="),
        ({"rho": [1.0]}, "between −1 and 1"),
        ({"delta": []}, "is empty"),
        ({"rho": [0.0, 0.3, 0.3], "delta": [0, 1]}, "0.3 twice"),
        ({"rho": [0.1], "method": {"y": "normal"}}, "needs a selection model"),
        ({"delta": [1], "method": {"x": "normal"}}, "must name the method of 'y'"),
        ({"delta": [1], "checkpoint": "run.nc"}, "folder= keeps"),
        ({"delta": [1], "on_error": "keep"}, "on_error= is of a single run"),
    ],
)
def test_bad_grids_are_said_before_any_work(trial, arguments, words):
    given = {"method": {"y": "heckman"}, **RUN, **arguments}
    with pytest.raises(SpecificationError, match=words):
        bi.sensitivity(trial, "y", "y ~ treated", "treated", **given)


def test_a_grid_may_be_an_array():
    both = {"rho": np.array([-0.5, 0.5]), "delta": np.array([0.0, 1.0])}
    assert len(_grid(**both)) == 4
    assert _grid(both["rho"], None) == [{"rho": -0.5}, {"rho": 0.5}]


def test_an_unknown_estimand_names_the_ones_there_are_before_any_work(trial, monkeypatch):
    monkeypatch.setattr("bayesimpute.sensitivity_grid.start", None)
    with pytest.raises(SpecificationError, match=r"it has \(Intercept\), treated"):
        bi.sensitivity(trial, "y", "y ~ treated", "age", delta=[0], method={"y": "normal"}, **RUN)


def test_a_grid_goes_on_under_other_versions_with_a_warning(trial, tmp_path, monkeypatch):
    call = (trial, "y", "y ~ 1", "(Intercept)")
    arguments = {**RUN, "method": {"y": "pmm"}, "iterations": 1, "further": 1, "folder": tmp_path}
    first = bi.sensitivity(*call, delta=[0], **arguments)
    now = versions()
    monkeypatch.setattr("bayesimpute.result.run.versions", lambda: {**now, "numba": "99"})
    with pytest.warns(ImputationWarning, match=r"points are of other versions \(numba .* → 99\)"):
        more = bi.sensitivity(*call, delta=[0, -1], **arguments)
    assert more.table["estimate"][0] == first.table["estimate"][0]


def test_a_dead_worker_names_the_folder(trial, tmp_path):
    class Dead(Executor):
        def submit(self, task, /, *given, **more):
            raise BrokenProcessPool("abrupt")

    with pytest.raises(SamplingError, match=r"died in iteration 1.*Finished points are in folder"):
        bi.sensitivity(
            trial, "y", "y ~ 1", "(Intercept)", delta=[0], method={"y": "pmm"}, folder=tmp_path,
            executor=Dead(), **RUN,
        )  # fmt: skip


def of_points(**columns):
    table = pd.DataFrame(columns)
    half = pd.Series(0.2, index=table.index)
    ends = {"conf_low": table["estimate"] - half, "conf_high": table["estimate"] + half}
    return Sensitivity(table.assign(std_error=0.1, df=9.0, **ends), "x")


def test_points_of_an_estimated_rho_tip_by_themselves():
    found = of_points(rho=[None, 0.5] * 2, delta=[-1, -1, 1, 1], estimate=[-1.0, 2, 1, 3])
    assert found.axes == ("rho", "delta")
    tips = found.tipping
    assert tips["axis"].eq("delta").all() and tips["other"].isna().all()
    np.testing.assert_allclose(tips["value"], [0.0, 0.2, -0.2])
    assert "estimate crosses 0 at delta = 0 (rho estimated)" in repr(found)
    lines = {line.get_label(): list(line.get_ydata()) for line in found.plot().axes[0].lines}
    assert lines["ρ estimated"] == [-1, 1] and lines["ρ = 0.5"] == [2, 3]


def test_an_estimated_rho_among_others_is_not_left_out_of_tipping_points():
    found = of_points(
        rho=[None, None, 0.0, 0.0, 0.5, 0.5], delta=[-1, 1] * 3, estimate=[-1.0, 1, 2, 3, 2, 3]
    )
    assert set(found.tipping["what"]) == {"estimate crosses", "interval reaches"}
    lines = {line.get_label(): list(line.get_ydata()) for line in found.plot().axes[0].lines}
    assert lines["ρ estimated"] == [-1, 1] and lines["ρ = 0"] == lines["ρ = 0.5"] == [2, 3]


def test_a_point_on_the_null_value_is_where_the_sides_change():
    crossing = of_points(delta=[-1.0, 0, 1], estimate=[-1.0, 0, 1]).tipping
    assert crossing.query("what == 'estimate crosses'")["value"].tolist() == [0.0]
    touched = of_points(delta=[-1.0, 0, 1], estimate=[1.0, 0, 1]).tipping
    assert touched.query("what == 'estimate crosses'").empty


def plane():
    """Estimates of which the intervals hold 0 between points of the grid, and at none of them."""
    table = pd.DataFrame({"rho": np.repeat([0.0, 0.3], 3), "delta": [0.0, 1000, 2000] * 2})
    table["estimate"] = 1 - table["delta"] / 1500 - table["rho"]
    return table.assign(conf_low=table["estimate"] - 0.1, conf_high=table["estimate"] + 0.1)


def test_what_an_interval_holds_between_two_points_is_grey():
    (ax,) = Sensitivity(plane(), "x").plot().axes
    (grey,) = [each for each in ax.collections
               if each.get_alpha() and getattr(each, "filled", False)]  # fmt: skip
    (path,) = grey.get_paths()
    assert path.contains_points([(0.15, 1275), (0.05, 1350)]).all()
    assert not path.contains_points([(0.15, 900), (0.15, 1650)]).any()


def test_labels_of_contours_are_not_cut_off_at_an_edge():
    (ax,) = Sensitivity(plane(), "x").plot().axes
    ax.figure.canvas.draw()
    inside, texts = ax.get_window_extent(), [text for text in ax.texts if text.get_text()]
    assert len(texts) > 3
    assert all(inside.contains(*corner) for text in texts
               for corner in text.get_window_extent().corners())  # fmt: skip


def test_tipping_points_have_three_digits_in_picture_and_words():
    found = Sensitivity(plane().query("rho == 0").drop(columns="rho"), "x")
    texts = [text.get_text() for text in found.plot().axes[0].texts]
    assert sorted(text.split()[-1] for text in texts) == ["1350", "1500", "1650"]
    assert "delta = 1350" in repr(found)


def test_an_estimated_correlation_alone_is_drawn():
    (ax,) = Sensitivity(plane().head(1).assign(rho=np.nan), "x").plot().axes
    assert [text.get_text() for text in ax.texts] == ["ρ estimated"]
