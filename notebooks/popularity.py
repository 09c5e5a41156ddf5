# %% [markdown]
# # Pupils in schools, many popularity scores missing
#
# Does teacher experience make pupils more popular, and are girls more popular than boys? The score
# of many was not recorded. The data are those of mice's `popmis` where they are found, else a
# simulated study of the same design, whose truth is known.

# %%
import os
from pathlib import Path

import pandas as pd
import pymc as pm

import bayesimpute as bi


def pupils():
    """Give popmis where it lies beside the checkout, or else a simulated study."""
    named = os.environ.get("BAYESIMPUTE_SHARED")
    folders = [named] if named else ["../shared", "../../shared"]
    files = [Path(folder, "data", "popmis.csv") for folder in folders]
    found = next((file for file in files if file.is_file()), None)
    columns = ["school", "popular", "texp", "sex"]
    if found is not None:
        return pd.read_csv(found)[columns], None
    study = bi.simulate.simulate_popularity(seed=1)
    return study.incomplete[columns], study.truth


df, truth = pupils()
print("simulated here, truth known" if truth is not None else "popmis")
print(f"{len(df):,} pupils in {df['school'].nunique()} schools, "
      f"{df['popular'].isna().mean():.0%} of the scores missing")  # fmt: skip
df.describe().round(2)

# %% [markdown]
# ## Gaps
# Which variables are incomplete, and in how many schools? `icc` is the share of a variable's
# variance that lies between schools; a model that does not know the schools takes it for 0.

# %%
gaps = df.isna().groupby(df["school"]).mean()
for name in gaps.columns[gaps.any()]:
    print(f"{name}: gaps in {(gaps[name] > 0).sum()} schools, all of it missing in "
          f"{(gaps[name] == 1).sum()}")  # fmt: skip
bi.plot_pattern(df)

# %%
bi.missing_summary(df, cluster="school")

# %%
icc = bi.icc(df, "popular", "school", seed=1)
icc

# %% [markdown]
# Is the score missing more often where teachers have less experience? Welch's t test takes pupils
# of a school for strangers; with `cluster=` they are not (`p_cluster`).

# %%
tests = bi.missing_tests(df, cluster="school")
experience = tests[tests["variable"] == "texp"].iloc[0]
seen, unseen = experience["mean_observed"], experience["mean_missing"]
print(f"teachers of pupils without a score have {'less' if unseen < seen else 'no less'} "
      f"experience, {unseen:.1f} for {seen:.1f} years: p = {experience['p_value']:.2g}, "
      f"and with the schools in sight {experience['p_cluster']:.2g}")  # fmt: skip
tests

# %%
bi.plot_missing_by(df, "popular", by="texp")

# %% [markdown]
# ## Model
# A score is drawn from its posterior predictive distribution given sex, experience and school, or,
# with `"pmm"`, taken from a pupil with nearly the same prediction; then it is a score that somebody
# has. Does the planned analysis ask for anything that this model does not hold?

# %%
formula = "popular ~ texp + sex + (1 | school)"
bi.congenial(formula, df, cluster="school", method="normal")

# %%
imp = bi.impute(df, cluster="school", method="normal", m=50, iterations=10, seed=1)
print(imp.equations()["popular"])

# %% [markdown]
# ## Checks
# Did the chains forget where they started, and do they wander freely? `diagnose()` asks for
# everything that usually goes wrong, and says what to do about it.

# %%
imp.diagnose(imp.fit(formula))

# %%
imp.plot_trace()

# %%
imp.plot_chains("rank", parameters="all")

# %% [markdown]
# What was imputed, beside what was observed: a normal model draws any number, whatever scores are
# possible, but the distribution should agree where the gaps have no other reason.

# %%
scores = df["popular"].dropna()
whole = "all of them" if (scores % 1 == 0).all() else "not only"
print(f"{scores.nunique()} different scores among {len(scores):,}, {whole} whole numbers")
imp.plot_density("popular")

# %%
imp.plot_xy("texp", "popular")

# %% [markdown]
# Could the model have predicted the scores that are known? Each is held against the draws that did
# not use it (leave-one-out). The curve of a model that fits stays within the band; scores of few
# different values put small steps into it.

# %%
imp.plot_ppc("popular")

# %%
imp.plot_loo_pit("popular")

# %% [markdown]
# ## Answer
# Rubin's rules over the completed data sets.

# %%
fits = imp.fit(formula)
pooled = fits.pool()
pooled

# %%
print(pooled.variance_components.round(3))
if truth is not None:
    print(pd.Series(truth))

# %% [markdown]
# Are the two effects needed, both taken together? And how many imputations would have been enough?

# %%
fits.compare(imp.fit("popular ~ 1 + (1 | school)"), method="D1")

# %%
bi.recommend_m(fits)

# %%
bi.plot_fmi(fits)

# %% [markdown]
# ## The same by mixing posteriors
# Instead of estimates and standard errors, whole posteriors: the same Bayesian model is sampled
# for every imputation (it is compiled once, the data are swapped), and draws are mixed in equal
# numbers.
# Convergence is judged within each imputation; that imputations differ is no failure to converge.


# %%
def mixed_model(data):
    with pm.Model() as model:
        x = pm.Data("x", data[["texp", "sex"]].to_numpy(float))
        school = pm.Data("school", pd.factorize(data["school"])[0])
        y = pm.Data("y", data["popular"].to_numpy(float))
        intercept = pm.Normal("intercept", 5, 5)
        texp = pm.Normal("texp", 0, 1)
        sex = pm.Normal("sex", 0, 2)
        spread = pm.HalfNormal("sd_school", 1)
        effect = pm.Normal("effect", 0, 1, shape=data["school"].nunique())
        sigma = pm.HalfNormal("sigma", 1)
        mean = intercept + texp * x[:, 0] + sex * x[:, 1] + spread * effect[school]
        pm.Normal("score", mean, sigma, observed=y)
    return model


few = bi.fit_posterior(imp.complete("all")[:5], mixed_model, draws=200, tune=200, chains=2, seed=1)
posterior = few.pool(names=["intercept", "texp", "sex", "sd_school", "sigma"])
posterior

# %% [markdown]
# Five imputations show how it is done; an analysis mixes many (Zhou & Reiter, 2010, advise 100),
# and `bi.recommend_m` says how many.

# %%
bi.recommend_m(posterior)
