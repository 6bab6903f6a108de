"""The faults that show what the gate finds: each applies, and no method is without one."""

from __future__ import annotations

import ast

import pytest
from planting import KINDS, ROOT, Mutation, cell, methods_of, mutations, rounds

from taskmark.methods import names


@pytest.mark.parametrize("mutation", mutations(), ids=lambda m: f"{m.file}: {m.old}"[:60])
def test_a_fault_changes_what_its_file_does(mutation):
    text = (ROOT / mutation.file).read_text("utf-8")
    assert mutation.kind in KINDS
    assert ast.dump(ast.parse(mutation.planted(text))) != ast.dump(ast.parse(text))


def test_the_list_of_what_finds_each_fault_is_of_this_table():
    lines = (ROOT / "tests/gate/FAULTS.md").read_text("utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| methods/")]
    faults = [f"| {m.file} | {cell(m)} | " for m in mutations()]
    for fault, row in zip(faults, rows, strict=True):
        assert row.startswith(fault)
        assert row.removeprefix(fault).startswith(("gate: ", "tests alone: "))


def test_every_method_has_a_fault():
    concerned = methods_of()
    planted = set().union(*(concerned[mutation.file] for mutation in mutations()))
    assert planted == set(names())


def test_a_file_that_others_import_concerns_them_too():
    concerned = methods_of()
    assert "ties" in concerned["methods/trimming.py"]
    assert concerned["methods/pretrained.py"] == {"pretrained"}


def test_a_text_that_is_not_there_once_is_refused():
    for text in ("", "a a"):
        with pytest.raises(ValueError, match="times 'a'"):
            Mutation("f.py", "sign", "a", "b").planted(text)


def test_no_method_has_two_faults_in_a_round():
    concerned = {"a": {"x", "y"}, "b": {"x"}, "c": {"z"}, "d": {"y", "z"}}
    chosen = [Mutation(file, "sign", "", "") for file in "abcd"]
    found = rounds(chosen, concerned)
    assert sorted(m.file for group in found for m in group) == list("abcd")
    for group in found:
        planted = [name for m in group for name in concerned[m.file]]
        assert len(planted) == len(set(planted))
    assert len(found) == 2
