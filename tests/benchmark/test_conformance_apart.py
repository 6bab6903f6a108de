"""A plug-in is checked in a process of its own, whatever it does there."""

from __future__ import annotations

import logging
from textwrap import indent

import pytest

from taskmark.conformance import CHECKS
from taskmark.conformance.isolated_checks import check_isolated
from taskmark.plugins.stand_ins import Limits, find_isolated

LIMITS = Limits(seconds=300, provider="tiny_provider")


BODIES = {
    "sys.exit": ("sys.exit(0)", "data", "It raised SystemExit: 0, line "),
    "an exit without a word": ("os._exit(0)", "data", "ended its process with the exit code 0"),
    "a crash": ("os.abort()", "data", "ended its process by SIGABRT"),
    "an end in the middle": (
        "len(given.tasks) == 1 and os._exit(7)\nreturn given.task_vectors.sum(0)",
        "one_task",
        "ended its process with the exit code 7",
    ),
    "a switch": (
        "torch.set_float32_matmul_precision('medium')\nreturn given.task_vectors.sum(0)",
        "global_switches",
        "changes torch's precision of matrix products for all that runs after it",
    ),
}


GOOD = "print('x' * 1_000_000)\nreturn given.task_vectors.sum(0)"
HANGS = "time.sleep(600)"


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    """What is found of a plug-in whose `merge` has this body, one of those above."""
    path = tmp_path_factory.mktemp("plugin") / "sample.py"
    bodies = [GOOD, HANGS, *(body for body, _, _ in BODIES.values())]
    text = "import os, sys, time, torch\nfrom taskmark import Method\n"
    for number, body in enumerate(bodies):
        text += (
            f"class Sample{number}(Method):\n    'One.'\n    name = 'sample_{number}'\n"
            f"    def merge(self, given):\n{indent(body, '        ')}\n"
        )
    path.write_text(text, "utf-8")

    def find(body, *, seconds=300.0):
        method = find_isolated([path], LIMITS)[f"sample_{bodies.index(body)}"].method
        return list(check_isolated(method, seconds=seconds))

    return find


def test_a_good_plugin_passes_all_checks(findings, caplog):
    caplog.set_level(logging.INFO)
    found = findings(GOOD)
    assert [finding.check for finding in found] == list(CHECKS)
    assert [finding for finding in found if not finding.passed] == []
    assert max(len(record.getMessage()) for record in caplog.records) < 3000  # of 40 megabytes


@pytest.mark.parametrize("case", BODIES)
def test_whatever_a_plugin_does_is_a_finding_of_the_check_it_was_in(findings, case):
    body, check, words = BODIES[case]
    failed = [finding for finding in findings(body) if not finding.passed]
    assert [finding.check for finding in failed] == [check]
    assert words in failed[0].sentence


def test_a_plugin_that_hangs_fails_the_check_that_it_hangs_in(findings):
    *_, last = findings(HANGS, seconds=5)
    assert (last.check, last.passed) == ("data", False)
    assert "'sample_1' timed out after 5 s; allow it more with --time-limit" in last.sentence
