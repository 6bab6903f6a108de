"""Definitions are those of the code."""

from __future__ import annotations

from taskmark.reports.definitions import definitions


def test_definitions_come_from_the_code():
    texts = {d.term: " ".join(d.paragraphs) for d in definitions()}
    assert "Holm" in texts["Rank"]
    assert "bootstrap" in texts["Intervals"]
    assert "range [0, 2]" in texts["Weight-disentanglement error ξ"]
    assert "expert" in texts["Normalised accuracy"]
    for name in ("`trials`", "`gradient_images`", "`extra_parameters`"):
        assert name in texts["Cost"]
    assert all(paragraph for text in definitions() for paragraph in text.paragraphs)
