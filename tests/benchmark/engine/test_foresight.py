"""Before a run starts: it is measured, said, and stopped where there is no room."""

from __future__ import annotations

import shutil
import sys
from contextlib import nullcontext

import pytest
import tiny_provider
import torch
from torch import nn

from taskmark import cli
from taskmark.context import Context
from taskmark.engine import foresight
from taskmark.engine.foresight import before_start, images_per_second, require_space
from taskmark.engine.plan import Selection, plan
from taskmark.engine.run import Options, Watcher, estimate, run
from taskmark.errors import TaskmarkError
from taskmark.plugins.registry import MethodChoice
from taskmark.suite.definition import read
from taskmark.suites.task_data import Sizes

CHOICES = (MethodChoice("task_arithmetic"),)


@pytest.fixture
def remote(monkeypatch):
    """The tiny provider as one whose data is fetched, and is not all here."""
    here = Sizes(96, 60, 90, n_bytes=1_500_000_000, is_here=False)
    known = {"hills": here, "lakes": Sizes(96, 60, 90, n_bytes=7, is_here=True)}
    monkeypatch.setattr(tiny_provider, "missing", lambda _tasks, _weights: "", raising=False)
    monkeypatch.setattr(tiny_provider, "sizes", known.get, raising=False)
    monkeypatch.setattr(tiny_provider, "untrained", lambda _weights: Taking(), raising=False)


class Taking(nn.Module):
    """An encoder of uint8 images that remembers how many it took at once."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(5))
        self.batches = []

    def forward(self, images):
        self.batches.append(len(images))
        return images.flatten(1)[:, :5].float() * self.weight


def planned(tiny_suite, tmp_path):
    context = Context(read(tiny_suite), tmp_path, "cpu")
    return context, plan(context, Selection(methods=CHOICES)).jobs


def test_a_speed_is_that_of_as_many_images_as_pass_in_a_short_time(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(foresight.time, "perf_counter", lambda: next(clock) / 10)
    encoder = Taking()
    speed = images_per_second(encoder, torch.zeros(64, 3, 2, 2), dtype=torch.float32)
    # Each pass takes 0.1 s by this clock: 2 images in 0.1 s, so 5 in 0.25 s, 5 / 0.1 s.
    assert set(encoder.batches) == {2, 5}
    assert speed == pytest.approx(50.0)


class Cramped(Taking):
    """An encoder that only few images fit beside."""

    def forward(self, images):
        if len(images) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().forward(images)


def test_where_memory_is_short_fewer_images_are_measured(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(foresight.time, "perf_counter", lambda: next(clock) / 100)
    encoder, freed = Cramped(), []
    monkeypatch.setattr(foresight.memory, "free_unused", lambda: freed.append(True))
    speed = images_per_second(encoder, torch.zeros(24, 3, 2, 2), dtype=torch.float32)
    # 24, 12 and 6 at once are too many, 3 pass in 0.01 s.
    assert max(encoder.batches) == 3
    assert speed == pytest.approx(300.0)
    assert len(freed) == 3


def test_where_not_one_image_fits_it_is_one_sentence(tiny_suite, tmp_path, monkeypatch):
    def forward(_self, _images):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(tiny_provider.Encoder, "forward", forward)
    context = Context(read(tiny_suite), tmp_path, "cpu")
    with pytest.raises(TaskmarkError, match=r"fast images pass through 'plain': out of memory"):
        foresight.network(context, "plain")


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_a_measurement_on_a_gpu_leaves_nothing_there(tiny_suite, tmp_path, monkeypatch, ends):
    calls = []

    def measure(_context, _weights):
        calls.append("measured")
        if ends == "badly":
            raise KeyboardInterrupt

    monkeypatch.setattr(foresight, "_measured", measure)
    monkeypatch.setattr(foresight.determinism, "require_determinism", lambda: calls.append("asked"))
    monkeypatch.setattr(foresight.memory, "free_unused", lambda: calls.append("freed"))
    context = Context(read(tiny_suite), tmp_path, "cuda")
    with pytest.raises(KeyboardInterrupt) if ends == "badly" else nullcontext():
        foresight.network(context, "plain")
    assert calls == ["asked", "measured", "freed"]


def test_the_threads_are_as_before_a_measurement():
    before = torch.get_num_threads()
    images_per_second(Taking(), torch.zeros(4, 3, 2, 2), dtype=torch.float32)
    assert torch.get_num_threads() == before


def test_a_full_disk_ends_it_with_both_numbers(tiny_suite, tmp_path, monkeypatch):
    context, jobs = planned(tiny_suite, tmp_path)
    usage = shutil.disk_usage(tmp_path)._replace(free=2_000_000_000)
    monkeypatch.setattr(foresight.shutil, "disk_usage", lambda _folder: usage)
    require_space(context, 2_000_000_000)
    with pytest.raises(
        TaskmarkError, match=r"needs 3\.0 GB in the store .* where 2\.0 GB are free"
    ):
        require_space(context, 3_000_000_000)
    monkeypatch.setattr(foresight.shutil, "disk_usage", lambda _folder: usage._replace(free=1000))
    with pytest.raises(TaskmarkError, match="make room"):
        before_start(context, jobs, jobs, ("plain",), processes=1)
    # Where nothing is left to do, nothing is needed.
    assert before_start(context, jobs, [], ("plain",), processes=1) == ""


def test_a_run_stops_before_it_makes_anything(tiny_suite, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(foresight.shutil, "disk_usage", lambda _folder: usage)
    options = Options(str(tiny_suite), tmp_path / "out", workers=0, store=tmp_path / "store")
    with pytest.raises(TaskmarkError, match="make room"):
        run(options)
    assert not list((tmp_path / "store").rglob("*.json"))


@pytest.mark.usefixtures("remote")
def test_what_takes_long_is_said_before_it_starts(tiny_suite, tmp_path, monkeypatch):
    context, jobs = planned(tiny_suite, tmp_path)
    assert before_start(context, jobs, jobs, ("plain",), processes=1) == ""
    monkeypatch.setattr(foresight, "WORTH_SAYING", 0.0)
    told = before_start(context, jobs, jobs, ("plain",), processes=1)
    assert told.startswith("Estimate: about ")
    assert "The images of hills are not on this machine yet; decoded, they take 1.5 GB." in told
    assert told.endswith("How large woods will be is not known, and left out.")


@pytest.mark.usefixtures("remote")
def test_a_long_run_tells_its_watcher(tiny_suite, tmp_path, monkeypatch):
    monkeypatch.setattr(foresight, "WORTH_SAYING", 0.0)
    said = []
    selection = Selection(methods=CHOICES, recipes=("standard",))
    options = Options(
        str(tiny_suite), tmp_path / "out", selection, workers=0, store=tmp_path / "store"
    )
    run(options, Watcher(say=said.append))
    assert [text.partition(":")[0] for text in said] == ["Estimate"]


@pytest.mark.usefixtures("remote")
def test_what_only_controls_is_in_what_is_said(tiny_suite, tmp_path, monkeypatch):
    path = tmp_path / "controlled.toml"
    control = '[controls.clouds]\nsha256 = "unresolved"\n[protocol.negation]\nkeep = 0.9\n'
    path.write_text(f'{tiny_suite.read_text("utf-8")}\n{control}controls = ["clouds"]\n', "utf-8")
    known = {"clouds": Sizes(9, 9, 9, n_bytes=2_500_000_000, is_here=False)}
    monkeypatch.setattr(tiny_provider, "sizes", known.get)
    monkeypatch.setattr(foresight, "WORTH_SAYING", 0.0)
    told = {}
    for negation in (False, True):
        selection = Selection(methods=CHOICES, negation=negation)
        context = Context(read(path), tmp_path, "cpu")
        jobs = plan(context, selection).jobs
        told[negation] = before_start(context, jobs, jobs, ("plain",), processes=1)
        options = Options(str(path), tmp_path / "out", selection, store=tmp_path / "store")
        assert ("images of clouds are not on" in estimate(options)) is negation
    assert "clouds" not in told[False]
    assert "The images of clouds are not on this machine yet; decoded" in told[True]


def test_an_estimate_of_what_is_shipped_needs_and_makes_nothing(tiny_suite, tmp_path):
    options = Options(
        str(tiny_suite), tmp_path / "out", Selection(methods=CHOICES), store=tmp_path / "store"
    )
    told = estimate(options)
    assert told.startswith("Estimate: about ")
    assert "not on this machine" not in told
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob("store/**/*.json"))


def test_the_command_prints_the_estimate_and_stops(tiny_suite, tmp_path, monkeypatch, capsys):
    words = ["run", "--suite", str(tiny_suite), "--method", "task_arithmetic", "--estimate"]
    places = ["--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")]
    monkeypatch.setattr(sys, "argv", ["taskmark", *words, *places])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("Estimate: about ")
    assert not (tmp_path / "out").exists()
