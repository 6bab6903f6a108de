"""A frozen suite never changes: file, data and weights have the hashes that they had."""

from __future__ import annotations

import pytest

from taskmark.stages.task_inputs import fingerprint
from taskmark.suite.provider import provider
from taskmark.suite.suite_file import find_suites, load

# A change of a suite is a new file with a new version, and a new line here.
FROZEN = {
    "gate@1.0": "a0c45d5c6dd7afaa6658f193e5252df1be02550749b2c4e619286b5bc60df69a",
    "gate-pair@1.0": "a7d59b54be858c39f54765ecf165c9db0b3c5f1213dc3e53b4410b6f73212d97",
    "mini-stress-2-tasks@1.0": "59f91657b9ba1011b9da9f5dfcb6e3287e7a32e3d1a1ddaef3c6a6e7fbdeaf4d",
    "mini-stress-4-tasks@1.0": "11dafaef204d08f9372f18b4ad92e0b02b43e4d9e1bca5b23fb0007a46d4d927",
    "mini-stress-norms@1.0": "ef54434e455d53154735c9d8d14a07ce39915f101a029541dea3da5f4103189e",
    "mini-stress-smoothing@1.0": "654e0f8cc6c82bcc5dd6f7fe9c469783966aea7692c409d6c9e7e2134017f8bf",
    "mini-language@0.1": "6767ec4cedd3484016b4a0ba13603f2d6b6df6540ad9adf9ac91a64f824cd5e2",
    "mini@1.0": "390d153fd1faf0005e78c8839fc6e639702912ef2a2651f08826e18af0f457f1",
    "smoke@1.0": "5d82c81d40ec1a9c338664077c24ee648c6e5c4b8376cfa8007d656167225c41",
}

# Their data and weights are on the hub, and nobody has fixed the hashes yet.
NOT_FROZEN = {
    "clip-8@1.0",
    "clip-8-imagenet-control@1.0",
    "clip-14@1.0",
    "clip-20@1.0",
    "closed-vocabulary@1.0",
}


def test_every_suite_is_frozen_or_says_that_it_is_not():
    frozen = {label: load(label).frozen for label in find_suites() if "@" in label}
    assert frozen == dict.fromkeys(FROZEN, True) | dict.fromkeys(NOT_FROZEN, False)


@pytest.mark.parametrize("label", FROZEN)
def test_the_definition_is_what_it_was(label):
    assert load(label).sha256 == FROZEN[label]


@pytest.mark.parametrize(
    "label",  # the others extend them; each run of `mini` holds its own data to its hashes, too
    [pytest.param("mini@1.0", marks=pytest.mark.complete), "mini-language@0.1", "smoke@1.0"],
)
def test_data_and_weights_are_what_the_definition_says(label):
    suite = load(label)
    source = provider(suite.provider)
    for name, backbone in suite.backbones.items():
        assert source.weights_sha256(backbone.weights) == backbone.sha256, name
    for name, task in suite.tasks.items():
        assert fingerprint(source.task(name)) == task.sha256, name
