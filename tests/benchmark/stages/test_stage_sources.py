"""A stage that computes something else has another version; and nothing else makes it stale."""

from __future__ import annotations

import json

import pytest
import stage_sources


def test_code_and_version_of_each_stage_change_together():
    kept = json.loads(stage_sources.FILE.read_text("utf-8"))
    told = stage_sources.differences(kept)
    assert not told, (
        "What these stages stand on changed. If they compute something else, raise their "
        "`version`; then, or if nothing that is computed changed, write the hashes down with "
        '`python tests/benchmark/stages/stage_sources.py --accept "why"`.\n' + "\n".join(told)
    )


CODE = '''
"""A module."""

import math


def f(x):
    """Twice."""
    if x < 0:
        raise ValueError(f"{x} is negative")
    return 2 * x  # always
'''


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("is negative", "must not be negative", False),
        ("Twice", "Two times", False),
        ("# always", "", False),
        ("import math\n", "import math\nimport os\n", False),
        ("2 * x", "3 * x", True),
        ("x < 0", "x <= 0", True),
    ],
)
def test_words_do_not_count_and_numbers_do(tmp_path, old, new, counts):
    before, after = tmp_path / "before.py", tmp_path / "after.py"
    before.write_text(CODE)
    after.write_text(CODE.replace(old, new))
    same = stage_sources.module_hash(before) == stage_sources.module_hash(after)
    assert same is not counts


def test_a_stage_whose_code_changed_is_named_with_the_module():
    kept = stage_sources.current()
    assert not stage_sources.differences(kept)
    kept["modules"]["taskmark.stages.localisation_kernel"] = "another"
    (told,) = stage_sources.differences(kept)
    assert told == "Localisation (version 1 -> 1): taskmark.stages.localisation_kernel"


def test_the_providers_and_every_stage_are_watched():
    stages = stage_sources.current()["stages"]
    assert {"Tune", "MeasureRow", "ExpertReference", "TaskVectors", "Data"} < set(stages)
    assert "taskmark.inference.linearised" in stages["MeasureRow"]["modules"]
    assert set(stage_sources.PROVIDERS) < set(stages)
