"""Files of experts are found under the names that collections give them, and no others are."""

from __future__ import annotations

import pytest

from taskmark.errors import TaskmarkError
from taskmark.experts.expert_files import find_files, remainder_of

TASKS = ("cars", "rendered-sst2", "sun397")


def lay(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


LAYOUTS = {
    "plain files": ("cars.safetensors", "rendered-sst2.pt", "sun397.bin"),
    "case and marks do not matter": ("Cars.safetensors", "RenderedSST2.pt", "SUN_397.pth"),
    "folders": (
        "cars/model.safetensors",
        "rendered-sst2/pytorch_model.bin",
        "sun397/checkpoint.pt",
    ),
    "folders of checkpoints with the model before tuning": (
        "CarsVal/nonlinear_finetuned.pt",
        "CarsVal/nonlinear_zeroshot.pt",
        "RenderedSST2Val/nonlinear_finetuned.pt",
        "RenderedSST2Val/linear_finetuned.pt",
        "SUN397Val/nonlinear_finetuned.pt",
        "SUN397Val/head_SUN397.pt",
    ),
    "names of repositories": (
        "clip-vit-base-patch32_stanford-cars/model.safetensors",
        "clip-vit-base-patch32_rendered-sst2/model.safetensors",
        "ViT-B-32-SUN397/tall_checkpoint.pt",
    ),
    "folders as trainers leave them": (
        *("cars/model.safetensors", "rendered-sst2/pytorch_model.bin", "sun397/model.safetensors"),
        *("cars/optimizer.pt", "cars/training_args.bin", "cars/scheduler.pt", "cars/rng_state.pth"),
        *("cars/scaler.pt", "cars/checkpoint-500/model.safetensors", "cars/trainer_state.json"),
        *("rendered-sst2/optimizer.bin", "rendered-sst2/rng_state_0.pth", "sun397/optim.pt"),
    ),
    "weights in several files": (
        *("cars/model.safetensors.index.json", "rendered-sst2/pytorch_model.bin.index.json"),
        *("sun397.safetensors.index.json", "sun397-00001-of-00001.safetensors"),
        *("cars/model-00001-of-00002.safetensors", "cars/model-00002-of-00002.safetensors"),
        *("rendered-sst2/pytorch_model-00001-of-00001.bin", "cars/config.json"),
    ),
    "what is no weights is passed over": (
        *("cars.safetensors", "rendered-sst2.pt", "sun397.bin"),
        *("README.md", "experts.toml", ".cars.pt", "cars.remainder.safetensors"),
    ),
}


@pytest.mark.parametrize("names", LAYOUTS.values(), ids=LAYOUTS)
def test_each_task_has_the_first_file_that_the_layout_names_for_it(tmp_path, names):
    found = find_files(lay(tmp_path, *names), TASKS, "standard")
    tuned = [n for n in names if not any(m in n for m in ("zeroshot", "Val/linear", "head_"))]
    assert len(tuned) >= 3
    assert list(found.files) == list(TASKS)
    assert [str(path.relative_to(tmp_path)) for path in found.files.values()] == tuned[:3]
    assert found.others == ()


def test_the_recipe_says_which_of_two_files_is_meant(tmp_path):
    lay(tmp_path, "CarsVal/nonlinear_finetuned.pt", "CarsVal/linear_finetuned.pt")
    for mode, stem in (("standard", "nonlinear_finetuned"), ("tangent", "linear_finetuned")):
        assert find_files(tmp_path, ("cars",), mode).files["cars"].stem == stem


def test_files_of_other_tasks_are_told_and_left_alone(tmp_path):
    lay(tmp_path, "cars.pt", "PCAM.pt", "mnist/model.safetensors")
    assert find_files(tmp_path, ("cars",), "standard").others == ("PCAM.pt", "mnist")


def test_letters_and_digits_of_emnist_are_not_one_task(tmp_path):
    lay(tmp_path, "EMNIST_letters.pt")
    assert find_files(tmp_path, ("emnist-letters",), "standard").files
    with pytest.raises(TaskmarkError, match="emnist-digits"):
        find_files(tmp_path, ("emnist-digits",), "standard")


def test_all_that_is_missing_is_named_with_what_was_probably_meant(tmp_path):
    lay(tmp_path, "carz.pt", "sun397.pt")
    with pytest.raises(TaskmarkError) as raised:
        find_files(tmp_path, TASKS, "standard")
    said = str(raised.value)
    assert "'cars', 'rendered-sst2'" in said
    assert "there are those of 'sun397' (sun397.pt)" in said
    assert "did you mean 'carz.pt' for 'cars'?" in said


def test_two_files_of_one_task_are_both_named(tmp_path):
    lay(tmp_path, "cars.pt", "Cars/model.safetensors")
    with pytest.raises(TaskmarkError, match=r"two files.*Cars/model\.safetensors.*cars\.pt"):
        find_files(tmp_path, ("cars",), "standard")
    lay(tmp_path / "more", "cars/model.safetensors", "cars/pytorch_model.bin")
    with pytest.raises(TaskmarkError, match=r"model\.safetensors.*pytorch_model\.bin"):
        find_files(tmp_path / "more", ("cars",), "standard")


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(TaskmarkError, match=r"nowhere.*No such file"):
        find_files(tmp_path / "nowhere", TASKS, "standard")
    with pytest.raises(TaskmarkError, match=r"it holds no files of weights"):
        find_files(tmp_path, TASKS, "standard")


@pytest.mark.parametrize("place", ["cars/model", "cars"])
def test_a_part_of_the_weights_without_its_index_is_refused(tmp_path, place):
    lay(tmp_path, f"{place}-00001-of-00002.safetensors")
    index = f"{place.rpartition('/')[2]}.safetensors.index.json"
    with pytest.raises(TaskmarkError, match=rf"'{index}', which names all parts, is not beside it"):
        find_files(tmp_path, ("cars",), "standard")


def test_with_one_of_two_experts_the_one_that_is_there_is_named_and_the_one_that_lacks(tmp_path):
    lay(tmp_path, "cars/model.safetensors")
    with pytest.raises(TaskmarkError) as raised:
        find_files(tmp_path, ("cars", "sun397"), "standard")
    assert str(raised.value).startswith("There is no expert of 'sun397' in ")
    assert "there are those of 'cars' (cars/model.safetensors); bring 'sun397" in str(raised.value)


def test_a_remainder_lies_beside_its_file(tmp_path):
    assert remainder_of(tmp_path / "cars.pt").name == "cars.remainder.safetensors"
