"""The expected outputs of methods that need data come from the papers' formulas in float64."""

import pytest
import torch
from naive_case import Case
from naive_with_data import ANSWERS
from vector_inputs import given_of

from taskmark.methods import vectors as published
from taskmark.plugins.registry import built_in, get

CASES = {name: case for name, case in published.vectors() if "network" in case}


def test_the_formulas_cover_every_method_that_needs_data():
    needing = {found.method.name for found in built_in() if found.method.track != "weights"}
    assert needing == set(ANSWERS) == {case["method"] for case in CASES.values()}


@pytest.mark.parametrize("name", CASES)
def test_the_file_has_what_the_formulas_give(name):
    case = CASES[name]
    found = ANSWERS[case["method"]](Case(case))
    assert set(found) == {field for field in case if field.startswith("expected")}
    for field, value in found.items():
        for answer, stated in zip(flat(value), flat(case[field]), strict=True):
            assert answer == pytest.approx(stated, rel=0, abs=2e-7)  # written to seven places


@pytest.mark.parametrize("name", CASES)
def test_another_seed_gives_the_same(name):
    """Batches hold all images and a drawn class makes no difference, so that nobody's draws do."""
    case = CASES[name]
    method = get(case["method"])
    given = given_of(case, method)
    given.generator = torch.Generator().manual_seed(99)
    vector = method(**case["hyperparameters"]).edit(given).vector
    assert vector.tolist() == pytest.approx(case["expected"], rel=0, abs=case["tolerance"])


@pytest.mark.parametrize("name", CASES)
def test_the_file_says_every_hyperparameter_and_grants_what_is_spent(name):
    case = CASES[name]
    method = get(case["method"])(**case["hyperparameters"])
    assert set(case["hyperparameters"]) == set(method.hyperparameters())
    given = given_of(case, method)
    method.edit(given)
    assert (given.gradient_images > 0) == ("gradient_images" in case)


def test_no_two_methods_give_the_same_on_the_same_input():
    """So that a file can tell its method from its relatives."""
    pairs = [("regmean_network.json", "regmean_plus_network.json")]
    pairs += [("dv_basi.json", other) for other in ("direct_scaling.json", "dv_basi_start.json")]
    pairs += [("dv_basi_unsupervised.json", "direct_scaling_unsupervised.json")]
    pairs += [("adamerging.json", "adamerging_task.json"), ("atlas.json", "atlas_scalar.json")]
    for one, other in pairs:
        assert CASES[one]["data"] == CASES[other]["data"]
        apart = torch.tensor(CASES[one]["expected"]) - torch.tensor(CASES[other]["expected"])
        assert float(apart.abs().max()) > 100 * CASES[one]["tolerance"]


def flat(value):
    """The numbers of nested lists and tables, in order."""
    if isinstance(value, dict):
        return [number for inner in value.values() for number in flat(inner)]
    if isinstance(value, list):
        return [number for inner in value for number in flat(inner)]
    return [value]
