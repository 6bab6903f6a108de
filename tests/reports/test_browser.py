"""The page in a real browser: sort, filter, and a view that is a link."""

from __future__ import annotations

import shutil

import pytest
from made_up_records import SUITE, made_up_board, made_up_maps, made_up_record, write_out

from taskmark.reports import build

pytestmark = pytest.mark.browser

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser():
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    binary = next((found for name in NAMES if (found := shutil.which(name))), None)
    if binary is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    backbones = ("image-text", "random")
    records = made_up_board(backbones=backbones, n=100)
    out = write_out(tmp_path_factory.mktemp("out"), records, made_up_maps(backbones))
    return build(out).as_uri()


@pytest.fixture
def visit(browser, address):
    """Open the page with a view; at the end no error and no further request may have come up."""
    contexts, errors, requests = [], [], []

    def open_page(view="", *, width=1400, scheme="light", scripts=True):
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address + view)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
    assert [url for url in requests if not url.startswith((address, "data:"))] == []


def column(page, place):
    """Texts of a column of the ranked rows that are seen."""
    rows = "section.board:not([hidden]) table tbody:first-of-type tr:not([hidden])"
    return page.eval_on_selector_all(
        rows, f"rows => rows.map(row => row.cells[{place}].dataset.value)"
    )


def test_the_first_board_is_shown_best_row_on_top(visit):
    page = visit()
    assert page.locator("section.board:visible").count() == 1
    assert column(page, 1)[0] == "dv_basi"
    assert page.locator("th[aria-sort]:visible").get_attribute("aria-sort") == "descending"


def test_sorting_by_keyboard_writes_the_view_that_a_link_restores(visit):
    page = visit()
    button = page.locator("th[data-key='task:signs'] button:visible")
    button.focus()
    page.keyboard.press("Enter")
    values = [float(value) for value in column(page, 5)]
    assert values == sorted(values, reverse=True)
    page.keyboard.press("Enter")
    assert [float(value) for value in column(page, 5)] == sorted(values)
    view = page.evaluate("location.hash")
    assert column(visit(view), 5) == column(page, 5)


def test_filters_narrow_the_rows_and_reset_brings_them_back(visit):
    page = visit()
    everything = column(page, 1)
    page.select_option("select[name=recipe]", "tangent")
    assert column(page, 1) == ["tangent_fine_tuning"]
    assert page.locator("figure[data-recipe=standard]:visible").count() == 0
    page.select_option("select[name=backbone]", "")
    assert page.locator("section.board:visible").count() == 2
    page.select_option("select[name=recipe]", "")
    page.select_option("select[name=track]", "unlabelled")
    assert column(page, 1) == ["dv_basi_unlabelled"] * 2
    assert page.locator("tbody.references tr:visible").count() > 0
    page.click("#reset")
    assert column(page, 1) == everything
    assert page.evaluate("location.hash") == ""


@pytest.mark.parametrize("view", ["#backbone=none&sort=x&order=y", "#%00=%ff&suite=<b>", "#about"])
def test_a_view_that_makes_no_sense_shows_the_first_board(visit, view):
    page = visit(view)
    assert page.locator("section.board:visible").count() == 1
    assert column(page, 1)[0] == "dv_basi"


def test_intervals_of_tasks_are_shown_on_demand_and_in_the_link(visit):
    page = visit()
    assert page.locator("td .more:visible").count() == 0
    page.check("#intervals")
    assert page.locator("td .more:visible").count() > 0
    assert visit(page.evaluate("location.hash")).is_checked("#intervals")


def test_a_link_in_the_page_keeps_the_view(visit):
    page = visit("#recipe=tangent")
    page.click("a[href='#about']")
    assert page.evaluate("location.hash") == "#recipe=tangent"
    assert page.evaluate("document.activeElement.id") == "about"


def test_without_scripts_every_board_can_be_read(visit):
    page = visit(scripts=False)
    assert page.locator("section.board:visible").count() == 2
    assert page.locator("section.findings:visible").count() == 2
    assert page.locator("article.finding:visible").count() == 6
    assert page.locator("form:visible").count() == 0
    assert page.locator("tbody tr:visible").count() > 20


def test_findings_are_those_of_the_suite_that_is_chosen(browser, tmp_path):
    records = [
        made_up_record(n=20, suite=SUITE.model_copy(update={"name": name, "sha256": 64 * name[0]}))
        for name in ("mini", "other")
    ]
    page = browser.new_page()
    page.goto(build(write_out(tmp_path, records)).as_uri())
    for name in ("mini", "other"):
        page.select_option("select[name=suite]", f"{name}@1.0")
        titles = page.locator("section.findings:visible h2").all_inner_texts()
        assert titles == [
            f"Findings {name}@1.0",
            f"How well this board separates methods {name}@1.0",
        ]
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_the_page_fits_and_its_texts_can_be_read(visit, scheme, width):
    page = visit(width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ratios = page.evaluate(CONTRASTS)
    assert ratios
    assert min(ratios.values()) >= 4.5, ratios


CONTRASTS = """() => {
  const light = (colour) => {
    const parts = colour.match(/[0-9.]+/g).slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (colour !== "rgba(0, 0, 0, 0)") return colour;
    }
  };
  const ratios = {};
  for (const element of document.querySelectorAll("main *, header *, form *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || element.closest("svg") || !element.checkVisibility()) continue;
    const front = light(getComputedStyle(element).color) + 0.05;
    const back = light(behind(element)) + 0.05;
    const key = `${element.tagName}.${element.className}`;
    ratios[key] = Math.min(ratios[key] ?? 99, Math.max(front / back, back / front));
  }
  return ratios;
}"""
