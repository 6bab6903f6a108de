"""`taskmark reproduce` of papers, whole on the tiny suite: published beside measured at the end."""

from __future__ import annotations

import json
import shlex
import sys

import pytest
import tiny_provider
import torch
from safetensors.torch import save_file

from taskmark import cli
from taskmark.papers.paper_file import find_papers, load
from taskmark.records.record import Record
from taskmark.records.record_files import read_folder
from taskmark.reports.record_origin import command

PUBLISHED = """
name = "made-up"
title = "A title [sic]"
authors = "A. Author"
venue = "Nowhere 2026"
url = "https://example.org"
suites = ["{suite}"]
backbones = ["plain", "worded"]
control = "woods"
notes = ["Chosen on validation, never on test."]
search = {{ trials = 3 }}

[runs.floor]
method = "pretrained"
metrics = ["accuracy"]

[runs.sum]
method = "task_arithmetic"
metrics = ["accuracy", "normalised_accuracy", "negation_target", "negation_control"]

[runs.tangent]
method = "tangent_fine_tuning"
recipe = "tangent"

[families.theirs]
summary = "what they released"
tuned_alike = true

[families.others]
summary = "what others released"

[[published]]
run = "sum"
family = "theirs"
source = "A, Table 1"
label = "text"
accuracy = {{ plain = 0.5, worded = 60 }}
negation_target = {{ plain = 70.0 }}

[[published]]
run = "tangent"
family = "others"
source = "B | C, Table 2"
label = "derived"
accuracy = {{ plain = 80.0 }}
"""


@pytest.fixture
def paper(tmp_path, tiny_suite):
    suite = tmp_path / "tiny-0.1.toml"
    negation = '\n[protocol.negation]\ncontrols = ["woods"]\n'
    suite.write_text(tiny_suite.read_text("utf-8") + negation, "utf-8")
    path = tmp_path / "made-up.toml"
    path.write_text(PUBLISHED.format(suite=suite), "utf-8")
    return path


@pytest.fixture
def reproduce(monkeypatch, capsys, tmp_path, tiny_store):
    """Run `taskmark reproduce` in this process -> exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        given = ["--device", "cpu", "--workers", 0, "--store", tiny_store]
        given += ["--out", tmp_path / "out"]
        words = ["taskmark", "reproduce", *arguments, *given]
        monkeypatch.setattr(sys, "argv", [str(word) for word in words])
        monkeypatch.setenv("COLUMNS", "120")
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        return caught.value.code or 0, out, err

    return call


def row_of(out, *words):
    (line,) = (line for line in out.splitlines() if all(word in line for word in words))
    return line


def test_a_paper_ends_with_its_figures_beside_those_measured(reproduce, paper, tmp_path):
    code, out, err = reproduce(paper, "--backbone", "plain", "--json", tmp_path / "it.json")
    assert (code, err) == (0, "")
    said = json.loads((tmp_path / "it.json").read_text("utf-8"))
    found = {(line["row"], line["metric"]): line for line in said["lines"]}
    assert len(found) == len(said["lines"]) == 7
    assert all(line["measured"]["low"] <= line["measured"]["value"] for line in said["lines"])
    records = read_folder(tmp_path / "out" / "records", Record)
    assert {record.suite.edition for record in records} == {"0.1+made-up"}
    assert {record.recipe for record in records} == {"standard", "tangent"}

    (ours,) = (r for r in records if r.method.name == "task_arithmetic")
    line = found["sum", "accuracy"]
    assert line["measured"]["value"] == pytest.approx(100 * ours.accuracy)
    assert line["measured"]["high"] == pytest.approx(100 * ours.accuracy_high)
    assert line["difference"] == pytest.approx(100 * ours.accuracy - 0.5)
    assert line["inside"] is False
    assert row_of(out, "sum", "0.5 text").split()[-1] == "no"
    assert found["sum", "negation_target"]["difference"] is not None
    assert found["sum", "negation_control"]["published"] is None

    # Other experts: both figures are shown, and no difference.
    assert found["tangent", "accuracy"]["difference"] is None
    assert found["tangent", "accuracy"]["measured"]["family"] == "own"
    assert "never mix families; so no difference is shown." in out
    assert "never mix families; a difference holds that of the experts, too." in out
    assert "tangent (others): B | C, Table 2." in out
    assert "Chosen on validation, never on test." in out
    assert "A title [sic]" in out


def test_records_of_a_paper_that_is_a_file_name_the_command_that_makes_them(
    reproduce, paper, tmp_path, monkeypatch
):
    assert reproduce(paper, "--backbone", "plain")[0] == 0
    monkeypatch.chdir(paper.parent)
    commands = {command(record) for record in read_folder(tmp_path / "out" / "records", Record)}
    assert len(commands) == 1
    words = shlex.split(commands.pop())
    assert words[:3] == ["taskmark", "reproduce", paper.name]
    code, out, err = reproduce(*words[2:], "--dry-run")
    assert (code, err) == (0, "")
    assert "Backbones: plain." in out


def test_markdown_names_the_source_of_every_figure(reproduce, paper, tmp_path):
    code, *_ = reproduce(paper, "--dry-run", "--markdown", tmp_path / "it.md")
    text = (tmp_path / "it.md").read_text("utf-8")
    assert code == 0
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 2 * 7
    assert {line.replace("\\|", "").count("|") for line in rows} == {11}
    (line,) = (line for line in rows if line.startswith("| plain | tangent | accuracy"))
    assert line.endswith("| B \\| C, Table 2 |")
    assert "| 80 | derived | others | not run |" in line


def test_a_dry_run_says_all_and_makes_nothing(reproduce, paper, tmp_path):
    code, out, err = reproduce(paper, "--dry-run")
    assert (code, err) == (0, "")
    assert not (tmp_path / "out").exists()
    assert "3 scales a search" in out
    assert "Backbones: plain, worded." in out
    assert "All data and weights that it needs are here." in out
    assert "not run" in row_of(out, "sum", "0.5 text")
    assert "lie in the 95 % interval" not in out


def test_experts_of_the_published_family_are_compared_and_leave_out_what_needs_others(
    reproduce, paper, tmp_path
):
    folder = tmp_path / "experts"
    folder.mkdir()
    (folder / "experts.toml").write_text('family = "theirs"', "utf-8")
    source = torch.Generator().manual_seed(0)
    pretrained = tiny_provider.backbone("plain")[1].state_dict()
    for task in ("hills", "lakes", "woods"):
        tuned = {
            n: p + 0.02 * torch.randn(p.shape, generator=source) for n, p in pretrained.items()
        }
        save_file(tuned, folder / f"{task}.safetensors")
    given = ["--backbone", "plain", "--experts", folder, "--accept-experts", "noise, for a test"]
    code, out, err = reproduce(paper, *given, "--json", tmp_path / "it.json")
    assert (code, err) == (0, "")
    assert "Not run, since the experts are tuned as standard: tangent." in out
    lines = json.loads((tmp_path / "it.json").read_text("utf-8"))["lines"]
    found = {(line["row"], line["metric"]): line for line in lines}
    assert found["sum", "accuracy"]["measured"]["family"] == "theirs"
    assert found["sum", "accuracy"]["difference"] is not None
    assert found["tangent", "accuracy"]["measured"] is None
    assert "never mix families" not in out


def test_an_estimate_is_made_for_each_recipe(reproduce, paper, tmp_path):
    code, out, err = reproduce(paper, "--estimate", "--backbone", "plain")
    assert (code, err) == (0, "")
    assert not (tmp_path / "out").exists()
    for recipe in ("standard", "tangent"):
        assert "Estimate from batches passed here: " in row_of(
            out, f"Recipe {recipe}, if run alone."
        )
    assert "not run" in row_of(out, "sum", "0.5 text")


def test_a_paper_without_figures_says_so(reproduce, paper):
    text = paper.read_text("utf-8")
    paper.write_text(text[: text.index("[[published]]")], "utf-8")
    code, out, _ = reproduce(paper, "--dry-run")
    assert code == 0
    assert "No figure of this paper is known well enough to print; all are measured." in out


def test_what_is_controlled_otherwise_is_said(reproduce, paper):
    paper.write_text(paper.read_text("utf-8").replace('control = "woods"', 'control = "hills"'))
    _, out, _ = reproduce(paper, "--dry-run")
    assert "The paper controls negation by hills, and the suite tiny by other tasks" in out


def test_the_papers_are_listed_with_the_number_of_their_figures(reproduce):
    code, out, _ = reproduce("--list")
    assert code == 0
    for name in find_papers():
        values = [v for found in load(name).published for v in found.values.values()]
        n = sum(len(figures) for figures in values)
        assert row_of(out, f"{name} ", "@1.0").split()[2] == str(n)


def one_sentence(result, *words):
    code, _, err = result
    assert code == 2
    (line,) = err.strip().splitlines()
    for word in words:
        assert word in line


def test_a_wrong_name_is_met_with_papers_and_submissions(reproduce, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one_sentence(reproduce("tangnt"), "no paper or submission 'tangnt'", "'tangent'")
    folder = tmp_path / "submissions" / "smoke-1.0" / "my_method"
    folder.mkdir(parents=True)
    (folder / "submission.json").touch()
    one_sentence(reproduce("submissions/smoke-1.0/my_methd"), "did you mean 'submissions/smoke")


def test_two_papers_do_not_fit_into_one_file(reproduce, tmp_path):
    path = tmp_path / "it.json"
    one_sentence(reproduce("ties", "tangent", "--json", path), "One file cannot hold 2 papers")


def test_a_submission_has_no_dry_run(reproduce, tmp_path):
    (tmp_path / "folder").mkdir()
    one_sentence(reproduce(tmp_path / "folder", "--dry-run"), "has no dry run")


def test_without_data_and_weights_it_says_how_to_get_them(reproduce, monkeypatch, tmp_path):
    for name in ("HF_HUB_CACHE", "TASKMARK_DATA"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    code, out, _ = reproduce("ties", "--dry-run")
    assert code == 0
    told = row_of(out, "cannot run here yet")
    for word in (
        "clip-8@1.0+ties",
        "cars",
        "svhn",
        "clip-l-14-openai",
        "taskmark data",
        "taskmark",
    ):
        assert word in told
    one_sentence(reproduce("ties"), "cannot run here yet", "taskmark data")
    assert not (tmp_path / "out").exists()
