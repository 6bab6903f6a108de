"""What a suite of your own offers to the harness: tables of images, and models by name.

The suite names it as `taskmark.suites.own.provider:FOLDER`, where its tables are.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from taskmark.errors import TaskmarkError
from taskmark.suites.own import decoded, library_models
from taskmark.suites.own.image_table import SPLITS, read_table
from taskmark.suites.real.data import arrays
from taskmark.suites.task_data import Sizes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from taskmark.suites.task_data import TaskData

VERSION = 1


@functools.lru_cache(maxsize=8)
def open_suite(folder: str) -> OwnSuite:
    """The provider of the suite whose tables are in a folder."""
    return OwnSuite(Path(folder))


@dataclass(frozen=True)
class OwnSuite:
    """The data and the models of one suite; see `taskmark.suite.provider.Provider`.

    Attributes:
        folder: of its tables, from which the paths of weights count, too.
    """

    folder: Path

    def task(self, name: str) -> TaskData:
        """The data of a task, memory-mapped."""
        return decoded.load_task(name, self._table(name))

    def backbone(self, weights: str) -> tuple[None, nn.Module]:
        """No stem, and the encoder, which takes uint8 images: all of it is tuned."""
        return None, library_models.load_encoder(weights, self.folder)

    def weights_sha256(self, weights: str) -> str:
        """The hash of the weights as they are on this machine."""
        return library_models.hash_weights(weights, self.folder)

    def embed_prompts(self, weights: str, prompts: Sequence[str]) -> Tensor:
        """Text embeddings of unit length, [n, D]."""
        return library_models.embed_prompts(weights, self.folder, prompts)

    def logit_scale(self, weights: str) -> float:
        """What cosines are multiplied with."""
        return library_models.logit_scale(weights, self.folder)

    def expert_weights(
        self, weights: str, path: Path, *, ignore: Sequence[str] = ()
    ) -> Mapping[str, Tensor]:
        """An expert that somebody else tuned, by the names of the encoder's parameters."""
        return library_models.load_expert(weights, self.folder, path, ignore=ignore)

    def missing(self, tasks: Sequence[str], weights: Sequence[str]) -> str:
        """Which tables and files of weights are not there, and what to do."""
        absent = [name for name in tasks if not self._path(name).is_file()]
        files = [library_models.parse(text).file(self.folder) for text in weights]
        lost = [str(file) for file in files if file is not None and not file.is_file()]
        parts = []
        if absent:
            parts.append(
                f"the tables of {', '.join(absent)} are not in {self.folder} (make the suite anew "
                "with `taskmark new suite`)"
            )
        if lost:
            parts.append(f"the weights {', '.join(lost)} are not there (bring these files back)")
        return "; ".join(parts)

    def sizes(self, name: str) -> Sizes | None:
        """How large a task is."""
        if not self._path(name).is_file():
            return None
        splits = [item.split for item in read_table(self._path(name))]
        train, validation, test = (splits.count(split) for split in SPLITS)
        facts = arrays.read_facts(decoded.place_of(self._path(name)))
        side = facts.size if facts else 224
        return Sizes(
            train=train,
            validation=validation,
            test=test,
            n_bytes=arrays.n_bytes(len(splits), side),
            is_here=facts is not None,
        )

    def untrained(self, weights: str) -> nn.Module:
        """The encoder with weights that are drawn, for how long a pass takes."""
        return library_models.build_untrained(weights)

    def private_paths(self) -> tuple[Path, ...]:
        """What the code of a plug-in must not read: the tables, and the folders of test images."""
        tables = sorted(self.folder.glob("*.csv"))
        folders = {
            item.path.parent
            for table in tables
            for item in read_table(table)
            if item.split == "test"
        }
        return (*tables, *sorted(folders))

    def _path(self, task: str) -> Path:
        return self.folder / f"{task}.csv"

    def _table(self, task: str) -> Path:
        if not self._path(task).is_file():
            raise TaskmarkError(
                f"The table of {task!r} is not there: {str(self._path(task))!r}; make the suite "
                "anew with `taskmark new suite`."
            )
        return self._path(task)
