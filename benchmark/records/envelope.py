"""What all kinds of record share: where they belong, who made them, and an id of their content."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from taskmark.records.frozen import Frozen, digest
from taskmark.records.suite_facts import SuiteFacts

Heads = Literal["probed", "zero-shot", "own", "none"]
Track = Literal["weights", "unlabelled", "labelled"]
Role = Literal["competitor", "baseline", "reference"]
Search = Literal["exact", "racing"]


class MethodFacts(Frozen):
    """Which method made a record, with all hyper-parameters written out.

    `defaults` are those that its class had. They say what is meant by an earlier record that lacks
    a hyper-parameter since the class had none of that name; see `taskmark.records.identity`.
    """

    name: str
    summary: str
    track: Track
    role: Role
    paper: str
    bibtex: str
    hyperparameters: dict[str, Any]
    defaults: dict[str, Any] = Field(default={}, exclude_if=lambda defaults: not defaults)
    origin: Literal["built-in", "package", "file"]
    source_sha256: str
    commit: str | None = None
    dirty: bool | None = None


class ExpertOrigin(Frozen):
    """Whose experts a record stands on, where the run did not tune them itself.

    Attributes:
        family: the name under which all of them go. Figures of different families are no
            comparison, so each has boards of its own.
        source: where they are from, in words or as an address.
        licence: under which they may be used.
        files: SHA-256 of each task's file.
        remainders: SHA-256 of the files that tell what float32 weights leave out of a task vector,
            of the tasks that have one.
    """

    family: str
    source: str = ""
    licence: str = ""
    files: dict[str, str]
    remainders: dict[str, str] = Field(default_factory=dict)


class Provenance(Frozen):
    """Where, when and by what a record was made.

    `notes` are sentences on what happened to it or to what it stands on: batches that were halved
    for want of memory, operations that are not deterministic on the device. `resolved` are the
    hashes that the run found where the suite has none yet: "tasks.NAME" or "backbones.NAME" ->
    SHA-256.
    """

    created_at: str
    commit: str | None
    dirty: bool | None
    device: str
    dtype: str
    batch_size: int
    platform: str
    python: str
    libraries: dict[str, str]
    notes: tuple[str, ...] = ()
    resolved: dict[str, str] = Field(default_factory=dict)


class Envelope(Frozen):
    """What all kinds of record share; each kind adds the fields of its own.

    A file is one flat object: kinds differ in their fields, and the folder says which kind it is.

    `experts` says whose they are where they were brought along; None where the run tuned them.
    `record_id` is the SHA-256 of everything but `provenance.created_at` and what differs from run
    to run, see `unhashed`.
    """

    folder: ClassVar[str]
    """Name of the folder of such records, within the output folder of a run."""
    command: ClassVar[str] = "taskmark run"
    """What makes such a record, for sentences."""
    unhashed: ClassVar[frozenset[str]]
    """Fields that differ from run to run and are no part of the id."""
    added: ClassVar[frozenset[str]] = frozenset({"experts"})
    """Fields that the schema gained: no part of the id while None, so that ids stay as they are."""

    schema_version: Literal[1] = 1
    record_id: str = ""
    suite: SuiteFacts
    backbone: str
    heads: Heads
    recipe: str
    experts: ExpertOrigin | None = None
    provenance: Provenance

    def with_record_id(self) -> Self:
        """Return the same record with `record_id` filled in from its content."""
        absent = {name for name in self.added if getattr(self, name) is None}
        content = self.model_dump(mode="json", exclude={"record_id", *self.unhashed, *absent})
        content["suite"] = self.suite.content()
        content["provenance"].pop("created_at")
        for name in ("notes", "resolved"):  # added to the schema later, too
            if not content["provenance"][name]:
                del content["provenance"][name]
        return self.model_copy(update={"record_id": digest(content)})

    @property
    def made_by(self) -> MethodFacts | None:
        """The method, for kinds of record that are made by one."""
        return None

    @property
    def seed_pair(self) -> tuple[int, int]:
        """The seeds of the experts and of the method; 0 where nothing is drawn."""
        return 0, 0

    @property
    def task_names(self) -> frozenset[str]:
        """The tasks that it has results of, for kinds that stand for themselves on each set."""
        return frozenset()

    def find_contradiction(self) -> str:
        """How its fields contradict each other, as the rest of a sentence; empty if they do not."""
        return ""
