"""The record of a row: a method, on a backbone, under a recipe, with its seeds."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from taskmark.records.envelope import Envelope, MethodFacts, Search
from taskmark.records.frozen import Frozen
from taskmark.records.packing import unpack_bits

State = Literal["ok", "failed", "skipped"]


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
        extra_parameters: numbers on top of one model (own heads, weights per task; masks are
            no numbers, see `Storage`).
        own_word: whether the images that were touched and passed are counted by the process of a
            plug-in, and not by the harness.
    """

    trials: int
    selection_images: int
    gradient_images: int
    forward_images: int
    data_touched: dict[str, int]
    extra_parameters: int
    own_word: bool = Field(default=False, exclude_if=lambda own_word: not own_word)


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
        extra_bytes: in addition to one model: four a number, and masks at a bit an entry.
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


class Record(Envelope):
    """One row: a method, on a backbone, under a recipe, with its seeds.

    `accuracy` and `normalised_accuracy` are means over the tasks; the intervals are 95 % intervals
    by paired resampling of images within tasks. They are None unless `state` is "ok".
    `search` is how the scale was chosen: "exact" reads all of validation at every scale, "racing"
    stops early at scales that cannot win, and loses the winner with a probability of at most
    `search_error`.
    """

    folder: ClassVar[str] = "records"
    unhashed: ClassVar[frozenset[str]] = frozenset({"measured"})
    added: ClassVar[frozenset[str]] = frozenset({"storage", "experts"})

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

    @property
    def made_by(self) -> MethodFacts:
        """The method."""
        return self.method

    @property
    def seed_pair(self) -> tuple[int, int]:
        """The seeds of the experts and of the method."""
        return self.seeds.expert, self.seeds.method

    @property
    def task_names(self) -> frozenset[str]:
        """The tasks that it has results of; none where it failed or was skipped."""
        return frozenset(result.task for result in self.tasks)

    def find_contradiction(self) -> str:
        """How the bits of a task contradict its counts; empty if they do not."""
        for result in self.tasks:
            try:
                n_correct = int(unpack_bits(result.bits, result.n).sum())
            except ValueError:
                n_correct = -1
            if n_correct != result.n_correct:
                return (
                    f"the bits of task {result.task!r} do not add up to its n_correct "
                    f"{result.n_correct}"
                )
        return ""
