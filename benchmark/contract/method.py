"""The contract: what a class must say and do to compete."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from taskmark.contract.edit import Edit
from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from taskmark.contract.given import Given


class Method(BaseModel):
    """A way to turn a pre-trained model and task vectors into one edited model.

    Subclass it, state the facts as class attributes, make hyper-parameters fields, and write
    `merge`. An instance is frozen. Scale search, timing, devices, seeds and evaluation are the
    harness's business.

    Attributes:
        name: how the method is called, an identifier in lower case with underscores.
        paper: address of the paper that defines it; empty where there is none.
        bibtex: the entry to cite.
        track: what the method may touch: "weights" (nothing but the vectors), "unlabelled"
            (images of train and validation), "labelled" (their labels too).
        recipe: the recipe whose experts it stands on, see `taskmark.contract.recipe`.
        role: "competitor"; "baseline" (ranked, and always run); "reference" (always run, never
            ranked).
        scale_range: the interval in which the harness searches the coefficient of the merged
            vector, always with the suite's number of trials; None fixes it at 1.
        order_matters: empty, or the reason why the order of the tasks changes the result.
        keeps_direction: whether one task alone gives a merged vector that points where its task
            vector does; conformance checks the claim.
        n_tasks: how many tasks it can merge, at least and at most; None is any number. A run leaves
            it out where the suite has another number of tasks, and `merge` and `edit` refuse it.
        added_fields: names of fields that came after rows of the method were published.
            `hyperparameters` leaves them out while they have their default, which must keep the
            old behaviour, so that those rows stay what they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    paper: ClassVar[str] = ""
    bibtex: ClassVar[str] = ""
    track: ClassVar[Literal["weights", "unlabelled", "labelled"]] = "weights"
    recipe: ClassVar[str] = "standard"
    role: ClassVar[Literal["competitor", "baseline", "reference"]] = "competitor"
    scale_range: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    order_matters: ClassVar[str] = ""
    keeps_direction: ClassVar[bool] = False
    n_tasks: ClassVar[tuple[int, int | None]] = (1, None)
    added_fields: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def __pydantic_init_subclass__(cls, **facts: Any) -> None:
        """Hold every call of `merge` and `edit` to what the class declares."""
        super().__pydantic_init_subclass__(**facts)
        for name in {"merge", "edit"} & vars(cls).keys():
            setattr(cls, name, _held_to_facts(vars(cls)[name]))

    def merge(self, given: Given) -> Tensor:  # noqa: ARG002 - the subclass uses it
        """Return the merged task vector.

        Args:
            given: the pre-trained weights, the task vectors and the permitted data.

        Returns:
            The merged task vector [P], float32.
        """
        raise TypeError(f"The method {self.name!r} returns no merged vector; call its edit().")

    def edit(self, given: Given) -> Edit:
        """Return the edited model; override it to bring own heads or a vector for each task."""
        return Edit(self.merge(given))

    @classmethod
    def takes(cls, n_tasks: int) -> bool:
        """Whether it can merge that many tasks."""
        least, most = cls.n_tasks
        return least <= n_tasks and (most is None or n_tasks <= most)

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring."""
        return inspect.getdoc(cls).partition("\n")[0] if cls.__doc__ else ""  # type: ignore[union-attr]

    def hyperparameters(self) -> dict[str, Any]:
        """All fields with their values, as JSON types; see `added_fields` for what is left out."""
        usual = {
            name
            for name in self.added_fields
            if getattr(self, name) == type(self).model_fields[name].get_default()
        }
        return self.model_dump(mode="json", exclude=usual)


def _held_to_facts(run: Callable[[Any, Given], Any]) -> Callable[[Any, Given], Any]:
    """A method's `merge` or `edit`, which refuses another number of tasks, or another recipe."""

    @functools.wraps(run)
    def checked(self: Method, given: Given) -> Any:
        n_tasks = len(given.tasks)
        if not self.takes(n_tasks):
            least, most = self.n_tasks
            wanted = str(least) if least == most else f"{least} to {most or 'any number of'}"
            raise TaskmarkError(
                f"The method {self.name!r} merges {wanted} models, not {n_tasks}; give as many "
                "experts."
            )
        if self.recipe not in {"standard", given.recipe}:
            raise TaskmarkError(
                f"The method {self.name!r} stands on experts of the recipe {self.recipe!r}, but "
                f"these are of {given.recipe!r}; tune such experts, and name their recipe where "
                "they are given."
            )
        return run(self, given)

    return checked
