"""No method holds more than the task vectors, its result, two tensors, and what it says."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
from peak_memory import LARGEST_BYTES, N_LAYERS, N_TASKS, WIDTH, given_with

from taskmark import Method, methods
from taskmark.plugins.registry import built_in

MEGABYTE = 2**20
MATRIX_BYTES = 8 * WIDTH**2  # in float64
USUAL = 2 * LARGEST_BYTES + 6 * MEGABYTE  # two of the largest tensors, and a few chunks
VECTOR = given_with(WIDTH, 1).space.size * 4
ALIGNMENT = VECTOR + USUAL

GRAMS = N_LAYERS * MATRIX_BYTES  # of all layers, which are square

# What takes more, how much at most, and where it says so. Activations are small here.
MORE = {
    "doge": (10 * MATRIX_BYTES + USUAL, "about ten of its size in float64"),
    "hierarchical_ot": (ALIGNMENT, "while models are aligned, one of them"),
    "adamerging": (2 * VECTOR + USUAL, "two more vectors [P]"),
    "adamerging_task": (2 * VECTOR + USUAL, "two more vectors [P]"),
    "adamerging_plus": (
        2.25 * VECTOR + N_TASKS * LARGEST_BYTES / 2 + USUAL,
        "two more vectors [P], see `descent`; a byte an entry",
    ),
    "atlas": (2 * VECTOR + USUAL, "two more vectors [P]"),
    "dv_basi_start": (2 * VECTOR + USUAL, "two more vectors [P]"),
    "direct_scaling": (3 * VECTOR + USUAL, "three where there is one iteration"),
    "direct_scaling_unsupervised": (3 * VECTOR + USUAL, "three where there is one iteration"),
    "dv_basi": (4 * VECTOR + USUAL, "four more vectors [P]"),
    "dv_basi_unsupervised": (4 * VECTOR + USUAL, "four more vectors [P]"),
    "dv_basi_single_task": (3 * VECTOR + USUAL, "three more vectors [P]"),
    "fisher": (4 * VECTOR + USUAL, "four more vectors [P]"),
    "greedy_scales": (2 * VECTOR + USUAL, "two more vectors [P]"),
    "linear_probing": (VECTOR + USUAL, "one more vector [P]"),
    "regmean": (3 * GRAMS + USUAL, "two [d_in, d_in] and one [d_out, d_in] in float64"),
    "regmean_plus": (VECTOR + GRAMS + USUAL, "one [d_in, d_in] for each of all linear weights"),
}
NAMES = [found.method.name for found in built_in()]
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
    assert VECTOR > USUAL


@pytest.mark.parametrize("name", MORE)
def test_what_takes_more_says_so(name):
    method = methods.get(name)
    says = method.merge if method.edit is Method.edit else method.edit
    assert MORE[name][1] in " ".join(inspect.getdoc(says).split())
