"""Each paper whole at toy length: its suite's tasks, backbones of its classes, and a full table."""

from __future__ import annotations

import json
import re
import sys

import backbone_fixtures
import pytest
import tomli_w
import toy_suites

from taskmark import cli
from taskmark.papers.paper_file import find_papers, load
from taskmark.records.record import Record
from taskmark.records.record_files import read_folder
from taskmark.suite.suite_file import load as load_suite

ALL = tuple(load_suite("clip-8").tasks)
CASES = {
    "closed-vocabulary": ("closed-vocabulary-1.0", "vit-b-16-random", ALL),
    "dv-basi": ("clip-8-1.0", "clip-b-32-openai", ("dtd", "mnist")),
    "tangent": ("clip-8-imagenet-control-1.0", "clip-b-32-openai", ("mnist", "svhn")),
    "ties": ("clip-8-1.0", "clip-l-14-openai", ("dtd", "mnist", "svhn")),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    where = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        patch.setitem(toy_suites.N_ROWS, "train", 60)  # so that validation has six
        return toy_suites.make_data(where, [*ALL, "imagenet"], patch)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def paper_at(monkeypatch, data, made_backbones, tmp_path):
    """Write a shipped paper's file over the short form of a suite, with all at hand."""
    backbone_fixtures.use(made_backbones, monkeypatch)
    for name, value in data.environment().items():
        monkeypatch.setenv(name, value)

    def write(name: str, suite: str, tasks: tuple[str, ...]):
        text = find_papers()[name].read_text("utf-8")
        short = tmp_path / "part-1.0.toml"
        table = {"extends": str(toy_suites.shortened(suite, tmp_path)), "only": tasks}
        table |= {"name": "part", "version": "1.0", "summary": "some tasks, at toy length"}
        short.write_text(tomli_w.dumps(table), "utf-8")
        text = re.sub(r"(?m)^suites = .*$", f'suites = ["{short}"]', text)
        text = text.replace("gradient_images = 8_500_000", "gradient_images = 128")
        text, n_names = re.subn(rf'(?m)^name = "{name}"$', f'name = "toy-{name}"', text)
        assert n_names == 1  # since no other paper may have the name of one that is shipped
        path = tmp_path / f"toy-{name}.toml"
        path.write_text(text, "utf-8")
        return path

    return write


def test_every_paper_is_tried():
    assert sorted(CASES) == sorted(find_papers())


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_paper_ends_with_its_table(name, paper_at, store, monkeypatch, tmp_path, capsys):
    suite, backbone, tasks = CASES[name]
    words = ["taskmark", "reproduce", paper_at(name, suite, tasks), "--backbone", backbone]
    words += ["--device", "cpu", "--workers", 0, "--store", store, "--out", tmp_path / "out"]
    words += ["--json", tmp_path / "it.json", "--markdown", tmp_path / "it.md"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    out, err = capsys.readouterr()
    assert not caught.value.code, err

    paper = load(name)
    lines = json.loads((tmp_path / "it.json").read_text("utf-8"))["lines"]
    rows = {(line["row"], line["metric"]) for line in lines}
    assert rows == {(row, metric) for row, run in paper.runs.items() for metric in run.metrics}
    assert all(line["measured"] for line in lines), [line["reason"] for line in lines]
    shown = [line["published"]["value"] for line in lines if line["published"]]
    figures = [values.get(backbone) for f in paper.published for values in f.values.values()]
    assert sorted(shown) == sorted(figure for figure in figures if figure is not None)
    for line in lines:
        alike = line["published"] and paper.families[line["published"]["family"]].tuned_alike
        assert (line["difference"] is not None) == bool(alike)
    for record in read_folder(tmp_path / "out" / "records", Record):
        assert record.state == "ok", record.reason
        assert record.suite.edition.startswith(f"1.0+toy-{name}+unresolved.")
    for note in paper.notes:
        assert note in out
        assert note in (tmp_path / "it.md").read_text("utf-8")
    assert ("No figure of this paper is known" in out) is not bool(paper.published)
