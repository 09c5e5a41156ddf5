"""Several groupings: what is nested in what, whose property a variable is, what varies by what."""

import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.errors import DataError, SpecificationError
from bayesimpute.roles import Role
from bayesimpute.specification.equations import equations
from bayesimpute.specification.specification import Target
from bayesimpute.specification.specify import specify

NORMAL = dict.fromkeys(("size", "kind", "x", "y"), "normal")


def pupils() -> pd.DataFrame:
    """Six schools of three classes of four pupils, with gaps at each level."""
    rng = np.random.default_rng(3)
    classes = np.repeat(np.arange(18), 4)
    df = pd.DataFrame(
        {
            "school": [f"s{k}" for k in classes // 3],
            "class": classes,
            "size": rng.normal(size=6)[classes // 3],
            "kind": rng.normal(size=18)[classes],
            "x": rng.normal(size=72),
            "y": rng.normal(size=72),
        }
    )
    for name, rows in {
        "y": classes % 5 == 1,
        "size": classes // 3 == 2,
        "kind": classes == 7,
    }.items():
        df.loc[rows, name] = np.nan
    df.loc[::7, "x"] = np.nan
    return df


def target(specification, name) -> Target:
    found = specification.targets[name]
    assert isinstance(found, Target)
    return found


@pytest.mark.parametrize("order", [["school", "class"], ["class", "school"]])
def test_groupings_are_found_nested_and_each_variable_at_its_level(order) -> None:
    specification = specify(pupils(), order)
    (said,) = (event.message for event in specification.events if event.action == "groupings")
    assert "each class lies in one school" in said
    levels = {
        name: (each.level, each.cluster, [grouping.name for grouping in each.groupings])
        for name, each in specification.targets.items()
    }
    assert levels == {
        "size": (2, "school", []),
        "kind": (2, "class", ["school"]),
        "x": (1, "class", ["school"]),
        "y": (1, "class", ["school"]),
    }
    coded = specification.predictors.loc["y"] == Role.CLUSTER
    assert coded[coded].index.tolist() == ["school", "class"]


def test_crossed_groupings_are_said_to_be() -> None:
    df = pd.DataFrame({"subject": np.repeat(np.arange(5), 4), "item": [1, 2, 3, 4] * 5})
    df["rating"] = np.where(
        np.arange(20) % 6 == 0, np.nan, np.random.default_rng(1).normal(size=20)
    )
    specification = specify(df, ["item", "subject"])
    (said,) = (event.message for event in specification.events if event.action == "groupings")
    assert "subject and item are crossed" in said
    assert target(specification, "rating").clusters == ("subject", "item")


def test_ids_that_count_anew_are_written_with_a_slash() -> None:
    df = pupils()
    plain = specify(df, ["school", "class"])
    anew = df.assign(**{"class": df["class"] % 3})
    nested = specify(anew, "school/class")
    crossed = specify(anew, ["school", "class"])
    assert target(nested, "y").clusters == ("school:class", "school")
    assert target(crossed, "y").clusters == ("school", "class")  # three classes only
    ours, theirs = (s.table.clusters(n) for s, n in ((nested, "school:class"), (plain, "class")))
    assert (ours.codes == theirs.codes).all()
    of_formula = specify(
        anew, formulas={"y": "y ~ x + (1 | school/class)"}, method={"y": "normal", "x": "pmm"}
    )
    assert target(of_formula, "y").clusters == ("school:class", "school")


def test_slopes_and_means_belong_to_the_grouping_they_are_written_with() -> None:
    formula = "y ~ x + cluster_mean(x, school) + cluster_mean(x) + (1 | class) + (1 + x | school)"
    specification = specify(pupils(), ["school", "class"], formulas={"y": formula}, method=NORMAL)
    by_class, by_school = target(specification, "y").effects
    assert (by_class.slopes, by_class.means) == ((), ("x",))
    assert (by_school.slopes, by_school.means) == ((("x", 0),), ("x",))
    assert equations(specification)["y"] == (
        "y_i = (β0 + b0_j + d0_k) + (β1 + d1_k)·x_i + β2·mean(x)_j + β3·mean(x)_k + ε_i,  "
        "b0_j ~ N(0, τ_class²),  (d0_k, d1_k) ~ N(0, Ψ_school),  ε_i ~ N(0, σ²)"
    )
    assert equations(specification)["kind"].startswith("kind_j = (β0 + b0_k) + β1·size_j")


def test_codes_three_and_four_take_the_means_of_all_levels() -> None:
    df = pupils()
    matrix = bi.make_predictors(df, cluster=["school", "class"])
    matrix.loc["y", ["x", "kind"]] = int(Role.FIXED_WITH_MEAN)
    specification = specify(df, predictors=matrix)
    by_class, by_school = target(specification, "y").effects
    assert by_class.means == ("x",)  # kind is a property of classes
    assert set(by_school.means) == {"x", "kind"}


def test_a_level_two_method_finds_whose_property_its_target_is() -> None:
    specification = specify(pupils(), ["school", "class"], method={"size": "2lonly.norm"})
    assert target(specification, "size").cluster == "school"
    with pytest.raises(bi.DataError, match="'x' is to be imputed at level 2, but it varies within"):
        specify(pupils(), ["school", "class"], method={"x": "2lonly.norm"})


def actions(specification, name) -> list[tuple[str, str]]:
    return [(e.action, e.message) for e in specification.events if e.variable == name]


def test_what_cannot_vary_within_clusters_is_left_out_and_said() -> None:
    formula = "y ~ x + size + cluster_mean(size, school) + (1 | class) + (1 + size | school)"
    specification = specify(pupils(), ["school", "class"], formulas={"y": formula})
    assert target(specification, "y").groupings[0].slopes == ()
    said = dict(actions(specification, "y"))
    assert "'size'" in said["slope left out"] and "'school'" in said["slope left out"]
    assert "'school'" in said["cluster mean left out"]


def test_a_grouping_that_crosses_those_of_a_variable_of_clusters_is_left_out_and_said() -> None:
    df = pupils().assign(room=np.tile([1, 2, 3, 4], 18))
    specification = specify(df, ["school", "class", "room"])
    said = [
        message
        for action, message in actions(specification, "kind")
        if action == "grouping left out"
    ]
    assert len(said) == 1 and "'room'" in said[0]
    assert target(specification, "kind").clusters == ("class", "school")
    assert all(action != "grouping left out" for action, _ in actions(specification, "y"))


def test_clusters_with_fixed_effects_leave_the_other_groupings_random() -> None:
    df = pupils()
    df["y"] = df["y"].fillna(0.0).where(np.arange(72) % 4 > 0)
    method = {"y": bi.fixed_clusters("normal")}
    formula = {"y": "y ~ x + (1 | class) + (1 | school)"}
    equation = equations(specify(df, method=method, formulas=formula))["y"]
    assert equation.startswith("y_i = (β0 + b0_k + α_j) + β1·x_i")
    assert "b0_k ~ N(0, τ_school²)" in equation


def test_names_of_nested_columns_may_have_a_colon() -> None:
    df = pupils().assign(**{"class": lambda df: df["class"] % 3})
    named = df.rename(columns={"school": "school:id"})
    table = specify(named, "school:id/class").table
    assert table.columns_of(["school:id:class"]) == ("school:id", "class")
    with pytest.raises(DataError, match="divide the rows in the same way"):
        specify(named, "school:id/school:id")
    plain = specify(df, "school/class").table.clusters("school:class")
    assert (table.clusters("school:id:class").codes == plain.codes).all()


def test_colons_of_columns_are_not_taken_for_those_between_columns():
    df = pd.DataFrame({"a": [1, 1, 2, 2] * 3, "b:c": [1, 2] * 6, "b": [1, 2] * 6, "a:b": range(12)})
    df["y"] = np.where(np.arange(12) % 5, np.arange(12.0), np.nan)
    for data, inner in ((df.assign(c=df["b"]), "b:c"), (df, "b")):
        for said in (
            {"cluster": f"a/{inner}"},
            {"formulas": {"y": f"y ~ 1 + (1 | a/`{inner}`)"}},
        ):
            with pytest.raises((DataError, SpecificationError), match="rename that"):
                bi.impute(data, seed=1, **said)
