"""A docstring becomes HTML in which all of its text is escaped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from site_elements import parsed

from taskmark.reports.site.docstrings import taken_apart

TEXT = """Do `it`.

A paragraph of
two lines with `code` and a <b>.

    theta = a
      + b

Conventions:

- one
  goes on
- two

1. first
2. second

Note:
    Of importance.

Attributes:
    density: share of the entries
        that are kept.

    scope: one of: global, tensor.

The end.
"""


def test_every_kind_of_block_is_set_as_what_it_is():
    found = taken_apart(TEXT)
    assert str(found.body).splitlines() == [
        "<p>A paragraph of two lines with <code>code</code> and a &lt;b&gt;.</p>",
        '<pre tabindex="0">θ = a',
        "  + b</pre>",
        "<h3>Conventions</h3>",
        "<ul><li>one goes on</li><li>two</li></ul>",
        "<ol><li>first</li><li>second</li></ol>",
        "<h3>Note</h3><p>Of importance.</p>",
        "<p>The end.</p>",
    ]
    assert found.attributes == {
        "density": "share of the entries that are kept.",
        "scope": "one of: global, tensor.",
    }


def test_the_first_paragraph_is_left_to_the_summary():
    assert str(taken_apart("Do it.").body) == str(taken_apart("").body) == ""


@given(st.text(alphabet=st.sampled_from("ab<>&\"'`:-1. \n\u202eA="), max_size=120))
def test_no_element_comes_from_the_text(text):
    html = str(taken_apart(f"First.\n\n{text}\n\nAttributes:\n    a: {text}").body)
    tags = {tag for tag, _ in parsed(html).found}
    assert tags <= {"p", "pre", "h3", "ul", "ol", "li", "code"}
