"""Whether chains wander freely around a common level: traces, and other pictures by arviz-plots."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayesimpute.arguments import CountOrNone, FigureSize, Places, checked
from bayesimpute.data.names import original_text, safe_name
from bayesimpute.diagnostics import (
    FEWEST_DRAWS,
    FEWEST_OFF,
    MOMENTS,
    SHARES,
    judged,
    off_the_commonest,
    quantity_of,
    r_hat,
)
from bayesimpute.engine.history import labels_of
from bayesimpute.errors import SpecificationError
from bayesimpute.plots import panels, style
from bayesimpute.result.restored import require_to_extend
from bayesimpute.result.run import Run
from bayesimpute.wording import did_you_mean, listed, visible

if TYPE_CHECKING:
    import xarray as xr
    from arviz_plots.plot_collection import PlotCollection
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: Functions of arviz-plots without their ``plot_``: with a line for each chain, and the others with
#: what they draw for all chains together, of which blue would mean observed.
BY_CHAIN = ("trace", "trace_dist", "rank", "rank_dist", "autocorr")
TOGETHER = {
    "dist": {"dist": style.IMPUTED},
    "ess": {"ess": style.IMPUTED},
    "ess_evolution": {
        **dict.fromkeys(("ess_bulk", "ess_bulk_line"), style.IMPUTED),
        **dict.fromkeys(("ess_tail", "ess_tail_line"), style.GREY),
    },
    "mcse": {"mcse": style.IMPUTED},
}
type Kind = Literal[
    "trace", "trace_dist", "rank", "rank_dist", "autocorr", "dist", "ess", "ess_evolution", "mcse"
]
MOST_PANELS = 100
NARROWEST = 1.7  # inches of one of several panels
SMALLEST = 5.5  # points of a title
SHOWN = 2  # categories of a variable


@checked
def plot_chains(
    run: Run,
    /,
    kind: Kind = "trace",
    variable: str | Sequence[str] | None = None,
    parameters: str | Sequence[str] | None = None,
    *,
    discard: CountOrNone = 0,
    backend: Literal["matplotlib", "plotly", "bokeh", "none"] | None = None,
    figsize: FigureSize | None = None,
    **options: Any,
) -> "PlotCollection":
    """Trace, rank, autocorrelation, ESS … of chains and of model parameters, by arviz-plots.

    Mean, SD and shares of the imputed values, or parameters of the models, by chain.

    A chain is an imputation and a draw an iteration. In a rank plot lines near zero mean that no
    chain lies higher, lower or wider than the others; what leaves the expected range is marked.
    Quantities that are constant, or not always known, have no chains to compare and are left out.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    kind
        ``"trace"``, ``"trace_dist"`` (densities beside), ``"rank"`` (Δ-ECDF of fractional ranks),
        ``"rank_dist"``, ``"autocorr"``, ``"dist"`` (all chains together), ``"ess"`` (local),
        ``"ess_evolution"`` (bulk in vermillion, tail in grey) or ``"mcse"``. The line of a
        sufficient ESS is at 400, or at the number of draws if that is smaller.
    variable
        One or several targets; by default all.
    parameters
        Names as in ``imp.diagnostics()``: ``"mean"``, ``"sd"``, ``"share"`` of all categories or
        ``"share[low]"``, ``"beta"`` with all its entries or ``"beta[sex]"``; ``"all"`` for all
        parameters of the models. By default what is judged of the imputed values: mean and SD of
        numbers, the share of the second of two categories, and of more those two with the largest
        R-hat (in a rank plot not of categories that are hardly ever imputed: their draws are tied).
    discard
        First iterations to leave out; none by default, as in ``imp.diagnostics()``.
    backend
        ``"matplotlib"``, ``"plotly"`` or ``"bokeh"``, where installed, or ``"none"``; by default
        ArviZ's ``rcParams["plot.backend"]``.
    figsize
        Inches (of 100 dots where the backend counts in those); by default arviz-plots' own.
    **options
        Of the function of arviz-plots.

    Returns
    -------
    arviz_plots.PlotCollection
        As arviz-plots makes it: ``.show()``, ``.savefig(path)``; the figure is
        ``.viz["figure"].item()``.

    Raises
    ------
    SpecificationError
        An unknown kind, backend, target or parameter; too few iterations or chains; more than 100
        panels; or nothing left to draw.

    References
    ----------
    Vehtari et al. (2021), Bayesian Analysis 16(2) (rank plots, local ESS); Säilynoja, Bürkner &
    Vehtari (2022), Statistics and Computing 32 (Δ-ECDF).
    """
    posterior = run.datatree["posterior"].to_dataset()
    draws = posterior.sizes["draw"]
    if not 0 <= discard < max(draws, 1):
        raise SpecificationError(
            f"discard={discard} leaves none of the {draws} iterations; give 0 to {draws - 1}."
        )
    kept = draws - discard
    if kind != "trace" and kept < FEWEST_DRAWS:
        require_to_extend(run.specification)  # where there are no models none can be added
        raise SpecificationError(
            f"kind={kind!r} needs {FEWEST_DRAWS} iterations, not {kept}; imp.extend adds some, and "
            "kind='trace' needs none."
        )
    if kind.startswith("rank") and run.m < 2:
        raise SpecificationError("A rank plot compares chains; with m = 1 there is only one.")
    posterior = posterior.isel(draw=slice(discard, None))
    if parameters is None:
        posterior = judged(posterior)
    drawn = _comparable(_chosen(posterior, variable, parameters), kind)
    if parameters is None:
        drawn = _two_shares_each(drawn, kind)
    if len(drawn) > MOST_PANELS:
        raise SpecificationError(
            f"These are {len(drawn)} panels; choose fewer with variable= and parameters=."
        )
    return _draw(run, kind, drawn, discard, backend, figsize, options)


def least_agreeing(shares: np.ndarray) -> tuple[list[int], bool]:
    """Find the two categories whose chains agree least.

    Parameters
    ----------
    shares
        (m, iterations, categories) of the imputed cells.

    Returns
    -------
    categories
        Positions of (up to) two, the one with the largest R-hat first; the two most frequently
        imputed ones, the more frequent first, where R-hat is not defined: with one chain, fewer
        than 4 iterations, or shares that are all constant. Ties in the order of the categories.
    by_r_hat
        Whether R-hat has decided.
    """
    measure = np.array([r_hat(shares[:, :, k]) for k in range(shares.shape[2])])
    by_r_hat = bool((~np.isnan(measure)).sum() >= SHOWN)
    if not by_r_hat:
        measure = shares.mean(axis=(0, 1))
    order = np.argsort(np.where(np.isnan(measure), np.inf, -measure), kind="stable")
    return [int(k) for k in order[:SHOWN]], by_r_hat


def scalars(posterior: "xr.Dataset") -> dict[tuple[str, str], "xr.DataArray"]:
    """Give every scalar of the posterior by target and quantity, such as ``beta[sex]``."""
    found = {}
    for name, array in posterior.data_vars.items():
        target, quantity = quantity_of(array, name)
        inner = [dim for dim in array.dims if dim not in ("chain", "draw")]
        for at in np.ndindex(*(array.sizes[dim] for dim in inner)):
            one = array[dict(zip(inner, at, strict=True))]
            label = ", ".join(original_text(str(one.coords[dim].item())) for dim in inner)
            key = (target, f"{quantity}[{label}]" if inner else quantity)
            found[key] = one.drop_vars(inner)
    return found


def _chosen(
    posterior: "xr.Dataset",
    variable: str | Sequence[str] | None,
    parameters: str | Sequence[str] | None,
) -> "xr.Dataset":
    """Give every chosen scalar as a variable named target: quantity."""
    import xarray as xr

    found = scalars(posterior)
    targets = list(dict.fromkeys(target for target, _ in found))
    wanted = targets if variable is None else _list(variable)
    for name in wanted:
        if name not in targets:
            raise SpecificationError(
                f"variable={name!r} is no target of the run; there are {listed(targets, 12)}."
                f"{did_you_mean(name, targets)}"
            )
    own = {key: scalar for key, scalar in found.items() if key[0] in wanted}
    return xr.Dataset({safe_name(": ".join(key)): own[key] for key in _named(own, parameters)})


def _named(
    found: Mapping[tuple[str, str], "xr.DataArray"], parameters: str | Sequence[str] | None
) -> list[tuple[str, str]]:
    """Keys of what is drawn."""
    if parameters is None or parameters == "all":
        roles = (MOMENTS, SHARES) if parameters is None else ("parameter",)
        return [key for key, scalar in found.items() if scalar.attrs.get("role") in roles]
    names = _list(parameters)
    known = dict.fromkeys(name for _, q in found for name in (q, q.partition("[")[0]))
    for name in names:
        if name not in known:
            raise SpecificationError(
                f"parameters= names {name!r}, which none of the models has; there are "
                f"{listed(known, 12)}.{did_you_mean(name, known)}"
            )
    return [key for key in found if key[1] in names or key[1].partition("[")[0] in names]


def _list(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _comparable(chosen: "xr.Dataset", kind: str) -> "xr.Dataset":
    """Leave out what is not finite, and, except in a trace, what does not vary in every chain."""
    kept = []
    for name, array in chosen.data_vars.items():
        draws = array.transpose("chain", "draw").values
        if not np.isfinite(draws).all():
            continue
        if kind == "trace" or (np.ptp(draws, axis=1) > 1e-12 * np.abs(draws).max()).all():
            kept.append(name)
    if not kept:
        raise SpecificationError(
            f"kind={kind!r}: of what was chosen nothing is left to draw, because it is constant "
            "within a chain, not known (as the SD of one imputed cell), or no model has parameters."
        )
    return chosen[kept]


def _two_shares_each(drawn: "xr.Dataset", kind: str) -> "xr.Dataset":
    """Keep two categories of a variable, as the trace plot does: those that agree least.

    A rank plot shows categories that are hardly ever imputed only where there are no others: draws
    that are mostly equal have no ranks to compare.
    """
    of: dict[str, list[Any]] = {}
    for name, array in drawn.data_vars.items():
        if array.attrs.get("role") == SHARES:
            of.setdefault(str(array.attrs["target"]), []).append(name)
    left = []
    for names in of.values():
        shares = np.stack([drawn[name].transpose("chain", "draw").values for name in names], -1)
        ranked = np.arange(len(names))
        if kind.startswith("rank"):
            off = [off_the_commonest(shares[..., k]).mean() >= FEWEST_OFF for k in ranked]
            ranked = ranked[off] if any(off) else ranked
        chosen, _ = least_agreeing(shares[..., ranked])
        left += [name for k, name in enumerate(names) if k not in ranked[chosen]]
    return drawn.drop_vars(left)


def trace_on(axes: "Sequence[Axes]", chains: "Sequence[xr.DataArray]", m: int) -> None:
    """Let arviz-plots draw traces on axes that are there, iterations counted from 1."""
    import arviz_plots
    import xarray as xr
    from arviz_plots.plot_collection import PlotCollection

    names = [f"panel {k}" for k in range(len(axes))]
    data = xr.Dataset(dict(zip(names, chains, strict=True)))
    data = data.assign_coords(draw=data["draw"] + 1 - data["draw"][0])
    places = xr.Dataset({name: ((), ax) for name, ax in zip(names, axes, strict=True)})
    collection = PlotCollection(
        data, xr.DataTree.from_dict({"plot": places}), backend="matplotlib",
        aes={"color": ["chain"], "overlay": ["chain"]}, color=_colours(m),
    )  # fmt: skip
    line = {"width": 1.0 if m <= 30 else 0.6, "alpha": 0.85}
    visuals: Any = {"trace": line, "title": False, "xlabel": False, "ticklabels": False}
    tree = xr.DataTree.from_dict({"posterior": data})
    arviz_plots.plot_trace(tree, plot_collection=collection, visuals=visuals)


def _colours(m: int) -> list[str]:
    from matplotlib.colors import to_hex

    return [to_hex(tone) for tone in style.shades(m)]


def _draw(
    run: Run,
    /,
    kind: str,
    drawn: "xr.Dataset",
    discard: int,
    backend: str | None,
    figsize: tuple[float, float] | None,
    options: dict[str, Any],
) -> "PlotCollection":
    import arviz_plots
    import xarray as xr
    from arviz_base import rc_context, rcParams

    if backend is not None:
        _check_backend(backend)
    tree = {"posterior": drawn}
    if "sample_stats" in run.datatree.children:
        statistics = run.datatree["sample_stats"].to_dataset()
        if "diverging" in statistics:
            tree["sample_stats"] = statistics[["diverging"]].isel(draw=slice(discard, None))
    # iterations count from 1, as in plot_trace and events
    tree = {name: group.assign_coords(draw=group["draw"] + 1) for name, group in tree.items()}
    function: Callable[..., PlotCollection] = getattr(arviz_plots, f"plot_{kind}")
    draws = drawn.sizes["draw"]
    backend = backend or str(rcParams["plot.backend"])
    with rc_context({"plot.max_subplots": 2 * MOST_PANELS + 2}):
        arguments = _defaults(kind, run.m, draws, backend, figsize) | options
        collection = function(xr.DataTree.from_dict(tree), backend=backend, **arguments)
    if backend == "matplotlib":
        figure = collection.viz["figure"].item()
        for ax in figure.axes:
            ax.spines[["top", "right"]].set_visible(False)
        _fit_texts(figure)
    return collection


def _fit_texts(figure: "Figure") -> None:
    """Break, shrink and cut titles and labels that would run into others or be clipped.

    Titles are broken between target and quantity; what they name is no mathematics.
    """
    from textwrap import wrap

    for ax in figure.axes:
        for text in (ax.title, ax.xaxis.label, ax.yaxis.label):
            text.set(parse_math=False, text=visible(original_text(text.get_text())))
    style.lay_out(figure)
    for ax in figure.axes:
        wide = style.extent(ax)[0]
        for text in (ax.title, ax.xaxis.label):
            words = text.get_text()
            size = float(text.get_fontsize())
            lines = [words]
            if len(words) > style.letters(wide, size) and text is ax.title:
                lines = words.replace(": ", ":\n", 1).split("\n")
            elif len(words) > style.letters(wide, size):
                lines = wrap(words, max(len(words) // 2 + 2, 8))
            longest = max(map(len, lines), default=0) or 1
            size = max(SMALLEST, min(size, 72 * wide / (style.CHARACTER * longest)))
            text.set(
                fontsize=size,
                text="\n".join(style.cut(line, style.letters(wide, size)) for line in lines),
            )  # fmt: skip


def _defaults(
    kind: str, m: int, draws: int, backend: str, figsize: tuple[float, float] | None
) -> dict[str, Any]:
    """Arguments of arviz-plots that differ from its own defaults, for chains that are short."""
    chosen: dict[str, Any] = {"figure_kwargs": {}}
    if kind in BY_CHAIN:
        # arviz-plots refuses fewer than three colours, also for one chain or two
        chosen["color"] = (_colours(m) * 3)[: max(m, 3)]
    else:
        chosen["visuals"] = {name: {"color": tone} for name, tone in TOGETHER[kind].items()}
    if kind.endswith("dist"):
        chosen["kind"] = "kde"
    if kind in ("trace_dist", "rank_dist"):
        chosen["compact"] = False
    elif figsize is not None:
        chosen["col_wrap"] = max(1, min(4, round(figsize[0] / NARROWEST)))
    if kind == "autocorr":
        chosen["max_lag"] = min(100, draws)
    if kind in ("ess", "ess_evolution"):
        chosen["min_ess"] = min(400, m * draws)
    if figsize is not None:  # others count in dots, and warn where they have to convert
        unit, each = ("inches", 1) if backend == "matplotlib" else ("dots", 100)
        size = (each * figsize[0], each * figsize[1])
        chosen["figure_kwargs"] |= {"figsize": size, "figsize_units": unit}
    if backend == "matplotlib":
        chosen["figure_kwargs"]["layout"] = "constrained"
    return chosen


def _check_backend(backend: str) -> None:
    from importlib.util import find_spec

    needed = {"plotly": ("plotly", "webcolors"), "bokeh": ("bokeh",)}.get(backend, ())
    if any(find_spec(package) is None for package in needed):
        raise SpecificationError(
            f"backend={backend!r} is not installed; pip install 'arviz-plots[{backend}]'."
        )


WIDE = 5.0  # inches; a narrower figure has no room for two variables beside each other
BESIDE = 3  # up to so many variables have a row each; more share rows, two and two


@checked
def plot_trace(
    run: Run,
    variables: Sequence[str] | str | None = None,
    *,
    ax: Places | None = None,
    axes: Places | None = None,
    figsize: FigureSize | None = None,
) -> "Figure":
    """Mean and SD, or shares of categories, by iteration, a line for each chain.

    Numbers have mean and SD of the imputed cells. Categories have shares instead: of two categories
    the first panel shows the share of the second one; of more the two panels show the two whose
    chains agree least, which have the largest R-hats (with fewer than 4 iterations, or one chain,
    the two most frequent). A result of an older file does not know the shares of three or more: its
    panels are mean and SD of the codes 1, 2, …, as mice counts them.

    Free, intermingled lines without trend, and an R-hat near 1 (at most 1.05), speak for
    convergence.

    Parameters
    ----------
    run
        The result of ``bi.impute``.
    variables
        Which ones; by default all that were imputed.
    ax
        Two axes a variable (mean, SD), in any array shape; one axes for one variable, whose left
        panel (mean, or share) alone is drawn then. By default a new figure.
    axes
        The same.
    figsize
        Inches; by default what the number of panels needs.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        If a variable was not imputed, the number of axes does not fit, both `ax` and `axes` are
        given, or `figsize` is too low.

    References
    ----------
    van Buuren & Groothuis-Oudshoorn (2011), Journal of Statistical Software 45(3), figure 3;
    R-hat: Vehtari et al. (2021), Bayesian Analysis 16(2).
    """
    if ax is not None and axes is not None:
        raise SpecificationError("plot_trace: ax= and axes= mean the same; give one of them.")
    given = axes if ax is None else ax
    history, known = run.history, run.specification.table.variables
    imputed = history.variables
    # columns that imp.assign has computed have no chain
    moving = [name for name in imputed if name in history.chain_mean]
    chosen = [variables] if isinstance(variables, str) else list(variables or moving)
    for name in chosen:
        style.check_imputed(name, imputed, known)
        if name not in moving:
            raise SpecificationError(
                f"{name!r} was computed by imp.assign from completed data, and has no chain."
            )
    if not chosen:
        raise SpecificationError("Nothing was imputed, so there is no trace to plot.")
    found = scalars(run.datatree["posterior"].to_dataset())
    each = 2
    if given is not None:
        number = np.asarray(given, dtype=object).size
        each = 1 if (number, len(chosen)) == (1, 1) else 2
        if number != each * len(chosen):
            raise SpecificationError(
                f"plot_trace: {len(chosen)} variable(s) need {2 * len(chosen)} axes (mean and SD "
                f"each){', or 1 for the mean alone' if len(chosen) == 1 else ''}, not {number}; "
                "choose variables with variables=."
            )
    narrow = figsize is not None and figsize[0] < WIDE
    across = 2 if len(chosen) <= BESIDE or narrow else 4
    drawn = panels.panels(
        each * len(chosen), given, figsize, picture="plot_trace", across=across,
        each=(4.0 if across == 2 else 3.1, 2.0), lowest=0.6, head=0.3,
        instead="fewer variables=",
    )  # fmt: skip
    shown: list[tuple[str, str, xr.DataArray]] = []
    chosen_by = ""
    for name in chosen:
        two, why = _two(found, name, labels_of(known[name].categories))
        shown += [(name, words, chains) for words, chains in two[:each]]
        chosen_by = chosen_by or why
    trace_on(drawn.axes, [chains for *_, chains in shown], run.m)
    for k, (panel, (name, words, chains)) in enumerate(zip(drawn.axes, shown, strict=True)):
        _dress(panel, name, words, chains.transpose("chain", "draw").values)
        panel.set_xlabel("iteration" if drawn.outer(k)[0] else "", fontsize=8)
    counted = [f"{n}: {known[n].counted}" for n in chosen if known[n].counted]
    panels.remark(drawn, [f"one line a chain (m = {history.m})", chosen_by, *counted])
    return drawn.figure


def _two(
    found: "dict[tuple[str, str], xr.DataArray]", name: str, categories: Sequence[str]
) -> "tuple[list[tuple[str, xr.DataArray]], str]":
    """Give what both panels of a variable show, and how its categories were chosen."""
    mean, sd = found[name, "mean"], found[name, "sd"]
    if len(categories) == 2:
        return [(f"share of {categories[1]}", mean - 1), ("SD", sd)], ""
    own = [key for key in found if key[0] == name and found[key].attrs.get("role") == "shares"]
    shares = np.array([found[key].transpose("chain", "draw").values for key in own])
    if not own or not np.isfinite(shares).all():
        codes = " of codes" if categories else ""
        return [(f"mean{codes}", mean), (f"SD{codes}", sd)], ""
    picked, by_r_hat = least_agreeing(np.moveaxis(shares, 0, -1))
    rule = "largest R̂" if by_r_hat else "largest shares"
    why = f"of more than two categories the two with the {rule}" if len(categories) > 2 else ""
    return [(f"share of {categories[k]}", found[own[k]]) for k in picked], why


def _dress(ax: "Axes", name: str, words: str, chains: np.ndarray) -> None:
    """Title with R-hat, and ticks at whole iterations."""
    from matplotlib.ticker import MaxNLocator

    wide = style.extent(ax)[0]
    size = 10 if wide > 1.8 else 7
    r, room = _rhat_text(chains), style.letters(wide, size)
    if len(f"{name}: {words}") > room:  # the name gives way to what is shown of it
        name = style.cut(name, max(style.SHORTEST, room - len(words) - 2))
        words = style.cut(words, max(style.SHORTEST + 9, room - len(name) - 2))
    text = f"{name}: {words}"
    between = "   " if len(text) + len(r) + 3 <= room else "\n"
    ax.set_title(style.literal(f"{text}{between}{r}".rstrip()), fontsize=size, loc="left")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4))
    ax.margins(x=0.02)
    if chains.shape[1] == 1:  # a line of one point is not seen
        for line in ax.lines:
            line.set_marker("o")
    if not np.isfinite(chains).any():
        ax.text(
            0.5, 0.5, "one imputed cell: no SD", transform=ax.transAxes, ha="center", va="center",
            color=style.GREY, fontsize=9,
        )  # fmt: skip
        ax.set(xticks=[], yticks=[])


def _rhat_text(chains: np.ndarray) -> str:
    """R-hat as `diagnostics` has it, where there are chains and draws enough."""
    if len(chains) < 2 or chains.shape[1] < FEWEST_DRAWS or not np.isfinite(chains).all():
        return ""
    if np.ptp(chains) == 0:
        return "(constant)"
    value = r_hat(chains)
    return "R̂ ∞" if np.isinf(value) else f"R̂ {value:.2f}" if np.isfinite(value) else ""
