# %% [markdown]
# # Your own PyMC model as an imputation method
#
# A reading test gives the share of correct answers, a number between 0 and 1 that piles up near 1
# in good schools. None of the built-in models is made for that: a normal model knows no bounds,
# predictive mean matching knows no school without a single result. So we write the model we
# want, a beta regression with effects of schools, and hand it to `bi.impute` like the name of any
# method.

# %%
import numpy as np
import pandas as pd
import pymc as pm

import bayesimpute as bi

# %% [markdown]
# ## A study with known truth
# 30 schools of 25 pupils. Older pupils do better, and results are missing more often of younger
# pupils. The last two schools did not take part in the test.

# %%
rng = np.random.default_rng(1)
schools, pupils = 30, 25
school = np.repeat(np.arange(schools), pupils)
age = rng.normal(9.5, 0.6, school.size)
ability = 1.2 + 0.8 * (age - 9.5) + rng.normal(0, 0.6, schools)[school]
mean = 1 / (1 + np.exp(-ability))
complete = pd.DataFrame(
    {"school": school, "age": age.round(2), "share": rng.beta(15 * mean, 15 * (1 - mean))}
)
left_out = rng.random(school.size) < 1 / (1 + np.exp(1.4 + 1.5 * (age - 9.5)))
df = complete.copy()
df.loc[left_out | (school >= schools - 2), "share"] = np.nan
print(f"{df['share'].isna().mean():.0%} of the shares are missing")
assert df.loc[left_out, "age"].mean() < df.loc[~left_out, "age"].mean()
df.head()

# %% [markdown]
# ## The model
# A function that takes a *design* and returns a `pm.Model`. The design holds what a conditional
# model sees at one visit: predictors `x`, the cluster of each row, the values `y` that were
# observed. Three rules:
#
# - what changes between visits is `pm.Data` under the names `x`, `z`, `cluster_index`, `y`;
# - the likelihood is the one observed variable, and its parameters depend on these data, so that it
#   can be run forward on the rows whose value is missing;
# - effects have the dim `"cluster"`; a cluster without observed values is among them and takes its
#   effect from the population of clusters.


# %%
def beta_regression(design):
    with pm.Model(coords=design.coords) as model:
        x = pm.Data("x", design.x, dims=("row", "predictor"))
        where = pm.Data("cluster_index", design.cluster, dims="row")
        y = pm.Data("y", design.y, dims="row")

        intercept = pm.Normal("intercept", 0, 1.5)
        slope = pm.Normal("beta", 0, 2, dims="predictor")
        spread = pm.HalfNormal("sd_intercept", 1)
        effect = pm.Normal("effect", dims="cluster")
        precision = pm.Gamma("precision", 2, 0.1)

        logit = intercept + (x - 9.5) @ slope + spread * effect[where]
        pm.Beta("share_seen", mu=pm.math.sigmoid(logit), nu=precision, observed=y, dims="row")
    return model


# %% [markdown]
# ## Before any data
# What shares does the model expect before it has seen one? The prior should allow everything
# plausible and little that is absurd.

# %%
given = {"cluster": "school", "method": {"share": beta_regression}}
prior = bi.prior_predictive(df, "share", seed=1, **given)
bi.plot_prior_predictive(prior)

# %% [markdown]
# ## Impute
# NUTS is tuned once and then moves on by ten transitions a visit; `share` is the only incomplete
# variable, so nothing feeds back and few iterations would do.

# %%
imp = bi.impute(df, m=10, iterations=8, seed=1, **given)
found = imp.diagnostics()
print(found[["variable", "quantity", "r_hat", "ess_bulk", "divergences"]].round(3).to_string())

# %%
imp.plot_trace()

# %% [markdown]
# The model on the completed data of a chain comes back as PyMC's own object, for `pm.sample`,
# `pm.model_to_graphviz`, or whatever else PyMC and ArviZ do.

# %%
imp.model("share")

# %% [markdown]
# ## Beside the built-in models
# The same data by `normal`: how many imputed shares are impossible, and how often does the truth
# lie among the ten draws?

# %%
normal = bi.impute(df, cluster="school", method="normal", m=10, iterations=8, seed=1)
gone = df["share"].isna().to_numpy()


def account(imputations):
    """Impossible values, errors, and how often the truth lies among the ten draws (9 in 11)."""
    drawn = np.array([frame["share"].to_numpy()[gone] for frame in imputations])
    low, high = drawn.min(axis=0), drawn.max(axis=0)
    truth = complete["share"].to_numpy()[gone]
    return {
        "outside 0-1": f"{np.mean((drawn < 0) | (drawn > 1)):.1%}",
        "mean error": round(float(np.mean(drawn.mean(axis=0) - truth)), 4),
        "range of the draws": round(float(np.mean(high - low)), 3),
        "truth within it (82 % expected)": f"{np.mean((low <= truth) & (truth <= high)):.0%}",
    }


accounts = pd.DataFrame({"beta regression": account(imp), "normal": account(normal)})
assert accounts.loc["outside 0-1", "beta regression"] == "0.0%"  # a share by construction
accounts

# %%
imp.plot_density("share")

# %%
normal.plot_density("share")

# %% [markdown]
# ## Is the method right?
# A model one has written oneself is the one to check. `bi.simulate.sbc` draws parameters from their
# priors and data from the model, hides values, imputes them, and ranks the truth among the draws:
# if the model and its sampler are right, all ranks are uniform. A function written for one data set
# (here the 9.5 years in the middle of the ages, and the narrow range of a share) is first written
# for any. Twenty data sets can only show a gross mistake; `replicates=400` a moderate one too.


# %%
def any_beta_regression(design, priors):
    with pm.Model(coords=design.coords) as model:
        x = pm.Data("x", design.x, dims=("row", "predictor"))
        where = pm.Data("cluster_index", design.cluster, dims="row")
        y = pm.Data("y", design.y, dims="row")
        intercept = pm.Normal("intercept", 0, 1)
        slope = pm.Normal("beta", 0, 0.5, dims="predictor")
        spread = pm.HalfNormal("sd_intercept", 0.5)
        effect = pm.Normal("effect", dims="cluster")
        precision = pm.Gamma("precision", 8, 0.5)
        logit = intercept + x @ slope + spread * effect[where]
        pm.Beta("seen", mu=pm.math.sigmoid(logit), nu=precision, observed=y, dims="row")
    return model


calibration = bi.simulate.sbc(
    any_beta_regression,
    effects="intercept",
    replicates=20,
    typical=(0.1, 0.3, 0.5, 0.7, 0.9),
    seed=1,
)
print(calibration)

# %%
calibration.plot()

# %% [markdown]
# ## Answer
# The regression of the logit of the share on age, with the schools as a random intercept, pooled
# over the imputations by Rubin's rules. A share of 1 has no logit: shares are kept off the ends.


# %%
def logit_share(data):
    within = data["share"].clip(0.001, 0.999)
    return data.assign(logit=np.log(within / (1 - within)))


formula = "logit ~ age + (1 | school)"
analyses = {
    "nothing missing": bi.fit([logit_share(complete)], formula),
    "complete cases": bi.fit([logit_share(df.dropna())], formula),
    "beta regression": bi.fit([logit_share(frame) for frame in imp], formula),
    "normal": bi.fit([logit_share(frame) for frame in normal], formula),
}
print(bi.compare_estimates(analyses, terms=["age"]))

# %%
bi.plot_estimates(analyses, terms=["age"])
