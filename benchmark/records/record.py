"""The records: one row of truth a file, frozen, validated, and identified by its content."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

State = Literal["ok", "failed", "skipped"]
Track = Literal["weights", "unlabelled", "labelled"]
Role = Literal["competitor", "baseline", "reference"]
Search = Literal["exact", "racing"]


class Frozen(BaseModel):
    """A value that is checked when it is made and never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SuiteFacts(Frozen):
    """Which suite a record belongs to.

    `sha256` is the hash of the suite's definition, which itself names the hashes of all its data
    and weights.
    """

    name: str
    version: str
    sha256: str


class MethodFacts(Frozen):
    """Which method made a record, with all hyper-parameters written out."""

    name: str
    summary: str
    track: Track
    role: Role
    paper: str
    bibtex: str
    hyperparameters: dict[str, Any]
    origin: Literal["built-in", "package", "file"]
    source_sha256: str
    commit: str | None = None
    dirty: bool | None = None


class Seeds(Frozen):
    """Seeds by axis: `expert` orders the batches of tuning, `method` feeds the generator."""

    expert: int
    method: int


class Trial(Frozen):
    """One point of the scale search, measured on `n_images` images of validation.

    `normalised_accuracy` is the mean over tasks of the ratio to the expert's validation accuracy.
    """

    scale: float
    n_images: int
    accuracy: float
    normalised_accuracy: float


class TaskResult(Frozen):
    """What one edited model did on the test images of one task.

    Attributes:
        task: name of the task.
        n: number of test images.
        n_correct: how many were classified correctly.
        accuracy: n_correct / n, a fraction.
        low: lower end of the 95 % interval of `accuracy` (Wilson).
        high: upper end of it.
        normalised_accuracy: `accuracy` over the accuracy of the expert of the same recipe, split
            and seed.
        bits: one bit per test image (1 = correct), packed big-endian as by `numpy.packbits`, in
            base64.
        disagreement: share of test images on which the model and the task's expert predict
            different classes.
    """

    task: str
    n: int
    n_correct: int
    accuracy: float
    low: float
    high: float
    normalised_accuracy: float
    bits: str
    disagreement: float


class CountedCost(Frozen):
    """Costs that are the same on every machine.

    Attributes:
        trials: points of the scale search; 0 where the scale is fixed.
        selection_images: images passed forward to choose the scale.
        gradient_images: images passed forward and backward by the method itself.
        forward_images: images passed forward only, by the method itself.
        data_touched: images the method looked at, as "task/split/images" or ".../labels" -> count.
        extra_parameters: numbers stored beside one model (own heads, weights per task; masks are
            no numbers, see `Storage`).
    """

    trials: int
    selection_images: int
    gradient_images: int
    forward_images: int
    data_touched: dict[str, int]
    extra_parameters: int


class MeasuredCost(Frozen):
    """Costs that depend on the machine: seconds of wall clock and of CPU, bytes of memory.

    `tune_*` is the sum over the experts the row stands on (they are shared by all methods of a
    recipe; of experts that were brought along, what it took to read them); `edit_*` is the method;
    `select_*` the scale search; `evaluate_*` the test pass. `*_device_peak_bytes` are of CUDA
    devices, None without one.
    """

    tune_seconds: float
    tune_cpu_seconds: float
    edit_seconds: float
    edit_cpu_seconds: float
    select_seconds: float
    select_cpu_seconds: float
    evaluate_seconds: float
    evaluate_cpu_seconds: float
    edit_peak_bytes: int
    select_peak_bytes: int | None = None
    evaluate_peak_bytes: int | None = None
    edit_device_peak_bytes: int | None = None
    select_device_peak_bytes: int | None = None
    evaluate_device_peak_bytes: int | None = None


class Storage(Frozen):
    """What must be stored to serve all tasks.

    Attributes:
        one_model: whether the same weights serve all tasks, each under its head. Where not, the
            task must be known before there are weights, and the row is no single merged model.
        extra_bytes: beside one model: four a number, and masks at a bit an entry.
    """

    one_model: bool
    extra_bytes: int


class Geometry(Frozen):
    """The merged task vector beside the task vectors it came from (L2 norms).

    `cosines` are those of every two task vectors, [T, T], in the order of `task_vector_norms`;
    `mean_cosine` is their mean over pairs.
    """

    merged_norm: float
    task_vector_norms: dict[str, float]
    cosines: tuple[tuple[float, ...], ...]
    mean_cosine: float
    sign_conflicts: float


class Experts(Frozen):
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
    remainders: dict[str, str] = {}


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
    resolved: dict[str, str] = {}


class Identified(Frozen):
    """A record with an identity: the hash of its content, without what differs from run to run."""

    not_content: ClassVar[frozenset[str]]
    # Fields that were added to the schema. They are no content while they are None, so that a
    # record from before them keeps its identity.
    added: ClassVar[frozenset[str]] = frozenset()

    def identified(self) -> Self:
        """Return the same record with `record_id` filled in from its content."""
        absent = {name for name in self.added if getattr(self, name) is None}
        content = self.model_dump(mode="json", exclude={"record_id", *self.not_content, *absent})
        content["provenance"].pop("created_at")
        for name in ("notes", "resolved"):  # added to the schema later, too
            if not content["provenance"][name]:
                del content["provenance"][name]
        return self.model_copy(update={"record_id": digest(content)})


class OfExperts(Identified):
    """What stands on the experts of one backbone under one recipe; for `experts` see `Record`."""

    schema_version: Literal[1] = 1
    record_id: str = ""
    suite: SuiteFacts
    backbone: str
    heads: Literal["probed", "zero-shot"]
    recipe: str
    experts: Experts | None = None


class Record(OfExperts):
    """One row: a method, on a backbone, under a recipe, with its seeds.

    `accuracy` and `normalised_accuracy` are means over the tasks; the intervals are 95 % intervals
    by paired resampling of images within tasks. They are None unless `state` is "ok".
    `search` is how the scale was chosen: "exact" reads all of validation at every scale, "racing"
    stops early at scales that cannot win, and loses the winner with a probability of at most
    `search_error`.
    `experts` says whose they are where they were brought along; None where the run tuned them.
    `record_id` is the SHA-256 of everything but `measured` and `provenance.created_at`.
    """

    not_content = frozenset({"measured"})
    added = frozenset({"storage", "experts"})

    method: MethodFacts
    seeds: Seeds
    state: State
    reason: str | None = None
    scale: float | None = None
    search: Search = "exact"
    search_error: float = 0.0
    curve: tuple[Trial, ...] = ()
    tasks: tuple[TaskResult, ...] = ()
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    normalised_accuracy: float | None = None
    normalised_low: float | None = None
    normalised_high: float | None = None
    geometry: Geometry | None = None
    counted: CountedCost | None = None
    storage: Storage | None = None
    measured: MeasuredCost | None = None
    provenance: Provenance


class PairGrid(Frozen):
    """xi(alpha_1, alpha_2) of one pair of tasks: `xi[i][j]` belongs to alphas[i], alphas[j].

    `images_1` and `images_2` keep what intervals of differences need: for each test image of the
    task, at how many grid points of the unit square its two predictions differ (see
    `pack_counts`).
    """

    task_1: str
    task_2: str
    xi: tuple[tuple[float, ...], ...]
    images_1: str
    images_2: str


class DisentanglementRecord(OfExperts):
    """The weight-disentanglement error of one backbone under one recipe.

    xi(a1, a2) = sum over the two tasks of the share of test images on which the prediction with
    both task vectors differs from the prediction with the task's own vector alone; range [0, 2]
    (Ortiz-Jimenez et al. 2023, section 4). `unit_square` is the mean over all grid points with
    both alphas in [0, 1] and over the declared pairs, with its 95 % interval (images resampled
    within tasks).
    """

    not_content = frozenset({"seconds"})
    added = frozenset({"experts"})

    expert_seed: int
    n_images: int
    alphas: tuple[float, ...]
    pairs: tuple[PairGrid, ...]
    unit_square: float
    low: float
    high: float
    seconds: float
    provenance: Provenance


def digest(content: object) -> str:
    """SHA-256 (hexadecimal) of a JSON value in canonical form."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def pack_bits(correct: NDArray[np.bool_]) -> str:
    """Pack one bit per image, [n] -> base64 text."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode()


def unpack_bits(bits: str, n: int) -> NDArray[np.bool_]:
    """Read the bits of `n` images back, base64 text -> [n].

    Raises:
        ValueError: if these are not the bits of n images.
    """
    packed = np.frombuffer(base64.b64decode(bits, validate=True), dtype=np.uint8)
    if n < 0 or len(packed) != -(-n // 8):
        raise ValueError(f"{len(packed)} bytes do not hold the bits of {n} images")
    return np.unpackbits(packed, count=n).astype(np.bool_)


def pack_counts(counts: NDArray[np.integer[Any]]) -> str:
    """Pack one count per image, [n] -> base64 text (two bytes each, little-endian).

    Raises:
        ValueError: if a count does not fit into two bytes.
    """
    packed = counts.astype("<u2")
    if not np.array_equal(packed, counts):
        raise ValueError("counts must lie between 0 and 65535")
    return base64.b64encode(packed.tobytes()).decode()


def unpack_counts(counts: str) -> NDArray[np.int64]:
    """Read the counts of images back, base64 text -> [n]."""
    packed = np.frombuffer(base64.b64decode(counts, validate=True), dtype="<u2")
    return packed.astype(np.int64)


def points_in_unit_square(alphas: Iterable[float]) -> int:
    """How many points of the grid have both alphas in [0, 1]."""
    return sum(0 <= alpha <= 1 for alpha in alphas) ** 2
