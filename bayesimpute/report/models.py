"""The conditional models: equations, and what each says in plain sentences."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bayesimpute.html import Html, join, safe, tag
from bayesimpute.method import words_of
from bayesimpute.registry import resolve
from bayesimpute.report.content import Content, folded, note, paragraph, subheading
from bayesimpute.specification.equations import (
    Equation,
    equation_of,
    equations,
    setting_of,
    template_of,
)
from bayesimpute.specification.specification import Passive, Specification, Target
from bayesimpute.wrappers.base import Wrapper, innermost, layers, method_text
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
    selects = "$selection" in said
    sentences = [f"i counts rows{' and j clusters' if clustered else ''}."]
    if any(len(setting.groupings) > 1 for setting in settings):
        sentences.append("Of several groupings j, k, … count the clusters, in the order shown.")
    sentences.append(
        "β are coefficients of the outcome, γ of whether it is seen."
        if selects
        else "β are coefficients of the population."
    )
    if any(setting.groupings for setting in settings):
        letters = "b and a are" if selects else "b are"
        sentences.append(f"{letters} effects of single clusters, Ψ their covariance matrix.")
    if "c_k" in said:
        sentences.append("c are cutpoints between categories.")
    if "Σ" in said:
        sentences.append("Σ is the covariance matrix of residuals.")
    if "$star" in said:
        sentences.append("A star marks latent values.")
    if any(width > 1 for setting in settings for width in setting.widths.values()):
        sentences.append(
            "A bold coefficient is a vector, one number for each category of its predictor but "
            "the reference."
        )
    sentences.append("Predictors are centred at their observed means.")
    return " ".join(sentences)


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
    labels = [f"method {asked}" if asked else f"method {meant}"]
    if meant not in asked:
        labels.append(f"= {meant}")
    labels += [f"{name} = {value}" for name, value in target.options.items()]
    if target.priors:
        labels.append(f"own priors: {', '.join(target.priors)}")
    if target.level == 2:
        labels.append("one value a cluster")
    return labels


#: Characters that stand for names.
_NAMED = re.compile("[\U000f0000-\U000ffffd]")
#: What browsers show better: bold letters, ∼ as a relation, names of functions without the space
#: around operators, a plus that begins a line as between two summands.
_BETTER: Mapping[str, str | Callable[[re.Match[str]], str]] = {
    "<mi>&#x1D4([123].);</mi>": lambda at: f'<mi mathvariant="bold">{_bold(at[1])}</mi>',
    'mathvariant="bold"': 'mathvariant="normal" class="vector"',
    "<mi>&#x0007E;</mi>": "<mo>∼</mo>",
    "<mo>([A-Za-z]+)</mo>": r"<mi>\1</mi>",
    r"^<mrow><mo>&#x0002B;": '<mrow><mo form="infix">&#x0002B;',
}


def _bold(place: str) -> str:
    """Small letter at a place of Unicode's bold alphabet, the `a` at 1A."""
    return chr(ord("a") + int(place, 16) - 0x1A)


#: Letters that fit on a line; longer sums go on below.
LINE = 90


def equations_html(specification: Specification, name: str, text: str) -> Html:
    """Equations of a target as MathML, `text` read aloud in their place; empty without any."""
    equation = equation_of(specification, name)
    if equation is None:
        return Html("")
    drawn, spoken = [], text or None
    for line in equation.lines:
        for number, part in enumerate(broken(equation, line)):
            look = "line more" if number else "line"
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


def _about_clusters(specification: Specification, target: Target) -> list[str]:
    if target.cluster is None:
        return []
    table, sentences = specification.table, []
    n = table.clusters(target.cluster).n
    effects = target.effects
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
        varying = ["the intercept"] if each.intercept else []
        varying += [f"the effect of {names(slopes)}"] if slopes else []
        if varying:
            verb = "vary" if len(varying) > 1 or len(slopes) > 1 else "varies"
            sentences.append(
                f"{' and '.join(varying).capitalize()} {verb} between the "
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
    for each in effects:
        if each.means:
            of = f" by {each.name}" if len(effects) > 1 else ""
            sentences.append(
                f"The cluster mean of {names(each.means)}{of} predicts too, so that effects within "
                "and between clusters may differ."
            )
    if target.options.get("heteroscedastic"):
        sentences.append("Each cluster has a residual spread of its own.")
    return sentences


def _about_selection(target: Target) -> list[str]:
    only = {
        equation: [term.label for term in target.terms if term.equation == equation]
        for equation in ("selection", "outcome")
    }
    sentences = []
    if only["selection"]:
        sentences.append(
            f"Exclusion restriction: {names(only['selection'])} predicts whether the value is "
            "seen, and not the value."
        )
    else:
        sentences.append("There is no exclusion restriction; see Selection models.")
    if only["outcome"]:
        sentences.append(f"In the outcome only: {names(only['outcome'])}.")
    rho = target.options.get("rho")
    if rho is not None:
        sentences.append(f"ρ is fixed at {rho:g}: an assumption, not an estimate.")
    return sentences


def _around(target: Target) -> list[str]:
    """Sentences about wrappers and about what happens to drawn values."""
    sentences = []
    for layer in layers(target.method):
        text = _layer(layer)
        if text:
            sentences.append(text)
    if target.post is not None:
        name = getattr(target.post, "__name__", str(target.post))
        sentences.append(f"Drawn values then go through {name}.")
    return sentences


def _layer(layer: Wrapper) -> str:
    if isinstance(layer, ByGroup):
        return f"Fitted separately for each value of {layer.by}."
    if isinstance(layer, OnlyWhere):
        return layer.equation("").removeprefix(";").strip().capitalize() + "."
    if isinstance(layer, Delta):
        amount = layer.equation("").removeprefix(";").strip().removeprefix("imputed with ")
        return (
            f"Shifted, as if not missing at random: {amount} is added to the linear predictor of "
            "the missing values."
        )
    return ""
