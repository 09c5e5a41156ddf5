"""Default priors of scales, written by hand, against PyMC's."""

import subprocess
import sys

import numpy as np
import pymc as pm
import pytest

from bayesimpute.sampling.scales import half_normals, scale_priors

#: Unconstrained values, also where the exponential of their size leaves the numbers that there are.
POINTS = np.array([-800.0, -40.0, -20.0, -3.0, -0.5, 0.0, 0.7, 5.0, 17.0, 19.0, 35.0])


def pymc_model(scale):
    with pm.Model() as model:
        pm.HalfNormal("sd", sigma=scale, default_transform=pm.distributions.transforms.log_exp_m1)
    return model


@pytest.mark.parametrize("scale", [0.5, 1.0, 30.0])
def test_half_normals_are_those_of_pymc(scale):
    model = pymc_model(np.float64(scale))  # the logarithm of a plain 30.0 it takes in float32
    value, (sd,) = model.value_vars[0], model.replace_rvs_by_values(model.free_RVs)
    density = pm.compile([value], [model.logp(), model.dlogp(), sd])
    priors = scale_priors({"a": scale, "b": 2.0}, {})
    for point in POINTS:
        at = np.array([point, 0.3])
        each, gradient, parameters, slope = half_normals((at, priors.constants))
        theirs = [float(np.squeeze(part)) for part in density(point)]
        ours = [each[0], gradient[0], parameters[0]]
        assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-300)
        assert slope[0] == pytest.approx(np.exp(-np.logaddexp(0.0, -point)), rel=1e-12)


def test_each_default_prior_has_its_own_scale():
    both = scale_priors({"a": 0.5, "b": 2.0}, {})
    at = np.array([0.4, -1.0])
    alone = [scale_priors({"x": s}, {})(at[[k]]) for k, s in enumerate((0.5, 2.0))]
    value, gradient, parameters, slope = both(at)
    assert value == pytest.approx(sum(each[0] for each in alone))
    for mine, part in ((gradient, 1), (parameters, 2), (slope, 3)):
        assert mine == pytest.approx([each[part][0] for each in alone])


def test_no_scales_have_no_prior():
    value, gradient, _, _ = scale_priors({}, {})(np.empty(0))
    assert value == 0.0
    assert gradient.size == 0


def point_of(model, at):
    return dict(zip([v.name for v in model.value_vars], at, strict=True))


def test_a_replaced_prior_leaves_the_others_as_they_are():
    names, at = {"sd": 1.5, "nu": 1.0}, np.array([0.3, 1.2])
    plain, other = scale_priors(names, {}), scale_priors(names, {"nu": pm.Gamma.dist(2, 0.1)})
    model = pymc_model(np.float64(1.5))
    with model:
        pm.Gamma("nu", 2, 0.1)  # by its logarithm
    _, gradient, parameters, slope = other(at)
    assert other(at)[0] == pytest.approx(float(model.compile_logp()(point_of(model, at))))
    assert gradient == pytest.approx(model.compile_dlogp()(point_of(model, at)))
    assert parameters == pytest.approx([plain(at)[2][0], np.exp(1.2)])
    assert slope == pytest.approx([plain(at)[3][0], np.exp(1.2)])


@pytest.mark.parametrize("count", [1, 2])
def test_functions_of_replaced_priors_have_one_type_so_that_nothing_is_compiled_anew(count):
    names = {"a": 1.0, "b": 2.0}
    replaced = scale_priors(names, {n: pm.Gamma.dist(2, 0.1) for n in list(names)[:count]})
    assert replaced.function.signature() == scale_priors(names, {}).function.signature()


RUN = """
import sys
import bayesimpute as bi
data = bi.simulate.simulate_popularity(seed=1, schools=4, pupils=40).incomplete
bi.impute(data, cluster="school", method="normal", m=1, iterations=1, seed=1, progress=False)
late = ("pymc", "pytensor", "arviz", "matplotlib", "scipy.stats")
print([name for name in late if name in sys.modules])
"""


def test_a_run_with_default_priors_waits_for_no_import_of_pymc_or_of_scipy_stats():
    run = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
