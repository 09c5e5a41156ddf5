# %% [markdown]
# # A survey on weight that heavy people may have left unanswered
#
# People in five regions were asked for their height and weight. Many gave no weight, and in
# region 3 nobody did. How is body mass index (BMI) related to age, gender and obesity in the
# family? The answer is worked out three times: from the complete cases, with weights *missing at
# random* given what else is known of a person, and with weights missing *because of what they
# are*.
#
# The data are those of Muñoz et al. (2023), from the R package micemd. They were simulated, but
# the weights that are missing have never been published: nothing below can be checked against
# them. Where the file is not found, the notebook runs on a similar study whose truth is known.

# %%
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm

import bayesimpute as bi


def survey():
    """Give the obesity data where they lie beside the checkout, or else a simulated survey."""
    named = os.environ.get("BAYESIMPUTE_SHARED")
    folders = [named] if named else ["../shared", "../../shared"]
    files = [Path(folder, "data", "obesity.csv") for folder in folders]
    found = next((file for file in files if file.is_file()), None)
    if found is not None:
        return pd.read_csv(found), None
    study = bi.simulate.simulate_obesity(seed=1)
    return study.incomplete, study.complete


df, complete = survey()
print("simulated here, truth known" if complete is not None else "obesity data")
regions = df["Cluster"].nunique()
print(f"{len(df):,} people in {regions} regions, {df['Weight'].isna().mean():.0%} without a weight")
df.head()

# %% [markdown]
# ## Gaps
# Share missing by region. Region 3 has no weight at all: *systematically* missing.

# %%
gaps = df.isna().groupby(df["Cluster"]).mean()
assert list(gaps.index[gaps["Weight"] == 1]) == [3] and regions == 5
print(gaps.round(2))

# %% [markdown]
# The gaps are nested: whoever left out height, age or family history also left out weight. Two
# consequences. Every person with a weight is a complete case, so at random the imputations cannot
# add much to a regression of BMI: the observed part says all there is, and imputing puts back the
# uncertainty of the rest. And no observed weight ever helps to fill in an age.

# %%
silent = df["Weight"].isna()
assert not df.loc[~silent].isna().any().any()
means = df.assign(silent=silent).groupby("silent")[["Height", "Age", "Time"]].mean()
by_gender = pd.crosstab(df["Gender"], silent, normalize="index")
print(means.round(2), by_gender.round(2), sep="\n")
for what, more in {
    "men": by_gender.loc["Male", True] > by_gender.loc["Female", True],
    "short people": means.loc[True, "Height"] < means.loc[False, "Height"],
    "those who took longer": means.loc[True, "Time"] > means.loc[False, "Time"],
}.items():
    print(f"{what} gave their weight {'less' if more else 'no less'} often")

# %% [markdown]
# `Time`, minutes spent on the survey, is the important one: it may say who got tired of answering
# and still nothing about what a person weighs. That cannot be tested; it is an assumption of the
# second model.

# %% [markdown]
# ## Models
# As in the paper, `Weight` has an effect by region (code 2) of every predictor, `BMI` follows from
# weight and height and predicts neither of them, and `Time` has no part at random. The other three
# have a random intercept and common slopes (code 1; the paper has 2 everywhere): with five regions
# and few gaps there is nothing to learn about how their slopes vary.

# %%
Role = bi.Role
method = {
    "Height": "normal",
    "FamOb": "logistic",
    "Age": "normal",
    "Weight": "normal",
    "BMI": "~ I(Weight / Height**2)",
}
predictors = bi.quickpred(df, cluster="Cluster", exclude=["Time", "BMI"])
predictors.loc["Weight", ["Gender", "Height", "FamOb", "Age"]] = Role.RANDOM
print(predictors.loc[["Height", "FamOb", "Age", "Weight"]])

# %% [markdown]
# ### What five regions cannot tell
# How much do regions differ? Weights were seen in four. By default the SDs between regions have
# priors as wide as the data. Where a region has data this is harmless. Region 3 has none, so its
# line is drawn from the population of regions, and that from four regions and the prior.

# %%
given = {"method": {**method, "Weight": "heckman"}, "predictors": predictors}
table = bi.priors(df, "Weight", **given)
spread = table["parameter"].str.contains("sd_")
print(table.loc[spread, ["parameter", "5%", "50%", "95%"]].round(2).to_string(index=False))
high = table.set_index("parameter").loc["sd_Height", "95%"]
print(f"SD of the slope of height between regions: up to {high:.0f} kg a metre")
wild = bi.impute(df, method=method, predictors=predictors, m=4, iterations=3, seed=1)
region_3 = wild.complete("long").query("Cluster == 3")["Weight"]
print(f"weights in region 3 with default priors: {region_3.min():.0f} to {region_3.max():.0f} kg")

# %% [markdown]
# So here knowledge of the subject has to come in: what differs between regions, and about how much.
# A log-normal prior says so within a factor of 2.7 either way (95 %). It also keeps SDs away from
# 0, where chains linger: that regions differ in nothing at all is not credible anyway. Mean weights
# differ by some 10 kg; the difference between women and men, or between families, by 3 kg; ten
# years of age by 2 kg, ten centimetres by 2 kg. In the equation of who answers, the units are those
# of a probit.


# %%
def about(value):
    return pm.LogNormal.dist(np.log(value), 0.5)


WEIGHING = {
    "sd_intercept": 10,  # kg
    "sd_Gender": 3,
    "sd_FamOb": 3,
    "sd_Height": 20,  # kg a metre
    "sd_Age": 0.2,  # kg a year
}
ANSWERING = {
    "selection_sd_intercept": 0.4,
    "selection_sd_Gender": 0.2,
    "selection_sd_FamOb": 0.2,
    "selection_sd_Height": 1.5,
    "selection_sd_Age": 0.02,
    "sd_log_sigma": 0.05,  # residual SDs: 5 % more or less
    "sd_atanh_rho": 0.2,
}


def differing(typical):
    """Priors by full name: categories are named with their level, such as sd_Gender[Male]."""
    names = {name: name.split("[")[0] for name in table.loc[spread, "parameter"]}
    return {name: about(typical[short]) for name, short in names.items() if short in typical}


others = {
    "Height": {"sd_intercept": about(0.01)},
    "FamOb": {"sd_intercept": about(0.2)},
    "Age": {"sd_intercept": about(0.5)},
}
weighing = {**others, "Weight": differing(WEIGHING)}
weighing_and_answering = {**others, "Weight": differing(WEIGHING | ANSWERING)}

# %% [markdown]
# ## At random

# %%
bounds = {"Weight": bi.squeeze(25, 250)}  # kg; a normal distribution knows no bounds, people do
run = {"m": 10, "iterations": 20, "seed": 1, "post": bounds}
mar = bi.impute(df, method=method, predictors=predictors, priors=weighing, **run)
print(mar.equations()["Weight"])

# %% [markdown]
# ## Not at random
# `heckman` has two equations, of weight and of answering, and their errors are correlated by ρ. If
# ρ is negative, people who are heavier than others like them answer less. Code −3 puts `Time` in
# the equation of answering only. Region 3 says nothing about who answers (nobody was counted
# there), so it is outside that equation; its weights come from the population of regions.

# %%
selection = predictors.copy()
selection.loc["Weight", "Time"] = Role.SELECTION_ONLY
not_random = {
    "method": {**method, "Weight": "heckman"},
    "predictors": selection,
    "priors": weighing_and_answering,
}
mnar = bi.impute(df, **not_random, **run)
print(mnar)

# %% [markdown]
# ## Convergence
# R-hat compares the chains and should be near 1; in short chains a few among a hundred exceed 1.05
# by chance. ρ is to be watched: weights that are imputed heavy make ρ look more negative, and the
# other way round. `mnar.extend(20)` goes on where this stopped.


# %%
def convergence(imp):
    found = imp.diagnostics()
    scalars = found[~found["quantity"].str.startswith("correlation")]
    columns = ["variable", "quantity", "r_hat", "ess_bulk"]
    print(f"largest R-hat {found['r_hat'].max():.2f}; above 1.05: {(found['r_hat'] > 1.05).sum()} "
          f"of {len(found)}; divergences {int(found['divergences'].max())}")  # fmt: skip
    print(scalars.nlargest(6, "r_hat")[columns].round(2).to_string(index=False))


convergence(mar)
convergence(mnar)

# %%
mnar.plot_trace(["Weight", "BMI"])

# %% [markdown]
# ## Is there anything in the data about ρ?

# %%
known = mnar.identification().iloc[0]
print(known.to_string())
sign = "negative" if known["95%"] < 0 else "positive" if known["5%"] > 0 else "of either sign"
print(f"{known['verdict']}; it is {sign} (90 % interval {known['5%']:.2f} to {known['95%']:.2f})")

# %% [markdown]
# `strength` is how many posterior SDs the coefficient of `Time` is away from 0, `contraction` how
# much narrower ρ is than its prior. The verdict is one *inside this model*. It cannot say whether
# the model holds: ρ is read off the way weights change with
# the time people took, and off the normal shape of the errors. If `Time` had to do with weight
# other than through answering, or if weights were skewed, the same numbers would come out, and
# they would mean something else.

# %% [markdown]
# ## What was imputed
# Mean weight by region, seen and imputed, and the SD of the imputed *mean* over the imputations.
# Are the silent lighter or heavier than those who answered? And how much is known of region 3?


# %%
def by_region(imp):
    """Mean imputed weight of each region, and its SD over imputations."""
    long = imp.complete("long")
    unseen = long[np.tile(imp.missing["Weight"].to_numpy(), imp.m)]
    means = unseen.groupby(["Cluster", ".imp"])["Weight"].mean().unstack()
    return means.mean(axis=1), means.std(axis=1)


weights = pd.DataFrame({"seen": df.groupby("Cluster")["Weight"].mean()})
for name, imp in {"at random": mar, "not at random": mnar}.items():
    weights[name], weights[f"{name}: SD"] = by_region(imp)
if complete is not None:
    weights["truth"] = complete["Weight"][silent].groupby(complete["Cluster"]).mean()
print(weights.round(1).to_string())
for name in ("at random", "not at random"):
    lighter = weights.index[weights[name] < weights["seen"]].tolist()
    heavier = weights.index[weights[name] > weights["seen"]].tolist()
    unsure = weights.loc[3, f"{name}: SD"] / weights.drop(3)[f"{name}: SD"].max()
    print(f"{name}: the silent are lighter in regions {lighter}, heavier in {heavier}; "
          f"the SD of region 3 is {unsure:.0f} times the next largest")  # fmt: skip
for name, imp in {"at random": mar, "not at random": mnar}.items():
    imputed = imp.complete("long")["Weight"]
    print(f"{name}: weights from {imputed.min():.0f} to {imputed.max():.0f} kg (seen: "
          f"{df['Weight'].min():.0f} to {df['Weight'].max():.0f}), "
          f"{(imputed == 25).sum()} of {len(imputed):,} moved to a bound")  # fmt: skip

# %%
mnar.plot_density("Weight")

# %% [markdown]
# Ranges may well be wider than what was seen: the observed extremes are those of the people who
# answered, without region 3. `model_options={"Weight": {"pmm": True}}` takes observed
# values instead, as the paper does; that keeps the range and hides how little is known of region 3.

# %% [markdown]
# ## Answer
# A mixed model by REML, with Rubin's rules. It warns of few regions, and of what the imputation
# models do not hold, which `congenial` explains. The question is left as the paper has it; how much
# slopes vary is printed below.

# %%
formula = "BMI ~ Age + FamOb + Gender + (1 + Age | Cluster)"
analyses = {
    "complete cases": bi.fit([df.dropna()], formula),
    "at random": mar.fit(formula).pool(),
    "not at random": mnar.fit(formula).pool(),
}
if complete is not None:
    analyses["nothing missing"] = bi.fit([complete], formula)
comparison = bi.compare_estimates(analyses)
print(comparison)
print(analyses["at random"].variance_components.round(3).to_string())

# %%
bi.plot_estimates(analyses)

# %% [markdown]
# What changes when weights are missing not at random? Complete cases have four regions and pretend
# that the fifth does not exist. `fmi` is the fraction of information missing, and says how many
# imputations a report should have.

# %%
values = comparison.xs("estimate", axis=1, level="quantity")
errors = comparison.xs("std_error", axis=1, level="quantity")
wider = errors["at random"] / errors["complete cases"]
shift = (values["not at random"] - values["at random"]) / errors["at random"]
for term, by in shift.items():
    print(f"{term}: {abs(by):.1f} standard errors {'higher' if by > 0 else 'lower'} not at random, "
          f"standard error {wider[term]:.2f} times that of the complete cases")  # fmt: skip
comparison.xs("fmi", axis=1, level="quantity").round(2)

# %% [markdown]
# ## The analysis decides
# The slope of `Age` varies by region, and `Age` is incomplete: no model of age given BMI has the
# form of chained equations then. The analysis itself can be the model of BMI, and a missing age is
# drawn from its own model times it. The parameters of the analysis are drawn in the chains, so that
# the answer is there without pooling; R-hat and ESS say whether they are long enough. Here every
# known BMI comes with a known age, so that little changes at random; not at random, that somebody
# did not answer says something of the age as well.

# %%
direct = df[["Cluster", "Age", "FamOb", "Gender", "Time", "BMI"]]
of_bmi = {"sd_intercept": about(3), "sd_Age": about(0.06)}  # kg/m², and a year
slopes = ("selection_sd_Gender", "selection_sd_FamOb", "selection_sd_Height")  # none here
of_answering = {name: about(size) for name, size in ANSWERING.items() if name not in slopes}
shared = {name: others[name] for name in ("FamOb", "Age")}
asked = {"analysis": formula, "m": 10, "iterations": 40, "seed": 1}
decided = {
    "at random": bi.impute(direct, method={"Time": ""}, priors={**shared, "BMI": of_bmi}, **asked),
    "not at random": bi.impute(
        direct,
        family="heckman",
        model_options={"BMI": {"selection_only": "Time"}},
        priors={**shared, "BMI": of_bmi | of_answering},
        **asked,
    ),
}
for name, imp in decided.items():
    print(name, imp.analysis[["estimate", "sd", "r_hat", "ess_bulk"]].round(3), sep="\n")

# %%
beside = {
    f"{name}, {how}": table["estimate"]
    for name in decided
    for how, table in {
        "chained": analyses[name].table,
        "the analysis decides": decided[name].analysis[:4],
    }.items()
}
print(pd.DataFrame(beside).round(3).to_string())

# %% [markdown]
# ## How far does the answer depend on ρ?
# Instead of estimating ρ, fix it, and look where the conclusion changes. The second question is
# asked of the same imputations: they are kept in a folder. (The mixed model warns as above.)

# %%
fixed = {name: prior for name, prior in weighing_and_answering["Weight"].items()
         if name != "sd_atanh_rho"}  # fmt: skip
grid = {
    "rho": [-0.75, -0.5, -0.25, 0.0],
    "m": 10,
    "iterations": 5,
    "further": 2,
    "seed": 1,
    "folder": tempfile.mkdtemp(),
    "post": bounds,
    **not_random,
    "priors": {**others, "Weight": fixed},  # a fixed ρ has no spread between regions
}
gender = next(term for term in comparison.index if str(term).startswith("Gender"))
of_gender = bi.sensitivity(df, "Weight", formula, gender, **grid)
print(of_gender)

# %%
of_gender.plot()

# %% [markdown]
# The mean BMI is asked of the four regions with weights, of which something is known.


# %%
def mean_bmi(data):
    """Mean of the people surveyed in regions with weights, and its standard error."""
    bmi = data.loc[data["Cluster"] != 3, "BMI"]
    return {"estimates": {"mean BMI": bmi.mean()}, "std_errors": {"mean BMI": bmi.sem()}}


of_mean = bi.sensitivity(df, "Weight", mean_bmi, "mean BMI", null=30.0, **grid)
print(of_mean)

# %%
of_mean.plot()

# %% [markdown]
# The more negative ρ, the more the silent weigh. Where a conclusion changes, and whether that is
# within the interval of ρ above:

# %%
assert of_mean.table.sort_values("rho")["estimate"].is_monotonic_decreasing
for asked, found in {"difference of men": of_gender, "mean BMI against 30": of_mean}.items():
    for tip in found.tipping.query("axis == 'rho'").to_dict("records"):
        inside = "within" if known["5%"] <= tip["value"] <= known["95%"] else "outside"
        print(f"{asked}: {tip['what']} {found.null:g} at ρ = {tip['value']:.2f}, {inside} the 90 % "
              f"interval of ρ, {known['5%']:.2f} to {known['95%']:.2f}")  # fmt: skip
    if found.tipping.empty:
        print(f"{asked}: the conclusion is the same over the whole grid of ρ")

# %% [markdown]
# ## What remains unknown
# - The weights of region 3. No model gives them back; the spread of its imputed mean is what four
#   other regions and a prior say about a fifth.
# - Whether weights are missing at random. Both models fit the observed data; they differ in what
#   they assume about the rest.
# - Whether `Time` is free of weight, and the errors are normal. ρ rests on these two.
#
# So the report is not one of the three columns but all of them, with the curve over ρ.
