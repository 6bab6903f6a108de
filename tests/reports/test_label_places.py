"""Labels beside points: near, in the plot, and on nothing else while there is room."""

from __future__ import annotations

import numpy as np
from hypothesis import given as for_all
from hypothesis import strategies as st

from taskmark.reports.label_places import label_centres

SIZE = (11.0, 9.0)
PLOT = (400.0, 250.0)


def placed(points: list[tuple[float, float]]) -> np.ndarray:
    return label_centres(
        np.array(points, dtype=np.float64), [SIZE] * len(points), marker=6, within=PLOT
    )


def overlap(one: np.ndarray, other: np.ndarray, width: float, height: float) -> bool:
    across, up = np.abs(one - other)
    return bool(across < width - 1e-9 and up < height - 1e-9)


def test_a_lone_point_has_its_label_up_and_to_the_right():
    (centre,) = placed([(100, 100)])
    assert (centre > 100).all()
    assert np.hypot(*(centre - 100)) < 10


def test_in_the_corner_the_label_stays_inside():
    (centre,) = placed([(399, 249)])
    assert (centre < 399).all()


def test_the_second_of_two_at_one_place_goes_elsewhere():
    first, second = placed([(100, 100), (100, 100)])
    assert not overlap(first, second, *SIZE)


@for_all(st.lists(st.tuples(st.floats(20, 380), st.floats(20, 230)), min_size=1, max_size=6))
def test_labels_cover_neither_each_other_nor_points(points):
    centres = placed(points)
    where = np.array(points)
    for number, centre in enumerate(centres):
        assert not any(overlap(centre, other, *SIZE) for other in centres[:number])
        assert not any(overlap(centre, p, (SIZE[0] + 6) / 2, (SIZE[1] + 6) / 2) for p in where)
        assert np.hypot(*(centre - where[number])) < 40


def test_a_crowd_ends_with_every_label_in_the_plot():
    centres = placed([(200, 120)] * 300)
    assert np.isfinite(centres).all()
    assert (centres > 0).all()
    assert (centres < PLOT).all()
