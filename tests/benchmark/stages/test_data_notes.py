"""What must be said of a task's data stands on every record that rests on it, and on no other."""

from __future__ import annotations

from dataclasses import replace

import tiny_provider

from taskmark import reports

LEAK = "lakes: 9 of 60 test images (15.0%) stand in train or validation too."


def test_a_note_of_a_task_stands_on_its_records_and_their_board(tiny_run, tmp_path, monkeypatch):
    task = tiny_provider.task

    def noted(name):
        return replace(task(name), note=LEAK if name == "lakes" else "")

    monkeypatch.setattr(tiny_provider, "task", noted)
    chosen = {"store": tmp_path / "store", "recipes": ("standard",)}
    with_it = tiny_run("ties", tasks=("hills", "lakes"), out=tmp_path / "leaky", **chosen)
    assert {record.provenance.notes for record in with_it.records} == {(LEAK,)}
    assert {record.provenance.notes for record in with_it.of("disentanglement")} == {(LEAK,)}
    reports.build(tmp_path / "leaky")
    (board,) = (tmp_path / "leaky" / "site").rglob("board-plain.html")
    assert LEAK in board.read_text("utf-8")
    without = tiny_run("ties", tasks=("hills", "woods"), out=tmp_path / "clean", **chosen)
    assert {record.provenance.notes for record in without.records} == {()}
