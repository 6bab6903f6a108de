"""NTK localisation: do the eigenfunctions of a pre-trained model live on one task or on all?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from taskmark.engine.stage import Cost, RecordStage, outside_key
from taskmark.errors import TaskmarkError
from taskmark.inference.passes import Passes
from taskmark.inference.readers import Setting
from taskmark.machine.costs import measure
from taskmark.records.localisation_record import (
    Eigenfunction,
    LocalisationCost,
    LocalisationEstimate,
    LocalisationRecord,
    LocalisedPair,
)
from taskmark.stages.item_sample import sample_items
from taskmark.stages.localisation_kernel import Tangents, directions
from taskmark.stages.model import Model
from taskmark.stages.stage_provenance import stage_provenance
from taskmark.stages.task_inputs import Inputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskmark.engine.plan import Request
    from taskmark.engine.stage_store import StageStore
    from taskmark.records.suite_facts import SuiteFacts
    from taskmark.suite.protocol import LocalisationRule
    from taskmark.suites.task_data import Sizes

_SEED = 0  # of directions, shuffles and halves; the errors say what the draws leave open
_SHUFFLES = 1000
_HALVES = 100
_LEADING = 20  # eigenfunctions that a record keeps


@dataclass(frozen=True, slots=True)
class Spectrum:
    """The eigenfunctions of a kernel on N images, by falling eigenvalue.

    Attributes:
        shares: eigenvalues over their sum, [K].
        energies: squares of the eigenfunctions, [K, N]; a row sums to 1.
    """

    shares: Tensor
    energies: Tensor


def spectrum(kernel: Tensor) -> Spectrum:
    """Decompose a kernel on N images, [N, N], symmetric and positive semi-definite, in float64.

    Eigenvalues that rounding made negative count as 0, and a kernel of zeros has shares of 0.
    Where eigenvalues coincide, the choice of their eigenfunctions is LAPACK's.
    """
    values, vectors = torch.linalg.eigh(kernel.double())
    values = values.flip(0).clamp_min(0)
    total = values.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return Spectrum(values / total, vectors.flip(1).T.square())


def localisation(found: Spectrum, first: Tensor) -> Tensor:
    """Sum over eigenfunctions of share * |energy on one task - energy on the other|.

    Args:
        found: the eigenfunctions, on N images.
        first: which images are of the first task, [N] or several ways to tell, [M, N], bool.

    Returns:
        One value in [0, 1] a way, scalar or [M], float64: 1 if every eigenfunction lives on the
        images of one task alone, 0 if each is evenly spread over both.
    """
    signs = 2 * first.double() - 1
    return (signs @ found.energies.T).abs() @ found.shares


def shuffled(first: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Tell images at random which task they are of, as many of each as before, [n, N]."""
    return torch.stack([first[torch.randperm(len(first), generator=generator)] for _ in range(n)])


def without_each(kernels: Tensor, first: Tensor) -> Tensor:
    """The localisation of the mean kernel, each time without one of them.

    Args:
        kernels: [R, N, N]; R = 1 has nothing to be left out, and gives no values.
        first: as in `localisation`, [N].

    Returns:
        [R], or [0].
    """
    if len(kernels) == 1:
        return torch.zeros(0, dtype=torch.float64)
    total = kernels.sum(0)
    return torch.stack(
        [localisation(spectrum((total - kernel) / (len(kernels) - 1)), first) for kernel in kernels]
    )


def jackknife_error(values: Tensor, population: int) -> float:
    """The standard error of an estimate from R of D things drawn without replacement.

    sqrt((1 - R / D) (R - 1) / R sum_r (v_r - mean v)^2), with v_r the estimate without the r-th
    (Efron and Stein 1981, with the correction for a finite population). For orthonormal directions
    of random orientation the correction is exact wherever the estimate is a mean over directions.

    Args:
        values: v, [R].
        population: D, at least R.

    Returns:
        The error; 0 if nothing was left undrawn.
    """
    n = len(values)
    if n in (0, population):
        return 0.0
    spread = (values - values.mean()).square().sum()
    return float((spread * (n - 1) / n * (1 - n / population)).sqrt())


def of_halves(kernel: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """The localisation on random halves of the images of either task.

    Its standard deviation is the standard error, over images, of the value on all of them, as far
    as that is smooth (the jackknife that leaves out half; Shao and Wu 1989).

    Args:
        kernel: on images of which the first half is of one task, [2N, 2N].
        n: how many halves, H. The same N / 2 places are drawn for both tasks.
        generator: of the draws.

    Returns:
        [H], float64.
    """
    n_images = len(kernel) // 2
    values = []
    for _ in range(n):
        drawn = torch.randperm(n_images, generator=generator)[: n_images // 2]
        kept = torch.cat([drawn, n_images + drawn])
        found = spectrum(kernel[kept][:, kept])
        values.append(localisation(found, torch.arange(len(kept)) < len(drawn)))
    return torch.stack(values)


@dataclass(frozen=True)
class Localisation(RecordStage):
    """The NTK localisation of a backbone's pre-trained weights.

    Items are those that the suite picks of each validation split, as many of both tasks of a pair.
    All pairs share the directions.
    """

    name = "localisation"
    version = 1
    record = LocalisationRecord

    suite: SuiteFacts
    backbone: str
    model: Model
    inputs: Mapping[str, Inputs]
    pairs: tuple[tuple[str, str], ...]
    rule: LocalisationRule
    resolved: Mapping[str, str] | None = outside_key(None)

    @classmethod
    def plan(cls, request: Request) -> Iterator[Localisation]:
        """One for each backbone.

        Raises:
            TaskmarkError: if the suite names no pair of tasks.
        """
        if not request.localisation:
            return
        suite = request.suite
        pairs = suite.protocol.disentanglement.pairs
        if not pairs:
            raise TaskmarkError(
                f"The suite {suite.name} {suite.version} names no pair of tasks to tell apart by "
                "their NTK; leave localisation out, or run two tasks or more."
            )
        for backbone in request.backbones:
            yield cls(
                suite.facts,
                backbone,
                Model.of(suite, backbone),
                {
                    task: Inputs.of(suite, backbone, task)
                    for task in dict.fromkeys(task for pair in pairs for task in pair)
                },
                pairs,
                suite.protocol.localisation,
                request.resolved,
            )

    @property
    def label(self) -> str:
        """See Stage."""
        return f"{self.backbone}: NTK localisation"

    def cost(self, sizes: Mapping[str, Sizes]) -> Cost:
        """A pass back for each direction of feature space."""
        known = [sizes[task] for task in self.inputs if task in sizes]
        n_items = sum(min(self.rule.n_images, size.validation) for size in known)
        return Cost(self.model, learning=3.0 * self.rule.n_directions * n_items)

    def make(self, store: StageStore) -> str:
        """Measure the localisation, and return the record as JSON."""
        rule = self.rule
        encoder = self.model.encoder()
        passes = Passes(next(iter(self.inputs.values())).batch_size)
        setting = Setting.of(encoder, store.device, passes)
        tangents = Tangents(
            encoder.to(setting.device), setting.space, setting.pretrained.to(setting.device)
        )
        items = {task: store.get(own).tensors["validation"] for task, own in self.inputs.items()}
        generator = torch.Generator().manual_seed(_SEED)
        pairs: list[_Pair] = []
        n_passes = 0
        with measure() as spent, torch.no_grad():
            n_features = _n_features(tangents, next(iter(items.values())))
            along = directions(rule.n_directions, n_features, generator)
            for one, two in self.pairs:
                n = min(rule.n_images, len(items[one]), len(items[two]))
                both = [
                    items[task][sample_items(len(items[task]), n, rule.images, task=task)]
                    for task in (one, two)
                ]
                alike = both[0].shape == both[1].shape
                kernels = tangents.kernels(torch.cat(both) if alike else both, along)
                n_passes += tangents.passes(2 * n, len(along))
                pairs.append(_measured(one, two, kernels, n_features))
        record = LocalisationRecord(
            suite=self.suite,
            backbone=self.backbone,
            n_directions=len(along),
            n_features=n_features,
            pairs=tuple(pair.result for pair in pairs),
            localisation=_summary(
                float(np.mean([pair.result.localisation.value for pair in pairs])),
                _Draws.mean([pair.draws for pair in pairs]),
                n_features,
            ),
            cost=LocalisationCost(
                gradient_images=n_passes,
                seconds=spent.seconds,
                cpu_seconds=spent.cpu_seconds,
                peak_bytes=spent.peak_bytes,
                device_peak_bytes=spent.device_peak_bytes,
            ),
            provenance=stage_provenance(store, passes, self.resolved),
        )
        text = record.with_record_id().model_dump_json()
        store.put(self, {}, {"record": text})
        return text


@dataclass(frozen=True, slots=True)
class _Draws:
    """Values under other directions, other images, and tasks assigned at random."""

    without_each: Tensor  # [R]
    halves: Tensor  # [H]
    null: Tensor  # [M]

    @classmethod
    def mean(cls, pairs: Sequence[_Draws]) -> _Draws:
        """The mean over pairs, which share directions and the places of images in their tasks."""
        return cls(
            torch.stack([pair.without_each for pair in pairs]).mean(0),
            torch.stack([pair.halves for pair in pairs]).mean(0),
            torch.stack([pair.null for pair in pairs]).mean(0),
        )


@dataclass(frozen=True, slots=True)
class _Pair:
    """A pair's result, and what it adds to the errors of the mean over pairs."""

    result: LocalisedPair
    draws: _Draws


def _measured(one: str, two: str, kernels: Tensor, n_features: int) -> _Pair:
    # Halves start from one seed in every pair, so that a task has the same images in all its pairs.
    source = torch.Generator().manual_seed(_SEED)
    n = kernels.shape[1] // 2
    first = torch.arange(2 * n) < n
    kernel = kernels.mean(0)
    found = spectrum(kernel)
    draws = _Draws(
        without_each=without_each(kernels, first),
        halves=of_halves(kernel, _HALVES, source),
        null=localisation(found, shuffled(first, _SHUFFLES, source)),
    )
    energies = found.energies[:, first].sum(1)
    return _Pair(
        result=LocalisedPair(
            task_1=one,
            task_2=two,
            n_images=n,
            localisation=_summary(float(localisation(found, first)), draws, n_features),
            leading=tuple(
                Eigenfunction(share=share, energy=energy)
                for share, energy in zip(
                    found.shares[:_LEADING].tolist(), energies[:_LEADING].tolist(), strict=True
                )
            ),
        ),
        draws=draws,
    )


def _summary(value: float, draws: _Draws, n_features: int) -> LocalisationEstimate:
    low, high = np.quantile(draws.null.numpy(), (0.025, 0.975))
    return LocalisationEstimate(
        value=value,
        direction_error=jackknife_error(draws.without_each, n_features),
        image_error=float(draws.halves.std()),
        null_mean=float(draws.null.mean()),
        null_low=float(low),
        null_high=float(high),
    )


def _n_features(tangents: Tangents, inputs: Tensor) -> int:
    device = tangents.pretrained.device
    features: Tensor = tangents.encoder(inputs[:1].to(device))
    return features.shape[1]
