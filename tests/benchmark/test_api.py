"""The benchmark from Python: classes and instances beside names, and runs that go on."""

from __future__ import annotations

import importlib.metadata
import inspect
import subprocess
import sys
import typing

import pytest

import taskmark
from taskmark import api
from taskmark.config import RunConfig
from taskmark.contract.recipe import Recipe, Tangent
from taskmark.engine.executor import Event
from taskmark.engine.notebook_progress import NotebookDisplay
from taskmark.errors import TaskmarkError
from taskmark.plugins.method_choice import MethodChoice

PUBLIC = {
    *("Edit", "Given", "Head", "Mask", "Method", "Recipe", "Results", "TaskmarkError"),
    *("WeightSpace", "__version__", "load_results", "methods", "run"),
}


@pytest.fixture
def run(tiny_suite, tiny_store, tmp_path):
    def call(**options):
        given = {"out": tmp_path / "out", "store": tiny_store, "device": "cpu", "workers": 0}
        return taskmark.run(tiny_suite, quiet=True, **{**given, **options})

    return call


def test_a_public_name_goes_only_by_the_policy_of_deprecation():
    assert set(taskmark.__all__) == PUBLIC, "see 'What is public' in CONTRIBUTING.md"
    assert taskmark.__version__ == importlib.metadata.version("taskmark")
    assert taskmark.__all__ == sorted(taskmark.__all__)
    for name in taskmark.__all__:
        assert name in dir(taskmark)
        assert getattr(taskmark, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'rnu'"):
        taskmark.rnu  # noqa: B018


def test_it_takes_what_a_configuration_has():
    parameters = inspect.signature(taskmark.run).parameters
    fields = RunConfig.model_fields
    assert parameters.keys() - {"quiet"} == fields.keys()
    for name, field in fields.items():
        default = parameters[name].default
        assert default == (str(field.default) if name == "out" else field.default), name
        assert f"        {name}: " in inspect.getdoc(taskmark.run).replace("\n    ", "\n        ")
    assert typing.get_type_hints(taskmark.Results.board)["seed"] == int | None


def test_it_runs_names_classes_and_instances(run):
    ties = taskmark.methods.get("ties")
    results = run(methods=["task_arithmetic", ties(density=0.5)], recipes=[Tangent])
    board = results.board("plain")
    named = set(board["method"])
    assert {"ties", "task_arithmetic", "experts", "pretrained"} <= named
    assert set(board[board["method"] != "experts"]["recipe"]) == {"tangent"}
    assert set(board[board["method"] == "experts"]["recipe"]) == {"tangent", "standard"}
    (record,) = (r for r in results.records if r.method.name == "ties")
    assert record.method.hyperparameters["density"] == 0.5
    again = taskmark.load_results(results.out)
    assert {r.record_id for r in again.records} == {r.record_id for r in results.records}
    assert results.disentanglement
    assert results.build_site().is_file()


def test_one_value_is_as_good_as_a_list_of_one():
    assert api._listed("ties") == ["ties"]
    assert api._listed(0) == [0]
    assert api._listed(("a", "b")) == ["a", "b"]


def test_what_is_no_method_or_recipe_is_a_sentence(run, tmp_path):
    class Nameless(taskmark.Method):
        pass

    class Own(Recipe):
        name = "own"

    for methods, words in (
        ([3.5], "3.5 is no method"),
        ([int], "is no method"),
        ([Nameless], "Nameless has no name"),
        (["tie"], "did you mean 'ties'"),
    ):
        with pytest.raises(TaskmarkError, match=words):
            run(methods=methods)
    for recipes, words in (
        ([Own], "Own is not one that a run knows"),
        ([int], "is no recipe"),
        (["tangnt"], "did you mean 'tangent'"),
    ):
        with pytest.raises(TaskmarkError, match=words):
            run(recipes=recipes)
    assert not (tmp_path / "out").exists()


def test_only_the_fields_that_were_given_count(tmp_path):
    ties = taskmark.methods.get("ties")
    assert api._choose_method(ties(), tmp_path) == (MethodChoice("ties"), None)
    assert api._choose_method(ties, tmp_path) == (MethodChoice("ties"), None)
    chosen = MethodChoice("ties", (("weights", (1.0, 2.0)),))
    assert api._choose_method(ties(weights=(1.0, 2.0)), tmp_path) == (chosen, None)


def test_an_interrupted_run_goes_on(run, monkeypatch, tmp_path):
    store = tmp_path / "store"
    n_done = []

    def interrupted(event: Event) -> None:
        n_done.append(event.state == "done")
        if sum(n_done) == 3:
            raise KeyboardInterrupt

    real = api._watched_run

    def watched(config, **_):
        from taskmark.engine.run import Watcher  # noqa: PLC0415
        from taskmark.engine.run import run as run_config  # noqa: PLC0415

        return run_config(config, Watcher(event=interrupted))

    monkeypatch.setattr(api, "_watched_run", watched)
    options = {"methods": "task_arithmetic", "tasks": "hills", "store": store}
    with pytest.raises(KeyboardInterrupt):
        run(**options)
    made = {path: path.stat().st_mtime_ns for path in store.rglob("*.json")}
    assert made
    monkeypatch.setattr(api, "_watched_run", real)
    assert not run(**options).board().empty
    assert made.items() <= {p: p.stat().st_mtime_ns for p in store.rglob("*.json")}.items()


SCRIPT = '''
import sys
import torch.nn.functional as F
import taskmark
from taskmark import Method

class Mine(Method):
    """Mine."""

    name = "mine"

    def merge(self, given):
        return F.normalize(given.task_vectors, dim=1).sum(0)

suite, store, out = sys.argv[1:]
results = taskmark.run(suite, methods=[Mine], tasks=["hills", "lakes"], store=store, out=out,
                       recipes=["standard"], workers=2, quiet=True)
print(*results.board()["method"])
'''


def test_a_script_runs_its_own_class_in_processes_without_being_run_again(
    tiny_suite, tiny_store, tmp_path
):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, "utf-8")
    arguments = [sys.executable, script, tiny_suite, tiny_store, tmp_path / "out"]
    path = ":".join(entry for entry in sys.path if entry)
    done = subprocess.run(  # noqa: S603 - our own
        arguments, env={"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("mine") == 1
    assert (tmp_path / "out" / "plugins" / "mine.py").is_file()


class Job:
    kind, key, label, needs = "rows", "k", "making <rows>", ()
    cost = None


def test_a_notebook_shows_how_far_it_is(monkeypatch):
    shown = NotebookDisplay()
    pages = []
    monkeypatch.setattr(shown, "_show", lambda: pages.append(shown.html()))
    shown.begin([Job], 2, 1)
    assert "1 jobs to do; 2 were done before." in pages[-1]
    shown.event(Event("started", Job))
    assert "making &lt;rows&gt;" in shown.html()
    assert 'value="0" max="1"' in shown.html()
    shown.event(Event("done", Job, 1.0))
    shown.end("3 rows")
    assert 'value="1" max="1"' in pages[-1]
    assert "3 rows after" in pages[-1]
