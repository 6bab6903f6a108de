"""What a person is told of progress."""

from __future__ import annotations

import io
import json
from typing import NamedTuple

import pytest

from taskmark.console import PlainConsole
from taskmark.engine.event_lines import EventLines
from taskmark.engine.executor import Event
from taskmark.engine.progress import Display, duration


class Job(NamedTuple):
    """All that progress asks of a job."""

    kind: str
    key: str
    label: str


def _job(kind: str, key: str) -> Job:
    return Job(kind, key, f"making {key} [of {kind}]")


JOBS = [_job("data", "a"), _job("data", "b"), _job("experts", "c")]


@pytest.fixture
def told():
    """A display of three jobs -> it, and what it wrote so far."""

    def start(*, quiet: bool = False):
        text = io.StringIO()
        display = Display(PlainConsole(file=text, width=200), quiet=quiet)
        with display:
            display.begin(JOBS, 4, 2)
        return display, text

    return start


def test_the_beginning_says_how_much_there_is(told):
    _, text = told()
    assert text.getvalue() == "3 jobs to do in 2 processes, 4 were done before.\n"


def test_each_job_is_a_line_with_its_time_and_what_is_left(told):
    display, text = told()
    display.event(Event("started", JOBS[0]))
    display.event(Event("done", JOBS[0], 4.0))
    line = text.getvalue().splitlines()[-1]
    assert line.startswith("[1/3] making a [of data]: 4.0 s (")
    assert line.endswith(" so far)")  # no expert was timed yet
    display.event(Event("done", JOBS[2], 10.0))
    assert text.getvalue().splitlines()[-1].endswith(" so far, about 4 s left)")


def test_no_time_is_forecast_before_a_job_of_every_kind_was_timed(told):
    display, text = told()
    assert display.seconds_left() is None
    display.event(Event("done", JOBS[0], 4.0))
    assert display.seconds_left() is None
    assert "about" not in text.getvalue()


def test_two_processes_share_the_jobs_but_none_of_them():
    display = Display(PlainConsole(file=io.StringIO()), quiet=True)
    display.begin([_job("data", str(number)) for number in range(6)], 0, 2)
    display.event(Event("done", _job("data", "0"), 4.0))
    assert display.seconds_left() == 5 * 4 / 2
    for number in range(1, 5):
        display.event(Event("done", _job("data", str(number)), 4.0))
    assert display.seconds_left() == 4


def test_a_job_whose_process_ended_is_named(told):
    display, text = told()
    display.event(Event("died", JOBS[0]))
    assert ": its process was ended (" in text.getvalue()


def test_nothing_is_left_at_the_end(told):
    display, text = told()
    for job in JOBS:
        display.event(Event("done", job, 1.0))
    assert display.seconds_left() == 0
    assert text.getvalue().splitlines()[-1].startswith("[3/3]")
    assert "left" not in text.getvalue().splitlines()[-1]


def test_what_another_process_does_is_said_and_says_nothing_of_speed(told):
    display, text = told()
    display.event(Event("waiting", JOBS[2], result="process 7 on there"))
    display.event(Event("found", JOBS[2]))
    lines = text.getvalue().splitlines()
    assert lines[1] == "waiting for making c [of experts]: process 7 on there does it"
    assert lines[2].startswith("[1/3] making c [of experts]: another process did it (")
    assert display.seconds_left() is None


def test_a_terminal_shows_a_bar_for_each_stage_and_one_for_all():
    text = io.StringIO()
    console = PlainConsole(file=text, width=200, force_terminal=True, color_system=None)
    with Display(console, quiet=False) as display:
        display.begin(JOBS, 0, 1)
        display.begin(JOBS[1:], 1, 1)  # something was damaged, and is made again
        display.event(Event("started", JOBS[2]))
        display.event(Event("done", JOBS[1], 1.0))
    last = text.getvalue().splitlines()[-4:-1]
    last[0] = last[0].rpartition("\x1b[2K")[2]
    assert [line.split()[0] for line in last] == ["all", "data", "experts"]
    assert "making c" in last[0]
    assert "1/1" in last[1]
    assert "0/1" in last[2]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"), (7800, "2 h 10 min")],
)
def test_durations_are_in_words(seconds, words):
    assert duration(seconds) == words


def test_machines_get_one_json_object_a_line():
    text = io.StringIO()
    lines = EventLines(text)
    lines.begin(JOBS, 4, 2)
    lines.event(Event("started", JOBS[0]))
    lines.event(Event("done", JOBS[0], 4.0))
    lines.event(Event("waiting", JOBS[1], result="process 7 on there"))
    lines.event(Event("found", JOBS[1]))
    begin, started, done, waiting, found = map(json.loads, text.getvalue().splitlines())
    assert begin.pop("seconds") >= 0
    assert begin == {"event": "begin", "jobs": 3, "done_before": 4, "workers": 2}
    assert (started["event"], started["kind"], started["key"]) == ("started", "data", "a")
    assert done["label"] == "making a [of data]"
    assert done["job_seconds"] == 4
    assert done["left"] == {"data": 4, "experts": None}
    assert waiting["holder"] == "process 7 on there"
    assert "job_seconds" not in found
    assert list(found["left"]) == ["experts"]


def test_quiet_is_quiet(told):
    display, text = told(quiet=True)
    display.event(Event("done", JOBS[0], 1.0))
    assert text.getvalue() == ""
