"""What methods on weights alone make of one expert: what leaves it where it points says so."""

import pytest
import torch

from taskmark.conformance import miniature
from taskmark.methods import get, names


def on_weights_alone(name):
    method = get(name)
    return method.track == "weights" and method.role == "competitor" and method.takes(1)


@pytest.mark.parametrize("name", [name for name in names() if on_weights_alone(name)])
def test_a_method_that_keeps_the_direction_of_a_single_expert_says_so(name):
    # Negation by a method asks for it: without it, the same direction would be negated twice.
    given = miniature(get(name), tasks=("apples",))
    edit = get(name)().edit(given)
    if not edit.one_model:
        assert not get(name).keeps_direction
        return
    cosine = torch.nn.functional.cosine_similarity(edit.vector, given.task_vectors[0], dim=0)
    assert get(name).keeps_direction == (float(cosine) > 1 - 1e-5)
