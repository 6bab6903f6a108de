"""What `taskmark list` and `taskmark show` print; nothing that computes is imported for it."""

from __future__ import annotations

import difflib
import textwrap
from typing import TYPE_CHECKING, Literal, get_args

from rich.table import Table
from rich.text import Text

from taskmark.console import PlainConsole
from taskmark.contract.recipe import RECIPES
from taskmark.errors import unknown
from taskmark.plugins.method_index import index_methods
from taskmark.suite.suite_file import find_suites, load, read

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskmark.plugins.method_index import IndexedMethod
    from taskmark.suite.suite_file import Suite

Kind = Literal["suites", "tasks", "backbones", "recipes", "methods"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_Lines = list[tuple[str, ...]]


def list_command(what: str | None, suite_name: str, plugins: Sequence[Path]) -> None:
    """Print what a run can name, a line each.

    Args:
        what: one of `KINDS`; all of them by default.
        suite_name: whose tasks and backbones.
        plugins: files whose methods are listed, too.

    Raises:
        TaskmarkError: if there is no such kind of thing, or no such suite.
    """
    if what is not None and what not in KINDS:
        raise unknown("list of", what, KINDS)
    console = PlainConsole()
    suite = load(suite_name)
    lines: dict[Kind, _Lines] = {
        "suites": [(name, _suite_summary(read(path))) for name, path in find_suites().items()],
        "tasks": [(name, task.summary) for name, task in suite.tasks.items()],
        "backbones": [(n, f"{b.heads} heads", b.summary) for n, b in suite.backbones.items()],
        "recipes": [(recipe.name, recipe.summary) for recipe in RECIPES.values()],
        "methods": [
            (name, _track(own), own.summary)
            for name, own in sorted(index_methods(plugins).methods.items())
        ],
    }
    lines["suites"] = [line for line in lines["suites"] if "@" in line[0]]
    for kind in KINDS if what is None else (what,):
        title = f"{kind} of {suite.label}" if kind in ("tasks", "backbones") else kind
        _print(console, lines[kind], title=title if what is None else "")
    if what is None:
        console.say("`taskmark show NAME` describes a method or a suite.")


def show_command(name: str, plugins: Sequence[Path]) -> None:
    """Describe a method, or a suite.

    Raises:
        TaskmarkError: if there is neither of that name.
    """
    methods, suites = index_methods(plugins).methods, find_suites()
    console = PlainConsole()
    if name in methods:
        _describe_method(console, methods[name])
    elif name in suites or name.endswith(".toml"):
        _describe_suite(console, load(name))
    else:
        near = difflib.get_close_matches(name, methods, n=1)
        raise unknown("method or suite", name, near or [*methods, *suites])


def _describe_method(console: PlainConsole, method: IndexedMethod) -> None:
    console.say(method.name, style="bold")
    console.say("")
    console.say(method.description)
    console.say("")
    facts = {name: str(value) for name, value in method.facts.items() if value != ""}
    facts |= {"origin": method.origin, "source": str(method.source)}
    _print(console, list(facts.items()), title="facts", cut=False)
    if method.fields:
        lines: _Lines = [
            (name, field.default or "must be given", field.annotation)
            for name, field in method.fields.items()
        ]
        _print(console, lines, title="hyper-parameters, with their defaults", cut=False)


def _describe_suite(console: PlainConsole, suite: Suite) -> None:
    console.say(suite.label, style="bold")
    console.say("")
    console.say(_suite_summary(suite))
    console.say("")
    tasks: _Lines = [(name, task.summary) for name, task in suite.tasks.items()]
    _print(console, tasks, title="tasks", cut=False)
    backbones: _Lines = [
        (name, f"{own.heads} heads", own.summary) for name, own in suite.backbones.items()
    ]
    _print(console, backbones, title="backbones", cut=False)


def _track(method: IndexedMethod) -> str:
    """Its track, and its role where that is not to compete."""
    track, role = method.facts["track"], method.facts["role"]
    return track if role == "competitor" else f"{track}, {role}"


def _suite_summary(suite: Suite) -> str:
    return suite.summary if suite.frozen else f"[not frozen] {suite.summary}"


def _print(console: PlainConsole, lines: _Lines, *, title: str, cut: bool = True) -> None:
    """Print lines of several cells in columns, the last of which is cut to the terminal's width."""
    if title:
        console.say(title, style="bold")
    taken = [max(len(line[k]) for line in lines) + 2 for k in range(max(len(lines[0]) - 1, 0))]
    room = max(console.width - sum(taken), 20)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for *first, last in lines:
        text = textwrap.shorten(last, room, placeholder=" ...") if cut else last
        # Text, so that brackets are not read as markup.
        table.add_row(*map(Text, first), Text(text))
    console.show(table)
    if title:
        console.say("")
