"""The accuracy that normalises: every expert on its own task, judged before anything is merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from taskmark.contract.recipe import recipe_named
from taskmark.inference.choosing_passes import Tuned, choose
from taskmark.inference.passes import Passes, total_bytes
from taskmark.inference.readers import Reader, reader
from taskmark.stages.expert_checks import Scored, judge
from taskmark.stages.heads import stored_head

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

    On a GPU it is also found out here how all that stands on these experts passes images: how many
    fit into its memory at once, and whether a faster precision keeps the experts' accuracies. Test
    images have no part in that.

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
    how = recipe_named(recipe)

    def read(passes: Passes) -> Reader:
        # A reader has the encoder's weights for itself.
        encoder = context.encoder(backbone)
        return reader(how.read, context.setting(encoder, weights["pretrained"], passes))

    shown = {task: context.store.get("inputs", stored).tensors for task, stored in inputs.items()}
    experts = Tuned(
        dict(zip(inputs, weights["task_vectors"], strict=True)),
        {task: stored_head(context, stored) for task, stored in heads.items()},
        {task: tensors["validation"] for task, tensors in shown.items()},
        {task: tensors["validation_labels"] for task, tensors in shown.items()},
    )
    chosen = choose(
        experts,
        read,
        usual=context.passes,
        fast=context.fast_dtype(how.read),
        memory=total_bytes(torch.device(context.device)),
    )
    predictions: dict[str, Tensor] = {}
    scored: list[Scored] = []
    for task, stored in inputs.items():
        (before, classes), labels = chosen.on_validation[task], experts.labels[task]
        predictions |= _told("validation", task, classes, labels)
        tensors = context.store.get("inputs_test", stored).tensors
        on_test = experts.predict(chosen.reader, task, [1.0], tensors["test"])[0]
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
    context.store.put("normaliser", key, predictions, chosen.passes.facts)


def stored_passes(context: Context, key: str) -> Passes:
    """How all that stands on some experts passes images, by the key of their normaliser."""
    return Passes.of(context.store.get("normaliser", key).facts)


def _told(split: str, task: str, classes: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """What is kept of a split: the predictions, and which of them are right."""
    return {f"{split}/{task}": classes, f"{split}/{task}/correct": classes == labels}
