"""The site in a real browser: sort, search, filter, a view that is a link, and who can use it."""

from __future__ import annotations

import json
import shutil

import pytest
from made_up_records import (
    SUITE,
    TASKS,
    made_up_board,
    made_up_localisation,
    made_up_maps,
    made_up_method,
    made_up_negation,
    made_up_record,
    write_out,
)

from taskmark.records.catalogue import (
    BackboneEntry,
    Example,
    HyperParameter,
    MethodEntry,
    SuiteEntry,
    TaskEntry,
    method_path,
    suite_path,
)
from taskmark.reports import build

pytestmark = pytest.mark.browser

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
BOARD = "mini@1.0/board-image-text.html"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SIGNS = 12  # the column of the task `signs`: ten before it, and one task


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
    records = made_up_board(backbones=backbones, n=100, expert_seeds=(0, 1))
    records.append(
        made_up_record(n=100, method=made_up_method("=cmd|odd", bibtex="@misc{odd}"), skill=0.1)
    )
    records.append(made_up_record(n=100, expert_seed=1, method=records[-1].method, skill=0.1))
    out = write_out(
        tmp_path_factory.mktemp("out"),
        records,
        made_up_maps(backbones),
        negation=[made_up_negation()],
        localisation=[made_up_localisation()],
    )
    described(out)
    return build(out).parent.as_uri() + "/"


def described(out):
    """Write a catalogue: a method with a formula and fields, tasks and a backbone with cards."""
    card = (("what it shows", "`signs`, askew"), ("", "An item of the card."))
    examples = (Example(label="a red sign", png=PIXEL),)
    suite = SuiteEntry(
        suite=SUITE,
        summary="",
        tasks=dict.fromkeys(TASKS, TaskEntry(card=card, classes=("a", "b"), examples=examples)),
        backbones={
            "image-text": BackboneEntry(
                summary="pairs", heads="zero-shot", weights="w", sha256="b" * 64, card=card
            )
        },
    )
    method = MethodEntry(
        name="ties",
        source_sha256="a" * 64,
        file="methods/ties.py",
        description=f"Merge.\n\n    {'theta + ' * 30}\n\nConventions:\n\n- one `two`\n- three",
        hyperparameters=(HyperParameter(name="density", values="number ≤ 1", default="0.2"),),
    )
    for path, entry in ((suite_path(out, SUITE), suite), (method_path(out, "ties"), method)):
        path.parent.mkdir(parents=True)
        path.write_text(entry.model_dump_json())


@pytest.fixture
def visit(browser, address):
    """Open a page; at the end no error and no request beyond the site may have come up."""
    contexts, errors, requests = [], [], []

    def open_page(path=BOARD, *, width=1400, scheme="light", scripts=True):
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
        page.goto(address + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
    assert [url for url in requests if not url.startswith((address, "data:"))] == []


def column(page, place):
    """First numbers or names of a column of the ranked rows that are seen."""
    rows = "table tbody:first-of-type tr:not([hidden])"
    script = f"""rows => rows.map(row => {{
        const cell = row.cells[{place}];
        return cell.dataset.v ?? cell.innerText.trim().split(/\\s/)[0];
    }})"""
    return page.eval_on_selector_all(rows, script)


def view(page):
    return page.evaluate("location.search")


def test_the_best_row_is_on_top_and_ranks_are_those_of_the_board(visit):
    page = visit()
    assert column(page, 1)[0] == "dv_basi"
    ranks = [int(rank) for rank in column(page, 0)]
    assert ranks == sorted(ranks)


def test_sorting_by_keyboard_writes_the_view_that_a_link_restores(visit):
    page = visit()
    button = page.locator("th[data-key='task:signs'] button")
    button.focus()
    page.keyboard.press("Enter")
    values = [float(value) for value in column(page, SIGNS - 1)]
    assert values == sorted(values, reverse=True)
    header = page.locator("th[aria-sort]")
    assert header.get_attribute("aria-sort") == "descending"
    page.keyboard.press("Enter")
    assert [float(value) for value in column(page, SIGNS - 1)] == sorted(values)
    again = visit(BOARD + view(page))
    assert column(again, 1) == column(page, 1)
    assert again.locator("th[aria-sort]").get_attribute("data-key") == "task:signs"


def test_search_and_filters_narrow_the_rows_and_reset_brings_them_back(visit):
    page = visit()
    everything = column(page, 1)
    page.fill("input[name=q]", "BASI unlabelled")
    assert column(page, 1) == ["dv_basi_unlabelled"]
    assert column(visit(BOARD + view(page)), 1) == ["dv_basi_unlabelled"]
    page.fill("input[name=q]", "")
    page.select_option("select[name=recipe]", "tangent")
    assert column(page, 1) == ["tangent_fine_tuning"]
    page.select_option("select[name=recipe]", "")
    page.select_option("select[name=track]", "labelled")
    assert "task_arithmetic" not in column(page, 1)
    assert page.locator("tbody.references tr:visible").count() > 0
    page.fill("input[name=q]", "nothing like this")
    assert page.locator(".nothing").is_visible()
    assert page.locator("tbody.heading:visible").count() == 0
    page.click("#reset")
    assert column(page, 1) == everything
    assert view(page) == ""


def test_columns_are_hidden_and_the_link_knows(visit):
    page = visit()
    page.click("summary:has-text('Columns')")
    page.uncheck("#columns input[value='task:signs']")
    assert not page.locator("th[data-key='task:signs']").is_visible()
    again = visit(BOARD + view(page))
    assert not again.locator("th[data-key='task:signs']").is_visible()
    assert again.locator("th[data-key='task:digits']").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#columns").is_visible()


def test_cells_show_the_metric_that_is_chosen(visit):
    page = visit()
    absolute = column(page, SIGNS - 1)
    page.select_option("select[name=metric]", "normalised")
    assert column(page, SIGNS - 1) != absolute
    assert column(visit(BOARD + "?metric=normalised"), SIGNS - 1) == column(page, SIGNS - 1)


def test_the_view_is_kept_from_backbone_to_backbone_and_seed_to_seed(visit):
    page = visit(BOARD + "?track=weights&sort=method")
    page.click("nav.choices a:has-text('random')")
    assert page.url.endswith("board-random.html?track=weights&sort=method")
    assert set(column(page, 1)) >= {"ties", "task_arithmetic"}
    page.click("nav.choices[aria-label='Expert seeds'] a:has-text('1')")
    assert page.url.endswith("board-random-seed-1.html?track=weights&sort=method")
    assert "dv_basi" not in column(page, 1)


@pytest.mark.parametrize(
    "asked", ["?sort=x&order=y&hide=z", "?recipe=none", "?%00=%ff&q=&track=<b>"]
)
def test_a_view_that_makes_no_sense_shows_the_whole_board(visit, asked):
    assert column(visit(BOARD + asked), 1) == column(visit(), 1)


def copied(page, kind):
    page.click("summary:has-text('Copy')")
    page.click(f"button[data-copy={kind}]")
    text = page.input_value("#copied textarea")
    page.click("#copied button:has-text('Close')")
    return text


def test_what_is_seen_is_copied(visit):
    page = visit(BOARD + "?hide=records,state&track=weights&sort=rank")
    lines = copied(page, "csv").splitlines()
    assert lines[0].startswith('"Rank","Method","Normalised","Normalised low","Normalised high"')
    assert "State" not in lines[0]
    names = [json.loads(f"[{line}]")[1] for line in lines[1:]]
    assert "dv_basi" not in names
    assert "'=cmd|odd" in names, "a spreadsheet must not take it for a formula"
    assert {len(json.loads(f"[{line}]")) for line in lines} == {len(json.loads(f"[{lines[0]}]"))}
    assert "| \\=cmd" not in copied(page, "markdown")
    assert "=cmd\\|odd" in copied(page, "markdown")
    latex = copied(page, "latex")
    assert "task\\_arithmetic" in latex
    assert latex.startswith("\\begin{tabular}{")


def test_the_methods_of_the_view_are_cited(visit):
    page = visit(BOARD + "?q=odd")
    assert copied(page, "bibtex") == "@misc{odd}"
    assert copied(visit(BOARD + "?q=ties"), "bibtex") == ""


def test_a_profile_shows_the_methods_that_are_chosen_and_the_link_knows(visit):
    page = visit("mini@1.0/plots-image-text.html")
    box = page.locator("[data-choose]:not(:checked)").first
    series = f"g.series[data-series='{box.get_attribute('data-choose')}']"
    assert not page.locator(series).is_visible()
    box.check()
    assert page.locator(series).is_visible()
    again = visit("mini@1.0/plots-image-text.html" + view(page))
    assert again.locator(series).is_visible()
    again.locator("[data-choose='0']").uncheck()
    assert not again.locator("g.series[data-series='0']").is_visible()


def test_a_point_without_a_label_shows_its_name_on_focus(visit):
    page = visit("index.html")
    point = page.locator("a.dot:not(.labelled)").first
    assert not point.locator("text").is_visible()
    point.focus()
    assert point.locator("text").is_visible()


def test_without_scripts_every_board_can_be_read(visit):
    page = visit(scripts=False)
    assert page.locator("tbody tr:visible").count() > 15
    assert page.locator("form:visible").count() == 0
    home = visit("index.html", scripts=False)
    assert home.locator("tbody tr:visible").count() > 10
    assert home.locator("tbody tr").first.is_visible()


PAGES = (
    "index.html",
    BOARD,
    "mini@1.0/plots-image-text.html",
    "mini@1.0/findings.html",
    "mini@1.0/disentanglement.html",
    "mini@1.0/backbone-image-text.html",
    "mini@1.0/task-signs.html",
    "methods/index.html",
    "methods/ties.html",
    "data.html",
    "about.html",
)


def test_the_pictures_of_a_task_are_there(visit):
    page = visit("mini@1.0/task-signs.html")
    assert page.evaluate("[...document.images].map(image => image.naturalWidth)") == [1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize("path", PAGES)
def test_every_page_fits_and_its_texts_can_be_read(visit, path, scheme, width):
    page = visit(path, width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ratios = page.evaluate(CONTRASTS)
    assert ratios
    assert min(ratios.values()) >= 4.5, ratios


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_serious(visit, path, scheme):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed"
    )
    page = visit(path, scheme=scheme)
    # Without preloading: it would fetch the style sheet again, which the policy forbids.
    found = axe.Axe().run(page, options={"preload": False}).response["violations"]
    bad = [
        (violation["id"], [node["html"][:120] for node in violation["nodes"][:3]])
        for violation in found
        if violation["impact"] in {"serious", "critical"}
    ]
    assert bad == []


CONTRASTS = """() => {
  const light = (colour) => {
    const full = colour.startsWith("color(") ? 1 : 255;
    const parts = colour.match(/[0-9.]+/g).slice(0, 3).map((part) => {
      const share = part / full;
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
  for (const element of document.querySelectorAll("main *, header *, footer *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || element.closest("svg") || !element.checkVisibility()) continue;
    const front = light(getComputedStyle(element).color) + 0.05;
    const back = light(behind(element)) + 0.05;
    const key = `${element.tagName}.${element.className}`;
    ratios[key] = Math.min(ratios[key] ?? 99, Math.max(front / back, back / front));
  }
  return ratios;
}"""
