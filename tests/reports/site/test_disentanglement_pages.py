"""Maps, negation and localisation stand with their numbers and intervals."""

from __future__ import annotations

from made_up_records import made_up_localisation, made_up_negation, made_up_record
from site_elements import text_of


def test_every_map_stands_with_its_number_and_interval(site, maps):
    text = text_of(site["mini@1.0/disentanglement.html"])
    for record in maps:
        assert f"{record.unit_square:.3f} [{record.low:.3f}, {record.high:.3f}]" in text


def test_negation_stands_before_and_after_with_intervals(site_of):
    record = made_up_negation()
    site = site_of([made_up_record(n=20)], negation=[record])
    for path in ("mini@1.0/disentanglement.html", "mini@1.0/backbone-image-text.html"):
        text = text_of(site[path])
        assert "60.0 20.0 [18.0, 22.0] 60.0 57.0 [55.0, 59.0]" in text
        target = record.tasks[0].target
        assert f"20.0 [{100 * target.low:.1f}, {100 * target.high:.1f}]" in text
    assert "Negated" in text_of(site["mini@1.0/task-digits.html"])


def test_localisation_stands_with_its_interval_and_chance(site_of):
    site = site_of([made_up_record(n=20)], localisation=[made_up_localisation()])
    text = text_of(site["mini@1.0/disentanglement.html"])
    # 1.96 * sqrt(0.03^2 + 0.04^2) = 0.098
    assert "0.400 [0.302, 0.498] 0.040 0.030 0.070 [0.050, 0.090]" in text


def test_metrics_alone_make_a_site(site_of):
    site = site_of([], negation=[made_up_negation()])
    assert "mini@1.0/backbone-image-text.html" in site
    assert "Task negation" in text_of(site["mini@1.0/disentanglement.html"])
