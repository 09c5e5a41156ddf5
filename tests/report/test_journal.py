"""What a paper takes from the report: every sentence is held against the run."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.report import page as page_module
from bayesimpute.report.analyses import analyses
from bayesimpute.report.content import Content
from bayesimpute.report.data import gaps
from bayesimpute.report.origin import call_text
from bayesimpute.report.page import SECTIONS
from bayesimpute.report.paper import AUTHORS, NOT_STATED, TITLE, items, sentences
from bayesimpute.result.checks import diagnostics
from tests.report.pages import Page

FORMULA = "y ~ x + (1 | g)"


@pytest.fixture(scope="module")
def df():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(12), 12)
    x = rng.normal(size=144)
    y = x + rng.normal(size=12)[g] + rng.normal(size=144)
    frame = pd.DataFrame({"g": g, "x": x, "y": y, "z": x + rng.normal(size=144)})
    frame.loc[rng.random(144) < 1 / (1 + np.exp(1 - 2 * frame["z"])), "y"] = np.nan
    frame.loc[rng.random(144) < 0.1, "x"] = np.nan
    return frame


@pytest.fixture(scope="module")
def imp(df):
    return bi.impute(
        df, "g", method={"x": "normal", "y": "pmm"}, model_options={"y": {"donors": 4}},
        m=3, iterations=8, seed=5, progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def fits(imp):
    return imp.fit(FORMULA)


def content(imp, given=None, **more):
    return Content(imp, given or {}, False, "", **more)


def said(imp, given=None, **more):
    return " ".join(sentences(content(imp, given, **more)))


def test_counts_and_settings_are_those_of_the_run(imp, df):
    text = said(imp)
    complete = int(df.notna().all(axis=1).sum())
    assert f"144 rows and 4 variables; {complete} rows" in text
    for name in ("x", "y"):
        share = float(re.search(rf"\b{name} \(([\d.]+) % missing", text)[1])
        assert share == pytest.approx(100 * df[name].isna().mean(), abs=0.06)
    assert "m = 3" in text and "seed 5" in text and "8 iterations" in text
    assert f"bayesimpute {imp.versions['bayesimpute']}" in text


def test_models_clusters_and_predictors_are_those_of_the_specification(imp, fits):
    text = said(imp, {"main": fits})
    assert "predictive mean matching (4 donors) for y" in text
    assert "a normal linear model for x" in text
    assert "g (12 clusters)" in text and "random intercepts in the models of x and y" in text
    assert "2 other variables as predictors" in text
    assert "Auxiliary variables, in imputation models only, were z." in text


def test_convergence_is_that_of_the_diagnostics(imp):
    worst = diagnostics(imp, 4)["r_hat"].max()
    text = said(imp)
    if "too few" not in text:
        found = float(re.search(r"at most ([\d.]+)", text)[1])
        assert found == pytest.approx(worst, rel=5e-3)
    short = bi.impute(imp.data, "g", method="sample", m=2, iterations=1, seed=1, progress=False)
    assert "2 chains of 1 iteration are too few" in said(short)


def test_pooling_is_that_of_the_analyses(imp, fits, df):
    text = said(imp, {"main": fits})
    pooled = fits.pool()
    assert f"{FORMULA}, fitted by mixedlm" in text
    assert f"{pooled.dfcom:g} complete-data df" in text
    assert f"at most {pooled.table['fmi'].max():.2f} ({pooled.table['fmi'].idxmax()})" in text
    assert f"{len(df[['x', 'y']].dropna())} complete cases" in text
    assert "pooled by" not in said(imp)


def test_another_pooling_rule_is_called_by_its_name(imp, fits):
    numbers = bi.pool([[1.0], [1.2]], [[0.04], [0.05]], dfcom=50, rule="reiter2003")
    assert numbers.rule == "reiter2003"
    assert fits.constraint_estimates("x", rule="reiter2003").rule == "reiter2003"
    given = {"synthetic": fits.pool(rule="reiter2003")}
    shown = analyses(content(imp, given))
    for text in (said(imp, given), Page(shown).words, repr(given["synthetic"]), repr(numbers)):
        assert "by Reiter's rules for partially synthetic data" in text
        # its degrees of freedom are not made of those of the complete data
        assert "Rubin" not in text and "complete-data df" not in text
    answers = items(content(imp, given))["answer"].tolist()
    assert "Reiter's rules for partially synthetic data: synthetic" in answers


@pytest.mark.parametrize(
    ("method", "expected", "other"),
    [
        ("normal", "Values were assumed to be missing at random given the predictors", "δ"),
        (bi.delta("normal", -1.0), "Imputed values of y", "Values were assumed"),
    ],
)
def test_the_assumption_is_that_of_the_models(df, method, expected, other):
    run = bi.impute(df, "g", method={"x": "normal", "y": method}, m=2, iterations=1, seed=1,
                    progress=False)  # fmt: skip
    text = said(run)
    assert expected in text
    assert other not in text
    if method != "normal":
        assert "other values were assumed to be missing at random" in text
        answer = items(content(run)).set_index("item")["answer"]
        assert "modelled for y" in answer["Sensitivity to departures from the assumption"]


def test_imputation_compatible_with_an_analysis_says_so(df):
    run = bi.impute(df, analysis=FORMULA, m=2, iterations=1, seed=1, progress=False)
    assert f"compatible with the analysis {FORMULA}" in said(run)
    assert "chained equations" not in said(run)


def test_of_imputations_made_elsewhere_nothing_is_invented(imp, df):
    other = bi.from_completed(imp.complete("all"), incomplete=df)
    text = said(other)
    assert "by another program" in text and "m = 3" in text
    for word in ("chain", "Priors", "random intercepts", "at random", "R-hat"):
        assert word not in text
    answers = items(content(other)).set_index("item")["answer"]
    assert answers["Convergence"] == NOT_STATED
    assert answers["Method, and what it assumes of missingness"] == NOT_STATED


def test_the_checklist_states_what_is_known_and_nothing_else(imp, fits):
    bare = items(content(imp)).set_index("item")["answer"]
    for item in ("Why values are missing", "Why the assumption is plausible",
                 "Complete-case results beside", "Sensitivity to departures from the assumption",
                 "Interactions of the analysis in the imputation models",
                 "How analyses were combined"):  # fmt: skip
        assert bare[item] == NOT_STATED, item
    full = items(content(imp, {"main": fits}, reasons="Lost.", assumptions="Known."))
    answers = full.set_index("item")["answer"]
    assert answers["Why values are missing"] == "Lost."
    assert answers["Why the assumption is plausible"] == "Known."
    assert answers["Interactions of the analysis in the imputation models"] == (
        "the analyses have none"
    )
    assert "main" in answers["Complete-case results beside"]
    assert "Lost. Known." in said(imp, reasons="Lost.", assumptions="Known")


def test_an_interaction_that_the_models_lack_is_stated(imp):
    with pytest.warns(bi.ImputationWarning):
        products = imp.fit("y ~ x * z + (1 | g)")
    answers = items(content(imp, {"main": products})).set_index("item")["answer"]
    assert answers["Interactions of the analysis in the imputation models"].startswith("not all")


def test_missingness_stands_against_covariates_with_its_tests(imp, df):
    found = bi.missing_tests(df, ["g"])
    row = found[(found["missing"] == "y") & (found["variable"] == "z")].iloc[0]
    words = Page(gaps(content(imp))).words
    assert f"{row['std_difference']:.2f}".replace("-", "−") in words
    low = int((found["p_cluster|g"] < 0.05).sum())
    assert f"{low} of {found['p_cluster|g'].notna().sum()} comparisons" in words


def test_complete_cases_stand_beside_the_pooled_estimates(imp, fits, df):
    words = Page(analyses(content(imp, {"main": fits}))).words
    alone = bi.fit([df[["g", "x", "y"]].dropna()], FORMULA)[0]
    assert f"{alone.estimate[1]:.3f}" in words
    assert f"{len(df[['x', 'y']].dropna())} rows that are complete" in words


@pytest.fixture(scope="module")
def doubt(df):
    return bi.sensitivity(
        df, "y", FORMULA, "x", delta=[0, -4], method={"y": "normal"}, cluster="g", m=2,
        iterations=1, further=1, seed=1, progress=False,
    )  # fmt: skip


@pytest.fixture
def text(imp, fits, doubt, tmp_path, monkeypatch):
    quick = tuple(section for section in SECTIONS if section.anchor != "priors")
    monkeypatch.setattr(page_module, "SECTIONS", quick)
    path = imp.report(tmp_path / "out.html", {"main": fits}, sensitivity=doubt, reasons="Lost.",
                      written_at="today")  # fmt: skip
    return path.read_text("utf-8")


def test_the_page_holds_all_of_it(text, doubt, imp):
    page = Page(text)
    assert page.problems == []
    low = doubt.table["estimate"].min()
    assert f"{low:.3g}"[:4].replace("-", "−") in page.words
    assert "δ from −4 to 0" in page.words
    assert "Lost." in page.words and TITLE in page.words


def test_pictures_are_described_in_numbers(text, imp):
    described = re.findall(r'alt="([^"]*)"', text)
    assert len(described) >= 6
    assert all(re.search(r"\d", each) for each in described), described
    observed = imp.cells("y").query("seen == 'observed'")["value"].mean()
    (density,) = [each for each in described if each.startswith("y: observed and imputed")]
    assert float(re.search(r"observed mean (−?[\d.]+)", density)[1].replace("−", "-")) == (
        pytest.approx(observed, rel=0.01)
    )


def test_what_is_no_sensitivity_analysis_is_refused(imp, tmp_path):
    with pytest.raises(bi.SpecificationError, match=r"bi\.sensitivity"):
        imp.report(tmp_path / "out.html", sensitivity={"a": 3})


def test_the_citation_is_that_of_the_file():
    cff = Path(__file__).parents[2] / "CITATION.cff"
    assert AUTHORS in cff.read_text("utf-8")
    assert TITLE in cff.read_text("utf-8")


def test_every_method_has_a_name_for_papers():
    from bayesimpute.method import words_of
    from bayesimpute.registry import METHODS, resolve

    assert all(words_of(resolve(name)).name for name in METHODS)


def test_findings_say_whether_they_are_of_a_term_or_a_variable(imp, fits):
    found = imp.diagnose(fits)
    of_terms = found[found["about"] == "term"]
    assert set(of_terms["variable"]) <= set(fits[0].terms)
    assert not of_terms.empty
    assert set(found["about"]) <= {"term", "variable", "run"}
    assert (found.loc[found["variable"] == "", "about"] == "run").all()


def test_what_a_function_returned_was_fitted_by_no_package(imp):
    fits = imp.fit(lambda data: {"estimate": data["x"].mean(), "std_error": data["x"].sem()})
    text = said(imp, {"mean": fits})
    assert "Estimates of mean (<lambda>) in the 3 completed data sets" in text


def test_reiters_rules_are_called_so(imp, fits):
    pooled = fits.pool(rule="reiter2003")
    numbers = bi.pool([[1.0], [1.2], [0.9]], [[0.1]] * 3, rule="reiter2003")
    text = said(imp, {"of fits": pooled, "of numbers": numbers})
    assert text.count("by Reiter's rules for partially synthetic data") == 2
    shown = str(analyses(content(imp, {"of fits": pooled})))
    assert "by Reiter&#x27;s rules" in shown and "T = Ū + B / m." in shown
    assert "Rubin" not in shown and "(1 + 1/m) B" not in shown
    assert "(1 + 1/m) B" in str(analyses(content(imp, {"usual": fits.pool()})))


def test_software_of_imputations_made_elsewhere_is_not_this_one(imp, df):
    taken = bi.from_completed(imp.complete("all"), incomplete=df)
    answers = items(content(taken)).set_index("item")["answer"]
    assert answers["Software and settings"].startswith("imputed by another program; taken in")
    assert "seed" not in answers["Software and settings"]


def test_runs_that_were_put_together_have_the_seeds_of_all(df):
    one, other = (
        bi.impute(df, "g", method="sample", m=2, iterations=1, seed=seed, progress=False)
        for seed in (4, 11)
    )
    both = one.bind(other)
    assert "(seeds 4 and 11)" in said(both)
    call, by_hand = call_text(both)
    assert "m=…," in call and "seed=…," in call
    assert any("imp.bind has put together (seeds 4 and 11" in each for each in by_hand)
    assert "seed=4," in call_text(one)[0]
    software = items(content(both)).set_index("item")["answer"]["Software and settings"]
    assert "seeds 4 and 11, 1 iteration" in software


def test_what_stays_missing_is_said_not_to_be_imputed():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"sex": ["f", "m", "m"] * 30, "x": rng.normal(size=90)})
    frame["Days"] = np.where(frame["sex"] == "f", frame["x"], np.nan)
    frame.loc[frame.index[::9], "Days"] = np.nan
    frame["note"] = frame["x"].where(frame["x"] > -1)
    imp = bi.impute(
        frame, method={"Days": bi.only_where("sample", "sex == 'f'"), "note": ""},
        m=2, iterations=1, seed=1, progress=False,
    )  # fmt: skip
    left = int(imp.complete(1)["Days"].isna().sum()), int(frame["note"].isna().sum())
    assert left[0] == 60
    assert f"Missing values of Days ({left[0]}) and note ({left[1]}) were left missing." in said(
        imp
    )
    evidence = imp.diagnose().query("finding == 'few imputations'")["evidence"].item()
    assert "33 % of 'Days' is imputed" in evidence  # 10 of 30
    taken = bi.from_completed(imp.complete("all"), incomplete=frame)
    assert f"Missing values of Days ({left[0]}) and note" in said(taken)


def test_a_formula_of_all_columns_is_reported(imp):
    with pytest.warns(bi.ImputationWarning, match="an interaction of the analysis"):
        fits = imp.fit("y ~ . + x:z + (1 | g)")
    answers = items(content(imp, {"all": fits})).set_index("item")["answer"]
    asked = answers["Interactions of the analysis in the imputation models"]
    assert asked.startswith("not all that all asks")
