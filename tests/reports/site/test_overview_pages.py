"""The overview counts where a method is unbeaten, and keeps everything apart that is not ranked."""

from __future__ import annotations

from made_up_records import made_up_failure, made_up_method, made_up_record
from site_elements import text_of

from taskmark.reports.board import boards
from taskmark.reports.site.overview_pages import lines


def measured(skills, backbone):
    return [
        made_up_record(n=400, method=made_up_method(name), skill=skill, backbone=backbone)
        for name, skill in skills.items()
    ]


def test_unbeaten_counts_the_backbones_but_the_control():
    found = boards(
        measured({"one": 0.9, "two": 0.2}, "a")
        + measured({"one": 0.2, "two": 0.9}, "b")
        + measured({"one": 0.9, "two": 0.1}, "c")
        + measured({"one": 0.1, "two": 0.9}, "random")
    )
    groups = lines(tuple(found))
    counted = {line.row.label: (line.unbeaten, line.n_ranked) for line in groups["ranked"]}
    assert counted == {"one": (2, 3), "two": (1, 3)}
    assert [line.row.label for line in groups["ranked"]] == ["one", "two"]


def test_a_row_that_is_missing_or_failed_somewhere_says_so(site_of):
    records = [*measured({"one": 0.9}, "a"), *measured({"one": 0.9, "two": 0.5}, "b")]
    records.append(made_up_failure(backbone="b"))
    groups = lines(tuple(boards(records)))
    assert [[row is None for row in line.rows] for line in groups["ranked"]] == [
        [False, False],
        [True, False],
    ]
    assert [line.row.label for line in groups["unranked"]] == ["fragile"]
    assert "failed" in text_of(site_of(records)["index.html"])


def test_every_row_has_its_number_interval_and_rank(site, records):
    text = text_of(site["index.html"])
    for board in boards(records):
        for row in board.ranked:
            spread = row.intervals
            ends = f"[{100 * spread.normalised_low:.1f}, {100 * spread.normalised_high:.1f}]"
            assert f"{row.standing.rank} {100 * row.normalised_accuracy:.1f} {ends}" in text
