"""The check of sites finds what it looks for."""

from __future__ import annotations

from site_faults import faults


def test_each_kind_of_fault_is_found_and_nothing_else(tmp_path):
    (tmp_path / "one.html").write_text(
        '<p id="a"><a href="two.html#b">x</a><br><a href="https://example.org">y</a></p>'
        '<a href="#a">z</a><svg><path id="s"/><path id="s"/></svg>'
    )
    (tmp_path / "two.html").write_text('<p id="b">x</p>')
    assert faults(tmp_path) == []
    (tmp_path / "two.html").write_text(
        '<p id="b"><i id="b"></p></i><a href="one.html#c"></a><a href="#d"></a><img src="3.png">'
    )
    assert sorted(faults(tmp_path)) == [
        ("two.html", "crossed i"),
        ("two.html", "crossed p"),
        ("two.html", "dead 3.png"),
        ("two.html", "no #d"),
        ("two.html", "no one.html#c"),
        ("two.html", "twice b"),
    ]
