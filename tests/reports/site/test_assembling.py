"""The site as a whole: it leads nowhere else, every link arrives, and no text is trusted."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote

import pytest
from made_up_records import (
    made_up_board,
    made_up_disentanglement,
    made_up_failure,
    made_up_localisation,
    made_up_method,
    made_up_negation,
    made_up_provenance,
    made_up_record,
)
from site_elements import parsed, text_of

NASTY = '<script>alert("x")</script>\'"&\u202e=cmd|x}}{{ 7*7 }}'


def pages(site):
    return {path: text for path, text in site.items() if path.endswith(".html")}


def test_there_is_a_page_of_every_kind(site):
    assert {"index.html", "data.html", "about.html", "methods/index.html"} <= set(site)
    assert {"mini@1.0/findings.html", "mini@1.0/disentanglement.html"} <= set(site)
    for kind in ("board", "plots", "task", "backbone"):
        assert any(path.startswith(f"mini@1.0/{kind}-") for path in site)
    assert any(path.startswith("records/") for path in site)


def test_every_page_forbids_all_but_the_own_files(site):
    for path, page in pages(site).items():
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1)
        assert "default-src 'none'; script-src 'self';" in policy, path
        for tag, attributes in parsed(page).found:
            assert tag not in {"iframe", "object", "embed", "base"}, path
            for name in ("src", "xlink:href"):
                address = attributes.get(name, "#")
                assert not re.match(r"[a-z]+:|//", address) or address.startswith("data:image/png")
    assert "@import" not in site["site.css"]
    assert "url(" not in site["site.css"]


def test_every_link_leads_to_a_file_of_the_site_or_a_paper(site):
    anywhere = set(site)
    for path, page in pages(site).items():
        ids = {attributes.get("id") for _, attributes in parsed(page).found}
        for tag, attributes in parsed(page).found:
            if tag not in {"a", "link", "script"}:
                continue
            target = attributes.get("href") or attributes.get("src")
            if target.startswith("https://arxiv.org/"):
                continue
            place, _, fragment = target.partition("#")
            if not place:
                assert fragment in ids, (path, target)
                continue
            found = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(place)))
            assert found in anywhere, (path, target)


def test_ids_are_unique_and_references_lead_somewhere(site):
    for path, page in pages(site).items():
        found = parsed(page).found
        ids = [a["id"] for tag, a in found if "id" in a and tag not in {"path", "clippath"}]
        assert len(ids) == len(set(ids)), path
        for _, attributes in found:
            for name in ("aria-labelledby", "for"):
                assert attributes.get(name, ids[0]) in ids, (path, attributes)


def test_texts_from_outside_stay_texts(site_of):
    method = made_up_method(
        NASTY, summary=NASTY, paper=f"javascript:{NASTY}", bibtex=NASTY, hyperparameters={NASTY: 1}
    )
    record = made_up_record(
        n=20,
        method=method,
        backbone=NASTY,
        recipe=NASTY,
        tasks=(NASTY, "plain"),
        provenance=made_up_provenance(device=NASTY, libraries={NASTY: NASTY}),
    )
    failure = made_up_failure(backbone=NASTY, reason=NASTY, method=made_up_method("fragile"))
    maps = [made_up_disentanglement(backbone=NASTY, recipe=NASTY)]
    negation = [made_up_negation(backbone=NASTY, recipe=NASTY)]
    site = site_of([record, failure], maps, negation, [made_up_localisation(backbone=NASTY)])
    assert len(pages(site)) > 10
    seen = 0
    for path, page in pages(site).items():
        elements = parsed(page)
        assert [a for tag, a in elements.found if tag == "script" and "src" not in a] == [], path
        seen += NASTY in "".join(elements.text)
        for _, attributes in elements.found:
            assert not any(name.startswith("on") for name in attributes), path
            assert not (attributes.get("href") or "").startswith("javascript:"), path
    assert seen > 10
    assert all(re.fullmatch(r"[a-zA-Z0-9_.@+/-]+", path) for path in site)


def test_without_records_the_home_page_says_how_to_make_some(site_of):
    site = site_of([])
    assert "No records yet" in text_of(site["index.html"])


@pytest.mark.parametrize("n", [1, 2])
def test_suites_of_one_name_and_version_but_other_content_are_told_apart(site_of, n):
    record = made_up_record(n=20)
    suites = [record.suite.model_copy(update={"sha256": str(i) * 64}) for i in range(5, 5 + n)]
    site = site_of([made_up_record(n=20, suite=suite) for suite in suites])
    home = text_of(site["index.html"])
    assert ("mini@1.0 (55555555)" in home) == (n == 2)
    assert ("mini@1.0 (66666666)" in home) == (n == 2)


def test_the_same_records_give_the_same_site_whatever_their_order(site_of):
    records = made_up_board(backbones=("image-text",), n=40)
    assert site_of(records) == site_of(records[::-1])
