"""The accuracy that normalises: every expert on its own task, judged before anything is merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.experts.checks import Scored, judge
from taskmark.heads import stored_head
from taskmark.readers import reader
from taskmark.recipes import recipe_named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from taskmark.context import Context


def make_normaliser(
    context: Context,
    key: str,
    *,
    backbone: str,
    recipe: str,
    inputs: dict[str, str],
    heads: dict[str, str],
    vectors: str,
    clean_ranges: Mapping[str, tuple[float, float] | None],
    foreign: bool,
    accepted: str | None,
) -> None:
    """Read every expert on its own task under the recipe: predictions on validation and test.

    Args:
        context: of the run.
        key: of what is made.
        backbone: the experts'.
        recipe: how they are read.
        inputs: of each task.
        heads: of each task.
        vectors: the task vectors.
        clean_ranges: of each task, see `Scored`.
        foreign: whether the experts were brought along.
        accepted: why the user trusts experts that look wrong.

    Raises:
        TaskmarkError: if an expert looks wrong and nobody said why it is not.
    """
    weights = context.store.get("vectors", vectors).tensors
    encoder = context.encoder(backbone)
    how = recipe_named(recipe)
    read = reader(how.read, context.setting(encoder, weights["pretrained"]))
    predictions: dict[str, Tensor] = {}
    scored: list[Scored] = []
    for row, task in enumerate(inputs):
        head, vector = stored_head(context, heads[task]), weights["task_vectors"][row]
        tensors = context.store.get("inputs", inputs[task]).tensors
        labels = tensors["validation_labels"]
        work = {task: (head, tensors["validation"])}
        before, classes = read.predict(vector, [0.0, 1.0], work)[task]
        predictions |= _told("validation", task, classes, labels)
        tensors = context.store.get("inputs_test", inputs[task]).tensors
        on_test = read.predict(vector, [1.0], {task: (head, tensors["test"])})[task][0]
        predictions |= _told("test", task, on_test, tensors["test_labels"])
        scored.append(
            Scored(
                task=task,
                validation=(classes == labels).numpy(),
                test=(on_test == tensors["test_labels"]).numpy(),
                pretrained=(before == labels).numpy(),
                most_common=(labels == labels.mode().values).numpy(),
                clean_range=clean_ranges[task],
            )
        )
    judge(scored, foreign=foreign, read_as_tuned=how.read == how.tuned, accepted=accepted)
    context.store.put("normaliser", key, predictions, {})


def _told(split: str, task: str, classes: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """What is kept of a split: the predictions, and which of them are right."""
    return {f"{split}/{task}": classes, f"{split}/{task}/correct": classes == labels}
