"""What a run is going to take, counted by hand for the tiny suite."""

from __future__ import annotations

import pytest
import tiny_provider

from taskmark.context import Context
from taskmark.engine.forecast import Forecast, Network, forecast, in_words
from taskmark.engine.plan import Selection, plan
from taskmark.plugins.method_choice import MethodChoice
from taskmark.suite.definition import read
from taskmark.suites.task_data import Sizes

SIZE = Sizes(
    tiny_provider.SIZES["train"],
    tiny_provider.SIZES["validation"],
    tiny_provider.SIZES["test"],
    n_bytes=0,
    is_here=True,
)
N, M, K = SIZE.train, SIZE.validation, SIZE.test
NETWORK = Network(n_parameters=1000, reading=10.0, tuning=5.0)


@pytest.fixture
def counted(tiny_suite, tmp_path):
    """The forecast of methods under recipes."""
    context = Context(read(tiny_suite), tmp_path, "cpu")

    def count(*methods, sizes=("hills", "lakes", "woods"), **selection) -> Forecast:
        choices = tuple(MethodChoice(name) for name in methods)
        jobs = plan(context, Selection(methods=choices, **selection)).jobs
        data = {job.key: job.arguments["task"] for job in jobs if job.kind == "data"}
        return forecast(
            jobs,
            context.suite,
            tasks={j.key: data[j.arguments["data"]] for j in jobs if j.kind == "inputs"},
            sizes=dict.fromkeys(sizes, SIZE),
            networks={"plain": NETWORK, "worded": NETWORK},
            methods={name: found.method for name, found in context.methods().items()},
        )

    return count


def test_the_standard_recipe_reads_validation_once_a_trial(counted):
    seconds = counted("task_arithmetic", recipes=("standard",)).seconds
    assert seconds["heads"] == pytest.approx(3 * (N + M) / 10)
    assert seconds["experts"] == pytest.approx(3 * 3 * N * 3.0 / 5)  # 3 tasks, 3 epochs
    assert seconds["normaliser"] == pytest.approx(3 * (M + K) / 10)
    assert seconds["disentanglement"] == pytest.approx(4**2 * 2 * 2 * 40 / 10)  # 2 pairs of 2
    searched, probed = 5 * 3 * M, 3 * (N + M)
    # The method, and linear probing, pre-trained, experts, weight averaging: each reads test once.
    assert seconds["records"] == pytest.approx((5 * 3 * K + searched + probed) / 10)
    assert set(seconds) == {"heads", "experts", "normaliser", "disentanglement", "records"}


def test_a_linear_model_is_read_once_whatever_the_trials(counted):
    seconds = counted("tangent_fine_tuning", recipes=("tangent",)).seconds
    assert seconds["experts"] == pytest.approx(3 * 3 * N * 5.5 / 5)
    assert seconds["normaliser"] == pytest.approx(3.1 * 3 * (M + K) / 10)
    assert seconds["disentanglement"] == pytest.approx(3.1 * 2 * 2 * 2 * 40 / 10)
    alone = counted("tangent_fine_tuning").seconds["records"]
    assert alone > seconds["records"]  # the references of the other recipe come along


def test_methods_that_learn_may_use_their_whole_budget(counted):
    def records(*methods):
        return counted(*methods, recipes=("standard",)).seconds["records"]

    without, learning = records("task_arithmetic"), records("task_arithmetic", "adamerging")
    assert learning - without == pytest.approx(3 * K / 10 + 3.0 * 960 / 5)


def test_zero_shot_heads_take_no_pass(counted):
    assert "heads" not in counted("ties", backbones=("worded",)).seconds


def test_localisation_and_seeds_count(counted):
    once = counted("task_arithmetic", localisation=True)
    # 3 tasks in pairs, 8 directions, and no more images than the test split has.
    assert once.seconds["localisation"] == pytest.approx(3.0 * 8 * 3 * min(K, 100) / 5)
    twice = counted("task_arithmetic", localisation=True, seeds=(0, 1))
    assert twice.seconds["localisation"] == once.seconds["localisation"]
    assert twice.seconds["experts"] == pytest.approx(2 * once.seconds["experts"])


def test_disk_holds_experts_vectors_and_a_checkpoint(counted):
    found = counted("task_arithmetic", recipes=("standard",))
    assert found.n_bytes == 4 * 1000 * (3 + (3 + 1) + 3)
    assert found.memory == 4 * 1000 * (3 + 5)  # a method holds all task vectors and some more


def test_a_task_of_unknown_size_counts_nothing(counted):
    some = counted("task_arithmetic", recipes=("standard",), sizes=("hills", "lakes"))
    assert some.seconds["experts"] == pytest.approx(2 * 3 * N * 3.0 / 5)
    assert some.n_bytes == counted("task_arithmetic", recipes=("standard",)).n_bytes


def test_it_is_said_in_one_sentence_with_the_longest_part_first():
    found = Forecast(
        {"heads": 30.0, "experts": 7200.0, "records": 1800.0}, 2_500_000_000, 40_000_000
    )
    told = in_words(found, device="cuda:0", processes=1)
    assert told == (
        "about 2.5 h of GPU time (experts 2.0 h, records 30 min, heads 30 s), 2.5 GB on disk, "
        "and 40 MB of memory a process, besides activations"
    )
    shared = in_words(found, device="cpu", processes=2)
    assert shared.startswith("about 2.5 h of CPU time, 75 min in 2 processes (")
    nothing = in_words(Forecast({}, 0, 0), device="cpu", processes=1)
    assert "nothing to compute" in nothing
