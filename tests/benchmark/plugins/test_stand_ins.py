"""Plug-in methods as a run knows them, beside the classes that they stand for."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from taskmark.errors import TaskmarkError
from taskmark.plugins import stand_ins
from taskmark.plugins.registry import build, find
from taskmark.plugins.stand_ins import Limits, StandIn, find_isolated
from taskmark.records.provenance import method_facts
from taskmark.suites.real.data.arrays import default_folder

LIMITS = Limits(seconds=600, provider="tiny_provider")
METHOD = '''
import sys
from typing import Literal
from pydantic import Field, field_validator
from taskmark import Method
MARK = sys.modules.setdefault("a mark of mine", sys)

class Mine(Method):
    """Do it my way.

    And say more.
    """

    name = "mine"
    paper = "https://arxiv.org/abs/1"
    bibtex = "@misc{mine}"
    track = "labelled"
    recipe = "tangent"
    role = "baseline"
    scale_range = (0, 2.5)
    order_matters = "It takes turns."
    keeps_direction = True
    n_tasks = (2, None)

    share: float = Field(default=0.25, gt=0, le=1)
    norm: Literal["l1", "l2"] = "l2"
    steps: tuple[int, ...] = (3, 1)
    order: str | None = None
    copy: bool = False
    model_name: str = ""

class Other(Mine):
    """Do not."""
    name = "other"
    share: float

    @field_validator("norm")
    @classmethod
    def _none(cls, value):
        if value == "l1":
            raise ValueError("l1 is not for me")
        return value
'''


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    path = tmp_path_factory.mktemp("plugin") / "mine.py"
    path.write_text(METHOD, "utf-8")
    return path


@pytest.mark.filterwarnings("ignore:Field name")
@pytest.mark.parametrize(
    "chosen",
    [{}, {"share": 1, "norm": "l1"}, {"steps": [2, 2], "order": "x", "copy": "yes"}],
)
def test_a_stand_in_says_what_the_class_says(plugin, chosen):
    stands, real = find_isolated([plugin], LIMITS)["mine"], find([plugin])["mine"]
    assert issubclass(stands.method, StandIn)
    assert method_facts(stands, chosen) == method_facts(real, chosen)
    for fact in ("name", "recipe", "scale_range", "order_matters", "keeps_direction", "n_tasks"):
        assert getattr(stands.method, fact) == getattr(real.method, fact)
    assert (stands.source, stands.code()) == (real.source, real.code())
    assert stands.hyperparameters() == real.hyperparameters()
    assert find_isolated([plugin], LIMITS)["other"].method.summary() == "Do not."


@pytest.mark.filterwarnings("ignore:Field name")
@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("mine", {"share": 0}),
        ("mine", {"shares": 0.5}),
        ("other", {}),
        ("other", {"share": 0.5, "norm": "l1"}),
    ],
)
def test_what_the_class_refuses_is_refused_in_its_words(plugin, name, chosen):
    sentences = []
    for methods in (find_isolated([plugin], LIMITS), find([plugin])):
        with pytest.raises(TaskmarkError) as caught:
            build(methods[name].method, chosen)
        sentences.append(str(caught.value))
    assert sentences[0] == sentences[1]


def test_nothing_of_a_plugin_runs_here(plugin):
    before = set(sys.modules)
    build(find_isolated([plugin, plugin], LIMITS)["mine"].method, {})
    assert not {name for name in set(sys.modules) - before if "mine" in name or "plugin" in name}


def test_a_file_is_asked_once_for_each_of_its_contents(tmp_path, monkeypatch):
    asked = []

    def run_isolated(who, order, folder, *, seconds):
        asked.append((order["do"], Path(order["file"]).read_text("utf-8")))
        return real(who, order, folder, seconds=seconds)

    real = stand_ins.run_isolated
    monkeypatch.setattr(stand_ins, "run_isolated", run_isolated)
    path = tmp_path / "own.py"
    text = METHOD.partition("    name = ")[0] + "    name = 'own'\n    k: int = 3\n"
    path.write_text(text, "utf-8")
    for _ in range(2):
        method = find_isolated([path], LIMITS)["own"].method
        assert build(method, {}).hyperparameters() == {"k": 3}
    assert asked == [("describe", text)]
    path.write_text(text.replace("3", "4"), "utf-8")
    assert build(find_isolated([path], LIMITS)["own"].method, {}).hyperparameters() == {"k": 4}
    assert [do for do, _ in asked] == ["describe", "describe"]


def test_a_file_that_is_not_there_is_refused_without_a_process(tmp_path, monkeypatch):
    monkeypatch.setattr(stand_ins, "run_isolated", None)
    with pytest.raises(TaskmarkError, match=r"no plug-in file '.*nowhere\.py'; give"):
        find_isolated([tmp_path / "nowhere.py"], LIMITS)


def test_built_in_methods_are_as_they_are(plugin):
    own = {n: f for n, f in find_isolated([plugin], LIMITS).items() if f.origin == "built-in"}
    assert own == {name: f for name, f in find().items() if f.origin == "built-in"}


def test_a_method_of_a_package_is_found_without_importing_the_package(tmp_path, monkeypatch):
    package = tmp_path / "packed_methods"
    package.mkdir()
    (package / "__init__.py").write_text("raise_not = 1", "utf-8")
    (package / "mine.py").write_text(METHOD, "utf-8")
    facts = tmp_path / "packed_methods-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: packed-methods\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[taskmark.methods]\nm = packed_methods.mine:Mine\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = find_isolated([], LIMITS)["mine"]
    assert (found.origin, found.distribution) == ("package", "packed-methods")
    assert found.source == package / "mine.py"
    assert found.code() == [package / "__init__.py", package / "mine.py"]
    assert not {name for name in sys.modules if name.startswith("packed_methods")}


def test_two_methods_of_one_name_are_one_sentence(plugin, tmp_path):
    twin = tmp_path / "twin.py"
    twin.write_text(METHOD, "utf-8")
    with pytest.raises(TaskmarkError, match="Two methods are called 'mine'"):
        find_isolated([plugin, twin], LIMITS)


def test_what_holds_the_data_of_a_suite_is_refused_as_a_whole(monkeypatch, tmp_path):
    (tmp_path / "hub").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "linked"))
    whole = Limits(seconds=1, provider="taskmark.suites.mini.provider").facts()
    assert whole["refused_modules"] == ["taskmark.suites.mini"]
    assert whole["refused_paths"][0].endswith("mini")
    fetched = [str(default_folder().resolve()), str((tmp_path / "hub").resolve())]
    assert whole["refused_paths"][1:] == fetched
    single = Limits(seconds=1, provider="tiny_provider").facts()
    assert single["refused_modules"] == ["tiny_provider"]
    assert single["refused_paths"][0].endswith("tiny_provider.py")


def test_a_plugin_that_ends_or_hangs_when_imported_is_one_sentence(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("import os; os._exit(5)", "utf-8")
    with pytest.raises(TaskmarkError, match=r"mine.py' ended its process with the exit code 5"):
        find_isolated([path], LIMITS)
    path.write_text("import time; time.sleep(600)", "utf-8")
    with pytest.raises(TaskmarkError, match=r"mine.py' timed out after 1 s"):
        find_isolated([path], dataclasses.replace(LIMITS, seconds=1))
