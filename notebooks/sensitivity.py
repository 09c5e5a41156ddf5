# %% [markdown]
# # How far does the answer depend on what no data can tell?
#
# A trial in twelve clinics: does the treatment lower the symptom score? Some of the final scores
# are missing, more often in the control arm and of patients who started badly. An analysis at
# random supposes that patients who left do no worse than others like them who stayed. Nobody knows.
# So the question is turned round: *how much worse* would they have to be before the conclusion
# changes, and is that believable?

# %%
import tempfile

import numpy as np
import pandas as pd
import pymc as pm

import bayesimpute as bi

# %% [markdown]
# ## A trial with known truth
# The treatment lowers the score by 1 point. Patients who do badly leave (the correlation of
# leaving and score is 0.6 given all that is known of them), in both arms, and the distance from the
# clinic makes it harder to stay.

# %%
rng = np.random.default_rng(4)
clinics, patients = 12, 60
clinic = np.repeat(np.arange(clinics), patients)
n = clinic.size
baseline = rng.normal(20, 4, n)
treated = rng.integers(0, 2, n)
distance = rng.exponential(10, n)
error, leaving = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], n).T
score = 4 + 0.7 * baseline - treated + rng.normal(0, 1, clinics)[clinic] + 3 * error
latent = -1.1 + 0.05 * (baseline - 20) - 0.4 * treated + 0.05 * (distance - 5) + leaving
complete = pd.DataFrame(
    {
        "clinic": clinic,
        "arm": pd.Categorical.from_codes(treated, ["control", "treated"]),
        "baseline": baseline.round(1),
        "distance": distance.round(1),
        "score": score.round(1),
    }
)
df = complete.copy()
df.loc[latent > 0, "score"] = np.nan
gone = df["score"].isna()
by_arm = gone.groupby(df["arm"], observed=True).mean()
print(f"missing: {gone.mean():.0%} of the scores, {by_arm['control']:.0%} of the controls, "
      f"{by_arm['treated']:.0%} of the treated; baseline of those who left "
      f"{df.loc[gone, 'baseline'].mean():.1f}, of those who stayed "
      f"{df.loc[~gone, 'baseline'].mean():.1f}")  # fmt: skip
assert by_arm["control"] > by_arm["treated"]
assert df.loc[gone, "baseline"].mean() > df.loc[~gone, "baseline"].mean()
df.groupby("arm", observed=True)["score"].agg(["size", "count", "mean"]).round(2)

# %% [markdown]
# ## At random
# Everything that says who left is in the model: arm, baseline, distance, clinic.

# %%
formula = "score ~ arm + baseline + (1 | clinic)"
run = {"cluster": "clinic", "m": 20, "iterations": 3, "seed": 1}
mar = bi.impute(df, method="normal", **run)
analyses = {
    "nothing missing": bi.fit([complete], formula),
    "complete cases": bi.fit([df.dropna()], formula),
    "at random": mar.fit(formula).pool(),
}
print(bi.compare_estimates(analyses, terms=["armtreated"]))

# %% [markdown]
# ## δ: those who left are worse by so many points
# `bi.delta` adds δ to what the model predicts for patients whose score is missing, and
# `bi.sensitivity` goes over a grid of values. `"p_positive"` is the chance that the effect is above
# `null`, here that the treatment does harm. Points are kept in a folder: a run that was killed goes
# on where it was.

# %%
everyone = bi.sensitivity(
    df, "score", formula, "armtreated", delta=[0, 3, 6], method={"score": "normal"},
    folder=tempfile.mkdtemp(), **run,
)  # fmt: skip
print(everyone)

# %%
everyone.plot()

# %% [markdown]
# More of the control arm left. So if all who left do worse, the treatment looks *better*: this grid
# does not hurt the conclusion, and a reviewer would call it the wrong one.

# %%
assert everyone.table["estimate"].is_monotonic_decreasing and everyone.tipping.empty

# %% [markdown]
# ## δ in one arm only
# What hurts is that those who left the treatment did badly while controls who left are like those
# who stayed. So δ is added in one arm only.

# %%
one_arm = bi.sensitivity(
    df, "score", formula, "armtreated", delta=[0, 2, 4, 6, 8], delta_where="arm == 'treated'",
    method={"score": "normal"}, folder=tempfile.mkdtemp(), **run,
)  # fmt: skip
print(one_arm)

# %%
one_arm.plot()

# %% [markdown]
# This is the sentence for the report. Clinicians, not statisticians, judge whether such a δ is
# believable.

# %%
reached = one_arm.tipping[one_arm.tipping["what"] == "interval reaches"]
for tip in reached["value"]:
    print(f"The benefit is no longer significant if treated patients who left were on average "
          f"{tip:.1f} points worse than their like who stayed, and controls were not.")  # fmt: skip
assert len(reached), "the grid ends before the conclusion changes: go further with delta="

# %% [markdown]
# ## δ as a prior
# Instead of a grid, a belief: those who left are worse by about 2 points, give or take 1, and those
# who left the treatment by another such amount. Every iteration draws δ anew, so its uncertainty is
# in the pooled interval.

# %%
believed = bi.delta(
    bi.delta("normal", pm.Normal.dist(2, 1)), pm.Normal.dist(2, 1), where="arm == 'treated'"
)
belief = bi.impute(df, method={"score": believed}, **run)
print(belief.equations()["score"])

# %% [markdown]
# ## A selection model
# δ is assumed; a selection model estimates how leaving and score hang together, from the distance
# to the clinic: it makes patients leave and is assumed to have nothing else to do with the score. ρ
# is the correlation of the two errors. What is imputed rests on this assumption and on the normal
# shape of the errors, so the first question is how much the data say about ρ.

# %%
selection = {
    "method": {"score": "heckman"},
    "formulas": {"score": "score ~ arm + baseline + distance + (1 | clinic)"},
    "model_options": {"score": {"selection_only": ("distance",)}},
}
heckman = bi.impute(df, **selection, **{**run, "iterations": 10})
known = heckman.identification().iloc[0]
print(known.to_string())
print(f"Fitted at ρ = {known['rho']:.2f} (90 % interval {known['5%']:.2f} to {known['95%']:.2f}; "
      f"the truth here is −0.60): {known['verdict']}.")  # fmt: skip

# %%
analyses |= {"δ as a prior": belief.fit(formula).pool(), "selection": heckman.fit(formula).pool()}
print(bi.compare_estimates(analyses, terms=["armtreated"]))

# %%
bi.plot_estimates(analyses, terms=["armtreated"], truth={"armtreated": -1.0})

# %% [markdown]
# ## Both at once
# ρ fixed over a grid, and on top of it a δ in the treatment arm: the picture a sceptical reader
# asks for. ρ belongs to *staying*: the more negative it is, the worse (higher) the scores of those
# who left are supposed to be, and as more of them were controls, the better the treatment looks.
# Contours are those of the effect; the tipping line is where the interval reaches 0.

# %%
plane = bi.sensitivity(
    df, "score", formula, "armtreated", rho=[0.0, -0.3, -0.6], delta=[0, 2, 4],
    delta_where="arm == 'treated'", folder=tempfile.mkdtemp(), **selection, **{**run, "m": 10},
)  # fmt: skip
print(plane)
without_delta = plane.table[plane.table["delta"] == 0].sort_values("rho")
assert without_delta["estimate"].is_monotonic_increasing

# %%
plane.plot()

# %% [markdown]
# ## What to report
# The answer at random, the δ at which it changes and for whom, the answer by the selection model
# with what it assumes, and the sentence that the data cannot choose between them.
