"""Which suite a record belongs to: variants are fields, and early records had them in a text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from made_up_records import SUITE, made_up_record

from taskmark.records.record import Record
from taskmark.records.suite_facts import SuiteFacts, Variant

PACKED = {
    "1.0": Variant(),
    "1.0+racing": Variant(racing=True),
    "1.0+street+signs": Variant(tasks=("street", "signs")),
    "1.0+experts.a-1.0": Variant(experts="a-1.0"),
    "1.0+unresolved.1a2b3c4d": Variant(unresolved="1a2b3c4d"),
    "1.0+ties+unresolved.1a2b3c4d+experts.b": Variant(
        paper="ties", unresolved="1a2b3c4d", experts="b"
    ),
    "1.0+land+racing+experts.c": Variant(tasks=("land",), racing=True, experts="c"),
}


@pytest.mark.parametrize(("version", "variant"), PACKED.items())
def test_a_version_of_an_early_record_is_read_as_fields(version, variant):
    facts = SuiteFacts(name="mini", version=version, sha256="5" * 64)
    assert (facts.version, facts.variant) == ("1.0", variant)
    assert (facts.edition, facts.label) == (version, f"mini@{version}")
    assert SuiteFacts.model_validate_json(facts.model_dump_json()) == facts


@pytest.mark.parametrize("version", PACKED)
def test_the_id_of_a_record_is_the_same_before_and_after_variants_were_fields(version):
    record = made_up_record(n=10, suite=SUITE.model_copy(update={"version": version}))
    early = json.loads(record.with_record_id().model_dump_json())
    assert early["suite"] == {"name": "mini", "version": version, "sha256": SUITE.sha256}
    read = Record.model_validate(early)
    assert read.suite.version == "1.0"
    assert read.with_record_id().record_id == early["record_id"]
    later = Record.model_validate_json(read.model_dump_json())
    assert later == read
    assert later.with_record_id().record_id == early["record_id"]


@pytest.mark.parametrize("version", ["1.0+racing+land", "1.0+", "1.0+experts.a+experts.b"])
def test_a_version_that_no_run_packed_stays_as_it_is(version):
    facts = SuiteFacts(name="mini", version=version, sha256="5" * 64)
    assert (facts.version, facts.variant, facts.edition) == (version, Variant(), version)


def test_a_suite_that_is_run_as_it_is_has_no_variant_in_its_file():
    assert set(SUITE.model_dump()) == {"name", "version", "sha256"}


def test_the_file_of_a_paper_is_named_without_its_ending():
    facts = SuiteFacts(
        name="mini", version="1.0", sha256="5" * 64, variant=Variant(paper="mine.toml")
    )
    assert facts.label == "mini@1.0+mine"


NAMES = st.from_regex(r"[a-z][a-z_]{0,5}", fullmatch=True)


@for_all(
    st.builds(
        Variant,
        tasks=st.lists(NAMES, max_size=3).map(tuple),
        racing=st.booleans(),
        unresolved=st.just("") | NAMES,
        experts=st.just("") | NAMES,
    )
)
def test_a_variant_in_a_version_has_the_label_of_the_variant_in_fields(variant):
    facts = SuiteFacts(name="mini", version="1.0", sha256="5" * 64, variant=variant)
    packed = SuiteFacts(name="mini", version=facts.edition, sha256="5" * 64)
    assert packed.label == facts.label
