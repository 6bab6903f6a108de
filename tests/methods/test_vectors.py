"""Small inputs with their outputs, worked out without the method: one name, one definition."""

import json
import re
from pathlib import Path

import pytest
import torch
from vector_inputs import given_of

from taskmark.methods import vectors as published
from taskmark.plugins.registry import built_in, find, get

FOLDER = Path(published.__file__).parent
FILES = sorted(FOLDER.glob("*.json"))
OPTIONAL = {"expected_per_task", "tolerance", "pretrained", "precision"}
WITH_DATA = {"pretrained", "network", "heads", "data", "gradient_images", "expected_heads"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_method_gives_the_expected_vector(file):
    case = json.loads(file.read_text("utf-8"))
    method = get(case["method"])
    edit = method(**case["hyperparameters"]).edit(given_of(case, method))
    assert edit.vector.dtype == torch.float32
    # What LAPACK computes may differ in the last digit from one machine to the next.
    tolerance = case.get("tolerance", 0)
    assert edit.vector.tolist() == pytest.approx(case["expected"], rel=0, abs=tolerance)
    own = case.get("expected_per_task", {})
    assert set(own) == set(edit.tasks_with_own_weights)
    for task, expected in own.items():
        assert edit.for_task(task).tolist() == pytest.approx(expected, rel=0, abs=tolerance)
    heads = case.get("expected_heads", {})
    assert set(heads) == set(edit.heads)
    for task, expected in heads.items():
        for row, stated in zip(edit.heads[task].weight, expected["weight"], strict=True):
            assert row.tolist() == pytest.approx(stated, rel=0, abs=tolerance)
        bias = edit.heads[task].bias.tolist()
        assert bias == pytest.approx(expected["bias"], rel=0, abs=tolerance)


def test_every_method_has_a_vector():
    covered = {json.loads(file.read_text("utf-8"))["method"] for file in FILES}
    defined = {
        name
        for name, found in find().items()
        if found.origin == "built-in" and {"merge", "edit"} & vars(found.method).keys()
    }
    assert defined <= covered <= set(find())


def test_the_vectors_are_published_with_all_that_a_reader_needs():
    assert [name for name, _ in published.vectors()] == [file.name for file in FILES]
    for name, case in published.vectors():
        needed = {"method", "hyperparameters", "why", "shapes", "task_vectors", "expected"}
        assert needed <= set(case) <= needed | OPTIONAL | (WITH_DATA if "data" in case else set())
        assert {"network", "data"} & set(case) in (set(), {"network", "data"}), name
        assert all(f"`{field}`" in published.page() for field in case)


def test_the_page_says_how_every_method_is_defined():
    """Made by `python -m taskmark.methods.vectors.page` once the words of a class change."""
    assert (FOLDER / published.PAGE).read_text("utf-8") == published.page()
    for found in built_in():
        assert f"### {found.method.name}\n" in published.page()


def test_what_the_page_links_to_is_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", published.page()):
        assert (FOLDER / target).is_file(), target
