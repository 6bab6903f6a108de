"""Names of files are plain, and no two texts share one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmark.reports.site.addresses import relative, slug


@given(st.text(), st.text())
def test_two_texts_never_share_a_file_name(one, two):
    assert (slug(one) == slug(two)) == (one == two)


@given(st.text())
def test_a_file_name_is_plain_and_short(text):
    assert re.fullmatch(r"[a-z0-9_][a-z0-9_.@+-]{0,79}", slug(text))


@pytest.mark.parametrize("text", ["image_text", "mini@1.0", "ties", "mini@1.0+digits"])
def test_what_is_plain_already_stays(text):
    assert slug(text) == text


@pytest.mark.parametrize(
    ("target", "page", "path"),
    [
        ("index.html", "index.html", "index.html"),
        ("methods/ties.html", "index.html", "methods/ties.html"),
        ("index.html", "methods/ties.html", "../index.html"),
        ("a/b.html", "a/c.html", "b.html"),
        ("about.html#rank", "a/c.html", "../about.html#rank"),
    ],
)
def test_links_are_relative(target, page, path):
    assert relative(target, page) == path
