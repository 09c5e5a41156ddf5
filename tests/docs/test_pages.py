"""The pages of the site, without building it: names, links, cells. `make docs` executes them."""

import ast
import inspect
import re
import runpy
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import bayesimpute as bi
from bayesimpute.imputations import Checks, Plots

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SITE = sorted(path for path in DOCS.rglob("*.md") if not {"_build", "generated"} & set(path.parts))
SITE = [path for path in SITE if path.relative_to(DOCS) != Path("notebooks/README.md")]
PAGES = [ROOT / "README.md", ROOT / "notebooks/README.md", *SITE]
FENCE = re.compile(r"^(`{3,}|:{3,})(\S*)[^\n]*\n(.*?)^\1\s*$", re.DOTALL | re.MULTILINE)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text(path: Path) -> str:
    return path.read_text("utf-8")


def cells(path: Path, *languages: str) -> Iterator[str]:
    """Code of a page: without its options and without magics."""
    for _, language, code in FENCE.findall(text(path)):
        if language in languages:
            yield re.sub(r"\A(:[^\n]*\n)+|^%[^\n]*$", "", code, flags=re.MULTILINE)


def chains(code: str) -> Iterator[tuple[str, ...]]:
    """Dotted names that begin with ``bi`` or ``imp``: ``bi.simulate.sbc`` as a tuple."""
    for node in ast.walk(ast.parse(code)):
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        if parts and isinstance(node, ast.Name) and node.id in ("bi", "imp"):
            yield (node.id, *parts)


def prose(path: Path) -> Iterator[tuple[str, ...]]:
    """Dotted names within lines, in backticks."""
    outside = FENCE.sub("", text(path))
    for code in re.findall(r"`([^`\n]+)`", outside):
        for found in re.findall(r"(?<![\w./~-])(?:bi|imp)(?:\.[A-Za-z_]\w*)+", code):
            if not found.startswith("imp.nc"):
                yield tuple(found.split("."))


def there(parts: tuple[str, ...]) -> bool:
    """Whether a name is there, as far as that is known without running anything."""
    home: object = {"bi": bi, "imp": bi.Imputations}[parts[0]]
    for part in parts[1:]:
        if not hasattr(home, part):
            return False
        inside = getattr(home, part)
        if home is bi.Imputations:
            inside = {"plot": Plots, "check": Checks}.get(part)
        elif not inspect.ismodule(inside):
            return True
        if inside is None:
            return True
        home = inside
    return True


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_cells_parse_and_the_names_in_them_are_there(page: Path) -> None:
    missing = set()
    for code in cells(page, "{code-cell}", "python"):
        missing |= {parts for parts in chains(code) if not there(parts)}
    missing |= {parts for parts in prose(page) if not there(parts)}
    assert not missing


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text(page))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), f"{name(page)} points at {target}"
        if anchor and path.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", text(path), flags=re.MULTILINE)
            assert anchor in map(slug, headings), f"{name(page)} points at {target}"
    for target in re.findall(r"\{doc\}`(?:[^`<]*<)?/([^`>]+)>?`", text(page)):
        assert list(DOCS.glob(f"{target}.*")), f"{name(page)} points at {target}"


def listed(page: Path) -> set[Path]:
    """Pages in the tables of contents of a page."""
    found = set()
    for _, language, inside in FENCE.findall(text(page)):
        if language == "{toctree}":
            for line in inside.splitlines():
                entry = re.sub(r".*<(.*)>\s*$", r"\1", line.strip())
                if entry and not entry.startswith(":"):
                    found.add(page.parent / entry)
    return found


def test_every_page_is_in_a_table_of_contents_and_every_entry_is_a_page() -> None:
    entries = {entry for page in SITE for entry in listed(page)}
    pages = {page.with_suffix("") for page in SITE} - {DOCS / "index"}
    notebooks = {DOCS / "notebooks" / path.stem for path in (ROOT / "notebooks").glob("*.py")}
    assert entries == pages | notebooks


#: Lists of pages; the front page, which has a table of contents too, has cards.
LISTS = [page for page in SITE if ":hidden:" in text(page) and page != DOCS / "index.md"]


@pytest.mark.parametrize("page", LISTS, ids=name)
def test_what_a_hidden_table_of_contents_lists_is_linked_on_its_page(page: Path) -> None:
    links = set(re.findall(r"\]\(([^)#\s]+)\)", FENCE.sub(r"\3", text(page))))
    assert listed(page) <= {(page.parent / link).with_suffix("") for link in links}


@pytest.mark.parametrize("page", SITE, ids=name)
def test_a_page_has_one_title_and_cells_only_where_they_are_executed(page: Path) -> None:
    outside = FENCE.sub("", text(page))
    assert len(re.findall(r"^# \S", outside, flags=re.MULTILINE)) == 1
    executed = text(page).startswith("---\nfile_format: mystnb\n")
    assert executed == bool(list(cells(page, "{code-cell}")))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_and_targets_it_points_at_are_there(page: Path) -> None:
    folders = "tests|benchmarks|notebooks|bayesimpute|docs"
    for path in set(re.findall(rf"`((?:{folders})/[\w./]+)`", text(page))):
        made = path in ("notebooks/executed/", "docs/_build/html")  # by make, and not kept
        assert made or (ROOT / path).exists(), path
    for target in set(re.findall(r"`make ([a-z]+)|^make ([a-z]+)", text(page), re.MULTILINE)):
        rule = rf"^{''.join(target)}:"
        assert re.search(rule, text(ROOT / "Makefile"), flags=re.MULTILINE), target


def test_formulas_of_the_models_are_drawn_without_what_is_of_latex():
    names = runpy.run_path(str(DOCS / "formulas.py"))
    found = 0
    for path in sorted((DOCS.parent / "models").glob("*.py")):
        for block in re.findall(r"\.\. math::\n((?:    .*\n|\n)+)", path.read_text("utf-8")):
            for line in textwrap.dedent(block).strip().split("\n\n"):
                drawn = names["mathml"](line, display="block")
                assert "\\" not in drawn and "<mi>&#x0007E;</mi>" not in drawn, (path.name, line)
                found += 1
    assert found > 20
