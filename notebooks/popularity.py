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
print(imp.diagnostics())

# %%
imp.plot_trace()

# %% [markdown]
# ## Answer

# %%
pooled = imp.fit("popular ~ texp + sex + (1 | school)").pool()
print(pooled.table)
print(pooled.variance_components)
