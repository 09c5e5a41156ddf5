"""Several PyMC models as one, for readers: names and dims carry the group's label."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any


def joined_model(models: Mapping[str, Any]) -> Any:
    """Put models side by side in one ``pm.Model``.

    PyMC's own nested models would share dims such as ``row``, whose length differs by group.

    Parameters
    ----------
    models
        Label -> model, built for this purpose: its variables are renamed and move over.

    Returns
    -------
    pymc.Model
        Variable ``sigma`` of group ``a`` is ``sigma[a]``, dim ``row`` is ``row[a]``.
    """
    import pymc as pm

    joined = pm.Model(model=None)
    for label, model in models.items():
        move(model, joined, partial(_labelled, label))
    return joined


def _labelled(label: str, name: str) -> str:
    return f"{name}[{label}]"


def move(model: Any, joined: Any, renamed: Callable[[str], str]) -> None:
    """Move all variables of a model into another, under new names; so are its dims called.

    Parameters
    ----------
    model
        Built for this purpose.
    joined
        The other.
    renamed
        Gives the new name of a variable or dim.
    """
    for dim, length in model.dim_lengths.items():
        joined.add_coord(renamed(dim), model.coords.get(dim), length=length)
    names = {variable: name for name, variable in model.named_vars.items()}
    for variable in model.basic_RVs:
        variable.name = renamed(names[variable])
        value = model.rvs_to_values[variable]
        free = variable in model.free_RVs
        (joined.free_RVs if free else joined.observed_RVs).append(variable)
        transform = model.rvs_to_transforms[variable]
        # PyMC finds sigma_log__ by the name of sigma; codes cast from observed data have none
        if value not in names and value.name is not None:
            value.name = variable.name + value.name.removeprefix(names[variable])
        joined.create_value_var(
            variable, transform=transform, default_transform=None, value_var=value
        )
        if free:
            joined.set_initval(variable, model.rvs_to_initial_values.get(variable))
    for variable, name in names.items():
        for mine, theirs in (
            (joined.deterministics, model.deterministics),
            (joined.potentials, model.potentials),
            (joined.data_vars, model.data_vars),
        ):
            if variable in theirs:
                mine.append(variable)
        variable.name = renamed(name)
        dims = model.named_vars_to_dims.get(name)
        dims = None if not dims else tuple(d and renamed(d) for d in dims)
        joined.add_named_variable(variable, dims=dims)
