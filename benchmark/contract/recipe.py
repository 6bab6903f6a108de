"""Recipes: how an expert is tuned, and how edited weights are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from taskmark.errors import unknown

if TYPE_CHECKING:
    from torch import Tensor, nn

    from taskmark.contract.weights import WeightSpace

Mode = Literal["standard", "tangent"]


class Recipe(BaseModel):
    """How an expert is tuned, and how edited weights are read; fields are hyper-parameters.

    Attributes:
        name: as on the record.
        summary: in a few words, for tables.
        tuned: the recipe whose experts this one stands on; its own name unless it shares those of
            another.
        read: which model evaluates the edited weights: "standard" f(x; theta), "tangent" its
            linearisation at theta0, f(x; theta0) + J(x) (theta - theta0)
            (Ortiz-Jimenez et al. 2023).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    summary: ClassVar[str]
    tuned: ClassVar[Mode]
    read: ClassVar[Mode]

    def outputs(
        self,
        encoder: nn.Module,
        space: WeightSpace,
        pretrained: Tensor,
        weights: Tensor,
        inputs: Tensor,
    ) -> Tensor:
        """What the head's loss is taken of while an expert is tuned, differentiable in `weights`.

        Args:
            encoder: the module; its own parameters are not used.
            space: the layout of the weights.
            pretrained: theta0, [P].
            weights: theta, [P].
            inputs: a batch, [B, ...].

        Returns:
            The model's outputs, [B, ...].
        """
        raise NotImplementedError


class Standard(Recipe):
    """Tune and read the model itself."""

    name = "standard"
    summary = "tuned and read as the model itself"
    tuned: ClassVar[Mode] = "standard"
    read: ClassVar[Mode] = "standard"

    def outputs(
        self,
        encoder: nn.Module,
        space: WeightSpace,
        pretrained: Tensor,
        weights: Tensor,
        inputs: Tensor,
    ) -> Tensor:
        """f(x; theta)."""
        from torch.func import functional_call  # noqa: PLC0415 - the command line lists recipes

        del pretrained
        found: Tensor = functional_call(encoder, space.views(weights), (inputs,))
        return found


class Tangent(Recipe):
    """Tune and read the model linearised at theta0."""

    name = "tangent"
    summary = "tuned and read in the model linearised at theta0"
    tuned = "tangent"
    read = "tangent"

    def outputs(
        self,
        encoder: nn.Module,
        space: WeightSpace,
        pretrained: Tensor,
        weights: Tensor,
        inputs: Tensor,
    ) -> Tensor:
        """f(x; theta0) + J(x) (theta - theta0)."""
        from taskmark.inference.linearised import value_and_tangent  # noqa: PLC0415 - likewise

        value, tangent = value_and_tangent(encoder, space, pretrained, weights - pretrained, inputs)
        return value + tangent


class PostHoc(Standard):
    """Read the experts of `standard` in the model linearised at theta0."""

    name = "post_hoc"
    summary = "tuned as itself, read in the linearised model"
    tuned = "standard"
    read = "tangent"


RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (Standard(), Tangent(), PostHoc())}


def get_recipe(name: str) -> Recipe:
    """Look a recipe up.

    Raises:
        TaskmarkError: if there is none of that name.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]
