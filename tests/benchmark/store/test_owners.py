"""Owners: this process, those that ended, and those of other machines."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from taskmark.store import owners
from taskmark.store.owners import Owner


@pytest.fixture
def ended():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_this_process_is_here_and_not_gone():
    assert Owner.this().pid == os.getpid()
    assert Owner.this().is_here
    assert not Owner.this().is_gone


def test_a_process_that_ended_is_gone(ended):
    assert replace(Owner.this(), pid=ended).is_gone


def test_a_process_that_ended_and_was_not_yet_waited_for_is_gone():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        owner = replace(Owner.this(), pid=process.pid, start=owners._start(process.pid))
        assert not owner.is_gone
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert owner.is_gone
    finally:
        process.communicate()


def test_a_later_process_of_the_same_number_is_another():
    assert replace(Owner.this(), start=Owner.this().start - 1).is_gone


def test_nothing_is_certain_of_another_machine(ended):
    there = replace(Owner.this(), machine="0" * 12, pid=ended)
    assert not there.is_here
    assert not there.is_gone


@for_all(st.integers(0, 10**9), st.integers(0, 10**18), st.text(), st.text())
def test_a_tag_is_found_in_any_name(pid, start, before, after):
    owner = Owner("0123456789ab", pid, start)
    assert Owner.parse(f".{before}.{owner.tag}.{after}") == owner or owner.tag in before


@for_all(st.text(alphabet="0123456789abcdef-.@ "))
def test_a_text_without_a_tag_has_no_owner_and_no_text_is_refused(text):
    found = Owner.parse(text)
    assert found is None or found.machine in text
