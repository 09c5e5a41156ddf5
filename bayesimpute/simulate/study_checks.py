"""What can be said of a simulation study before it has taken any time."""

import inspect
from collections.abc import Mapping
from numbers import Real
from typing import Any

from bayesimpute.arguments import check_arguments
from bayesimpute.errors import SpecificationError
from bayesimpute.imputation import impute as run_imputation
from bayesimpute.imputation import specified
from bayesimpute.pooling.formula_design import check_formula
from bayesimpute.pooling.formula_models import check_family
from bayesimpute.simulate.performance import COMPLETE_CASES, COMPLETE_DATA
from bayesimpute.simulate.study import Outcome, Study
from bayesimpute.specification.aliases import MATCHING
from bayesimpute.specification.specify import specify
from bayesimpute.wording import did_you_mean, listed

BUILT_IN = (COMPLETE_DATA, COMPLETE_CASES)

#: Arguments of ``bi.impute`` that the runner gives itself.
OWN = ("df", "seed", "executor", "checkpoint", "progress")


def check_study(simulate: Any, methods: Any, analysis: Any) -> None:
    """Refuse arguments of the runner that cannot be used.

    Raises
    ------
    SpecificationError
        Naming the argument.
    """
    if not callable(simulate):
        raise SpecificationError(
            "replicate: simulate= must be a function of a seed, such as "
            "partial(bi.simulate.simulate_selection, rho=0.6)."
        )
    if not isinstance(analysis, str) and not callable(analysis):
        raise SpecificationError(
            f"replicate: analysis={analysis!r} must be a formula, or a function of a frame."
        )
    if not isinstance(methods, Mapping) or not methods:
        raise SpecificationError(
            "replicate: methods= must name at least one method, such as "
            f'{{"complete data": None, "at random": {{"method": {{"y": "{MATCHING}"}}}}}}.'
        )


def prepared_methods(methods: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """Give methods with their arguments in full; built-in ones are None."""
    _check_arguments("impute=", common)
    prepared: dict[str, Any] = {}
    for name, given in methods.items():
        if not isinstance(name, str) or not name:
            raise SpecificationError(f"replicate: the method name {name!r} must be a text.")
        where = f"method {name!r}"
        if name in BUILT_IN:
            if given is not None:
                raise SpecificationError(
                    f"replicate: {where} is built in; give None, or choose another name."
                )
        elif isinstance(given, str):
            given = {**common, "method": given}
        elif isinstance(given, Mapping):
            _check_arguments(where, given)
            given = {**common, **given}
        elif not callable(given):
            raise SpecificationError(
                f"replicate: {where} is {given!r}; give arguments of bi.impute as a dict, a "
                "method's name, or a function of study and seed. None is for "
                f"{' and '.join(map(repr, BUILT_IN))}.{did_you_mean(name, BUILT_IN)}"
            )
        prepared[name] = given
    return prepared


def _check_arguments(where: str, given: Any) -> None:
    known = inspect.signature(run_imputation).parameters
    if not isinstance(given, Mapping):
        raise SpecificationError(f"replicate: {where} must be a dict of arguments of bi.impute.")
    for name in given:
        if name in OWN:
            raise SpecificationError(
                f"replicate: {where} gives {name!r}, which is the runner's to give; leave it out."
            )
        if name not in known:
            raise SpecificationError(
                f"replicate: {where} gives {name!r}, which is no argument of bi.impute."
                f"{did_you_mean(name, [each for each in known if each not in OWN])}"
            )
    check_arguments(run_imputation, given)


def rehearse(study: Study, number: int) -> None:
    """Look at one data set, so that what can never work is said before any work."""
    data = study.simulated(number)
    if isinstance(study.analysis, str):
        check_family(study.family)
        check_formula(study.analysis, data.complete.columns)
    elif study.family is not None:
        raise SpecificationError(
            "replicate: family= belongs to a formula; a function chooses its own model."
        )
    known = set(inspect.signature(specify).parameters)
    for name, work in study.methods.items():
        if isinstance(work, Mapping):
            arguments = {key: value for key, value in work.items() if key in known}
            try:
                specified(data.incomplete, **arguments)
            except SpecificationError as error:
                raise SpecificationError(f"replicate: method {name!r}: {error}") from error
            except Exception:
                # of these data, perhaps, and not of others: it will be among the failures
                continue


def check_numbers(truth: Any) -> None:
    """Refuse a truth that is no number by term; NaN is one that is not known.

    Raises
    ------
    SpecificationError
        Before any work.
    """
    if truth is None:
        return
    values = list(truth.values()) if isinstance(truth, Mapping) else [None]
    if not all(isinstance(value, Real) for value in values):
        raise SpecificationError(f"truth={truth!r:.60} must be a dict from term to number.")


def check_truth(
    truth: Mapping[str, float] | None, found: Mapping[tuple[int, str], Outcome]
) -> None:
    """Refuse a truth of other terms than the analyses gave.

    Raises
    ------
    SpecificationError
        Naming the term and those there are.
    """
    known = dict.fromkeys(answer[0] for each in found.values() for answer in each.answers)
    if not known:
        return
    given = truth
    if given is None:
        # a study knows more than one analysis asks for
        given = next(iter(found.values())).truth
        if not given or any(term in known for term in given):
            return
    for term in given:
        if term not in known:
            raise SpecificationError(
                f"replicate: truth has the term {term!r}, and no analysis gave it; there are "
                f"{listed(known, most=12)}.{did_you_mean(term, known)}"
            )
