"""What ``imp.diagnose()`` advises is executed word for word on the run it was advised for."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayesimpute as bi
from bayesimpute.diagnose import models
from bayesimpute.diagnose.chains import staying
from bayesimpute.diagnose.diagnosis import CAUSES
from bayesimpute.events import Event
from bayesimpute.specification.specify import specify
from tests.test_diagnose import ITERATIONS, M, autoregressive, found, made, with_chain

COUNTED = ("method", "formulas", "priors", "post", "model_options")


class Again:
    """``bi.impute(..., m=20)``: the same call with one argument changed."""

    fixed_clusters, by_group = staticmethod(bi.fixed_clusters), staticmethod(bi.by_group)

    def __init__(self):
        self.changes = {}

    def impute(self, same, **changes):
        assert same is ...
        self.changes |= changes


class Continued:
    """``extend`` and ``more`` of a run that was made without a sampler; anything else of it."""

    def __init__(self, imp):
        self.imp, self.longer, self.chains = imp, 0, {}

    def extend(self, longer):
        self.longer = longer
        return self

    def more(self, m):
        self.chains = {"m": m}
        return self

    def __getattr__(self, name):
        return getattr(self.imp, name)


def followed(advice, df, imp, arguments):
    """Give (df, arguments, more iterations) after each of the alternatives of an advice."""
    for alternative in re.split(r"(?<=or)\n", advice):
        names = {name: dict(arguments.get(name, {})) for name in COUNTED}
        if isinstance(arguments.get("method"), str):
            names["method"] = dict.fromkeys(imp.specification.targets, arguments["method"])
        cluster = arguments.get("cluster")
        predictors = arguments.get("predictors", bi.make_predictors(df, cluster)).copy()
        before = predictors.copy()
        again, continued = Again(), Continued(imp)
        names |= {"df": df.copy(), "imp": continued, "bi": again, "pm": pm, "np": np,
                  "predictors": predictors}  # fmt: skip
        exec(alternative, names)
        same = {k: v for k, v in arguments.items() if k not in (*COUNTED, "predictors")}
        changed = {name: names[name] for name in COUNTED if names[name]}
        left = names["df"]
        if "method" in changed:
            changed["method"] = {k: v for k, v in changed["method"].items() if k in left}
        if "predictors" in arguments or not before.equals(predictors):
            changed["predictors"] = predictors.loc[list(left), list(left)]
        yield left, same | changed | again.changes | continued.chains, continued.longer


def data(**columns):
    rng = np.random.default_rng(3)
    n = 120
    df = pd.DataFrame({"g": np.repeat(np.arange(12), 10), "x": rng.normal(size=n)})
    df["z"] = rng.normal(size=n)
    df["y"] = 10 + df["x"] + df["z"] + rng.normal(size=n)
    df["sick"] = np.where(df["x"] + 2 * rng.normal(size=n) > 0, "yes", "no")
    df.loc[rng.random(n) < 0.2, "y"] = np.nan
    df.loc[rng.random(n) < 0.2, "sick"] = None
    return df.assign(**columns)


def imputed_as(change):
    def spoil(imp):
        values = {**imp.history.imputed, "y": change(imp.history.imputed["y"])}
        return replace(imp, history=replace(imp.history, imputed=values))

    return spoil


def chain_as(draws):
    return lambda imp: with_chain(imp, y=draws)


def history_as(**changes):
    return lambda imp: replace(imp, history=replace(imp.history, **changes))


def rng():
    return np.random.default_rng(5)


BASE = data()
CLOSE = BASE["x"] + 0.02 * rng().normal(size=120)
SPLIT = BASE["sick"].where(BASE["sick"].isna(), BASE["x"].gt(0).map(str))
FEW = np.repeat(np.arange(4), 30)
EFFECTS = history_as(
    parameters={"y": {"sd_intercept": np.abs(rng().normal(size=(M, ITERATIONS)))}, "sick": {}},
    labels={"y": {"sd_intercept": ()}, "sick": {}},
)
FLAT = history_as(
    parameters={"y": {"rho": np.tanh(rng().normal(size=(M, ITERATIONS)))}, "sick": {}},
    labels={"y": {"rho": ()}, "sick": {}},
)


def event(action, stage="specification"):
    return history_as(events=(Event("warning", stage, "y", action, "It was so.", 1, 1),))


DIVERGING = history_as(statistics={"y": {"diverging": np.ones((M, ITERATIONS))}})
TWIN = pd.Series(np.where(BASE["y"].isna(), np.nan, BASE["y"] + 0.1 * CLOSE))
STUCK = np.where(np.arange(M)[:, None] == 6, 0.3, rng().normal(size=(M, ITERATIONS)))
DRIFTING = rng().normal(size=(M, ITERATIONS)) + np.linspace(0, 3, ITERATIONS)
NORMAL = {"method": {"y": "normal", "sick": "pmm"}}
WHEN = pd.Series(pd.date_range("2020-01-01", periods=120)).where(np.arange(120) > 9)
PARTS = pd.DataFrame(rng().integers(0, 9, (120, 3)) * 1.0, columns=["i1", "i2", "i3"])
ITEMS = data(total=PARTS.sum(axis=1), **PARTS.mask(rng().random((120, 3)) < 0.3))
FEW_SEEN = BASE["y"].where(np.arange(120) < 14)
#: Five clusters of 24, of which one has no value.
EMPTY = data(g=np.repeat(np.arange(5), 24), y=BASE["y"].where(np.arange(120) < 96))


def far_from_the_others(imp):
    """Every fifth imputation has the cluster without values 10 SDs away."""
    shift = np.where(np.arange(M) % 5 == 0, 25.0, 0.0)[:, None]
    parameters = {"y": {"sd_intercept": np.ones((M, ITERATIONS))}, "sick": {}}
    history = replace(
        imp.history, parameters=parameters, labels={"y": {"sd_intercept": ()}, "sick": {}}
    )
    return imputed_as(lambda y: np.where(np.arange(y.shape[1]) >= y.shape[1] - 24, y + shift, y))(
        replace(imp, history=history)
    )


# finding -> data, arguments of the call, what is done to the run, its iterations and m
PROVOKED = {
    "one chain only": ("", BASE, {}, None, {"m": 1}),
    "too few iterations to tell": ("", BASE, {}, None, {"iterations": 3}),
    "few iterations to tell": ("", BASE, {}, None, {"iterations": 5}),
    "the chains have not met": ("y", BASE, {}, chain_as(3 * rng().normal(size=(M, 1))
                                + rng().normal(size=(M, ITERATIONS))), {}),
    "the chains remember where they started": ("y", BASE, {}, chain_as(
        autoregressive(np.random.default_rng(2), 0.92)), {}),
    "the chains still drift": ("y", BASE, {}, chain_as(DRIFTING), {}),
    "stuck chains": ("y", BASE, {}, chain_as(STUCK), {}),
    "feedback loop": ("y", data(twice=2 * BASE["y"]), {"method": {
        "y": "pmm", "sick": "pmm", "twice": "~ I(2 * y)"}, "predictors": "all"}, None, {}),
    "strong mutual dependence": ("y", data(twin=TWIN), {}, None, {}),
    "divergences": ("y", BASE, {}, DIVERGING, {}),
    "predictor dropped": ("y", data(one=1.0), {}, None, {}),
    "too many categories": ("y", data(note=[f"note {k % 60}" for k in range(120)]), {}, None, {}),
    "slope made fixed": ("y", data(size=BASE["g"] ** 2.0), {
        "cluster": "g", "predictors": {"size": 2}}, None, {}),
    "cluster mean dropped": ("y", data(size=BASE["g"] ** 2.0), {
        "cluster": "g", "predictors": {"size": 3}}, None, {}),
    "empty category": ("sick", data(sick=pd.Categorical(
        BASE["sick"], ["no", "yes", "unknown"])), {}, None, {}),
    "no selection to learn from": ("y", data(y=BASE["y"].where(BASE["g"] > 3, np.nan).fillna(
        pd.Series(np.where(BASE["g"] > 3, 9.0, np.nan)))), {
        "cluster": "g", "method": {"y": "heckman", "sick": "pmm"}}, None, {}),
    "values kept": ("y", BASE, {}, event("values kept", "imputation"), {}),
    "monitor failed": ("y", BASE, {}, event("monitor failed", "imputation"), {}),
    "computed exactly": ("double", data(double=2 * BASE["y"]), {}, None, {}),
    "identity not kept": ("i3", ITEMS, {}, None, {}),
    "nearly exact": ("y", data(near=BASE["y"].round(2)), {}, None, {}),
    "gaps stay": ("when", data(when=WHEN), {}, None, {}),
    "plain model sampled": ("y", BASE, NORMAL, event("plain model sampled", "adaptation"), {}),
    "collinear predictors": ("y", data(w=CLOSE), {}, None, {}),
    "separation": ("sick", data(sick=SPLIT), {"method": {
        "sick": "logistic", "y": "pmm"}}, None, {}),
    "few clusters": ("y", data(g=FEW), {"cluster": "g", "method": {
        "y": "normal", "sick": "sample"}}, EFFECTS, {}),
    "ρ is that of its prior": ("y", BASE, {"method": {
        "y": "heckman", "sick": "sample"}}, FLAT, {}),
    "nearly empty": ("y", data(y=FEW_SEEN), {}, None, {}),
    "mostly missing": ("y", pd.concat([BASE.assign(y=BASE["y"].where(
        np.arange(120) % 8 == 0))] * 5, ignore_index=True), {}, None, {"m": 60}),
    "constant imputed values": ("y", BASE, {}, imputed_as(lambda y: y * 0 + 11), {}),
    "imputations do not differ": ("y", BASE, {}, imputed_as(
        lambda y: np.repeat(y[:1], M, axis=0)), {}),
    "imputed values far out": ("y", BASE, NORMAL, imputed_as(lambda y: y + 40), {}),
    "impossible values": ("y", BASE, NORMAL, imputed_as(
        lambda y: np.where(np.arange(y.size).reshape(y.shape) % 20 == 0, -0.5, y)), {}),
    "imputed values outside the observed range": ("y", BASE, NORMAL, imputed_as(
        lambda y: y + 3), {}),
    "values piled up at a bound": ("y", BASE, {"post": {"y": bi.squeeze(7)}}, imputed_as(
        lambda y: np.where(np.arange(y.size).reshape(y.shape) % 3 == 0, 7.0, y)), {}),
    "few donors": ("y", BASE, {"model_options": {"y": {"donors": 30}}}, None, {}),
    "donors used over and over": ("y", BASE, {}, imputed_as(
        lambda y: rng().choice(np.sort(BASE["y"].dropna())[-4:], y.shape)), {}),
    "a cluster from few donors": ("y", EMPTY, {"cluster": "g"}, imputed_as(
        lambda y: rng().choice(np.sort(EMPTY["y"].dropna())[-4:], y.shape)), {}),
    "a cluster's mean far out": ("y", EMPTY, {"cluster": "g", "method": {
        "y": "normal", "sick": "sample"}, "predictors": {"x": 2}}, far_from_the_others, {}),
    "few imputations": ("y", data(y=BASE["y"].where(np.arange(120) % 5 < 2)), {}, None, {"m": 4}),
}  # fmt: skip


@pytest.mark.parametrize("finding", PROVOKED)
@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive:UserWarning")
def test_advice_is_code_that_runs_and_mends_what_it_was_given_for(finding):
    name, df, arguments, spoil, size = PROVOKED[finding]
    arguments = dict(arguments)
    predictors = arguments.get("predictors")
    if predictors is not None:
        arguments["predictors"] = bi.make_predictors(df, arguments.get("cluster"))
        for column, code in predictors.items() if isinstance(predictors, dict) else ():
            arguments["predictors"].loc["y", column] = code
    imp = made(df, **size, **arguments)
    imp = spoil(imp) if spoil else imp
    row = found(imp)[name, finding]
    if "iterations alone" in row.advice:
        return
    for left, call, more in followed(row.advice, df, imp, arguments):
        chains = {"m": call.pop("m", size.get("m", M))}
        chains["iterations"] = size.get("iterations", ITERATIONS) + more
        assert (name, finding) not in found(made(left, **chains, **call))


def test_every_kind_of_finding_is_provoked_and_its_advice_executed():
    """The names in the sources, so that a new kind cannot be forgotten here."""
    from pathlib import Path

    folder = Path(bi.__file__).parent / "diagnose"
    text = "\n".join(path.read_text("utf-8") for path in sorted(folder.glob("*.py")))
    who = r"(?:\"\"|name|first|term|variable)"
    named = re.findall(rf'"(?:error|warning|info)"[^\n]*, {who}, "([^"]+)",', text)
    prose = {"hardly any information", "no exclusion restriction"}
    prose |= {"imputed elsewhere", "columns or rows of a run"}
    assert len(named) > 20 and {*named, *CAUSES} <= set(PROVOKED) | prose


def test_fixed_effects_are_advised_only_where_they_can_be_had(monkeypatch):
    monkeypatch.setattr(models, "_width_against_prior", lambda *_: float("nan"))  # takes seconds
    arguments = {"cluster": "g", "method": {"y": "normal", "sick": "sample"}}
    few = data(g=FEW)
    row = found(EFFECTS(made(few, **arguments)))["y", "few clusters"]
    assert row.advice.startswith("method['y'] = bi.fixed_clusters('normal')  # or\npriors['y']")
    predictors = bi.make_predictors(few, "g")
    predictors.loc["y", "x"] = 2
    sloped = EFFECTS(made(few, predictors=predictors, **arguments))
    assert "fixed_clusters" not in found(sloped)["y", "few clusters"].advice
    empty = few.assign(y=few["y"].where(few["g"] > 0))
    assert "fixed_clusters" not in found(EFFECTS(made(empty, **arguments)))[
        "y", "few clusters"].advice  # fmt: skip


def test_a_shift_that_was_asked_for_is_not_advised_away():
    method = {"y": bi.delta("normal", 40.0), "sick": "pmm"}
    imp = imputed_as(lambda y: y + 40)(made(BASE, method=method))
    assert "method['y']" not in found(imp)["y", "imputed values far out"].advice


def test_matching_is_not_advised_where_an_analysis_needs_densities():
    df, arguments = BASE.drop(columns="sick"), {"analysis": "z ~ y + x", "written": None}
    imp = imputed_as(lambda y: y + 40)(made(df, **arguments))
    assert imp.specification.live is not None
    advice = found(imp)["y", "imputed values far out"].advice
    ((left, call, _),) = followed(advice, df, imp, arguments)
    assert specify(left, **call).targets["y"].method == "normal.truncated"


def test_bounds_that_are_advised_hold_what_was_observed():
    _, df, arguments, spoil, _ = PROVOKED["values piled up at a bound"]
    imp = spoil(made(df, **arguments))
    advice = found(imp)["y", "values piled up at a bound"].advice
    *_, (_, call, _) = followed(advice, df, imp, arguments)
    assert call["method"]["y"] == "normal.truncated" and "post" not in call
    bounds = call["model_options"]["y"]
    assert df["y"].min() < 7 and df["y"].dropna().between(bounds["lower"], bounds["upper"]).all()


def test_one_fact_of_several_variables_is_one_finding():
    table = made(data(one=1.0)).diagnose()
    (row,) = table[table["finding"] == "predictor dropped"].itertuples()
    assert row.variable == "y" and row.evidence.endswith("The same in 'sick'.")
    assert row.advice.splitlines() == [
        "predictors.loc['y', 'one'] = 0  # or in its formula, where it has one",
        "predictors.loc['sick', 'one'] = 0  # or in its formula, where it has one",
    ]


def test_a_few_cells_of_a_common_category_are_no_stuck_chains():
    shares = np.repeat([[0.0, 1.0]], ITERATIONS, axis=0)
    draws = np.repeat(shares[None], M, axis=0)
    draws[0, 12] = [1.0, 0.0]  # one chain has once drawn the rare one
    imp = made(BASE)
    quiet = replace(imp, history=replace(imp.history, chain_share={"sick": draws}))
    assert ("sick", "stuck chains") not in found(quiet)
    lively = rng().random((M, ITERATIONS))
    lively[6] = 0.5
    draws = np.stack([1 - lively, lively], axis=-1)
    stuck = replace(imp, history=replace(imp.history, chain_share={"sick": draws}))
    assert "(imputation 7)" in found(stuck)["sick", "stuck chains"].evidence
    moving = np.array([[0.0, 0, 1, 1, 0, 0, 1, 1]])[..., None]
    # four visits of 0 and of what came next two stayed: (2 + 1) / (4 + 2)
    assert staying(np.zeros(1), moving, 3) == pytest.approx(0.5**2)


def test_a_few_cells_that_are_all_alike_are_not_called_constant():
    df = data(sick=np.where(np.arange(120) % 10 == 0, "yes", "no").astype(object))
    df.loc[:3, "sick"] = None
    imp = made(df)
    same = {**imp.history.imputed, "sick": imp.history.imputed["sick"] * 0}
    quiet = replace(imp, history=replace(imp.history, imputed=same))
    assert ("sick", "constant imputed values") not in found(quiet)


def test_what_an_analysis_asks_for_is_found_once_for_all_analyses():
    imp = made(BASE, m=3)
    with pytest.warns(bi.ImputationWarning, match=r"y ~ x \* z' asks for. y: an interaction"):
        fits = imp.fit("y ~ x * z")
    result = found(imp, fits=[fits, fits.pool(), imp.fit("y ~ x")])
    finding = "an interaction of the analysis is not in its model"
    assert result["y", finding].evidence == "'x:z' of the analysis: y ~ x * z"
    assert "formulas['y']" in result["y", finding].advice
    assert not [key for key in found(imp, fits=imp.fit("y ~ x")) if key[1] == finding]
    with pytest.raises(bi.SpecificationError, match="fits must be an analysis"):
        imp.diagnose(3)
    with pytest.raises(bi.SpecificationError, match="fits must be an analysis"):
        imp.diagnose(SimpleNamespace(table=pd.DataFrame({"coverage": [0.9]})))  # overimpute's


def test_a_fit_warns_once_of_a_formula_and_never_of_a_function(recwarn):
    imp = made(BASE, m=2)
    with pytest.warns(bi.ImputationWarning) as warned:
        imp.fit("y ~ x * z")
    assert len(warned) == 1 and warned[0].filename == __file__
    imp.fit("y ~ x + z")
    imp.fit(lambda d: {"estimate": d["y"].mean(), "std_error": d["y"].sem()})
