"""Records that no machine measured: made from a seed, for tests of whatever reads records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from taskmark.records.disentanglement_record import DisentanglementRecord, PairGrid
from taskmark.records.envelope import MethodFacts, Provenance
from taskmark.records.localisation_record import (
    Eigenfunction,
    LocalisationCost,
    LocalisationEstimate,
    LocalisationRecord,
    LocalisedPair,
)
from taskmark.records.negation_record import (
    MeanAccuracy,
    NegatedTask,
    NegationRecord,
    NegationResult,
    NegationTrial,
)
from taskmark.records.packing import pack_bits, pack_counts
from taskmark.records.record import (
    CountedCost,
    Geometry,
    MeasuredCost,
    Record,
    Seeds,
    TaskResult,
    Trial,
)
from taskmark.records.suite_facts import SuiteFacts
from taskmark.statistics import intervals as statistics

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SUITE = SuiteFacts(name="mini", version="1.0", sha256="5" * 64)
TASKS = ("digits", "signs", "textures", "scenes")
BACKBONES = ("image-text", "supervised", "self-supervised", "random")

SKILLS: dict[str, tuple[float, str, str, str]] = {
    # name: (share of the way from the pre-trained model to the experts, role, track, recipe)
    "pretrained": (0.0, "reference", "weights", "standard"),
    "experts": (1.0, "reference", "weights", "standard"),
    "weight_averaging": (0.35, "reference", "weights", "standard"),
    "linear_probing": (0.5, "baseline", "labelled", "standard"),
    "task_arithmetic": (0.62, "competitor", "weights", "standard"),
    "ties": (0.625, "competitor", "weights", "standard"),
    "dv_basi": (0.8, "competitor", "labelled", "standard"),
    "dv_basi_unlabelled": (0.76, "competitor", "unlabelled", "standard"),
    "tangent_fine_tuning": (0.7, "competitor", "weights", "tangent"),
    "post_hoc_linearisation": (0.5, "competitor", "weights", "post_hoc"),
}


def made_up_method(name: str = "task_arithmetic", **changes: Any) -> MethodFacts:
    """Facts of a method, those of `SKILLS` where it has the name."""
    _, role, track, _ = SKILLS.get(name, (0.5, "competitor", "weights", "standard"))
    values = {
        "name": name,
        "summary": f"What {name} does in a line.",
        "track": track,
        "role": role,
        "paper": "https://arxiv.org/abs/2212.04089",
        "bibtex": "",
        "hyperparameters": {"density": 0.2} if name == "ties" else {},
        "origin": "built-in",
        "source_sha256": "a" * 64,
        **changes,
    }
    return MethodFacts(**values)


def made_up_provenance(**changes: Any) -> Provenance:
    """Where a record could have been made."""
    values = {
        "created_at": "2026-01-02T03:04:05+00:00",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "dirty": False,
        "device": "cpu",
        "dtype": "float32",
        "batch_size": 256,
        "platform": "Linux-x86_64",
        "python": "3.11.7",
        "libraries": {"numpy": "2.0.0", "torch": "2.9.0"},
        **changes,
    }
    return Provenance(**values)


def made_up_record(
    *,
    method: MethodFacts | None = None,
    skill: float = 0.6,
    recipe: str = "standard",
    backbone: str = "image-text",
    tasks: tuple[str, ...] = TASKS,
    n: int = 500,
    expert_seed: int = 0,
    method_seed: int = 0,
    **changes: Any,
) -> Record:
    """Make a complete record whose bits, counts, intervals and id agree with each other.

    `skill` is the share of the way from the pre-trained model to the experts. Records with the
    same backbone, seed and recipe share their images and their experts.
    """
    method = method or made_up_method()
    results, correct, reference = [], {}, {}
    for place, task in enumerate(tasks):
        reference[task] = _bits(1.0, place, recipe, expert_seed, n)
        correct[task] = _bits(skill, place, recipe, expert_seed, n)
        n_correct, n_reference = int(correct[task].sum()), int(reference[task].sum())
        low, high = statistics.proportion_interval(n_correct, n)
        results.append(
            TaskResult(
                task=task,
                n=n,
                n_correct=n_correct,
                accuracy=n_correct / n,
                low=low,
                high=high,
                normalised_accuracy=n_correct / max(n_reference, 1),
                bits=pack_bits(correct[task]),
                disagreement=float((correct[task] != reference[task]).mean()),
            )
        )
    intervals = statistics.score_intervals(correct, reference, resamples=200)
    scales = np.linspace(0, 1, 11)
    best = round(0.3 + 0.4 * skill, 1)
    heights = 0.6 + 0.4 * skill - 0.8 * (scales - best) ** 2
    values = {
        "suite": SUITE,
        "backbone": backbone,
        "heads": "zero-shot" if backbone == "image-text" else "probed",
        "recipe": recipe,
        "method": method,
        "seeds": Seeds(expert=expert_seed, method=method_seed),
        "state": "ok",
        "scale": best,
        "curve": tuple(
            Trial(
                scale=round(float(s), 2),
                n_images=500 * len(tasks),
                accuracy=float(h) * 0.9,
                normalised_accuracy=float(h),
            )
            for s, h in zip(scales, heights, strict=True)
        ),
        "tasks": tuple(results),
        "accuracy": float(np.mean([result.accuracy for result in results])),
        "accuracy_low": intervals.accuracy_low,
        "accuracy_high": intervals.accuracy_high,
        "normalised_accuracy": float(np.mean([r.normalised_accuracy for r in results])),
        "normalised_low": intervals.normalised_low,
        "normalised_high": intervals.normalised_high,
        "geometry": Geometry(
            merged_norm=1.5,
            task_vector_norms=dict.fromkeys(tasks, 1.0),
            cosines=tuple(tuple(1.0 if a == b else 0.01 for b in tasks) for a in tasks),
            mean_cosine=0.01,
            sign_conflicts=0.49,
        ),
        "counted": CountedCost(
            trials=11,
            selection_images=11 * 500 * len(tasks),
            gradient_images=0 if method.track == "weights" else 51_200,
            forward_images=0,
            data_touched={},
            extra_parameters=6_144 if method.name == "linear_probing" else 0,
        ),
        "measured": MeasuredCost(
            tune_seconds=40.0,
            tune_cpu_seconds=41.0,
            edit_seconds=0.02 if method.track == "weights" else 63.0,
            edit_cpu_seconds=0.02,
            select_seconds=5.0,
            select_cpu_seconds=5.0,
            evaluate_seconds=1.0,
            evaluate_cpu_seconds=1.0,
            edit_peak_bytes=10_000_000,
        ),
        "provenance": made_up_provenance(),
        **changes,
    }
    return Record(**values).with_record_id()


def made_up_failure(**changes: Any) -> Record:
    """Make a record of a method that fell over before it had a result."""
    values = {
        "state": "failed",
        "reason": "ValueError: the merged vector holds NaN",
        "method": made_up_method("fragile"),
        **changes,
    }
    nothing: dict[str, Any] = {"tasks": (), "curve": ()}
    scores = ("accuracy", "accuracy_low", "accuracy_high")
    scores += ("normalised_accuracy", "normalised_low", "normalised_high")
    nothing |= dict.fromkeys([*scores, "scale", "geometry", "counted", "measured"])
    return made_up_record(**values).model_copy(update=nothing).with_record_id()


def made_up_board(
    *,
    backbones: tuple[str, ...] = BACKBONES,
    tasks: tuple[str, ...] = TASKS,
    n: int = 500,
    expert_seeds: tuple[int, ...] = (0,),
    more_methods: int = 0,
) -> list[Record]:
    """Make the records of all methods of `SKILLS`, and of more, on some backbones.

    The experts and the pre-trained model have a record under every recipe.
    """
    skills = dict(SKILLS)
    for extra in range(more_methods):
        skills[f"method_{extra:02d}"] = (0.3 + 0.02 * extra, "competitor", "weights", "standard")
    records = []
    for backbone in backbones:
        for seed in expert_seeds:
            shared: dict[str, Any] = {
                "backbone": backbone,
                "tasks": tasks,
                "n": n,
                "expert_seed": seed,
            }
            for name, (skill, _, _, recipe) in skills.items():
                everywhere = name in {"experts", "pretrained"}
                recipes = ("standard", "tangent", "post_hoc") if everywhere else (recipe,)
                share = skill * 0.6 if backbone == "random" and name != "experts" else skill
                records += [
                    made_up_record(method=made_up_method(name), skill=share, recipe=one, **shared)
                    for one in recipes
                ]
            records.append(made_up_failure(**shared))
    return records


def made_up_disentanglement(
    *,
    backbone: str = "image-text",
    recipe: str = "standard",
    depth: float = 1.0,
    expert_seed: int = 0,
    **changes: Any,
) -> DisentanglementRecord:
    """Make a map whose error grows with the distance from the axes, times `depth`.

    The mean over the unit square, and the images that it comes from, grow with it too.
    """
    alphas = tuple(round(float(alpha), 2) for alpha in np.linspace(-1.5, 1.5, 13))
    one, two = np.meshgrid(alphas, alphas, indexing="ij")
    xi = 2 * depth * (1 - np.exp(-np.abs(one * two) / 2 - 0.1 * np.abs(one + two)))
    names = [(TASKS[first], TASKS[first + 1]) for first in range(3)]
    counts = [tuple(_counts(depth, task, recipe, expert_seed) for task in pair) for pair in names]
    shares = [(of_one / 25, of_two / 25) for of_one, of_two in counts]
    low, high = statistics.disentanglement_interval(shares, names=names, resamples=200)
    values = {
        "suite": SUITE,
        "backbone": backbone,
        "heads": "zero-shot" if backbone == "image-text" else "probed",
        "recipe": recipe,
        "expert_seed": expert_seed,
        "n_images": 400,
        "alphas": alphas,
        "pairs": tuple(
            PairGrid(
                task_1=names[place][0],
                task_2=names[place][1],
                xi=tuple(tuple(row) for row in (xi * (1 + 0.05 * place)).tolist()),
                images_1=pack_counts(of_one),
                images_2=pack_counts(of_two),
            )
            for place, (of_one, of_two) in enumerate(counts)
        ),
        "unit_square": float(np.mean([of_one.mean() + of_two.mean() for of_one, of_two in shares])),
        "low": low,
        "high": high,
        "seconds": 12.5,
        "provenance": made_up_provenance(),
        **changes,
    }
    return DisentanglementRecord(**values).with_record_id()


def made_up_maps(backbones: tuple[str, ...] = BACKBONES) -> list[DisentanglementRecord]:
    """Make the maps of the three recipes on some backbones."""
    return [
        made_up_disentanglement(
            backbone=backbone,
            recipe=recipe,
            depth=(0.9 if backbone == "random" else 0.3) * (0.8 if recipe == "tangent" else 1.0),
        )
        for backbone in backbones
        for recipe in ("standard", "tangent", "post_hoc")
    ]


def made_up_negation(
    *, backbone: str = "image-text", recipe: str = "standard", expert_seed: int = 0, **changes: Any
) -> NegationRecord:
    """Make a record in which every task of `TASKS` falls to a third, and controls keep theirs."""
    tasks = []
    for place, task in enumerate(TASKS):
        control = TASKS[place - 1]
        trials = tuple(
            NegationTrial(alpha=alpha, target=0.6 - alpha, controls=(0.6 - 0.1 * alpha,))
            for alpha in (0.0, 0.2, 0.4)
        )
        tasks.append(
            NegatedTask(
                target=_negated(task, 0.2, before=0.6),
                controls=(_negated(control, 0.57, before=0.6),),
                alpha=0.4,
                curve=trials,
            )
        )
    values = {
        "suite": SUITE,
        "backbone": backbone,
        "heads": "zero-shot" if backbone == "image-text" else "probed",
        "recipe": recipe,
        "expert_seed": expert_seed,
        "keep": 0.95,
        "tasks": tuple(tasks),
        "target": MeanAccuracy(accuracy=0.2, low=0.18, high=0.22),
        "control": MeanAccuracy(accuracy=0.57, low=0.55, high=0.59),
        "seconds": 3.0,
        "provenance": made_up_provenance(),
        **changes,
    }
    return NegationRecord(**values).with_record_id()


def _negated(task: str, share: float, *, before: float) -> NegationResult:
    bits = np.arange(200) < 200 * share
    low, high = statistics.proportion_interval(int(bits.sum()), 200)
    return NegationResult(
        task=task,
        n=200,
        n_correct=int(bits.sum()),
        accuracy=float(bits.mean()),
        low=low,
        high=high,
        bits=pack_bits(bits),
        pretrained_accuracy=before,
    )


def made_up_localisation(*, backbone: str = "image-text", **changes: Any) -> LocalisationRecord:
    """Make a record of one pair, whose mean is that pair's."""
    found = LocalisationEstimate(
        value=0.4,
        direction_error=0.03,
        image_error=0.04,
        null_mean=0.07,
        null_low=0.05,
        null_high=0.09,
    )
    pair = LocalisedPair(
        task_1=TASKS[0],
        task_2=TASKS[1],
        n_images=50,
        localisation=found,
        leading=(Eigenfunction(share=0.3, energy=0.9),),
    )
    values = {
        "suite": SUITE,
        "backbone": backbone,
        "n_directions": 8,
        "n_features": 64,
        "pairs": (pair,),
        "localisation": found,
        "cost": LocalisationCost(gradient_images=800, seconds=1, cpu_seconds=1, peak_bytes=1),
        "provenance": made_up_provenance(),
        **changes,
    }
    return LocalisationRecord(**values).with_record_id()


def write_out(
    out: Path,
    records: list[Record],
    maps: list[DisentanglementRecord] | None = None,
    **metrics: list[Any],
) -> Path:
    """Write records where a run leaves them; returns the output folder."""
    kinds = {"records": records, "disentanglement": maps or [], **metrics}
    for folder, kind in kinds.items():
        (out / folder).mkdir(parents=True, exist_ok=True)
        for record in kind:
            (out / folder / f"{record.record_id}.json").write_text(record.model_dump_json())
    return out


def _bits(skill: float, place: int, recipe: str, seed: int, n: int) -> NDArray[np.bool_]:
    """Which images are correct, [n]: easy ones first, with some luck of the method's own."""
    hard = np.random.default_rng([place, 1]).random(n)
    luck = np.random.default_rng([place, seed, round(skill * 1e4), len(recipe)]).random(n)
    floor, top = 0.25 + 0.03 * place, 0.95 - 0.02 * place - (0.02 if recipe == "tangent" else 0)
    return 0.85 * hard + 0.15 * luck < floor + (top - floor) * skill


def _counts(depth: float, task: str, recipe: str, seed: int) -> NDArray[np.int64]:
    """At how many of 25 grid points each of 400 images disagrees: some images often, most never."""
    place = TASKS.index(task)
    ease = np.random.default_rng([place, 2]).random(400)
    luck = np.random.default_rng([place, seed, round(depth * 1e4), len(recipe)]).random(400)
    # Half of the points on nearly a quarter of depth of the images.
    return np.where(0.9 * ease + 0.1 * luck < depth / 4, 12.5 + 12 * (luck - 0.5), 0).astype(int)
