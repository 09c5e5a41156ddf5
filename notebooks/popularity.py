# %% [markdown]
# # Pupils in schools, 42 % of the popularity scores missing
#
# A simulated study with known truth: does teacher experience make pupils more popular, and are
# girls more popular than boys? Whether a score is missing depends on what was observed.

# %%
import bayesimpute as bi

study = bi.simulate.simulate_popularity(seed=1)
study.incomplete.describe()

# %% [markdown]
# ## Model
# Each score is drawn from its posterior predictive distribution given sex, experience and school.

# %%
imp = bi.impute(study.incomplete, cluster="school", seed=1)
print(imp.equations()["popular"])

# %% [markdown]
# ## Check
# Did the chains forget where they started (R-hat near 1), and do they wander freely?

# %%
print(imp.diagnostics()[["variable", "quantity", "r_hat", "ess_bulk", "ess_tail"]])

# %%
imp.plot_trace()

# %% [markdown]
# ## Answer
# Rubin's rules over the 20 completed data sets, beside the numbers the study was drawn with.

# %%
pooled = imp.fit("popular ~ texp + sex + (1 | school)").pool()
answer = pooled.table[["estimate", "std_error", "conf_low", "conf_high", "fmi"]]
print(answer.assign(truth=study.truth))

# %%
components = pooled.variance_components
print(components.to_frame().assign(truth=study.truth))
