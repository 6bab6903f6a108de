"""The edit of a plug-in beside that of a built-in method."""

from __future__ import annotations

import sys

import pytest

# A method of each kind: vectors alone, heads, gradients of coefficients, Gram matrices of layers, a
# tangent, all experts, masks.
COPIED = (
    "ties",
    "linear_probing",
    "atlas",
    "regmean_plus",
    "tangent_fine_tuning",
    "experts",
    "emr",
)


def _row(outcome, name):
    (record,) = [record for record in outcome.records if record.method.name == name]
    return record


@pytest.mark.parametrize("name", COPIED)
def test_a_built_in_method_as_a_plugin_has_the_same_record(tiny_run, tmp_path, name):
    """Whether it edits in its own process or in the run's makes no difference of a bit."""
    file = tmp_path / "copied.py"
    file.write_text(
        f"from taskmark.plugins.registry import get\n\n\nclass Copied(get({name!r})):\n"
        '    """A copy."""\n\n    name = "copied"\n    role = "competitor"\n',
        "utf-8",
    )
    outcome = tiny_run(name, "copied", plugin=file)
    own, copied = _row(outcome, name), _row(outcome, "copied")
    assert own.state == copied.state == "ok", copied.reason
    assert (own.method.origin, copied.method.origin) == ("built-in", "file")
    assert copied.method.hyperparameters == own.method.hyperparameters
    of_the_run = {"method", "measured", "provenance", "record_id"}
    assert copied.model_dump(exclude=of_the_run) == own.model_dump(exclude=of_the_run)


MAPPED = """
places = {line.split()[-1] for line in open("/proc/self/maps") if ".safetensors" in line}
assert len(places) == N and all("/vectors/" in place for place in places), places
own = [name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")]
paths = {name: os.readlink(f"/proc/self/fd/{name}") for name in own}
stored = [name for name in own if paths[name].endswith(".safetensors")]
assert len(stored) == N
for name in stored:
    try:
        os.write(int(name), b"x")
    except OSError:
        continue
    raise AssertionError("it can be written to")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells what a process has mapped")
def test_a_plugin_maps_the_task_vectors_and_no_other_file_of_the_store(tiny_run, plugin):
    body = f"N = 1\n{MAPPED}\ngiven.images('hills')\n{MAPPED}\nreturn Edit(given.task_vectors[0])"
    file = plugin(body, facts='track = "unlabelled"')
    record = _row(tiny_run("sample", plugin=file), "sample")
    assert record.state == "ok", record.reason


@pytest.mark.skipif(sys.platform != "linux", reason="Linux names what a process has open")
def test_a_plugin_cannot_open_the_file_of_the_task_vectors_again(tiny_run, plugin):
    body = """
        for name in os.listdir("/proc/self/fd"):
            place = f"/proc/self/fd/{name}"
            if os.path.exists(place) and os.readlink(place).endswith(".safetensors"):
                os.open(place, os.O_RDWR)
    """
    record = _row(tiny_run("sample", plugin=plugin(body)), "sample")
    assert "touched test data: it opened a file of the store" in record.reason
