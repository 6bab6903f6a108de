"""Running the benchmark from Python: `taskmark.run`."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskmark.commands.name_checks import check_names
from taskmark.config import RunConfig
from taskmark.contract.method import Method
from taskmark.contract.recipe import RECIPES, Recipe
from taskmark.errors import TaskmarkError
from taskmark.plugins.class_source import find_plugin
from taskmark.plugins.method_choice import MethodChoice
from taskmark.plugins.method_index import BUILT_IN_PACKAGE, ENTRY_POINT_GROUP
from taskmark.reports.results import Results
from taskmark.store.tuning_checkpoints import CHECKPOINT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskmark.engine.run import Outcome

PLUGINS = "plugins"
"""The folder, within that of a run, of the sources of classes that a notebook defined."""


def run(
    suite: str | Path = "mini",
    *,
    methods: Iterable[str | MethodChoice | Method | type[Method]] = (),
    backbones: Iterable[str] = (),
    recipes: Iterable[str | Recipe | type[Recipe]] = (),
    tasks: Iterable[str] = (),
    seeds: Iterable[int] = (0,),
    out: str | Path = "results",
    plugins: Iterable[str | Path] = (),
    device: str = "auto",
    workers: int | None = None,
    store: str | Path | None = None,
    time_limit: float = 3600.0,
    since: str | None = None,
    experts: str | Path | None = None,
    accept_experts: str | None = None,
    racing: bool = False,
    negation: bool = False,
    localisation: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    quiet: bool = False,
) -> Results:
    """Run methods on a suite, show progress, and return the records.

    What was made before is not made again, so a run that was interrupted (Ctrl-C, or the stop
    button of a notebook) goes on when it is called again. References and baselines are always run.

    Args:
        suite: name, name@version, or the path of a TOML file.
        methods: names, with fields where wanted (`"ties[density=0.1]"`); classes; or instances,
            whose fields count that were given when they were made. All methods by default. The
            source of a class that a notebook or script defines is saved in `out / "plugins"` and,
            as any plug-in, run in a process of its own.
        backbones: names of the suite's; those that it runs by default. "all" for all.
        recipes: names, classes or instances; each method's own by default.
        tasks: merge only these; all by default.
        seeds: of tuning and of methods.
        out: folder for records.
        plugins: files with methods.
        device: "auto", "cpu", "cuda" or "cuda:1".
        workers: processes; one per GPU or per core by default. 0 runs everything in this one.
        store: folder of artifacts; TASKMARK_STORE or the user's cache folder by default.
        time_limit: seconds that a plug-in may spend on one edit.
        since: also run the built-in methods that changed since this commit.
        experts: folder of experts to use in place of tuning any.
        accept_experts: why experts that fail the checks are used; noted on the records.
        racing: stop the search early at scales that cannot win.
        negation: also negate each task.
        localisation: also measure NTK localisation.
        checkpoint_seconds: seconds between two steps of tuning from which it can go on.
        quiet: show nothing.

    Returns:
        The records of this run, those that were made before included.

    Raises:
        TaskmarkError: if a name is unknown, a class cannot be taken, or something is missing.
    """
    out = Path(out)
    chosen = [_choose_method(method, out / PLUGINS) for method in _listed(methods)]
    files = [*map(Path, _listed(plugins)), *(file for _, file in chosen if file is not None)]
    config = RunConfig(
        suite=str(suite),
        methods=tuple(choice for choice, _ in chosen),
        backbones=tuple(_listed(backbones)),
        recipes=tuple(_choose_recipe(recipe) for recipe in _listed(recipes)),
        tasks=tuple(_listed(tasks)),
        seeds=tuple(_listed(seeds)),
        out=out,
        plugins=tuple(dict.fromkeys(file.resolve() for file in files)),
        device=device,
        workers=workers,
        store=None if store is None else Path(store),
        time_limit=time_limit,
        since=since,
        experts=None if experts is None else Path(experts),
        accept_experts=accept_experts,
        racing=racing,
        negation=negation,
        localisation=localisation,
        checkpoint_seconds=checkpoint_seconds,
    )
    check_names(config)
    outcome = _watched_run(config, quiet=quiet)
    return Results(
        out=out,
        records=outcome.records,
        disentanglement=outcome.of("disentanglement"),
        negation=outcome.of("negation"),
        localisation=outcome.of("localisation"),
    )


def _watched_run(config: RunConfig, *, quiet: bool) -> Outcome:
    from taskmark.console import PlainConsole  # noqa: PLC0415
    from taskmark.engine.notebook_progress import NotebookDisplay, is_notebook  # noqa: PLC0415
    from taskmark.engine.progress import Display  # noqa: PLC0415
    from taskmark.engine.run import Watcher  # noqa: PLC0415
    from taskmark.engine.run import run as run_config  # noqa: PLC0415

    if quiet or not is_notebook():
        with Display(PlainConsole(quiet=quiet), quiet=quiet) as display:
            return run_config(config, Watcher(display.begin, display.event, display.say))
    shown = NotebookDisplay()
    how = "Failed"
    try:
        outcome = run_config(config, Watcher(shown.begin, shown.event, shown.say))
        how = f"{len(outcome.records)} rows"
    except KeyboardInterrupt:
        how = "Interrupted; run the cell again to go on. It ended"
        raise
    else:
        return outcome
    finally:
        shown.end(how)


def _listed(values: Any) -> list[Any]:
    """Several values, or a single one that somebody gave in place of a list of one."""
    one = isinstance(values, str | int | Path | Method | Recipe | MethodChoice | type)
    return [values] if one else list(values)


def _choose_method(method: object, folder: Path) -> tuple[MethodChoice, Path | None]:
    """A method as a run takes it, and the plug-in file that defines it, if one does."""
    if isinstance(method, str):
        return MethodChoice.parse(method), None
    if isinstance(method, MethodChoice):
        return method, None
    cls = method if isinstance(method, type) else type(method)
    if not issubclass(cls, Method):
        raise TaskmarkError(
            f"{method!r} is no method; give a name, or a subclass of taskmark.Method or an instance"
            " of one."
        )
    if not isinstance(getattr(cls, "name", None), str):
        raise TaskmarkError(f'The class {cls.__name__} has no name; add name = "my_method" to it.')
    fields = {}
    if isinstance(method, Method):
        every = method.hyperparameters()
        fields = {name: every[name] for name in method.model_fields_set if name in every}
    file = None if _is_installed(cls) else find_plugin(cls, folder)
    return MethodChoice.of(cls.name, fields), file


def _is_installed(cls: type[Method]) -> bool:
    """Whether a run finds a method by its name alone."""
    if cls.__module__.startswith(f"{BUILT_IN_PACKAGE}."):
        return True
    places = {cls.__module__, f"{cls.__module__}:{cls.__qualname__}"}
    return any(point.value in places for point in entry_points(group=ENTRY_POINT_GROUP))


def _choose_recipe(recipe: object) -> str:
    if isinstance(recipe, str):
        return recipe
    name = getattr(recipe, "name", None)
    cls = recipe if isinstance(recipe, type) else type(recipe)
    if not issubclass(cls, Recipe):
        raise TaskmarkError(f"{recipe!r} is no recipe; give one of {', '.join(RECIPES)}.")
    if name not in RECIPES or type(RECIPES[name]) is not cls:
        raise TaskmarkError(
            f"The recipe {cls.__name__} is not one that a run knows; use {', '.join(RECIPES)}."
        )
    return str(name)
