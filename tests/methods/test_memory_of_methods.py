"""No method on weights alone holds more than the task vectors, its result, and what it says."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
from peak_memory import LARGEST_BYTES, WIDTH, given_with

from taskmark import methods
from taskmark.registry import built_in

MEGABYTE = 2**20
MATRIX_BYTES = 8 * WIDTH**2  # in float64
USUAL = 2 * LARGEST_BYTES + 6 * MEGABYTE  # two of the largest tensors, and a few chunks
ALIGNMENT = given_with(WIDTH, 1).space.size * 4 + USUAL

# What takes more, how much at most, and where it says so.
MORE = {
    "doge": (10 * MATRIX_BYTES + USUAL, "about ten of its size in float64"),
    "hierarchical_ot": (ALIGNMENT, "while models are aligned, one of them"),
}
NAMES = [found.method.name for found in built_in() if found.method.track == "weights"]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak cannot be set back")


@pytest.fixture(scope="module")
def measured():
    script = str(Path(__file__).with_name("peak_memory.py"))
    # Freed memory goes back at once, so that the peak is that of what is held.
    environment = {"MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "262144"}
    done = subprocess.run(  # noqa: S603 - this folder's own script
        [sys.executable, script, *NAMES],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_it_holds_no_more_than_its_result_and_two_of_the_largest_tensors(name, measured):
    most, _ = MORE.get(name, (USUAL, ""))
    assert int(measured[name]) <= most


def test_a_copy_of_one_vector_would_be_found():
    assert given_with(WIDTH, 1).space.size * 4 > USUAL


@pytest.mark.parametrize("name", MORE)
def test_what_takes_more_says_so(name):
    assert MORE[name][1] in " ".join(inspect.getdoc(methods.get(name).merge).split())
