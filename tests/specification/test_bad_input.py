"""Bad input: one clear sentence that names the variable and the remedy, and data left alone."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.data.table import Table
from bayesimpute.registry import resolve
from bayesimpute.specification.expressions import evaluate
from bayesimpute.specification.specify import specify


def study() -> pd.DataFrame:
    """Forty pupils of eight schools, with gaps in four variables of different kinds."""
    rng = np.random.default_rng(7)
    school = np.repeat([f"s{k}" for k in range(8)], 5)
    df = pd.DataFrame(
        {
            "school": school,
            "size": np.repeat(rng.integers(100, 900, 8), 5).astype(float),
            "sex": rng.integers(0, 2, 40),
            "score": rng.normal(5, 1, 40),
            "weight": rng.normal(60, 8, 40),
            "height": rng.normal(1.6, 0.1, 40),
            "mood": pd.Categorical(rng.choice(["low", "mid", "high"], 40)),
        }
    )
    df["bmi"] = df["weight"] / df["height"] ** 2
    df.loc[[1, 7, 19, 30], ["score", "mood"]] = np.nan
    df.loc[[3, 12], ["weight", "bmi"]] = np.nan
    df.loc[df["school"] == "s2", "size"] = np.nan
    return df


def changed(**columns: Any) -> Callable[[], pd.DataFrame]:
    """The study with columns replaced or added."""
    return lambda: study().assign(**columns)


def repeated_column() -> pd.DataFrame:
    return pd.concat([study(), study()[["score"]]], axis="columns")


def with_code(row: str, column: str, code: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The default predictor matrix with one cell set."""

    def matrix(df: pd.DataFrame) -> pd.DataFrame:
        predictors = bi.make_predictors(df, cluster="school").astype(object)
        predictors.loc[row, column] = code
        return predictors

    return matrix


def with_gaps(df: pd.DataFrame) -> pd.Series:
    return df["school"].where(df.index != 4)


class Case(NamedTuple):
    """A call on a frame, the error it must raise, and words its text must have."""

    name: str
    call: Callable[[Any], object]
    error: type[Exception]
    words: tuple[str, ...]
    frame: Callable[[], Any] = study


DATA, SPEC = bi.DataError, bi.SpecificationError
two_clusters = with_code("score", "sex", -2)
unknown_code = with_code("score", "sex", 9)
fraction = with_code("score", "sex", 1.5)
no_code = with_code("score", "sex", np.nan)
selection = with_code("score", "sex", -3)
outcome = with_code("score", "sex", -4)

CASES = [
    # the frame
    Case("no frame", specify, DATA, ("DataFrame", "list"), lambda: [1, 2]),
    Case("a series", specify, DATA, ("DataFrame", "Series"), lambda: study()["score"]),
    Case("no rows", specify, DATA, ("no rows",), lambda: study().iloc[:0]),
    Case("no columns", specify, DATA, ("no columns",), lambda: study()[[]]),
    Case("column twice", specify, DATA, ("'score'", "rename"), repeated_column),
    Case(
        "column names that are numbers",
        specify,
        DATA,
        ("strings", "map(str)"),
        lambda: study().rename(columns={"sex": 3}),
    ),
    Case(
        "infinite value",
        specify,
        DATA,
        ("'score'", "infinite", "NaN"),
        changed(score=[np.inf, np.nan] + [1.0, 2.0] * 19),
    ),
    Case(
        "numbers beyond squaring",
        specify,
        DATA,
        ("'score'", "3e+300", "divide"),
        changed(score=[3e300, np.nan] + [1.0, 2.0] * 19),
    ),
    Case("all missing", specify, DATA, ("'score'", "no observed", "Drop"), changed(score=np.nan)),
    Case(
        "constant target",
        specify,
        DATA,
        ("'score'", "fewer than two different"),
        changed(score=[1.0] * 39 + [np.nan]),
    ),
    Case(
        "one value observed",
        specify,
        DATA,
        ("'score'", "fewer than two different"),
        changed(score=[1.0] + [np.nan] * 39),
    ),
    Case(
        "nothing missing", lambda df: specify(df[["sex", "school"]]), DATA, ("nothing to impute",)
    ),
    # clusters
    Case(
        "unknown cluster",
        lambda df: specify(df, cluster="scool"),
        SPEC,
        ("'scool'", "Did you mean 'school'"),
    ),
    Case(
        "cluster with gaps",
        lambda df: specify(df.assign(school=with_gaps(df)), cluster="school"),
        DATA,
        ("'school'", "1 row", "index 4", "drop the rows"),
    ),
    Case(
        "gaps in ids",
        lambda df: Table.from_frame(df).clusters("mood"),
        DATA,
        ("'mood'", "4 row(s)", "index 1"),
    ),
    Case(
        "a single cluster",
        lambda df: specify(df, cluster="school"),
        DATA,
        ("'school'", "single cluster"),
        changed(school="s1"),
    ),
    Case(
        "two-level method without clusters",
        lambda df: specify(df, method={"score": "2l.norm"}),
        SPEC,
        ("'score'", "needs clusters", "cluster="),
    ),
    Case(
        "level-2 target that varies",
        lambda df: specify(df, "school", method={"score": "2lonly.norm"}),
        DATA,
        ("'score'", "level 2", "varies", "'school'"),
    ),
    Case(
        "every row its own cluster",
        lambda df: specify(df, cluster="pupil"),
        DATA,
        ("'pupil'", "every row", "groups"),
        changed(pupil=range(40)),
    ),
    # methods
    Case(
        "method for an unknown column",
        lambda df: specify(df, method={"scor": "pmm"}),
        SPEC,
        ("'scor'", "Did you mean 'score'"),
    ),
    Case(
        "mistyped method",
        lambda df: specify(df, method={"score": "norml"}),
        SPEC,
        ("'norml'", "'score'", "Did you mean"),
    ),
    Case(
        "method of a later version",
        lambda df: specify(df, method={"mood": "2l.bin"}),
        SPEC,
        ("'2l.bin'", "'mood'", "'pmm'"),
    ),
    Case(
        "normal for categories",
        lambda df: specify(df, method={"mood": "normal"}),
        SPEC,
        ("'mood'", "nominal", "'pmm'"),
    ),
    Case(
        "method for a complete column",
        lambda df: specify(df, method={"sex": "pmm"}),
        SPEC,
        ("'sex'", "where="),
    ),
    Case("method that is a number", lambda df: specify(df, method=3), SPEC, ("method", "dict")),
    Case("resolve an unknown name", lambda df: resolve("norml"), SPEC, ("'norml'", "'normal'")),
    Case("resolve a number", lambda df: resolve(3), SPEC, ("3", "builder(design)")),
    Case(
        "method for dates that are objects",
        lambda df: specify(df, method={"born": "pmm"}),
        SPEC,
        ("'born'", "convert", "pd.to_datetime(df['born'])"),
        changed(
            born=pd.Series([None, *pd.date_range("2010-01-01", periods=39).date], dtype=object)
        ),
    ),
    # predictors
    Case(
        "row lacking",
        lambda df: specify(df, predictors=bi.make_predictors(df).drop(index="score")),
        SPEC,
        ("square", "'score'", "make_predictors"),
    ),
    Case(
        "column lacking",
        lambda df: specify(df, predictors=bi.make_predictors(df).drop(columns="sex")),
        SPEC,
        ("square", "'sex'", "make_predictors"),
    ),
    Case(
        "predictors no frame",
        lambda df: specify(df, predictors=[[0, 1], [1, 0]]),
        SPEC,
        ("DataFrame", "make_predictors"),
    ),
    Case(
        "unknown label",
        lambda df: specify(df, predictors=bi.make_predictors(df).rename(columns={"sex": "sexe"})),
        SPEC,
        ("'sexe'",),
    ),
    Case(
        "unknown code",
        lambda df: specify(df, predictors=unknown_code(df)),
        SPEC,
        ("9", "'score'", "'sex'", "CLUSTER"),
    ),
    Case(
        "code with a fraction",
        lambda df: specify(df, predictors=fraction(df)),
        SPEC,
        ("1.5", "'score'", "'sex'"),
    ),
    Case(
        "missing code",
        lambda df: specify(df, predictors=no_code(df)),
        SPEC,
        ("nan", "'score'", "'sex'"),
    ),
    Case(
        "selection equation",
        lambda df: specify(df, predictors=selection(df)),
        SPEC,
        ("-3", "'sex'", "one equation"),
    ),
    Case(
        "outcome equation",
        lambda df: specify(df, predictors=outcome(df)),
        SPEC,
        ("-4", "'sex'", "one equation"),
    ),
    Case(
        "slope without clusters",
        lambda df: specify(df, predictors=2 * bi.make_predictors(df)),
        SPEC,
        ("code 2", "needs clusters"),
    ),
    Case(
        "date as a predictor",
        lambda df: specify(
            df,
            predictors=1 - pd.DataFrame(np.eye(len(df.columns), dtype=int), df.columns, df.columns),
        ),
        SPEC,
        ("'born'", "convert", "(df['born'] - df['born'].min()) / pd.Timedelta(days=1)"),
        changed(born=pd.date_range("2010-01-01", periods=40)),
    ),
    Case(
        "date in a formula",
        lambda df: specify(df, formulas={"score": "score ~ born"}),
        SPEC,
        ("'born'", "'score'", "(df['born'] - df['born'].min()) / pd.Timedelta(days=1)"),
        changed(born=pd.date_range("2010-01-01", periods=40)),
    ),
    Case(
        "predictor left incomplete",
        lambda df: specify(df, method={"mood": ""}, predictors=bi.make_predictors(df)),
        SPEC,
        ("'mood'", "stays incomplete", "give"),
    ),
    Case(
        "cluster of make_predictors", lambda df: bi.make_predictors(df, "scool"), SPEC, ("scool",)
    ),
    Case("quickpred column", lambda df: bi.quickpred(df, include="sexe"), SPEC, ("'sexe'",)),
    Case("quickpred method", lambda df: bi.quickpred(df, method="cosine"), SPEC, ("'cosine'",)),
    Case(
        "quickpred shape", lambda df: bi.quickpred(df, mincor=[0.1, 0.2]), SPEC, ("mincor", "(2,)")
    ),
    # formulas
    Case(
        "formula that does not parse",
        lambda df: specify(df, formulas={"score": "score ~ sex +"}),
        SPEC,
        ("'score'", "does not parse"),
    ),
    Case(
        "formula with another outcome",
        lambda df: specify(df, formulas={"score": "weight ~ sex"}),
        SPEC,
        ("'score'", "'weight'"),
    ),
    Case(
        "formula with an unknown column",
        lambda df: specify(df, formulas={"score": "score ~ hight"}),
        SPEC,
        ("'hight'", "Did you mean 'height'"),
    ),
    Case(
        "target as its own predictor",
        lambda df: specify(df, formulas={"score": "score ~ score"}),
        SPEC,
        ("'score'", "predict itself"),
    ),
    Case(
        "formula without intercept",
        lambda df: specify(df, formulas={"score": "score ~ 0 + sex"}),
        SPEC,
        ("intercept", "remove"),
    ),
    Case(
        "two groupings that are one",
        lambda df: specify(df.assign(place=df["school"]), ["school", "place"]),
        DATA,
        ("'school'", "'place'", "same way", "name one"),
    ),
    Case(
        "a grouping of one cluster",
        lambda df: specify(df.assign(place=1), ["school", "place"]),
        DATA,
        ("'place'", "single cluster", "leave it out"),
    ),
    Case(
        "a grouping with a level in every row",
        lambda df: specify(df.assign(pupil=range(len(df))), ["school", "pupil"]),
        DATA,
        ("'pupil'", "every row", "residuals"),
    ),
    Case(
        "a gap in a grouping",
        lambda df: specify(
            df.assign(place=[None, *([1, 2] * len(df))[1 : len(df)]]), ["school", "place"]
        ),
        DATA,
        ("'place'", "missing in 1 row", "fill"),
    ),
    Case(
        "a grouping named twice",
        lambda df: specify(df, ["school", "school"]),
        SPEC,
        ("twice",),
    ),
    Case(
        "a grouping that is no column",
        lambda df: specify(df, ["school", "klass"]),
        SPEC,
        ("'klass'", "no column"),
    ),
    Case(
        "groupings of another kind",
        lambda df: specify(df, ["school", 3]),
        SPEC,
        ("list of columns",),
    ),
    Case(
        "formula for a computed column",
        lambda df: specify(df, method={"size": "~ I(2 * score)"}, formulas={"size": "size ~ sex"}),
        SPEC,
        ("'size'", "no model"),
    ),
    Case(
        "comparison in a formula",
        lambda df: specify(df, formulas={"score": "score ~ sex == 1"}),
        SPEC,
        ("'score'", "I("),
    ),
    Case(
        "unknown function",
        lambda df: specify(df, formulas={"score": "score ~ poly(sex, 2)"}),
        SPEC,
        ("'poly'", "not available"),
    ),
    Case(
        "logarithm of zero",
        lambda df: specify(df, formulas={"score": "score ~ log(sex)"}),
        SPEC,
        ("'log(sex)'", "'score'", "finite"),
    ),
    Case(
        "logarithm of categories",
        lambda df: specify(df, formulas={"score": "score ~ log(mood)"}),
        SPEC,
        ("'mood'", "label"),
    ),
    Case(
        "cluster mean without clusters",
        lambda df: specify(df, formulas={"score": "score ~ cluster_mean(sex)"}),
        SPEC,
        ("'score'", "cluster="),
    ),
    Case(
        "grouping variable as predictor",
        lambda df: specify(df, formulas={"score": "score ~ school + (1 | school)"}),
        SPEC,
        ("'school'", "groups"),
    ),
    Case(
        "formula with a product called as a column",
        lambda df: specify(df, formulas={"score": "score ~ sex:height + `sex:height`"}),
        SPEC,
        ("'sex:height'", "product", "rename"),
        changed(**{"sex:height": np.arange(40.0)}),
    ),
    Case(
        "formula no text", lambda df: specify(df, formulas={"score": 3}), SPEC, ("'score'", "text")
    ),
    # passive
    Case(
        "passive cycle",
        lambda df: specify(df, method={"bmi": "~ I(weight / 2)", "weight": "~ I(bmi * 2)"}),
        SPEC,
        ("cycle", "bmi", "weight", "→"),
    ),
    Case(
        "passive of itself",
        lambda df: specify(df, method={"bmi": "~ I(bmi + 1)"}),
        SPEC,
        ("'bmi'", "itself"),
    ),
    Case(
        "passive with an unknown column",
        lambda df: specify(df, method={"bmi": "~ I(wieght / height)"}),
        SPEC,
        ("'bmi'", "'wieght'", "Did you mean 'weight'"),
    ),
    Case(
        "passive of what stays incomplete",
        lambda df: specify(df, method={"bmi": "~ I(weight / height)", "weight": ""}),
        SPEC,
        ("'bmi'", "'weight'", "stays incomplete"),
    ),
    Case(
        "passive that does not parse",
        lambda df: specify(df, method={"bmi": "~ I(weight /"}),
        SPEC,
        ("'bmi'", "cannot be read"),
    ),
    Case(
        "passive that calls code",
        lambda df: specify(df, method={"bmi": "~ open(weight)"}),
        SPEC,
        ("'bmi'", "'open'", "not available"),
    ),
    Case(
        "passive of categories",
        lambda df: specify(df, method={"bmi": "~ I(weight * mood)"}),
        SPEC,
        ("'mood'", "label"),
    ),
    Case(
        "passive of a column of categories alone",
        lambda df: specify(df, method={"bmi": "~ mood"}),
        SPEC,
        ("'mood'", "label"),
    ),
    Case(
        "passive of dates that are no numbers",
        lambda df: specify(df, method={"bmi": "~ I(weight - born)"}),
        SPEC,
        ("'born'", "datetime64", "convert"),
        changed(born=pd.date_range("2000-01-01", periods=40)),
    ),
    Case(
        "passive of two dates",
        lambda df: specify(df, method={"bmi": "~ I(end - born)", "born": "pmm", "end": "pmm"}),
        SPEC,
        ("'end'", "'born'", "first date"),
        changed(
            born=pd.Series(pd.date_range("2000-01-01", periods=40)).mask(np.arange(40) == 5),
            end=pd.Series(pd.date_range("2000-02-01", periods=40)).mask(np.arange(40) == 6),
        ),
    ),
    Case(
        "code in an expression",
        lambda df: evaluate("weight[0]", {"weight": np.ones(2)}),
        SPEC,
        ("not allowed",),
    ),
    Case(
        "function that does not exist",
        lambda df: evaluate("open(weight)", {"weight": np.ones(2)}),
        SPEC,
        ("'open'", "not available"),
    ),
    # cells and rows
    Case(
        "where with a column twice",
        lambda df: specify(df, where=pd.concat([df.isna(), df[["score"]].isna()], axis=1)),
        SPEC,
        ("where", "twice"),
    ),
    Case("where as a word", lambda df: specify(df, where="some"), SPEC, ("'some'", "'missing'")),
    Case(
        "where of another shape",
        lambda df: specify(df, where=np.ones((2, 2), bool)),
        SPEC,
        ("(2, 2)", "(40, 8)"),
    ),
    Case(
        "where with gaps",
        lambda df: specify(df, where=df.isna().astype(object).mask(df.isna())),
        SPEC,
        ("True and False",),
    ),
    Case(
        "ignore of other rows",
        lambda df: specify(df, ignore=pd.Series([False] * 40, index=range(100, 140))),
        SPEC,
        ("ignore", "index"),
    ),
    Case("ignore too short", lambda df: specify(df, ignore=[True]), SPEC, ("ignore", "40 rows")),
    Case(
        "ignore everything",
        lambda df: specify(df, ignore=[True] * 40),
        SPEC,
        ("ignore", "fewer than two rows"),
    ),
    Case(
        "ignore what is observed",
        lambda df: specify(df, ignore=list(df["score"].notna())),
        DATA,
        ("'score'", "fewer than two different"),
    ),
    # order, priors, options, post
    Case(
        "unknown order",
        lambda df: specify(df, visit_sequence="gothic"),
        SPEC,
        ("'gothic'", "roman"),
    ),
    Case(
        "order with no column",
        lambda df: specify(df, visit_sequence=["score", "sexx"]),
        SPEC,
        ("'sexx'", "no column"),
    ),
    Case(
        "order without a target",
        lambda df: specify(df, visit_sequence=["score"]),
        SPEC,
        ("never visits", "'size'"),
    ),
    Case(
        "priors for an unknown column",
        lambda df: specify(df, priors={"scor": {}}),
        SPEC,
        ("priors", "'scor'", "Did you mean 'score'"),
    ),
    Case(
        "priors for a complete column",
        lambda df: specify(df, priors={"sex": {}}),
        SPEC,
        ("'sex'", "no model"),
    ),
    Case(
        "unknown option",
        lambda df: specify(df, model_options={"score": {"donor": 3}}),
        SPEC,
        ("'score'", "'donor'", "Did you mean 'donors'"),
    ),
    Case(
        "option for an unknown column",
        lambda df: specify(df, model_options={"scor": {}}),
        SPEC,
        ("'scor'", "'*'"),
    ),
    Case(
        "option without a column",
        lambda df: specify(df, model_options={"donors": 3}),
        SPEC,
        ("model_options", "'*'"),
    ),
    Case("options no dict", lambda df: specify(df, model_options=3), SPEC, ("dict of dicts",)),
    Case(
        "option no method knows",
        lambda df: specify(df, model_options={"*": {"doonrs": 3}}),
        SPEC,
        ("'doonrs'", "donors"),
    ),
    Case(
        "no donors",
        lambda df: specify(df, model_options={"score": {"donors": 0}}),
        SPEC,
        ("donors=0", "'score'"),
    ),
    Case("priors no dict", lambda df: specify(df, priors={"score": 3}), SPEC, ("'score'", "dict")),
    Case(
        "no transitions",
        lambda df: specify(df, model_options={"score": {"transitions": 0}}),
        SPEC,
        ("transitions=0", "'score'"),
    ),
    Case(
        "post no function", lambda df: specify(df, post={"score": 3}), SPEC, ("'score'", "squeeze")
    ),
    Case("bounds crossed", lambda df: bi.squeeze(9, 1), SPEC, ("squeeze(9, 1)", "swap")),
    Case("bounds no numbers", lambda df: bi.squeeze("a", 1), SPEC, ("low='a'", "a number")),
    # the run
    *(
        Case(
            f"{argument}={value!r}",
            lambda df, argument=argument, value=value: bi.impute(df, **{argument: value}),
            SPEC,
            (argument,),
        )
        for argument, value in [
            ("m", 0),
            ("m", 2.5),
            ("m", True),
            ("iterations", 0),
            ("seed", -1),
            ("seed", "one"),
            ("executor", 4),
            ("on_error", "ignore"),
            ("progress", "yes"),
        ]
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_named_with_its_remedy_and_the_data_stay_untouched(case: Case) -> None:
    df = case.frame()
    before = df.copy(deep=True) if isinstance(df, pd.DataFrame) else None
    with pytest.raises(case.error) as caught:
        case.call(df)
    text = str(caught.value)
    for word in case.words:
        assert word in text, text
    assert len(text) < 400, text
    if before is not None:
        pd.testing.assert_frame_equal(df, before)


def test_the_study_itself_is_good_input() -> None:
    df = study()
    before = df.copy(deep=True)
    specification = specify(df, cluster="school")
    assert set(specification.targets) == {"size", "score", "weight", "mood", "bmi"}
    pd.testing.assert_frame_equal(df, before)


def test_names_of_the_cases_are_distinct() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 45


@pytest.mark.parametrize(("column", "method"), [("intercept", "logistic"), ("log_sigma", "normal")])
def test_a_slope_that_is_called_as_an_effect_of_the_model_is_refused(column, method):
    rng = np.random.default_rng(1)
    y, number = (rng.random(40) < 0.5).astype(float), rng.normal(size=40)
    y[:9] = np.nan
    df = pd.DataFrame({"g": np.arange(40) % 4, column: number, "y": y})
    given = {"method": {"y": method}, "m": 1, "iterations": 1, "seed": 1, "cluster": "g"}
    formulas = {"y": f"y ~ {column} + (1 + {column} | g)"}
    with pytest.raises(bi.SpecificationError, match=f"'y'.*slope of '{column}'.*rename"):
        bi.impute(df, formulas=formulas, **given)


def test_options_of_what_no_model_imputes_are_said_to_be_passed_over():
    events = specify(study(), model_options={"height": {"donors": 3}}).events
    assert ["'height'" in each.message for each in events if each.action == "options not used"]


def test_options_may_be_numbers_of_numpy():
    given = {"*": {"transitions": np.int64(3)}, "size": {"donors": np.arange(1, 9)[4]}}
    targets = specify(study(), cluster="school", model_options=given).targets
    assert targets["score"].options == {"transitions": 3}
    assert targets["size"].options["donors"] == 5
    with pytest.raises(bi.SpecificationError, match="donors=0"):
        specify(study(), cluster="school", model_options={"*": {"donors": np.int64(0)}})
