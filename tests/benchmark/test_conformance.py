"""The conformance tests let good methods pass, and each fails the method made to fail it."""

import random

import numpy as np
import pytest
import torch
from bad_methods import (
    BAD,
    Averaging,
    Copying,
    Dicing,
    FirstWins,
    Good,
    NumpySeeding,
    OddTrack,
    Pairwise,
    PythonSeeding,
    Remembering,
    Seeding,
    Switching,
)

from taskmark.conformance import CHECKS, Finding, check_method, miniature, run_check
from taskmark.machine.global_settings import read_settings
from taskmark.plugins.registry import find

BUILT_IN = {name: found.method for name, found in find().items() if found.origin == "built-in"}


def failures(method):
    return {
        finding.check: finding.sentence for finding in check_method(method) if not finding.passed
    }


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_method_passes_every_check(name):
    findings = check_method(BUILT_IN[name])
    assert [finding.check for finding in findings] == list(CHECKS)
    assert [finding for finding in findings if not finding.passed] == []


def test_a_finding_says_what_holds():
    assert check_method(Good)[0] == Finding("name", True, "The name 'good' is an identifier.")
    assert all(finding.sentence.endswith(".") for finding in check_method(Good))


@pytest.mark.filterwarnings("ignore:std..:UserWarning")
@pytest.mark.parametrize(("method", "check", "cure"), BAD, ids=lambda value: str(value)[:40])
def test_a_bad_method_fails_its_check_with_a_cure(method, check, cure):
    found = run_check(method, check)
    assert not found.passed
    assert any(word in found.sentence for word in cure.split("|")), found.sentence


def test_every_check_can_fail():
    assert {check for _, check, _ in BAD} == set(CHECKS)


def test_the_global_generators_are_left_as_they_were():
    torch.rand(()), np.random.random(), random.random()  # noqa: NPY002
    before = torch.get_rng_state(), str(np.random.get_state()), random.getstate()  # noqa: NPY002
    for method in (Dicing, Seeding, NumpySeeding, PythonSeeding):
        check_method(method)
    after = torch.get_rng_state(), str(np.random.get_state()), random.getstate()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_a_foundation_that_fails_ends_the_list():
    assert [finding.check for finding in check_method(OddTrack)] == ["name", "facts"]
    assert len(check_method(FirstWins)) == len(CHECKS)


@pytest.mark.parametrize("method", [FirstWins, Averaging, Pairwise, Remembering, Copying])
@pytest.mark.filterwarnings("ignore:std..:UserWarning")
def test_a_bad_method_fails_nothing_else(method):
    """Drawn weights are many cases of all that went before, so they may fail with it."""
    assert len(failures(method).keys() - {"drawn_weights"}) == 1


def test_the_switches_are_left_as_they_were():
    before = read_settings()
    check_method(Switching)
    assert read_settings() == before


def test_a_written_reason_lets_order_matter():
    class Honest(FirstWins):
        """Good enough."""

        name = "honest"
        order_matters = "the first task is the one to be kept"

    assert failures(Honest) == {}


def test_the_generator_of_the_given_is_the_way_to_draw():
    class Seeded(Good):
        """Good: keeps each entry by chance."""

        name = "seeded"

        def merge(self, given):
            total = given.task_vectors.sum(0)
            return total * torch.rand(total.shape, generator=given.generator).round()

    assert failures(Seeded) == {}


def test_the_experts_of_the_miniature_are_right_nearly_everywhere():
    given = miniature(BUILT_IN["atlas"])
    for task, vector in zip(given.tasks, given.task_vectors, strict=True):
        predicted = given.heads[task].predict(given.features(vector, given.images(task)))
        assert int((predicted != given.labels(task)).sum()) <= 3  # the three set by hand


def test_the_miniature_can_hold_tensors_of_every_kind():
    sizes = {part.shape for part in miniature(Good, odd=True).space}
    assert {(0, 3), (), (1,), (2, 1, 2, 1)} < sizes
    assert not miniature(Good, zero=True).task_vectors.any()
    assert miniature(Good, tasks=("boats",)).tasks == ("boats",)
