"""A suite of one's own: written by a command, run as it stands, on boards of its own."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

import taskmark
from taskmark import cli
from taskmark.errors import TaskmarkError
from taskmark.plugins.stand_ins import Limits
from taskmark.suite.provider import provider
from taskmark.suite.suite_file import load
from taskmark.suites.own import library_models
from taskmark.suites.real.data import arrays

EPOCHS = "epochs = 10"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with images of two tasks and weights of two small models of timm."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TASKMARK_DATA", str(tmp_path / "decoded"))
    source = np.random.default_rng(0)
    for task, classes in (("cars", ("red", "blue")), ("signs", ("striped", "plain", "dotted"))):
        for k, name in enumerate(classes):
            folder = tmp_path / "photos" / task / name
            folder.mkdir(parents=True)
            for number in range(12):
                pixels = source.integers(0, 120, (36, 40, 3))
                pixels[:: k + 2, :, k] += 120
                Image.fromarray(pixels.astype("u1")).save(folder / f"{number}.png")
    torch.manual_seed(0)
    vit, resnet = (timm.create_model(n, num_classes=3) for n in ("test_vit", "test_resnet"))
    save_file(vit.state_dict(), tmp_path / "vit.safetensors")
    torch.save(resnet.state_dict(), tmp_path / "resnet.pt")
    return tmp_path


@pytest.fixture
def new_suite(place):
    def call(*more, models=("test_vit=vit.safetensors",), name="my-suite"):
        options = [word for model in models for word in ("--backbone", model)]
        tasks = ("--task", "cars=photos/cars", "--task", "signs=photos/signs")
        words = ["new", "suite", name, *tasks, *options, *more]
        assert Path.cwd() == place
        return CliRunner().invoke(cli.app, words, catch_exceptions=False)

    return call


def shorten(file, epochs=1):
    file.write_text(file.read_text().replace(EPOCHS, f"epochs = {epochs}"))


def test_it_runs_as_it_stands_and_its_board_says_that_it_is_not_frozen(new_suite, place):
    told = new_suite().output
    assert "cars: 2 classes; " in told
    assert "not frozen" in told
    file = place / "my-suite" / "my-suite.toml"
    shorten(file)
    results = taskmark.run(
        file, methods=["ties"], recipes=["standard"], out=place / "out", store=place / "store",
        workers=0, device="cpu", quiet=True,
    )  # fmt: skip
    board = results.board("test_vit")
    assert {"ties", "experts", "pretrained"} <= set(board["method"])
    assert set(board["state"]) == {"ok"}
    assert "not frozen" in board._repr_html_()
    record = results.records[0]
    assert record.suite.variant.unresolved
    assert set(record.provenance.resolved) == {"tasks.cars", "tasks.signs", "backbones.test_vit"}
    page = results.build_site().parent
    shown = [path.read_text() for path in page.rglob("*.html") if "test_vit" in path.name]
    assert any("not frozen" in text for text in shown)


def test_experts_can_be_brought_along(new_suite, place):
    new_suite()
    file = place / "my-suite" / "my-suite.toml"
    shorten(file)
    experts = place / "experts"
    experts.mkdir()
    for k, task in enumerate(("cars", "signs")):
        torch.manual_seed(k)
        tuned = timm.create_model("test_vit", num_classes=7)
        tuned.load_state_dict(library_tensors(place / "vit.safetensors", tuned))
        state = {name: t + 0.01 * torch.randn_like(t) for name, t in tuned.state_dict().items()}
        save_file(state, experts / f"{task}.safetensors")
    results = taskmark.run(
        file, methods=["ties"], experts=experts, accept_experts="noise", out=place / "out",
        store=place / "store", workers=0, device="cpu", quiet=True, recipes=["standard"],
    )  # fmt: skip
    assert "ties" in set(results.board()["method"])
    assert all(record.experts for record in results.records if record.method.name == "ties")


def library_tensors(path, model):
    from safetensors.torch import load_file  # noqa: PLC0415

    own = {n: t for n, t in load_file(path).items() if not n.startswith("head.")}
    return {**model.state_dict(), **own}


def test_the_definition_and_the_tables_are_what_a_run_reads(new_suite, place):
    new_suite(models=("test_vit=vit.safetensors", "test_resnet=resnet.pt", "test_vit=random"))
    file = place / "my-suite" / "my-suite.toml"
    suite = load(str(file))
    assert not suite.frozen
    assert list(suite.backbones) == ["test_vit", "test_resnet", "test_vit-2"]
    assert suite.provider == f"taskmark.suites.own.provider:{place / 'my-suite'}"
    source = provider(suite.provider)
    data = source.task("signs")
    assert data.classes == ("dotted", "plain", "striped")
    assert data.train.images.shape[1:] == (36, 36, 3)
    sizes = source.sizes("signs")
    counted = [len(s.labels) for s in (data.train, data.validation, data.test)]
    assert [sizes.train, sizes.validation, sizes.test] == counted
    before = data.test.sha256
    shutil.rmtree(place / "decoded")
    assert source.task("signs").test.sha256 == before  # decoded again, to the same
    for weights in ("test_vit=../vit.safetensors", "test_resnet=../resnet.pt", "test_vit=random"):
        _, encoder = source.backbone(weights)
        features = encoder(torch.zeros(2, 3, 36, 36, dtype=torch.uint8))
        assert features.shape[0] == 2
        again = source.backbone(weights)[1].state_dict()
        assert all(torch.equal(again[n], t) for n, t in encoder.state_dict().items())
        assert len(source.weights_sha256(weights)) == 64
    refused = Limits(1.0, suite.provider).facts()["refused_paths"]
    assert str(place / "my-suite" / "cars.csv") in refused
    assert any(path.startswith(str(place / "photos" / "cars")) for path in refused)
    assert source.missing(["cars"], ["test_vit=../vit.safetensors"]) == ""
    (place / "vit.safetensors").unlink()
    (place / "my-suite" / "cars.csv").unlink()
    told = source.missing(["cars"], ["test_vit=../vit.safetensors"])
    assert "the tables of cars are not in" in told
    assert "vit.safetensors are not there" in told


def test_weights_of_a_file_are_those_that_run(new_suite, place):
    new_suite(models=("test_resnet=resnet.pt",))
    tower = library_models.load_encoder("test_resnet=resnet.pt", place).tower
    saved = torch.load(place / "resnet.pt", weights_only=True)
    for name, tensor in tower.state_dict().items():
        torch.testing.assert_close(tensor, saved[name])
    expert = library_models.load_expert("test_resnet=resnet.pt", place, place / "resnet.pt")
    assert expert.keys() == {f"tower.{name}" for name, _ in tower.named_parameters()}


def test_a_copy_of_a_test_image_in_another_file_is_left_out_of_train(new_suite, place):
    given = place / "photos" / "given"
    for label in ("red", "blue"):
        for number in range(12):
            part = given / ("test" if number < 3 else "train") / label
            part.mkdir(parents=True, exist_ok=True)
            shutil.copy(place / "photos" / "cars" / label / f"{number}.png", part)
    Image.open(given / "test" / "red" / "0.png").save(given / "train" / "red" / "copy.bmp")
    told = new_suite("--task", "given=photos/given").output
    assert "given: 1 images of train or validation have the pixels of a test image" in told
    table = (place / "my-suite" / "given.csv").read_text()
    assert "copy.bmp" not in table
    assert table.count(",test,") == 6
    data = provider(load("my-suite/my-suite.toml").provider).task("given")
    assert len(data.train.labels) + len(data.validation.labels) == 18


def test_an_image_that_was_changed_is_told(new_suite, place):
    new_suite()
    shutil.rmtree(place / "decoded")
    photos = place / "photos" / "cars" / "red"
    (photos / "0.png").write_bytes((photos / "1.png").read_bytes())
    suite = load("my-suite/my-suite.toml")
    with pytest.raises(TaskmarkError, match=r"0\.png was changed since the suite was made"):
        provider(suite.provider).task("cars")


def test_open_clip_has_heads_by_the_names_of_classes(new_suite, place):
    import open_clip  # noqa: PLC0415

    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {
            "context_length": 77, "vocab_size": 49408, "width": 32, "heads": 1, "layers": 1,
        },
    }  # fmt: skip
    open_clip.factory._MODEL_CONFIGS["tiny-clip"] = config
    try:
        torch.manual_seed(0)
        save_file(open_clip.create_model("tiny-clip").state_dict(), place / "clip.safetensors")
        assert new_suite(models=("tiny-clip=clip.safetensors",)).exit_code == 0
        suite = load("my-suite/my-suite.toml")
        assert suite.backbones["tiny-clip"].heads == "zero-shot"
        source, weights = provider(suite.provider), "tiny-clip=../clip.safetensors"
        features = source.backbone(weights)[1](torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
        prompts = source.embed_prompts(weights, ["a photo of a cat.", "a photo of a dog."])
        assert features.shape == prompts.shape == (2, 16)
        torch.testing.assert_close(prompts.norm(dim=1), torch.ones(2))
        assert source.logit_scale(weights) > 1
    finally:
        del open_clip.factory._MODEL_CONFIGS["tiny-clip"]


def refusal(call, *arguments, **options):
    with pytest.raises(TaskmarkError) as error:
        call(*arguments, **options)
    return str(error.value)


def test_what_cannot_be_is_a_sentence(new_suite, place):
    assert "There is a suite 'mini' already" in refusal(new_suite, name="mini")
    assert "suite name 'My' cannot be used" in refusal(new_suite, name="My")
    assert "did you mean 'test_vit" in refusal(new_suite, models=("test_vitt",))
    assert "nowhere.pt" in refusal(new_suite, models=("test_vit=nowhere.pt",))
    assert "does not fit" in refusal(new_suite, models=("test_vit=resnet.pt",))
    assert "cannot be read; write --task NAME=PATH" in refusal(new_suite, "--task", "cars")
    assert "nothing at 'nowhere'" in refusal(new_suite, "--task", "x=nowhere")
    assert "Two tasks have one name" in refusal(new_suite, "--task", "cars=photos/signs")
    only = ["new", "suite", "one", "--task", "cars=photos/cars", "--backbone", "test_vit=random"]
    assert "needs two tasks" in refusal(CliRunner().invoke, cli.app, only, catch_exceptions=False)
    (place / "photos" / "cars" / "red" / "broken.jpg").write_bytes(b"no image")
    told = refusal(new_suite)
    assert "broken.jpg cannot be read" in told
    assert not (place / "my-suite").exists()
    assert not [*(place / "decoded").glob("*")] or not [
        path for path in (place / "decoded").glob("*") if path.is_dir()
    ]


def test_a_method_is_still_written_by_its_name_alone(place):
    runner = CliRunner()
    assert runner.invoke(cli.app, ["new", "mine"]).exit_code == 0
    assert runner.invoke(cli.app, ["new", "method", "yours"]).exit_code == 0
    assert runner.invoke(cli.app, ["new", "--folder", ".", "third"]).exit_code == 0
    assert runner.invoke(cli.app, ["new", "suite"]).exit_code == 0  # a method of that name
    written = {path.name for path in place.glob("*.py")}
    assert written == {"mine.py", "yours.py", "third.py", "suite.py"}


def test_the_definition_is_plain_toml(new_suite, place):
    new_suite()
    content = tomllib.loads((place / "my-suite" / "my-suite.toml").read_text())
    assert content["provider"] == "taskmark.suites.own.provider:."
    assert arrays.default_folder() == place / "decoded"
