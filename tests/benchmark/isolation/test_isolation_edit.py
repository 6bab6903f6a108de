"""The edit of a plug-in beside that of a built-in method."""

from __future__ import annotations

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
        f"from taskmark.registry import get\n\n\nclass Copied(get({name!r})):\n"
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
