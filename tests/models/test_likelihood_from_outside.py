"""A likelihood is one file and one row: one from outside goes through all that the others do."""

from types import MappingProxyType

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayesimpute as bi
from bayesimpute import registry
from bayesimpute.explore import icc
from bayesimpute.result import codec
from bayesimpute.simulate import calibration
from bayesimpute.specification import aliases
from tests.models.test_linear_posterior import (
    agreement,
    draws_of_kernel,
    draws_of_model,
    make_design,
)
from tests.models.weibull import Weibull


@pytest.fixture(scope="module", autouse=True)
def row():
    """The one row."""
    with pytest.MonkeyPatch.context() as patch:
        methods = {**registry.METHODS, "durations": "tests.models.weibull:Weibull"}
        for module in (registry, aliases, icc, codec, calibration):
            patch.setattr(module, "METHODS", MappingProxyType(methods))
        names = {**aliases.ALIASES, "durations": aliases.Alias("durations")}
        patch.setattr(aliases, "ALIASES", MappingProxyType(names))
        yield


@pytest.fixture(scope="module")
def df():
    rng = np.random.default_rng(1)
    ward = np.repeat(np.arange(12), 20)
    x = rng.normal(size=240)
    scale = np.exp(1 + 0.4 * x + 0.3 * rng.normal(size=12)[ward])
    stay = np.where(rng.random(240) > 0.25, scale * rng.weibull(1.5, 240), np.nan)
    return pd.DataFrame({"ward": ward, "x": x, "stay": stay})


@pytest.fixture(scope="module")
def imp(df):
    return bi.impute(
        df, "ward", method={"stay": "durations"}, m=3, iterations=4, seed=1, progress=False
    )


def test_it_imputes_with_the_parameters_that_made_the_data(imp):
    drawn = imp.history.parameters["stay"]
    assert set(drawn) == {"intercept", "beta", "sd_intercept", "shape"}
    assert drawn["shape"].mean() == pytest.approx(1.5, abs=0.25)
    assert drawn["beta"].mean() == pytest.approx(0.4, abs=0.15)
    assert all((each["stay"] > 0).all() for each in imp.complete("all"))


@pytest.mark.slow
def test_what_is_sampled_is_its_textbook_model():
    design = make_design("positive", slope=False)
    ours = draws_of_kernel(Weibull(), design, Weibull.options, 2000)
    worst = agreement(ours, draws_of_model(Weibull().model(design, {}, Weibull.options), 2000))
    assert max(worst.values()) < 4.5, worst


def test_it_is_written_in_text_and_in_the_report(imp, tmp_path):
    imp.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert imp.equations()["stay"].startswith("stay_ij ~ Weibull(scale μ_ij, k)")
    assert page.count("Weibull") >= 3  # equation, what is read aloud, sentence
    assert isinstance(imp.model("stay"), pm.Model)


def test_it_can_be_checked_and_compared(imp):
    assert imp.predictive("stay", draws=20)["posterior_predictive"]["stay"].shape[-1] > 150
    assert imp.prior_predictive("stay", draws=5)["prior_predictive"]["stay_observed"].size
    found = imp.compare_models("stay", {"itself": {}, "gamma": "gamma"}, draws=100)
    assert len(found.table) == 2


def test_it_has_an_intraclass_correlation(df):
    share = bi.icc(df, "stay", "ward", method="durations", draws=100, chains=2, seed=1)
    assert 0.0 < float(share) < 0.6 and "on the log scale" in repr(share)


def test_it_is_calibrated_by_what_its_file_says():
    cells = {cell.data: cell for cell in calibration.matrix() if cell.method == "durations"}
    assert set(cells) == set(calibration.DATA)
    arguments = cells["random intercept"].arguments
    found = bi.simulate.sbc("durations", replicates=12, draws=15, level=0.002, seed=1, **arguments)
    assert len(found.ranks) == 12 and found.ok, found.table


def test_it_goes_through_a_file_and_on(imp, tmp_path):
    imp.to_netcdf(tmp_path / "run.nc")
    more = bi.open(tmp_path / "run.nc").extend(1, progress=False)
    pd.testing.assert_frame_equal(
        more.complete("long"), imp.extend(1, progress=False).complete("long")
    )
