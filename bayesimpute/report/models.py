"""The conditional models: equations, what each says in plain sentences, and what it assumes."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayesimpute.errors import BayesimputeError
from bayesimpute.html import Html, join, number, safe, tag
from bayesimpute.method import words_of
from bayesimpute.plots.assumptions import plot_rho
from bayesimpute.prior.of_run import priors as used_priors
from bayesimpute.registry import resolve
from bayesimpute.report.content import (
    Content,
    folded,
    grid,
    note,
    paragraph,
    picture,
    subheading,
)
from bayesimpute.result.checks import draws_of_rho, identification
from bayesimpute.specification.equations import (
    Equation,
    equation_of,
    equations,
    setting_of,
    template_of,
)
from bayesimpute.specification.specification import Passive, Specification, Target
from bayesimpute.wrappers.base import innermost, layers, method_text
from bayesimpute.wrappers.by_group import ByGroup
from bayesimpute.wrappers.delta import Delta
from bayesimpute.wrappers.fixed_clusters import FixedClusters
from bayesimpute.wrappers.only_where import OnlyWhere

#: Models shown unfolded.
MOST_OPEN = 12


def models(content: Content) -> Html:
    """One card a target, in the order of visits."""
    run = content.run
    specification = run.specification
    texts = equations(specification)
    order = list(dict.fromkeys(name for name in run.history.imputed if name in texts))
    order += [name for name in texts if name not in order]
    cards = [model_card(specification, name, texts[name]) for name in order]
    opening = [
        paragraph(
            f"Each of the m = {run.m} imputations is a chain of its own. In each of its "
            f"{run.iterations} iterations every incomplete variable is visited in turn: "
            "the parameters of its model are drawn given the completed values of the others, then "
            "its missing values."
        ),
        paragraph("Order of visits: ", ", ".join(specification.visit_sequence), "."),
        note(legend(specification)),
    ]
    first, rest = cards[:MOST_OPEN], cards[MOST_OPEN:]
    more = [folded(f"{len(rest)} more models", *rest)] if rest else []
    return join([*opening, *first, *more])


def legend(specification: Specification) -> str:
    """Explain the symbols of these models, those that occur."""
    targets = [t for t in specification.targets.values() if isinstance(t, Target)]
    said = " ".join(template_of(specification, target.name) for target in targets)
    settings = [setting_of(specification, target) for target in targets]
    clustered = any(setting.target.cluster is not None for setting in settings)
    several = any(len(setting.groupings) > 1 for setting in settings)
    effects = any(setting.groupings for setting in settings)
    vectors = any(width > 1 for setting in settings for width in setting.widths.values())
    selects = "$selection" in said
    of = "the outcome, γ of whether it is seen" if selects else "the population"
    letters = "b and a are" if selects else "b are"
    sentences = {
        f"i counts rows{' and j clusters' if clustered else ''}.": True,
        "Of several groupings j, k, … count the clusters, in the order shown.": several,
        f"β are coefficients of {of}.": True,
        f"{letters} effects of single clusters, Ψ their covariance matrix.": effects,
        "c are cutpoints between categories.": "c_k" in said,
        "Σ is the covariance matrix of residuals.": "Σ" in said,
        "A star marks latent values.": "$star" in said,
        "A bold coefficient is a vector, one number for each category of its predictor but the "
        "reference.": vectors,
        "Predictors are centred at their observed means.": True,
    }
    return " ".join(sentence for sentence, holds in sentences.items() if holds)


def model_card(specification: Specification, name: str, text: str) -> Html:
    """One model: heading, equations, sentences.

    Parameters
    ----------
    specification
        Of the run.
    name
        The target.
    text
        Its equation as text: what is read aloud, or shown where there is no other.
    """
    target = specification.targets[name]
    equations = equations_html(specification, name, text)
    if not equations:
        equations = tag("div", tag("code", text), class_="equations")
    cells = int(specification.where[name].sum())
    labels = [f"{cells:,} cells", *_labels(specification, target)]
    chips = join([tag("span", label, class_="chip") for label in labels], " ")
    return tag(
        "article",
        subheading(name, " ", chips),
        equations,
        paragraph(" ".join(says(specification, name))),
        class_="model",
    )


def _labels(specification: Specification, target: Target | Passive) -> list[str]:
    if isinstance(target, Passive):
        return ["computed"]
    asked = specification.methods.get(target.name, "")
    meant = method_text(innermost(target.method))
    labels = {
        f"method {asked or meant}": True,
        f"= {meant}": meant not in asked,
        **{f"{name} = {value}": True for name, value in target.options.items()},
        f"own priors: {', '.join(target.priors)}": bool(target.priors),
        "one value a cluster": target.level == 2,
    }
    return [label for label, holds in labels.items() if holds]


#: Characters that stand for names.
_NAMED = re.compile("[\U000f0000-\U000ffffd]")
#: What browsers show better: bold letters, ∼ as a relation, names of functions without the space
#: around operators, a plus that begins a line as between two summands.
_BETTER: Mapping[str, str | Callable[[re.Match[str]], str]] = {
    # of Unicode's bold alphabet the letter that is meant, the `a` at 1A
    "<mi>&#x1D4([123].);</mi>": lambda at: (
        f'<mi mathvariant="bold">{chr(ord("a") + int(at[1], 16) - 0x1A)}</mi>'
    ),
    'mathvariant="bold"': 'mathvariant="normal" class="vector"',
    "<mi>&#x0007E;</mi>": "<mo>∼</mo>",
    "<mo>([A-Za-z]+)</mo>": r"<mi>\1</mi>",
    r"^<mrow><mo>&#x0002B;": '<mrow><mo form="infix">&#x0002B;',
}


#: Letters that fit on a line; longer sums go on below.
LINE = 90


def equations_html(specification: Specification, name: str, text: str) -> Html:
    """Equations of a target as MathML, `text` read aloud in their place; empty without any."""
    equation = equation_of(specification, name)
    if equation is None:
        return Html("")
    drawn, spoken = [], text or None
    for line in equation.lines:
        for place, part in enumerate(broken(equation, line)):
            look = "line more" if place else "line"
            drawn.append(tag("div", _math(equation, part, spoken), class_=look))
            spoken = None
    return tag("div", join(drawn), class_="equations")


def broken(equation: Equation, line: str) -> Iterator[str]:
    """Parts of a line that are not too long, broken where it may be: before a plus sign."""
    first, *summands = line.split(r"\allowbreak")
    part = first
    for summand in summands:
        if len(equation.text(part + summand)) > LINE:
            yield part
            part = ""
        part += summand
    yield part


def _math(equation: Equation, latex: str, spoken: str | None) -> Html:
    """Give a line as MathML; names come in once it is, so that nothing in them is a command."""
    from latex2mathml.converter import convert

    inside = re.sub(r"^<math.*?>|</math>$", "", convert(latex))
    for what, better in _BETTER.items():
        inside = re.sub(what, better, inside)
    inside = _NAMED.sub(lambda found: safe(equation.names.get(found[0], found[0])), inside)
    return tag("math", Html(inside), displaystyle="true", alttext=spoken)


#: Names listed in a sentence before the rest is counted.
MOST_NAMES = 12


def says(specification: Specification, name: str) -> list[str]:
    """Sentences about the model of a target."""
    target = specification.targets[name]
    if isinstance(target, Passive):
        return [
            f"Computed anew from {names(target.inputs)} after each visit, so that it never "
            "contradicts what it is computed from."
        ]
    words, template = words_of(resolve(innermost(target.method))), template_of(specification, name)
    if words is None:
        return [
            f"A model of your own, {specification.methods[name]}, with the predictors "
            f"{names(term.label for term in target.terms)}.",
            *_around(target),
        ]
    filled = {
        "x": names(term.label for term in target.terms if term.fixed or term.random),
        "donors": target.options.get("donors", 5),
        "block": names(each for each in target.block if each != name),
    }
    sentences = [f"{words.distribution.format(**filled)}.", words.draw.format(**filled)]
    if any(place in template for place in ("$predictor", "$slopes", "$function", "$bend")):
        sentences[1:1] = _about_clusters(specification, target)
    sentences += _about_selection(target) if "$selection" in template else []
    return [*sentences, *_around(target)]


def names(labels: Any) -> str:
    """Names with commas, the rest counted; ``"nothing"`` for none."""
    listed = [str(label) for label in labels]
    if not listed:
        return "nothing else"
    if len(listed) > MOST_NAMES:
        return f"{', '.join(listed[:MOST_NAMES])} and {len(listed) - MOST_NAMES} more"
    return ", ".join(listed[:-1]) + (" and " if len(listed) > 1 else "") + listed[-1]


def _begun(words: str) -> str:
    """Begin a sentence; names in it keep their capitals."""
    return words[:1].upper() + words[1:]


def _about_clusters(specification: Specification, target: Target) -> list[str]:
    if target.cluster is None:
        return []
    table, sentences = specification.table, []
    n, effects = table.clusters(target.cluster).n, target.effects
    if target.level == 2:
        sentences.append(
            f"It has one value in each of the {n:,} clusters of {target.cluster}, so a row of the "
            "model is a cluster, and what varies within clusters predicts by its mean."
        )
    elif any(isinstance(layer, FixedClusters) for layer in layers(target.method)):
        sentences.append(
            f"Each of the {n:,} clusters of {target.cluster} has a coefficient of its own."
        )
        effects = target.groupings
    for each in effects:
        slopes = [label for label, _ in each.slopes]
        varying = ["the intercept"] * each.intercept
        varying += [f"the effect of {names(slopes)}"] * bool(slopes)
        if varying:
            verb = "vary" if len(varying) > 1 or len(slopes) > 1 else "varies"
            sentences.append(
                f"{_begun(' and '.join(varying))} {verb} between the "
                f"{table.clusters(each.name).n:,} clusters of {each.name}, whose effects come from "
                "a common normal distribution."
            )
    if len(effects) > 1:
        sentences.append("Effects of different groupings are independent.")
    if any(part for each in effects for _, part in each.slopes):
        sentences.append(
            "Effects in different brackets of its formula are independent, and slopes in others "
            "than the intercept's are not centred."
        )
    by = len(effects) > 1
    sentences += [
        f"The cluster mean of {names(each.means)}{f' by {each.name}' * by} predicts too, so that "
        "effects within and between clusters may differ."
        for each in effects
        if each.means
    ]
    if target.options.get("heteroscedastic"):
        sentences.append("Each cluster has a residual spread of its own.")
    return sentences


#: Equations of a selection model that a term may be in alone.
ONLY = ("selection", "outcome")


def _about_selection(target: Target) -> list[str]:
    of = {each: [t.label for t in target.terms if t.equation == each] for each in ONLY}
    sentences = ["There is no exclusion restriction; see Selection models."]
    if of["selection"]:
        sentences = [
            f"Exclusion restriction: {names(of['selection'])} predicts whether the value is "
            "seen, and not the value."
        ]
    if of["outcome"]:
        sentences.append(f"In the outcome only: {names(of['outcome'])}.")
    rho = target.options.get("rho")
    if rho is not None:
        sentences.append(f"ρ is fixed at {rho:g}: an assumption, not an estimate.")
    return sentences


def _around(target: Target) -> list[str]:
    """Sentences about wrappers and about what happens to drawn values."""
    sentences = []
    for layer in layers(target.method):
        words = layer.equation("").removeprefix(";").strip()
        if isinstance(layer, ByGroup):
            sentences.append(f"Fitted separately for each value of {layer.by}.")
        elif isinstance(layer, OnlyWhere):
            sentences.append(f"{_begun(words)}.")
        elif isinstance(layer, Delta):
            moved = "the linear predictor of the missing values"
            sentences.append(
                "Shifted, as if not missing at random: "
                f"{words.removeprefix('imputed with ')} is added to "
                f"{moved if layer.moves_predictor else 'the values drawn'}."
            )
    if target.post is not None:
        name = getattr(target.post, "__name__", str(target.post))
        sentences.append(f"Drawn values then go through {name}.")
    return sentences


#: Models whose priors are shown; building a model takes some seconds.
MOST_MODELS = 30


def priors(content: Content) -> Html:
    """One table a target."""
    run = content.run
    targets = [
        name for name, target in run.specification.targets.items() if isinstance(target, Target)
    ]
    shown, left = targets[:MOST_MODELS], targets[MOST_MODELS:]
    opening = paragraph(
        "What each model assumed of its parameters before it saw the data: distribution, median "
        "and 90 % interval. Defaults are weakly informative and follow the scale of the data; "
        "those given by the user are marked. SDs are between clusters unless they are sigma."
    )
    parts, refused = [opening], dict[str, list[str]]()
    for name in shown:
        try:
            parts.append(_priors_of(name, used_priors(run, name)))
        except BayesimputeError as error:
            refused.setdefault(str(error), []).append(name)
    parts += [note(f"Not shown: {', '.join(names)}. {error}") for error, names in refused.items()]
    if left:
        parts.append(note(f"Left out: {', '.join(left)}; imp.priors(variable) shows them."))
    return join(parts)


def _priors_of(name: str, found: pd.DataFrame) -> Html:
    if found.empty:
        return folded(name, note("No parameter has a prior that could be shown."))
    rows = [
        (row["parameter"], row["element"], row["distribution"],
         *(number(row[name], 3) for name in ("5%", "50%", "95%")),
         "user" if row["replaced"] else "default")
        for _, row in found.iterrows()
    ]  # fmt: skip
    columns = ["parameter", "of", "prior", "5 %", "median", "95 %", "source"]
    own = int(found["replaced"].sum())
    mark = f", {own} of the user's own" if own else ""
    return folded(f"{name}: {len(rows)} priors{mark}", grid(columns, rows, (3, 4, 5)))


NUMBERS = ("strength", "rho", "5%", "95%", "contraction", "overlap")


def selection(content: Content) -> Html:
    """Identification of each selection model, and every δ; empty without any."""
    parts = _identification(content)
    rows = [
        (name, str(layer))
        for name, target in content.run.specification.targets.items()
        if isinstance(target, Target)
        for layer in layers(target.method)
        if isinstance(layer, Delta)
    ]
    if rows:
        parts += [
            subheading("δ-adjustments"),
            paragraph(
                "What is imputed lies elsewhere than the model says of the observed values: δ is "
                "added to the linear predictor of the missing values, or, without one, to the "
                "values drawn. It is an assumption, and no data can show it right or wrong; report "
                "the answer over a range of it."
            ),
            grid(["variable", "shift"], rows, ()),
            note("bi.sensitivity(…) repeats imputation and analysis over a grid of assumptions."),
        ]
    return join(parts)


def _identification(content: Content) -> list[Html]:
    found = identification(content.run)
    if found.empty:
        return []
    population = found[found["cluster"].isna()]
    clusters = found[found["cluster"].notna()]
    rows = [
        (row["variable"], row["exclusion"] or "none",
         *(number(row[name], 3) for name in NUMBERS), row["verdict"])
        for _, row in population.iterrows()
    ]  # fmt: skip
    columns = ["variable", "exclusion restriction", "strength", "ρ", "5 %", "95 %",
               "contraction", "overlap", "verdict"]  # fmt: skip
    parts = [
        subheading("Selection models"),
        paragraph(
            "These models let whether a value is seen depend on the value itself, by the "
            "correlation ρ of two errors. Data hardly ever say much of it. Contraction near 0 and "
            "overlap near 1 mean that the posterior of ρ is its prior; an exclusion restriction (a "
            "predictor of being seen that does not predict the value) is strong where its "
            "coefficient is more than about three SDs from 0."
        ),
        grid(columns, rows, range(2, 8)),
    ]
    for name in dict.fromkeys(map(str, population["variable"])):
        if drawn := draws_of_rho(content.run, name):  # of a fixed ρ there are none
            seen = [
                f"{each.name} posterior median {number(float(np.median(each.posterior)), 2)}, 90 % "
                f"{number(float(np.quantile(each.posterior, 0.05)), 2)} to "
                f"{number(float(np.quantile(each.posterior, 0.95)), 2)}"
                for each in drawn[:MOST_SPOKEN]
            ]
            words = f"ρ of {name}: prior and posterior, of all clusters and of each"
            parts.append(picture(partial(plot_rho, content.run, name), words, "; ".join(seen)))
    if len(clusters):
        rows = [
            (f"{row['variable']}, {row['cluster']}",
             *(number(row[name], 3) for name in (*NUMBERS[1:], "own")), row["verdict"])
            for _, row in clusters.iterrows()
        ]  # fmt: skip
        head = ["variable, cluster", *columns[3:8], "own", "verdict"]
        parts.append(folded(f"ρ of {len(rows)} clusters", grid(head, rows, range(1, 7))))
    return parts


#: Clusters in the words for a picture of ρ.
MOST_SPOKEN = 8
