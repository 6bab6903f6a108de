"""A frozen suite never changes: file, data and weights have the hashes that they had."""

from __future__ import annotations

import pytest

from taskmark.data import fingerprint
from taskmark.provider import provider
from taskmark.suite import known, load

# A change of a suite is a new file with a new version, and a new line here.
FROZEN = {
    "mini-stress-2-tasks@1.0": "ba18c07206c09259a35931db0d6dea852a0bdbc0d91313791d6c974ad2c8d84f",
    "mini-stress-4-tasks@1.0": "cb90611bde73f89130f8bb2a61307c7963100cbfeb3ec62d0397aa97b93420ff",
    "mini-stress-norms@1.0": "02df888a1d6554fb2e7d4034ff0e54b64897f60b0ed1c0257207589379188e2a",
    "mini-stress-smoothing@1.0": "0afa95a925fec601a25a88b360a8e8d6fc95a905c6e2bece050f24097889e524",
    "mini@1.0": "f7f5556d0f3e250b8345b8a501bd815b55a71d3758ea3cd2f9a170520a341378",
    "smoke@1.0": "500e8b3300b5bb5b647d42b00d5bd06997829670c14570d85d9a8a3e1d7a2721",
}


def test_every_suite_is_frozen():
    assert {label for label in known() if "@" in label} == set(FROZEN)


@pytest.mark.parametrize("label", FROZEN)
def test_the_definition_is_what_it_was(label):
    assert load(label).sha256 == FROZEN[label]


@pytest.mark.parametrize("label", ["mini@1.0", "smoke@1.0"])  # the others extend them
def test_data_and_weights_are_what_the_definition_says(label):
    suite = load(label)
    source = provider(suite.provider)
    for name, backbone in suite.backbones.items():
        assert source.weights_sha256(backbone.weights) == backbone.sha256, name
    for name, task in suite.tasks.items():
        assert fingerprint(source.task(name)) == task.sha256, name
