"""The public names of pooling, each with its home."""

from .constraints import constraint_estimates as constraint_estimates
from .constraints import test_constraints as test_constraints
from .correlation import pool_correlation as pool_correlation
from .correlation import pool_covariance as pool_covariance
from .model_tests import D1 as D1
from .model_tests import D2 as D2
from .model_tests import D3 as D3
from .model_tests import D4 as D4
from .model_tests import PooledTest as PooledTest
from .model_tests import pool_chi2 as pool_chi2
from .model_tests import pool_F as pool_F
from .pooled import Pooled as Pooled
from .pooled import pool as pool
from .pooled import pool_anova as pool_anova
from .pooled import pool_r_squared as pool_r_squared
from .predictions import pool_predictions as pool_predictions
