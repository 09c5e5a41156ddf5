# %% [markdown]
# # When chained equations suffice, and when the analysis has to decide
#
# Chained equations give every incomplete variable a model of its own. For many analyses these
# models fit together with the analysis, and the answer is right. For an interaction, a power, or a
# random slope of an *incomplete* predictor there is no such model: x given y and z is then neither
# linear nor of constant spread, and imputing it as if it were draws the interaction towards 0.
#
# `bi.impute(..., analysis="y ~ x * z + (1 | g)")` takes the analysis itself as the model of y. A
# missing x is drawn from its own model given the other covariates, times the analysis. Below: what
# that changes, what it does not, and how to check it.

# %%
import shutil

import numpy as np
import pandas as pd
import pymc as pm

import bayesimpute as bi

# %% [markdown]
# ## Two studies with known truth
# 30 clusters of 12. In the first the effect of x depends on z, and x is missing more often where y
# is large. In the second it differs between clusters (SD 0.4), and x and y are both missing.


# %%
def interaction(seed):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(30), 12)
    z = rng.normal(size=g.size)
    x = 0.3 * z + 0.5 * rng.normal(size=30)[g] + rng.normal(size=g.size)
    y = 0.5 * x + 0.5 * z + 0.5 * x * z + 0.5 * rng.normal(size=30)[g] + rng.normal(size=g.size)
    complete = pd.DataFrame({"g": g, "z": z, "x": x, "y": y})
    df = complete.copy()
    df.loc[rng.random(g.size) < 1 / (1 + np.exp(0.6 - 0.6 * y)), "x"] = np.nan
    return complete, df


def random_slope(seed):
    rng = np.random.default_rng(100 + seed)
    g = np.repeat(np.arange(30), 12)
    x = 0.5 * rng.normal(size=30)[g] + rng.normal(size=g.size)
    slope = 0.5 + 0.4 * rng.normal(size=30)[g]
    y = slope * x + 0.5 * rng.normal(size=30)[g] + 0.8 * rng.normal(size=g.size)
    complete = pd.DataFrame({"g": g, "x": x, "y": y})
    df = complete.copy()
    df.loc[rng.random(g.size) < 0.27, "x"] = np.nan
    df.loc[rng.random(g.size) < 0.27, "y"] = np.nan
    return complete, df


complete, df = interaction(1)
print(f"x is missing in {df['x'].isna().mean():.0%} of the rows")

# %% [markdown]
# ## What the package says
# The simplest call, then the analysis: `fit` warns, and `congenial` says why and what to do.

# %%
formula = "y ~ x * z + (1 | g)"
chained = bi.impute(df, cluster="g", m=5, seed=1)
found = chained.congenial(formula)
print(found.as_text())

# %% [markdown]
# ## The same with the analysis
# Chains can be as long as one likes: they draw the parameters of the analysis as well, so the
# Bayesian answer is there without pooling. Rubin's rules stand beside it.

# %%
imp = bi.impute(df, analysis=formula, m=5, iterations=100, seed=1)
print(imp.analysis.round(3).to_string())
print(imp.events.loc[imp.events["stage"] == "specification", "message"].to_string(index=False))
assert imp.congenial(formula).empty

# %% [markdown]
# ## Check it: the whole as one PyMC model
# `joint_model()` is the joint distribution of all variables with the missing values as parameters.
# It can be read, changed, and sampled by NUTS; `compare_joint` puts its posterior beside the
# chains'. Differences are in Monte-Carlo standard errors.

# %%
model = imp.joint_model()
print(model.str_repr())
pm.model_to_graphviz(model) if shutil.which("dot") else "Graphviz is not installed"

# %%
compared = bi.compare_joint(imp, draws=500, tune=500, chains=2, seed=1)
print(compared["difference"].round(1).to_string())

# %% [markdown]
# ## Over many data sets
# One data set proves nothing. Here are a few of each study: complete data, chained equations, the
# analysis. (The mean of twelve still moves by chance; `benchmarks/compatible.py` has hundreds.)

# %%
DATA_SETS = 12


def interaction_of(fits):
    return [fits.pool().table.at["x:z", "estimate"]]


def spread_of(fits):
    components = fits.pool().variance_components
    return [components["x~~x|g"] ** 0.5, components["Residual~~Residual"]]


def compared_over(study, analysis, wanted, names):
    rows = []
    for seed in range(DATA_SETS):
        complete, df = study(seed)
        options = {"cluster": "g", "m": 5, "seed": seed, "progress": False}
        ways = {
            "complete data": bi.fit([complete, complete], analysis),
            "chained equations": bi.fit(bi.impute(df, **options).complete("all"), analysis),
            "the analysis": bi.impute(df, analysis=analysis, **options).fit(),
        }
        for way, fits in ways.items():
            rows.append([way, *wanted(fits)])
    return pd.DataFrame(rows, columns=["", *names]).groupby("", sort=False).mean()


first = compared_over(interaction, formula, interaction_of, ["x:z (0.5)"])
print(first.round(3).to_string())
second = compared_over(
    random_slope, "y ~ x + (1 + x | g)", spread_of, ["SD of the slope (0.4)", "variance (0.64)"]
)
print(second.round(3).to_string())
for table in (first, second):
    off = (table.sub(table.loc["complete data"])).abs()
    assert (off.loc["the analysis"] < off.loc["chained equations"]).all()

# %% [markdown]
# ## When chained equations suffice
# Linear terms of numbers with normal models, complete predictors in interactions, an incomplete
# outcome with whatever terms: then both ways say the same, up to the noise of m imputations.

# %%
plain = "y ~ x + z + (1 | g)"
both = {
    "chained equations": bi.impute(df, cluster="g", method="normal", m=20, seed=1)
    .fit(plain)
    .pool(),
    "the analysis": bi.impute(df, analysis=plain, m=20, seed=1).fit().pool(),
}
values = bi.compare_estimates(both)
print(values.xs("estimate", axis=1, level="quantity").round(3).to_string())
print(values.xs("std_error", axis=1, level="quantity").round(3).to_string())

# %% [markdown]
# ## What else can stand in an analysis
# Splines and polynomials of an incomplete predictor; `latent_mean(x)`, the mean of x that the rows
# of a cluster are around; every family, `heckman` for an outcome missing not at random among them;
# `Surv(time, died)`; several analyses at once. A function must have a value for whatever can be
# drawn:

# %%
try:
    bi.impute(df, analysis="y ~ log(x + 5) + (1 | g)")
except bi.SpecificationError as error:
    print(error)

# %%
contextual = bi.impute(df, analysis="y ~ x + latent_mean(x) + (1 | g)", m=4, iterations=30, seed=1)
print(contextual.analysis[["estimate", "sd", "r_hat", "ess_bulk"]].round(2).to_string())
