"""Method names of mice, miceadds and micemd: accepted, or answered with what to use."""

import re

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayesimpute as bi
from bayesimpute.imputation import specified
from bayesimpute.specification.aliases import ALIASES


def names(text: str) -> list[str]:
    return text.split()


MICE = names("""
pmm midastouch sample cart rf mean norm norm.nob norm.boot norm.predict lasso.norm
lasso.select.norm quadratic ri mnar.norm mnar.logreg logreg logreg.boot lasso.logreg
lasso.select.logreg polr polyreg lda svm 2l.norm 2l.lmer 2l.pan 2l.bin 2lonly.mean 2lonly.norm
2lonly.pmm panImpute jomoImpute mpmm
""")
MICEADDS = names("""
2l.pmm 2l.continuous 2l.binary 2l.contextual.norm 2l.contextual.pmm ml.lmer 2l.groupmean
2l.groupmean.elim 2l.latentgroupmean.ml 2l.latentgroupmean.mcmc 2lonly.function 2lonly.norm2
2lonly.pmm2 bygroup smcfcs catpmm pmm3 pmm4 pmm5 pmm6 tricube.pmm tricube.pmm2 weighted.norm
weighted.pmm pls 2l.pls 2l.pls2 hotDeck lm lm_fun rlm lqs constant plausible.values
2l.plausible.values eap synthpop simputation imputeR.lmFun imputeR.cFun
""")
MICEMD = names("""
2l.2stage.norm 2l.2stage.bin 2l.2stage.pois 2l.2stage.pmm 2l.2stage.heckman 2l.glm.norm 2l.glm.bin
2l.glm.pois 2l.jomo
""")
#: Kind of variable of which a method is: the column of `df` it is given.
COLUMN = {"logistic": "yes", "ordinal": "grade", "categorical": "kind", "poisson": "count"}


@pytest.fixture(scope="module")
def df():
    rng = np.random.default_rng(1)
    n = 120
    frame = pd.DataFrame(
        {
            "school": np.repeat(np.arange(12), 10),
            "size": np.repeat(rng.normal(size=12), 10),
            "arm": rng.choice(["a", "b"], n),
            "x": rng.normal(size=n),
            "y": rng.normal(size=n),
            "count": rng.poisson(3, n).astype(float),
            "yes": rng.choice(["no", "yes"], n),
            "kind": pd.Categorical(rng.choice(list("abc"), n)),
            "grade": pd.Categorical(rng.choice(list("abc"), n), ordered=True),
        }
    )
    for name in ("y", "count", "yes", "kind", "grade"):
        frame.loc[rng.random(n) < 0.2, name] = None
    frame.loc[frame["school"] > 9, "size"] = np.nan
    return frame


def column_of(alias):
    return "size" if alias.level == 2 else COLUMN.get(alias.method, "y")


@pytest.mark.parametrize("name", [*MICE, *MICEADDS, *MICEMD])
def test_a_name_is_accepted_or_answered_with_what_to_use(name, df):
    if name in ALIASES:
        target = column_of(ALIASES[name])
        given = specified(df, cluster="school", method={target: name})
        assert given.targets[target].method == ALIASES[name].method
        return
    with pytest.raises(bi.SpecificationError, match=re.escape(repr(name))) as error:
        specified(df, cluster="school", method={"y": name})
    answer = str(error.value).split("not here: ")[1]
    assert re.findall("'[^']+'|bi\\.\\w+|builder|fillna", answer)
    for public in re.findall(r"bi\.(\w+)", answer):
        assert hasattr(bi, public)
    # what stands alone between quotes, and is no column of the example, is a method here
    for word in re.findall(r"'([\w.]+)'", answer):
        assert word in {*ALIASES, "school", "class", "arm", "y", "beta", "donors"}, word


@pytest.mark.parametrize("name", ["norm.boot", "logreg.boot", "midastouch", "rf"])
def test_a_method_that_works_another_way_is_said(name, df):
    target = column_of(ALIASES[name])
    events = specified(df, method={target: name}).events
    assert [event.action for event in events if event.variable == target].count(
        "method renamed"
    ) == 1


@pytest.mark.parametrize(
    "instead",
    [
        {"method": {"y": "normal"}, "priors": {"y": {"beta": pm.Laplace.dist(0, 0.1)}}},
        {"method": {"yes": "logistic"}, "priors": {"yes": {"beta": pm.Laplace.dist(0, 0.1)}}},
        {"formulas": {"y": "y ~ x + cluster_mean(x)"}, "method": {"y": "normal"}},
        {"formulas": {"y": "y ~ x + cluster_mean(x)"}, "method": {"y": "pmm"}},
        {"analysis": "x ~ y + I(y^2)"},
        {"analysis": "x ~ latent_mean(y) + (1 | school)"},
        {"method": {"y": bi.delta("normal", pm.Normal.dist(-1, 0.5))}},
        {"method": {"y": bi.by_group("normal", "arm")}},
        {"method": {"y": "pmm"}, "model_options": {"y": {"donors": 5}}},
    ],
)
def test_what_the_answers_advise_can_be_asked_for(instead, df):
    specified(df, cluster="school", **instead)


def test_the_contextual_model_has_the_mean_and_no_effects_by_cluster(df):
    given = specified(
        df, cluster="school", method={"y": "normal"}, formulas={"y": "y ~ x + cluster_mean(x)"}
    )
    target = given.targets["y"]
    assert not target.random_intercept
    assert [(term.label, term.random, term.cluster_mean) for term in target.terms] == [
        ("x", False, True)
    ]
