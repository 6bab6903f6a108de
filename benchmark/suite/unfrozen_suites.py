"""Suites that are not frozen yet: a run takes what it finds, and its records say what that was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskmark.errors import TaskmarkError
from taskmark.records.frozen import digest
from taskmark.stages.task_inputs import fingerprint
from taskmark.store.keys import source_of
from taskmark.suite.provider import fetched, module_of, provider
from taskmark.suite.suite_file import UNRESOLVED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmark.suite.provider import Provider
    from taskmark.suite.suite_file import Suite

_SHOWN = 8  # digits of the hash of hashes that a variant shows


def prepare_suite(
    suite: Suite, *, backbones: Sequence[str], negation: bool, whole: bool = True
) -> tuple[Suite, dict[str, str]]:
    """The suite as a run takes it, once all that the run needs is on this machine.

    Args:
        suite: the definition.
        backbones: those that a user named; the suite's own choice where there are none.
        negation: whether tasks that only control are needed, too.
        whole: whether all of it must be here; where not all is, the suite stays as it is then.

    Returns:
        The suite with every hash filled in that the run looks at, and those that were found.

    Raises:
        TaskmarkError: if there is no such provider, a backbone is not the suite's, or data or
            weights are missing.
    """
    # Before it is imported, so that a wrong name gets its sentence.
    source_of(module_of(suite.provider))
    source, chosen = provider(suite.provider), suite.chosen(backbones)
    tasks = (*suite.tasks, *(suite.controls if negation else ()))
    if missing := list_missing(suite, source, chosen, tasks):
        if not whole:
            return suite, {}
        raise TaskmarkError(f"The suite {suite.label} cannot run here yet: {missing}.")
    check_weights(suite, source, chosen)
    found = find_hashes(suite, source, chosen, tasks)
    return resolve_suite(suite, found), found


def list_missing(
    suite: Suite, source: Provider, backbones: Sequence[str], tasks: Sequence[str]
) -> str:
    """Which data and weights are not on this machine, all of them, and how to get them."""
    weights = dict.fromkeys(suite.backbones[name].weights for name in backbones)
    remote = fetched(source)
    return remote.missing(tasks, tuple(weights)) if remote else ""


def check_weights(suite: Suite, source: Provider, backbones: Sequence[str]) -> None:
    """See that the weights on this machine are those of the suite, or that it leaves them open.

    Raises:
        TaskmarkError: if they are others.
    """
    for backbone in backbones:
        facts = suite.backbones[backbone]
        if facts.sha256 == UNRESOLVED:
            continue
        found = source.weights_sha256(facts.weights)
        if found != facts.sha256:
            raise TaskmarkError(
                f"The weights of the backbone {backbone!r} have the hash {found[:12]}, but the "
                f"suite {suite.label} is frozen with {facts.sha256[:12]}; reinstall "
                "taskmark, or fetch them again, to get those that belong to it."
            )


def find_hashes(
    suite: Suite, source: Provider, backbones: Sequence[str], tasks: Sequence[str]
) -> dict[str, str]:
    """The hashes, as they are on this machine, of what the suite leaves unresolved.

    Args:
        suite: the definition.
        source: its provider.
        backbones: those of the run, names of the suite.
        tasks: those of the run, merged or only controlling.

    Returns:
        "tasks.NAME" or "backbones.NAME" -> SHA-256; nothing of what is not part of the run.

    Raises:
        TaskmarkError: if any of it is not there.
    """
    found = {
        f"tasks.{name}": fingerprint(source.task(name))
        for name in tasks
        if suite.data_of(name).sha256 == UNRESOLVED
    }
    for name in dict.fromkeys(backbones):
        if suite.backbones[name].sha256 == UNRESOLVED:
            weights = suite.backbones[name].weights
            found[f"backbones.{name}"] = source.weights_sha256(weights)
            if not found[f"backbones.{name}"]:
                raise TaskmarkError(
                    f"The weights {weights!r} of the backbone {name!r} are not on this machine; "
                    "fetch them first."
                )
    return found


def resolve_suite(suite: Suite, found: Mapping[str, str]) -> Suite:
    """The variant of the suite with hashes that were found, which says which data they are of.

    Whoever finds other data of a task that is merged gets another variant, so that records of the
    two never stand on one board. Which backbones and controls a run looks at besides changes
    nothing, so that runs of one backbone and of two share their rows; what was found of those is on
    the records, and rows on other weights than the newest are stale. Nothing else differs from a
    suite that is frozen: what is made is compared with these hashes.

    Args:
        suite: the definition; one that is frozen stays as it is.
        found: see `find_hashes`.
    """
    if suite.frozen:
        return suite
    named = {f"tasks.{name}" for name in suite.tasks}
    total = digest({name: sha256 for name, sha256 in found.items() if name in named})

    def filled(kind: str, parts: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: part.model_copy(update={"sha256": found.get(f"{kind}.{name}", part.sha256)})
            for name, part in parts.items()
        }

    return suite.model_copy(
        update={
            "variant": suite.variant.model_copy(update={"unresolved": total[:_SHOWN]}),
            "sha256": digest([suite.sha256, total]),
            "tasks": filled("tasks", suite.tasks),
            "controls": filled("tasks", suite.controls),
            "backbones": filled("backbones", suite.backbones),
        }
    )


def sentence(suite: Suite, found: Mapping[str, str]) -> str:
    """The sentence that a user reads about a run of a suite that is not frozen.

    Args:
        suite: as `resolve_suite` returned it.
        found: what it was resolved with.
    """
    names = ", ".join(name.partition(".")[2] for name in found) or "of what this run leaves out"
    return (
        f"The suite {suite.name} is not frozen ({names}: no hash is fixed): what is here is taken "
        f"as it is, and the records stand on boards of their own, {suite.label}."
    )
