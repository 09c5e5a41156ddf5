"""The page in a real browser: silent, offline, and laid out."""

import pandas as pd
import pytest

import bayesimpute as bi
from tests.report import chromium

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.find() is None, reason="no chromium is installed"),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    study = bi.simulate.simulate_popularity(seed=1, schools=8, pupils=160)
    df = study.incomplete.assign(kind=pd.Categorical(["a", "b<", "c"] * 53 + ["a"]))
    predictors = bi.make_predictors(df, cluster="school")
    predictors.loc["popular", "sex"] = bi.Role.RANDOM
    imp = bi.impute(
        df, method="normal", predictors=predictors, m=3, iterations=5, seed=1, progress=False
    )
    analyses = {"MAR": imp.fit("popular ~ texp + sex + (1 | school)")}
    return imp.report(tmp_path_factory.mktemp("page") / "out.html", analyses)


@pytest.fixture
def browser(tmp_path):
    with chromium.Browser(tmp_path / "profile") as opened:
        yield opened


def requested(browser, path):
    """Addresses that are neither the page itself nor inside it."""
    sent = [e["params"]["request"]["url"] for e in browser.events
            if e.get("method") == "Network.requestWillBeSent"]  # fmt: skip
    assert path.as_uri() in sent  # the listening works
    return [url for url in sent if url != path.as_uri() and not url.startswith("data:")]


def complaints(browser):
    """Everything on the console, and what could not be shown."""
    names = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
    return [event for event in browser.events if event.get("method") in names]


def test_no_console_message_and_no_request(browser, path):
    browser.open(path)
    assert requested(browser, path) == [] and complaints(browser) == []
    assert browser.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")


def test_the_checks_of_this_file_would_see_a_request_and_a_script(browser, path):
    noisy = path.with_name("noisy.html")
    more = "<img src='https://localhost:9/x.png'><script>console.error('x')</script></body>"
    noisy.write_text(path.read_text("utf-8").replace("</body>", more), "utf-8")
    browser.open(noisy)
    assert requested(browser, noisy) == ["https://localhost:9/x.png"] and complaints(browser)


@pytest.mark.parametrize("width", [1000, 380])
def test_nothing_is_wider_than_the_window(tmp_path, path, width):
    with chromium.Browser(tmp_path / "profile", width) as browser:
        browser.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1,
            mobile=False,
        )  # fmt: skip
        browser.open(path)
        assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_equations_are_laid_out_as_mathematics(browser, path):
    browser.open(path)
    count = browser.evaluate("document.querySelectorAll('math').length")
    assert count >= 3
    # an index is lower and smaller than what it belongs to
    lower = """[...document.querySelectorAll('msub')].every(m => {
        const [base, index] = [...m.children].map(c => c.getBoundingClientRect());
        return index.bottom > base.bottom - 1 && index.left >= base.right - 2; })"""
    assert browser.evaluate(lower)
