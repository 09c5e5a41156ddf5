# %% [markdown]
# # Studies of head injury with variables of many kinds incomplete
#
# The IMPACT data: patients with traumatic brain injury from many studies. Which of the signs seen
# on admission predict death within six months? Some of the signs have gaps, and their kinds differ:
# categories without an order, with one, yes or no. Each asks for a likelihood of its own. Where the
# data are not found, the notebook runs on a simulated study of the same design.

# %%
import os
import tempfile
from pathlib import Path

import pandas as pd

import bayesimpute as bi


def patients():
    """Give the IMPACT data where they lie beside the checkout, or else a simulated study."""
    named = os.environ.get("BAYESIMPUTE_SHARED")
    folders = [named] if named else ["../shared", "../../shared"]
    files = [Path(folder, "data", "impact_incomplete.csv") for folder in folders]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        study = bi.simulate.simulate_impact(seed=1)
        return ordered(study.incomplete), ordered(study.complete)
    return ordered(pd.read_csv(found, keep_default_na=False, na_values=[""])), None  # pupil "None"


def ordered(df):
    return df.assign(ct=pd.Categorical(df["ct"], ["I/II", "III", "IV/V"], ordered=True))


df, complete = patients()
print("simulated here, truth known" if complete is not None else "IMPACT data")
print(f"{len(df):,} patients in {df['name'].nunique()} studies; incomplete: "
      + ", ".join(f"{n} ({df[n].nunique()} values)" for n in df if df[n].isna().any()))  # fmt: skip
df.head()

# %% [markdown]
# ## Gaps
# Who is missing what, in how many studies, and is anything missing in a whole study? `icc` says how
# much of a variable's variation lies between studies, which a model without studies takes for 0.

# %%
bi.missing_summary(df, cluster="name")

# %%
bi.plot_pattern(df, most=12)

# %%
bi.plot_flux(df)

# %% [markdown]
# A high outflux makes a variable useful for imputing others; a high influx says that others can
# help it. Does what is missing depend on what is seen? If so, complete cases are not a random part
# of the patients.

# %%
tests = bi.missing_tests(df)
tests[tests["missing"].isin(["ct", "hypox"])]

# %% [markdown]
# ## Models
# `suggest_methods` looks at kind, level and gaps of each variable, and gives a reason.

# %%
suggestions = bi.suggest_methods(df, cluster="name", rule="likelihood")
suggestions

# %%
method = dict(suggestions)
predictors = bi.make_predictors(df, cluster="name")
bi.plot_predictors(predictors, method=method)

# %% [markdown]
# Every variable may predict every other (code 1), each model has an intercept that varies by study
# (code −2), and the outcome `mort` is among the predictors: leaving it out would pull every
# association with it to 0. Will the imputations fit the analysis that is planned?

# %%
for target in [name for name in df if df[name].isna().any()]:
    assert (predictors.loc[target, "name"], predictors.loc[target, "mort"]) == (-2, 1)
    assert (predictors.loc[target].drop([target, "name"]) == 1).all()
formula = "mort ~ type + age + motor_score + pupil + ct + (1 | name)"
bi.congenial(formula, df, cluster="name", method=method, predictors=predictors)

# %% [markdown]
# ## Impute
# Six chains (an analysis to be published should have more). A quantity of one's own can be watched
# along the chains: here the share of patients in the worst CT class.


# %%
def worst_ct(data):
    return (data["ct"] == "IV/V").mean()


imp = bi.impute(
    df, cluster="name", m=6, iterations=8, method=method, predictors=predictors, seed=1,
    monitor={"worst CT": worst_ct},
)  # fmt: skip
imp

# %% [markdown]
# ## Did the chains converge?

# %%
imp.diagnose()

# %%
found = imp.diagnostics()
found.nlargest(5, "r_hat")[["variable", "quantity", "r_hat", "ess_bulk"]].round(2)

# %%
imp.plot_trace(["ct", "pupil", "hypox"])

# %% [markdown]
# ## Are the imputations plausible?
# What is imputed may differ from what was observed, but the difference should have a reason. And
# could the models have predicted the values that *are* known? Overimputation draws every observed
# cell as if it were missing and asks how often 90 % intervals hold the truth.

# %%
imp.plot_density("ct")

# %%
checked = imp.overimpute(["ct", "hypox"], draws=20, seed=1)
checked

# %% [markdown]
# ## Answer
# The logistic mixed model in every completed data set, pooled by Rubin's rules; complete cases
# beside it.

# %%
fits = imp.fit(formula, family="binomial")
pooled = fits.pool()
analyses = {
    "complete cases": bi.fit([df.dropna()], formula, family="binomial"),
    "imputed": pooled,
}
if complete is not None:
    analyses["nothing missing"] = bi.fit([complete], formula, family="binomial")
bi.compare_estimates(analyses)

# %%
bi.plot_estimates(analyses)

# %% [markdown]
# How many patients are complete cases, and what does leaving out the others cost?

# %%
errors = bi.compare_estimates(analyses).xs("std_error", axis=1, level="quantity")
wider = (errors["complete cases"] > errors["imputed"]).sum()
print(f"{len(df.dropna()) / len(df):.0%} of the patients are complete cases; their standard errors "
      f"are larger for {wider} of {len(errors['imputed'])} coefficients")  # fmt: skip

# %% [markdown]
# Does the CT class matter, both of its coefficients taken together? And are classes III and IV/V
# any different from each other?

# %%
fits.test(["ctIII", "`ctIV/V`"])

# %%
fits.test(["ctIII - `ctIV/V`"])

# %% [markdown]
# ## Report
# One file with everything a reviewer may ask for.

# %%
page = imp.report(Path(tempfile.mkdtemp(), "impact.html"), analyses=analyses)
print(f"{page.stat().st_size / 1e6:.1f} MB")
