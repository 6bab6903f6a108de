"""Papers as data: those shipped are whole and honest, and what is wrong is refused."""

from __future__ import annotations

import re
import tomllib

import pytest

from taskmark.errors import TaskmarkError
from taskmark.papers.paper_file import KNOWN_FROM, find_papers, is_paper, load, read
from taskmark.papers.runs import lay_over_suite
from taskmark.plugins.method_choice import MethodChoice
from taskmark.plugins.registry import build, find
from taskmark.suite import suite_file as suite

VALID = """
name = "made-up"
title = "A title"
authors = "A. Author"
venue = "Nowhere 2026"
url = "https://example.org"
suites = ["tiny@0.1"]
backbones = ["plain"]
runs.sum = { method = "task_arithmetic", scales = [0.0, 2.0] }
families.theirs = { summary = "theirs" }

[[published]]
run = "sum"
family = "theirs"
source = "A, Table 1"
label = "text"
accuracy.plain = 50.0
"""
SHIPPED = sorted(find_papers())


def written(folder, text):
    path = folder / "made-up.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_papers_that_are_shipped():
    assert SHIPPED == ["closed-vocabulary", "dv-basi", "tangent", "ties"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_paper_is_called_as_its_file(name):
    assert load(name).name == name


@pytest.mark.parametrize("name", SHIPPED)
def test_no_figure_is_remembered_and_each_has_its_source(name):
    tables = tomllib.loads(find_papers()[name].read_text("utf-8")).get("published", [])
    for entry in tables:
        assert entry["label"] in KNOWN_FROM
        assert entry["label"] != "memory"
        assert re.search(r"Table \d|documentation, table|released with the code", entry["source"])
        assert re.search(r"[A-Z]", entry["source"].split(",")[0]), "who published it comes first"


@pytest.mark.parametrize("name", SHIPPED)
def test_what_a_shipped_paper_runs_is_there(name):
    paper, methods = load(name), find()
    for run in paper.runs.values():
        found = methods[run.method].method
        choice = MethodChoice.of(run.method, run.hyperparameters)
        made = build(found, dict(choice.hyperparameters))
        assert made.hyperparameters().items() >= run.hyperparameters.items()
        assert (run.scales is None) or (found.scale_range is not None)
        assert found.recipe in {"standard", run.recipe}
    for label in paper.suites:
        assert set(paper.backbones) <= set(suite.load(label).backbones)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_paper_never_lands_on_the_board_of_a_suite(name):
    paper = load(name)
    for label in paper.suites:
        of_suite = suite.load(label)
        laid_over = lay_over_suite(paper, of_suite)
        assert laid_over.facts.edition == f"{of_suite.version}+{name}"
        assert laid_over.sha256 != of_suite.sha256


def figure(paper, row, metric, backbone, family):
    (found,) = (
        figures.values[metric][backbone]
        for figures in load(paper).published
        if (figures.run, figures.family) == (row, family) and metric in figures.values
    )
    return found


@pytest.mark.parametrize(
    ("paper", "row", "metric", "backbone", "family", "percent"),
    [
        ("tangent", "non-linear", "accuracy", "clip-b-32-openai", "tak", 73.5),
        ("tangent", "linear", "normalised_accuracy", "clip-l-14-openai", "tak", 94.8),
        ("tangent", "linear", "negation_target", "clip-b-32-openai", "tak", 9.3),
        ("tangent", "linear experts", "accuracy", "clip-b-16-openai", "ilharco", 89.63),
        ("ties", "ties", "normalised_accuracy", "clip-b-16-openai", "ilharco", 87.6),
        ("ties", "ties", "accuracy", "clip-b-32-openai", "fusionbench", 72.2),
        ("dv-basi", "dv-basi", "accuracy", "clip-b-16-openai", "ilharco", 87.2),
        ("dv-basi", "dv-basi, linear", "normalised_accuracy", "clip-b-32-openai", "ilharco", 99.1),
    ],
)
def test_figures_are_as_they_were_published(paper, row, metric, backbone, family, percent):
    assert figure(paper, row, metric, backbone, family) == percent


def test_a_figure_from_memory_is_refused(tmp_path):
    path = written(tmp_path, VALID.replace('"text"', '"memory"'))
    with pytest.raises(TaskmarkError, match="from memory alone is not stored"):
        read(path)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('run = "sum"', 'run = "some"', "'some', which is not there"),
        ('family = "theirs"', 'family = "mine"', "no family of the paper: 'mine'"),
        ("families.theirs", "families.own", "'own' is what experts"),
        ("accuracy.plain", "accuracy.other", "not the paper's: other"),
        ("accuracy.plain = 50.0", "", "without a figure"),
        ("accuracy.plain", "negation_target.plain", "a metric that 'sum' does not measure"),
        ("50.0", "500.0", "less than or equal to 200"),
        ("50.0", "nan", "finite"),
        ('source = "A, Table 1"', 'source = ""', "at least 1 character"),
        ('label = "text"', 'label = "hearsay"', "Input should be"),
        ("[0.0, 2.0]", "[2.0, 0.0]", "smaller end first"),
        ('"task_arithmetic",', '"task_arithmetic", recipe = "raw",', "'raw' is no recipe"),
        ("families", "runs.again = { method = 'task_arithmetic' }\nfamilies", "different scales"),
        ('name = "made-up"', 'name = "Made Up"', "pattern"),
        ("title = ", "titles = ", "'title': Field required"),
        ("runs.sum = {", "runs.sum = [", "not valid TOML"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place(tmp_path, old, new, told):
    assert read(written(tmp_path, VALID)).published[0].values == {"accuracy": {"plain": 50.0}}
    assert VALID.count(old) == 1
    path = written(tmp_path, VALID.replace(old, new))
    with pytest.raises(TaskmarkError, match=re.escape(told)) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_paper_is_read_from_a_file_too(tmp_path):
    path = written(tmp_path, VALID)
    assert load(str(path)).name == "made-up"
    assert is_paper(str(path))
    assert not is_paper("submissions/smoke-1.0/my_method")


def test_a_file_that_has_not_the_name_of_its_paper_is_refused(tmp_path):
    path = written(tmp_path, VALID).rename(tmp_path / "other.toml")
    with pytest.raises(TaskmarkError, match=r"call the file 'made-up\.toml'"):
        read(path)


def test_a_file_with_the_name_of_a_shipped_paper_is_refused(tmp_path):
    path = tmp_path / "ties.toml"
    path.write_text(find_papers()["ties"].read_text("utf-8") + "\n# mine", "utf-8")
    with pytest.raises(TaskmarkError, match="name 'ties' of a paper that is shipped"):
        load(str(path))
    assert load(str(find_papers()["ties"])) == load("ties")


def test_a_paper_is_reproduced_by_its_name_or_its_file(tmp_path):
    assert load("ties").command == "ties"
    assert load(str(written(tmp_path, VALID))).command == "made-up.toml"


def test_an_unknown_paper_is_met_with_what_was_meant():
    with pytest.raises(TaskmarkError, match=r"no paper 'tangnt'; did you mean 'tangent'\?"):
        load("tangnt")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "folder.toml"
    path.mkdir()
    with pytest.raises(TaskmarkError, match=r"folder\.toml' cannot be read"):
        read(path)
