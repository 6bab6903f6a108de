"""What is compared with which library, in which definition, and what is known to differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Case:
    """One method of a library beside one of ours.

    Attributes:
        library: "mergekit" or "fusion_bench".
        theirs: what tests/parity/library.py calls its method.
        parameters: of their method.
        ours: the name of our method.
        fields: hyper-parameters of ours.
        n_experts: of how many experts the result is.
        why: what is known to differ; empty where the two must agree.
    """

    library: str
    theirs: str
    parameters: Mapping[str, Any]
    ours: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    n_experts: int = 4
    why: str = ""


_EACH = {"weight": 1.0}
_DRAWS = "the random numbers differ, and mergekit rescales by L1 norms; without dropping they agree"
_MERGEKIT = (
    Case("mergekit", "linear", _EACH, "weight_averaging"),
    Case("mergekit", "task_arithmetic", _EACH, "task_arithmetic"),
    Case("mergekit", "ties", _EACH | {"density": 0.2}, "ties", {"scope": "tensor"}),
    Case(
        "mergekit", "ties", _EACH | {"density": 0.2}, "ties",
        why="mergekit trims each tensor by itself, the paper the whole vector",
    ),
    Case("mergekit", "dare_linear", _EACH, "dare_task_arithmetic", {"drop_rate": 0}),
    Case(
        "mergekit", "dare_linear", _EACH | {"density": 0.5}, "dare_task_arithmetic",
        {"drop_rate": 0.5}, why=_DRAWS,
    ),
    Case(
        "mergekit", "dare_ties", _EACH, "dare_ties",
        {"drop_rate": 0, "density": 1, "merge_function": "sum"},
    ),
    Case(
        "mergekit", "dare_ties", _EACH | {"density": 0.1}, "dare_ties",
        why=f"mergekit sums what agrees, TIES averages it; {_DRAWS}",
    ),
    Case(
        "mergekit", "breadcrumbs", _EACH | {"density": 0.15, "gamma": 0.006}, "breadcrumbs",
    ),
    Case(
        "mergekit", "breadcrumbs_ties", _EACH | {"density": 0.15, "gamma": 0.006},
        "breadcrumbs_ties", {"merge_function": "sum"},
    ),
    Case(
        "mergekit", "breadcrumbs_ties", _EACH | {"density": 0.15, "gamma": 0.006},
        "breadcrumbs_ties", why="mergekit sums what agrees, TIES averages it",
    ),
    Case("mergekit", "della", _EACH, "della", {"drop_rate": 0, "window": 0}),
    Case(
        "mergekit", "della", _EACH | {"density": 0.7, "epsilon": 0.07}, "della", why=_DRAWS,
    ),
    Case("mergekit", "della_linear", _EACH, "della_linear", {"drop_rate": 0, "window": 0}),
    Case("mergekit", "slerp", {"t": 0.5}, "slerp", n_experts=2),
    Case(
        "mergekit", "karcher", {}, "slerp",
        why="mergekit gives the mean direction the mean of the norms, ours adds up as slerp does",
    ),
    Case("mergekit", "model_stock", {}, "model_stock"),
)  # fmt: skip

_DARE = {"sparsity_ratio": 0.0, "only_on_linear_weights": False}
_TIES = {"scaling_factor": 1.0, "threshold": 0.2, "remove_keys": []}
_ONE_MORE = "FusionBench keeps one entry more, as the authors' code does; asked for it, ours agrees"
_DENSITY_OF_ONE_MORE = 0.20005  # of the 18240 numbers in the models, 3649 instead of 3648
_ISO = "isotropic_merging.iso:IsotropicMergingIn"
_FUSION_BENCH = (
    Case("fusion_bench", "simple_average:SimpleAverageAlgorithm", {}, "weight_averaging"),
    Case(
        "fusion_bench", "task_arithmetic.task_arithmetic:TaskArithmeticAlgorithm",
        {"scaling_factor": 1.0}, "task_arithmetic",
    ),
    Case(
        "fusion_bench", "ties_merging.ties_merging:TiesMergingAlgorithm",
        _TIES | {"merge_func": "mean"}, "ties", why=_ONE_MORE,
    ),
    Case(
        "fusion_bench", "ties_merging.ties_merging:TiesMergingAlgorithm",
        _TIES | {"merge_func": "mean"}, "ties", {"density": _DENSITY_OF_ONE_MORE},
    ),
    Case(
        "fusion_bench", "ties_merging.ties_merging:TiesMergingAlgorithm",
        _TIES | {"merge_func": "sum"}, "ties",
        {"merge_function": "sum", "density": _DENSITY_OF_ONE_MORE},
    ),
    Case(
        "fusion_bench", "dare.simple_average:DareSimpleAverage", _DARE, "weight_averaging",
    ),
    Case(
        "fusion_bench", "dare.task_arithmetic:DareTaskArithmetic",
        _DARE | {"scaling_factor": 1.0}, "dare_task_arithmetic", {"drop_rate": 0},
    ),
    Case(
        "fusion_bench", "dare.ties_merging:DareTiesMerging",
        _DARE | _TIES | {"rescale": True, "merge_func": "mean"}, "dare_ties",
        {"drop_rate": 0, "density": _DENSITY_OF_ONE_MORE},
    ),
    Case(
        "fusion_bench", "dare.ties_merging:DareTiesMerging",
        _DARE | _TIES | {"sparsity_ratio": 0.9, "rescale": True, "merge_func": "mean"},
        "dare_ties", why="the random numbers differ; without dropping they agree",
    ),
    Case("fusion_bench", "magmax.magmax:MagMaxAlgorithm", {"scaling_factor": 1.0}, "magmax"),
    Case(
        "fusion_bench", "task_singular_vector.TSVM:TaskSingularVectorMerging", {"alpha": 1.0},
        "tsv_m",
    ),
    Case("fusion_bench", f"{_ISO}CommonSubspace", {"scaling_factor": 1.0}, "iso_c"),
    Case(
        "fusion_bench", f"{_ISO}CommonAndTaskSubspace",
        {"scaling_factor": 1.0, "common_space_fraction": 0.8}, "iso_cts",
    ),
    Case("fusion_bench", "wudi.wudi:WUDIMerging", {"iter_num": 300}, "wudi"),
    Case("fusion_bench", "model_stock.model_stock:ModelStock", {}, "model_stock"),
    # Both fail on models that are not its own CLIP: the first looks for module names.
    Case(
        "fusion_bench", "doge_ta.doge_ta:DOGE_TA_Algorithm",
        {"subspace": 6, "K": 0.3, "lamda": 0.07}, "doge",  # codespell:ignore lamda
        why="not compared",
    ),
    Case(
        "fusion_bench", "tall_mask.task_arithmetic:TallMaskTaskArithmeticAlgorithm",
        {"tall_mask_lambda": 0.4}, "tall_masks",
        why="not compared",
    ),
    Case("fusion_bench", "slerp.slerp:SlerpMergeAlgorithm", {"t": 0.5}, "slerp", n_experts=2),
)  # fmt: skip

CASES = (*_MERGEKIT, *_FUSION_BENCH)
