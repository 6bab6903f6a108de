"""Artifacts whose bytes changed on the disk: found, set aside, made again."""

from __future__ import annotations

import json
import shutil

import pytest
from trials import TALLY, start

from taskmark.store import inventory

RECORDS = ("records", "disentanglement")


def _flipped(content, place, chance):
    changed = bytearray(content)
    changed[place] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _in_header(content):
    return 8 + int.from_bytes(content[:8], "little")


# What may happen to the file of the tensors (first) or of the facts (second), by class of bytes.
DAMAGES = {
    "length of the header": lambda t, f, c: (_flipped(t, c.randrange(8), c), f),
    "header": lambda t, f, c: (_flipped(t, c.randrange(8, _in_header(t)), c), f),
    "numbers": lambda t, f, c: (
        _flipped(t, c.randrange(min(_in_header(t), len(t) - 1), len(t)), c),
        f,
    ),
    "tensors cut short": lambda t, f, c: (t[: c.randrange(len(t))], f),
    "tensors gone on": lambda t, f, _: (t + b"\0", f),
    "tensors lost": lambda _t, f, _: (None, f),
    "facts": lambda t, f, c: (t, _flipped(f, c.randrange(len(f)), c)),
    "facts cut short": lambda t, f, c: (t, f[: c.randrange(len(f))]),
    "facts lost": lambda t, _f, _: (t, None),
    "zeros": lambda t, f, _: (bytes(len(t)), f),
    "both exchanged": lambda t, f, _: (f, t),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_never_becomes_a_figure(undisturbed, tmp_path, chance, some, damage):
    source = undisturbed.trial.store
    stored = [(kind, key) for kind, key in source if kind not in RECORDS]
    for n, (kind, key) in enumerate(some(stored, 1)):
        trial = undisturbed.elsewhere(tmp_path / str(n))
        shutil.copytree(source.root, trial.store.root)
        facts, tensors = trial.store.files(kind, key)
        contents = DAMAGES[damage](tensors.read_bytes(), facts.read_bytes(), chance)
        _put(tensors, contents[0])
        _put(facts, contents[1])
        for name in RECORDS:  # so that what they stand on is read again
            shutil.rmtree(trial.store.folder / name, ignore_errors=True)
        running = start(trial)
        assert running.end() == 0, running.said[-1:]
        undisturbed.check_records(running)
        TALLY["artifacts damaged"] += 1
        inventory.verify_all(trial.store)  # what no record had to read
        assert inventory.verify_all(trial.store)[1] == []
        shutil.rmtree(trial.folder)


def test_damaged_records_are_made_again(undisturbed, tmp_path, some):
    source = undisturbed.trial.store
    for n, (kind, key) in enumerate(some([x for x in source if x[0] in RECORDS], 1)):
        trial = undisturbed.elsewhere(tmp_path / str(n))
        shutil.copytree(source.root, trial.store.root)
        facts, _ = trial.store.files(kind, key)
        told = json.loads(facts.read_bytes())
        told["facts"]["record"] = told["facts"]["record"].replace('"accuracy":', '"accuracy": ', 1)
        _put(facts, json.dumps(told).encode())
        undisturbed.check_resumed(trial, damaged=True)
        TALLY["artifacts damaged"] += 1


def test_everything_damaged_at_once_is_made_again(undisturbed, tmp_path, chance):
    trial = undisturbed.elsewhere(tmp_path / "all")
    shutil.copytree(undisturbed.trial.store.root, trial.store.root)
    for kind, key in trial.store:
        for path in trial.store.files(kind, key):
            content = path.read_bytes()
            path.write_bytes(_flipped(content, chance.randrange(len(content)), chance))
            TALLY["artifacts damaged"] += 1
    running = start(trial)
    assert running.end() == 0, running.said[-1:]
    undisturbed.check_records(running)


def _put(path, content):
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
