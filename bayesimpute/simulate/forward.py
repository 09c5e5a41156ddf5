"""The textbook model run forward: parameters from their priors, then values of the target."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesimpute.errors import SamplingError, SpecificationError
from bayesimpute.method import Array
from bayesimpute.sampling.generic import reseed


class Forward:
    """Joint draws of parameters and data, compiled once.

    Parameters
    ----------
    model
        Textbook model with one observed variable, (row,).
    labels
        The kernel's parameters and the labels of their elements; each is a variable of the model
        with the same name.
    rows
        Rows of the design.

    Raises
    ------
    SpecificationError
        If model and kernel do not agree on the parameters, or there is no single observed
        variable with a value for each row.
    """

    def __init__(self, model: Any, labels: Mapping[str, tuple[str, ...]], rows: int) -> None:
        import pymc as pm
        from pytensor.compile.mode import Mode

        if len(model.observed_RVs) != 1:
            raise SpecificationError(
                f"sbc: the method's model has {len(model.observed_RVs)} observed variables, and "
                "one is needed to simulate from; calibrate the methods it is made of."
            )
        unknown = [name for name in labels if name not in model.named_vars]
        if unknown:
            raise SpecificationError(
                f"sbc: the kernel reports {', '.join(map(repr, unknown))}, which the method's "
                "model() does not have; give free or deterministic variables these names."
            )
        observed = model.observed_RVs[0]
        size = model.rvs_to_values[observed].eval().shape
        if size != (rows,):
            raise SpecificationError(
                f"sbc: the method's model observes {size} values and the design has {rows} rows; "
                "it leaves some to another model, or to none; calibrate the method inside."
            )
        self._labels = labels
        self._function = pm.compile(
            [],
            [*(model[name] for name in labels), observed],
            random_seed=0,
            # a few hundred calls do not repay seconds of compiling
            mode=Mode(linker="py", optimizer="fast_compile"),
        )

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, Array], Array]:
        """Draw parameters, (element,) each, and the data, (row,).

        Raises
        ------
        SamplingError
            If a value of the data is not finite.
        """
        reseed(self._function, rng)
        *drawn, y = self._function()
        y = np.asarray(y, dtype=float)
        if not np.isfinite(y).all():
            raise SamplingError(
                "sbc: the priors draw data that are not finite; give tighter ones by priors=."
            )
        return {
            name: elements(value, labels, name)
            for (name, labels), value in zip(self._labels.items(), drawn, strict=True)
        }, y


def elements(value: Any, labels: tuple[str, ...], name: str) -> Array:
    """Elements of a parameter in the order of its labels, (element,).

    Raises
    ------
    SpecificationError
        If it has another number of them.
    """
    array = np.asarray(value, dtype=float)
    wanted = len(labels) or 1
    if array.ndim == 2 and array.size != wanted and array.shape[0] == array.shape[1]:
        if not np.triu(array, 1).any():
            array = array @ array.T  # PyMC's LKJCorr is the Cholesky factor of the correlations
        array = array[np.tril_indices(len(array), -1)]  # a kernel names what is below the diagonal
        # and of that only what is not zero because the effects are independent
        array = array if array.size == wanted else array[array != 0]
    if array.size != wanted:
        raise SpecificationError(
            f"sbc: parameter {name!r} has {array.size} element(s) in model() and {wanted} label(s) "
            "in the kernel."
        )
    return array.ravel()
