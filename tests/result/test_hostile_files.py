"""Files that a stranger changed and sealed anew: refused in one sentence, or the same object."""

import json
import random
import re
import tracemalloc
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

import bayesimpute as bi
from bayesimpute.result import codec, frame_store, seal
from bayesimpute.result.codec import as_now

GROUP = "bayesimpute"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    rng = np.random.default_rng(4)
    df = pd.DataFrame({"g": np.repeat(list("abcdef"), 8), "x": rng.normal(size=48)})
    df["kind"] = pd.Categorical(rng.choice(["low", "high"], 48))
    df.loc[::5, "x"] = np.nan
    df.loc[::7, "kind"] = None
    path = tmp_path_factory.mktemp("hostile") / "imp.nc"
    post = {"x": bi.squeeze(-5, 5)}
    imp = bi.impute(df, cluster="g", m=2, iterations=2, seed=1, post=post, progress=False)
    imp.to_netcdf(path)
    return path


def opened(path, content: bytes) -> str:
    """Empty if the file opens, else how it was refused."""
    path.write_bytes(content)
    try:
        bi.open(path)
    except bi.FileFormatError as error:
        return str(error)
    return ""


def rebuilt(good, path, change) -> bytes:
    """The file with its HDF5 part changed, sealed again."""
    path.write_bytes(good.read_bytes()[: -seal.LENGTH])
    with h5py.File(path, "a") as file:
        change(file[GROUP])
    return seal.sealed(path.read_bytes())


def apart(group: Any) -> None:
    """As up to version 3: a variable an array."""
    index = json.loads(group["index"][()].tobytes())
    content, start = group["arrays"][()].tobytes(), 0
    for name in ("index", "arrays"):
        del group[name]
    for name, (kind, size) in index.items():
        group.create_dataset(name, data=np.frombuffer(content, kind, size, start))
        start += size * np.dtype(kind).itemsize
    group.attrs["format_version"] = 3


def indexed(change) -> Any:
    """Another index of the arrays, which lie in one."""

    def applied(group: Any) -> None:
        index = json.loads(group["index"][()].tobytes())
        text = json.dumps(change(index) or index)
        del group["index"]
        group.create_dataset("index", data=np.frombuffer(text.encode(), dtype="u1"))

    return applied


def described(group: Any, text: str) -> None:
    del group["description"]
    group.create_dataset("description", data=np.frombuffer(text.encode(), dtype="u1"))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in list(pairs)[:6]:
            yield from leaves(each, (*path, key))
    else:
        yield path


def changed(description: Any, path: tuple[Any, ...], value: Any) -> str:
    copy = json.loads(json.dumps(description))
    inside = copy
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return json.dumps(copy)


def test_every_leaf_of_the_description_is_of_its_type(good, tmp_path):
    with h5py.File(good) as file:
        description = json.loads(file[GROUP]["description"][()].tobytes())
    path = tmp_path / "changed.nc"
    same = rebuilt(good, path, lambda group: described(group, json.dumps(description)))
    assert opened(path, same) == ""  # the control: what is the same opens
    paths = [each for each in leaves(description) if each[0] not in ("created_at", "versions")]
    assert len(paths) > 100
    accepted = []
    for number, leaf in enumerate(paths):
        value = [{"a": 1}, 2**70, [[[1e308]]], -1, "S1000000000"][number % 5]
        text = changed(description, leaf, value)
        content = rebuilt(good, path, lambda group, text=text: described(group, text))
        if opened(path, content) == "":
            accepted.append((leaf, value))
    # free text, and digests that only a checkpoint compares, may say anything
    free = (
        "message",
        "fingerprint",
        "action",
        "stage",
        "variable",
        "methods",
        "values",
        "columns_name",
        "name",
        "labels",
    )
    assert [each for each in accepted if not any(word in map(str, each[0]) for word in free)] == []


@pytest.mark.parametrize(
    "change",
    [
        lambda g: (g.__delitem__("ignore"), g.__setitem__("ignore", h5py.SoftLink("/x"))),
        lambda g: g.__setitem__("more", h5py.SoftLink("/posterior")),
        lambda g: g.__setitem__("more", h5py.ExternalLink("other.nc", "/x")),
        lambda g: g.__setitem__("more", g["ignore"]),
        lambda g: g.create_dataset("more", data=np.arange(3)),
        lambda g: g.create_dataset("more", shape=(10**9,), dtype="f8", chunks=(1000,)),
        lambda g: g.create_dataset("more", data=np.arange(300), compression="gzip"),
        lambda g: g.create_dataset("more", data=np.zeros((2, 2))),
        lambda g: g.create_dataset("more", data="text"),
        lambda g: g.create_dataset(
            "more", shape=(9,), dtype="u1", external=[("/etc/hostname", 0, 9)]
        ),
        lambda g: g.create_group("more"),
        lambda g: g.__delitem__("ignore"),
        lambda g: g.move("ignore", "ignored"),
        lambda g: g.attrs.__setitem__("format", "x" * 5000),
        lambda g: g.attrs.__setitem__("format_version", np.arange(9)),
        lambda g: described(g, "[" * 100_000),
        lambda g: described(g, '{"a":' * 100_000 + "1" + "}" * 100_000),
        lambda g: described(g, "{"),
        lambda g: described(g, "null"),
    ],
)
def test_what_the_writer_does_not_write_is_refused(good, tmp_path, change):
    path = tmp_path / "changed.nc"

    def applied(group: Any) -> None:
        apart(group)
        assert "ignore" in group
        change(group)

    assert opened(path, rebuilt(good, path, applied)) != ""


def test_a_file_with_a_variable_an_array_is_the_same_result(good, tmp_path):
    path = tmp_path / "third.nc"
    path.write_bytes(rebuilt(good, path, apart))
    third, now = bi.open(path), bi.open(good)
    pd.testing.assert_frame_equal(third.complete("long"), now.complete("long"))
    assert third.specification.targets == now.specification.targets
    assert third.history.states == now.history.states


@pytest.mark.parametrize(
    "change",
    [
        lambda g: g.create_dataset("more", data=np.zeros(3, dtype="u1")),
        lambda g: g.__delitem__("arrays"),
        lambda g: g.__delitem__("index"),
        lambda g: (g.__delitem__("index"), g.__setitem__("index", h5py.SoftLink("/x"))),
        lambda g: (g.__delitem__("arrays"), g.create_dataset("arrays", data=np.zeros(9))),
        lambda g: described(g, "{"),
        indexed(lambda index: index.popitem() and None),
        indexed(lambda index: index.update(more=["|u1", 1])),
        indexed(lambda index: index.update(more=["|u1", 0])),
        indexed(lambda index: index.update(ignore=["|O", 6])),
        indexed(lambda index: index.update(ignore=["<U9", 1])),
        indexed(lambda index: index.update(ignore=["<f8", 6])),
        indexed(lambda index: index.update(ignore=["|u1", 2**70])),
        indexed(lambda index: index.update(ignore=["|u1", -(2**70)])),
        indexed(lambda index: index.update(ignore=["|u1", 47.5])),
        indexed(lambda index: index.update(ignore=["u1,u1", 24])),
        indexed(lambda index: index.update(ignore="u1")),
        indexed(lambda index: {"more": ["|u1", -3], **index, "most": ["|u1", 3]}),
        indexed(lambda index: [1, 2]),
        indexed(lambda index: dict(reversed(index.items()))),
    ],
)
def test_an_index_that_the_writer_does_not_write_is_refused(good, tmp_path, change):
    path = tmp_path / "changed.nc"
    assert opened(path, rebuilt(good, path, change)) != ""
    assert opened(path, rebuilt(good, path, indexed(lambda index: None))) == ""  # the control


DEEP = "[" * 100_000 + "]" * 100_000
PAIRS = '{"__type__": "tuple", "value": [' * 20_000 + "]}" * 20_000  # 40,000 deep


@pytest.mark.parametrize("text", [DEEP, PAIRS, DEEP[:150] + DEEP[-150:]], ids=["[", "{", "150"])
def test_json_nested_without_end_is_refused_in_a_sentence_wherever_it_stands(good, tmp_path, text):
    with h5py.File(good) as file:
        description = json.loads(file[GROUP]["description"][()].tobytes())
    places = [path for path in leaves(description) if path[-1] not in (0, 1)][::7]
    assert len(places) > 10
    path = tmp_path / "deep.nc"
    for place in places:
        # through a mark, as Python's own writer does not go so deep either
        changed_text = changed(description, place, "MARK").replace('"MARK"', text)
        content = rebuilt(good, path, lambda g, new=changed_text: described(g, new))
        refused = opened(path, content)
        assert "RecursionError" not in refused and len(refused) < 800
        assert "nested" in refused or text is not DEEP


def test_cells_nested_without_end_are_refused_in_a_sentence(good, tmp_path):
    def change(group: Any) -> None:
        apart(group)
        del group["column_0"]
        line = f"[{DEEP}]\n".encode()
        group.create_dataset("column_0", data=np.frombuffer(line, dtype="u1"))

    refused = opened(tmp_path / "deep.nc", rebuilt(good, tmp_path / "deep.nc", change))
    assert "nested 100,001 deep" in refused


@pytest.mark.parametrize(
    "value",
    [
        {"__type__": "array", "value": ["<U9999", [10**5], ["a"] * 10**5]},  # 4 GB of nothing
        {"__type__": "timestamp", "value": ["2020-01-01", "ns", "dateutil//etc/hostname"]},
        {"__type__": "timestamp", "value": ["1" * 10**6, "ns", None]},
        {"__type__": "x" * 10**6, "value": []},
    ],
)
def test_values_that_nobody_writes_are_refused_before_memory_is_asked_for(value):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="unknown stored") as refused:
            frame_store.decode_value(value)
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()
    assert len(str(refused.value)) < 200


def test_what_is_nested_deeply_is_refused_before_it_is_written_or_opens_again():
    inside: Any = 1
    for _ in range(frame_store.MOST_LEVELS):
        inside = {"a": (inside,)[0]}
    assert frame_store.decode_value(
        frame_store.parse(json.dumps(frame_store.encode_value(inside)).encode())
    )
    with pytest.raises(frame_store.NotStorable, match="dict within 50 others"):
        frame_store.encode_value({"a": {"a": inside}})
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(frame_store.NotStorable, match="list within 50 others"):
        frame_store.encode_value(endless)


def test_opening_takes_at_most_three_times_the_file(tmp_path):
    rows = 10_000
    df = pd.DataFrame({"y": np.arange(float(rows))})
    df.loc[:5, "y"] = np.nan
    df["t"] = [f"a rather long distinct label, that of row {row}, as text" for row in range(rows)]
    df["o"] = df["t"].astype(object)
    path = tmp_path / "text.nc"
    run: dict[str, Any] = {"method": {"y": "sample"}, "formulas": {"y": "y ~ 1"}}
    bi.impute(df, m=2, iterations=1, seed=1, progress=False, **run).to_netcdf(path)
    assert bi.open(path).data.equals(df)  # and everything that is imported late is
    tracemalloc.start()
    try:
        bi.open(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * path.stat().st_size


def test_cells_of_a_file_of_the_first_version_are_found_where_they_were(good, tmp_path):
    def as_it_was(group: Any) -> None:
        apart(group)
        text = json.loads(group["description"][()].tobytes())
        columns = text["frame"]["columns"]
        for stored in (columns[0], columns[2]["labels"]):
            cells = group[stored["array"]][()].tobytes().splitlines()
            del group[stored.pop("array")]
            stored["values"] = [cell for line in cells for cell in json.loads(line)]
        described(group, json.dumps(text))
        group.attrs["format"] = "bayesimpute imputations"
        group.attrs["format_version"] = np.array([1])

    path = tmp_path / "first.nc"
    path.write_bytes(rebuilt(good, path, as_it_was))
    assert b'"values":' in path.read_bytes()
    first, now = bi.open(path), bi.open(good)
    pd.testing.assert_frame_equal(first.complete(2), now.complete(2))
    assert first.data.dtypes.equals(now.data.dtypes)


@pytest.mark.parametrize(
    ("stored", "hint"),
    [
        (-1, int),
        (2**70, int),
        (True, int),
        ("-1", int),
        ("1" * 4001, int),
        (1, str),
        (1, bool),
        (1, float),
        ("x", tuple[str, ...]),
        (["x", 1], tuple[str, ...]),
        ({"array": "a", "shape": [-1], "dtype": "<f8"}, np.ndarray),
        ({"array": "a", "shape": [2], "dtype": "<i8"}, np.ndarray),
    ],
)
def test_nothing_is_read_but_what_an_annotation_allows(stored, hint):
    with pytest.raises(ValueError, match=r"is no|is not as it is written"):
        codec.decode(stored, hint, {"a": np.zeros(2)})
    assert codec.decode(str(2**127), int, {}) == 2**127


def test_a_file_of_the_second_version_is_the_same_result(good, tmp_path):
    def as_it_was(group: Any) -> None:
        apart(group)
        text = json.loads(group["description"][()].tobytes())
        held, history = text["specification"], text["history"]
        targets = list(held["targets"].values())
        targets[0]["post"] = {"__squeeze__": [-5.0, 5.0]}
        del held["ignore"]
        held.update(targets=targets, methods=[list(pair) for pair in held["methods"].items()])
        held.update(where=list(held["where"]), live=[], monitors={})
        history["seed"] = str(history["seed"])
        described(group, json.dumps(text))
        group.attrs["format_version"] = 2

    path = tmp_path / "second.nc"
    path.write_bytes(rebuilt(good, path, as_it_was))
    second, now = bi.open(path), bi.open(good)
    pd.testing.assert_frame_equal(second.complete(2), now.complete(2))
    assert second.specification.targets == now.specification.targets
    assert second.specification.targets["x"].post == bi.squeeze(-5, 5)
    assert (second.seed, second.method, second.fingerprint) == (
        now.seed,
        now.method,
        now.fingerprint,
    )
    for name, cells in now.specification.where.items():
        np.testing.assert_array_equal(second.specification.where[name], cells)


def test_methods_around_methods_of_the_second_version_are_what_they_were():
    shift = {"__pairs__": [[None, -1.0]]}
    groups = frame_store.encode_value(((0.0, "a"), (1.0, "b")))
    method = {
        "__wrapper__": "by_group", "method": {
            "__wrapper__": "delta", "method": "pmm", "how": "delta", "amounts": shift,
            "where": None, "cluster": None,
        }, "by": "arm", "groups": groups,
    }  # fmt: skip
    specification = {"targets": [{"name": "x", "method": method}], "where": [], "methods": []}
    frame = {"rows": 2, "columns": [], "index": {"as": "range"}}
    found = as_now({"frame": frame, "specification": specification}, {})
    again = codec.decode_object(found["specification"]["targets"]["x"]["method"])
    assert again == bi.by_group(bi.delta("pmm", -1.0), "arm")
    assert again.groups == ((0.0, "a"), (1.0, "b"))


@pytest.mark.parametrize("number", range(24))
def test_flipped_bytes_of_a_file_sealed_again_are_refused_or_change_nothing(good, tmp_path, number):
    draw = random.Random(number)
    content = bytearray(good.read_bytes()[: -seal.LENGTH])
    heap = content.find(b"GCOL")  # where HDF5 keeps text of any length, without a checksum
    for _ in range(draw.randint(1, 8)):
        place = [draw.randrange(4096), heap + draw.randrange(4096), draw.randrange(len(content))]
        content[place[number % 3] % len(content)] ^= 1 << draw.randrange(8)
    opened(tmp_path / "flipped.nc", seal.sealed(bytes(content)))


def test_text_of_any_length_is_not_asked_of_hdf5(good, tmp_path):
    damaged = tmp_path / "damaged.nc"

    def as_it_was(group: Any) -> None:
        apart(group)
        group.attrs["format"] = "bayesimpute imputations"
        group.attrs["format_version"] = np.array([1])

    content = bytearray(rebuilt(good, damaged, as_it_was))[: -seal.LENGTH]
    for heap in re.finditer(b"GCOL", content):
        content[heap.start() + 16 : heap.start() + 4096] = bytes(4080)  # HDF5 would walk for ever
    assert b"bayesimpute imputations" not in content
    assert opened(damaged, seal.sealed(bytes(content))) == ""
