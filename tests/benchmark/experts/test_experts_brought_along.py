"""Experts that are brought along: runs on them, what the records say, and what is refused."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace

import pytest
import tiny_provider
import torch
import typer
from safetensors.torch import load_file, save_file
from tiny_setting import store_at

from taskmark import cli
from taskmark.commands.expert_commands import export_command
from taskmark.config import RunConfig
from taskmark.engine.run import run
from taskmark.errors import TaskmarkError
from taskmark.experts.expert_export import export_experts, family_of, split
from taskmark.experts.expert_labels import Label
from taskmark.experts.foreign import hash_of, read_experts
from taskmark.reports import build, read_records, terminal_table
from taskmark.reports.board import boards
from taskmark.stages import expert_stages
from taskmark.stages.editing import Handout, build_given
from taskmark.stages.expert_stages import ReadExpert
from taskmark.stages.model import Model
from taskmark.stages.task_vectors import TaskVectors
from taskmark.suite.suite_file import load, read
from taskmark.suites import weight_files

TASKS = ("hills", "lakes", "woods")
LABEL = 'family = "published"\nsource = "a paper"\nlicence = "MIT"\n'


@pytest.fixture(scope="module")
def long_suite(tiny_suite, tmp_path_factory):
    """The tiny suite with enough epochs for experts that are better than zero-shot heads."""
    path = tmp_path_factory.mktemp("long") / "tiny-0.2.toml"
    path.write_text(tiny_suite.read_text("utf-8").replace("epochs = 3", "epochs = 20"), "utf-8")
    return path


@pytest.fixture
def start(long_suite, tiny_store, tmp_path):
    """Run the tiny suite on the experts of a folder, or on its own."""

    def begin(experts=None, *, methods=("ties",), out="out", tasks=TASKS[:2], **choice):
        choice = {"backbones": ("worded",), "recipes": ("standard",), **choice}
        return run(
            RunConfig(
                suite=str(long_suite),
                out=tmp_path / out,
                methods=methods,
                experts=experts,
                **choice,
                tasks=tasks,
                device="cpu",
                workers=0,
                store=tiny_store,
            )
        )

    return begin


@pytest.fixture
def exported(start, long_suite, tiny_store, tmp_path):
    """A tree with the experts that the tiny suite tunes itself, of two tasks and one backbone."""

    def export(recipe="standard"):
        start(methods=("experts",), out="own", recipes=(recipe,))
        suite, folder = read(long_suite).only(TASKS[:2]), tmp_path / "exported"
        store = store_at(tiny_store)
        export_experts(suite, store, folder, backbones=["worded"], recipe=recipe, seeds=[0])
        return folder

    return export


@pytest.fixture
def brought(exported):
    """A folder with the same, as if somebody had published it."""
    folder = exported() / "worded" / "0"
    (folder / "experts.toml").write_text(LABEL, "utf-8")
    return folder


def said(record):
    """All that a record says but of the experts, the suite's name for them, and of the machine."""
    values = record.model_dump(mode="json", exclude={"record_id", "experts", "measured", "seconds"})
    del values["provenance"]["created_at"]
    values["suite"].pop("variant", None)
    del values["suite"]["version"], values["suite"]["sha256"]
    return values


@pytest.mark.parametrize("recipe", ["standard", "tangent"])
def test_experts_that_were_exported_and_brought_along_leave_the_same_records(
    start, exported, recipe
):
    folder = exported(recipe)
    method = {"standard": "ties", "tangent": "tangent_fine_tuning"}[recipe]
    own = start(methods=(method,), recipes=(recipe,))
    again = start(folder, methods=(method,), recipes=(recipe,))
    under_recipe = [record for record in own.records if record.recipe == recipe]
    assert [said(r) for r in again.records] == [said(r) for r in under_recipe]
    others = [r.method.name for r in own.records if r.recipe != recipe]
    assert others == {"standard": [], "tangent": ["experts"]}[recipe]
    assert [said(r) for r in again.of("disentanglement")] == [
        said(r) for r in own.of("disentanglement")
    ]
    for record in (*again.records, *again.of("disentanglement")):
        family = record.experts.family
        assert re.fullmatch("tiny-[0-9a-f]{16}", family)
        assert record.suite.edition == f"0.1+hills+lakes+experts.{family}"
    assert {record.experts for record in (*own.records, *own.of("disentanglement"))} == {None}


def test_any_vector_is_the_weights_less_theta0_and_the_remainder_number_for_number(source):
    n = 200_000
    pretrained = torch.randn(n, generator=source)
    size = 10.0 ** torch.empty(n).uniform_(-12, 2, generator=source)
    vector = size * torch.randn(n, generator=source)
    vector[:1000] = -pretrained[:1000]
    pretrained[500:2000] = 0
    weights, remainder = split(pretrained, vector)
    assert weights.dtype == remainder.dtype == torch.float32
    assert remainder.any(), "float32 weights alone were enough, so nothing was tried"
    assert torch.equal((weights - pretrained) + remainder, vector)


def test_a_vector_of_tuned_weights_needs_no_remainder_but_for_ties(source):
    pretrained = torch.randn(200_000, generator=source)
    tuned = pretrained + 1e-3 * torch.randn(200_000, generator=source)
    weights, remainder = split(pretrained, tuned - pretrained)
    assert torch.equal(weights, tuned)
    assert not remainder.any()


def test_a_remainder_is_added_and_named_on_the_record(start, brought):
    weights = load_file(brought / "hills.safetensors")
    plain = start(brought).records[0]
    rest = {name: torch.full_like(tensor, 1e-3) for name, tensor in weights.items()}
    save_file(rest, brought / "hills.remainder.safetensors")
    record = start(brought).records[0]
    assert set(record.experts.remainders) == {"hills"}
    norms = [r.geometry.task_vector_norms for r in (plain, record)]
    assert norms[0]["hills"] != norms[1]["hills"]
    assert norms[0]["lakes"] == norms[1]["lakes"]


def test_a_record_says_whose_experts_it_stands_on(start, brought):
    (record, *_) = start(brought).records
    assert record.experts.model_dump(exclude={"files"}) == {
        "family": "published",
        "source": "a paper",
        "licence": "MIT",
        "remainders": {},
    }
    assert set(record.experts.files) == set(TASKS[:2])
    assert all(len(sha256) == 64 for sha256 in record.experts.files.values())


def test_a_folder_without_a_label_has_a_family_that_depends_on_its_files(start, brought):
    (brought / "experts.toml").unlink()
    names = [start(brought).records[0].experts.family]
    save_file(
        {name: 1.01 * t for name, t in load_file(brought / "hills.safetensors").items()},
        brought / "hills.safetensors",
    )
    names.append(start(brought).records[0].experts.family)
    assert all(name.startswith("unnamed-") for name in names)
    assert names[0] != names[1]


def test_families_have_boards_of_their_own(start, brought, tmp_path):
    start()
    start(brought)
    (brought / "experts.toml").write_text('family = "another"', "utf-8")
    start(brought)
    records = read_records(tmp_path / "out")
    pages = sorted((tmp_path / "out" / "site").rglob("board-worded.html")) or sorted(
        build(tmp_path / "out").parent.rglob("board-worded.html")
    )
    folders = [page.parent.name.partition("lakes")[2] for page in pages]
    assert folders == ["", "+experts.another", "+experts.published"]
    texts = [page.read_text("utf-8") for page in pages]
    assert ["The experts were brought along" in text for text in texts] == [False, True, True]
    headings = [str(cell) for cell in terminal_table(records).columns[1].cells]
    assert {"worded", "worded, experts of another", "worded, experts of published"} <= set(headings)


def test_how_precise_files_are_reaches_the_methods(tmp_path):
    """What cannot be told from rounding depends on it, see `methods/spectra.py`."""
    model = Model("tiny_provider", 1, "plain", tiny_provider.weights_sha256("plain"))
    store, path = store_at(tmp_path / "store"), tmp_path / "hills.safetensors"
    weights = {name: 1.1 * p.detach() for name, p in model.encoder().named_parameters()}
    found = {}
    for kind in (torch.float64, torch.float32, torch.float16):
        save_file({name: own.to(kind) for name, own in weights.items()}, path)
        expert = ReadExpert(model, "hills", hash_of(path), None, path=path)
        vectors = TaskVectors(model, {"hills": expert})
        expert.make(store)
        vectors.make(store)
        given = build_given(
            Handout(
                store=str(store.store.root),
                device="cpu",
                provider=model.provider,
                weights=model.weights,
                recipe="standard",
                track="weights",
                seed=0,
                tasks=("hills",),
                vectors=store.key(vectors),
            )
        )
        found[kind] = given.precision
    single = torch.finfo(torch.float32).eps / 2  # what is stored finer is kept in float32 too
    assert found == {kind: max(torch.finfo(kind).eps / 2, single) for kind in found}


def test_half_precision_is_read_once_as_float32_and_said(start, brought, monkeypatch):
    path = brought / "hills.safetensors"
    save_file({name: t.bfloat16() for name, t in load_file(path).items()}, path)
    files = []

    def read_file(file):
        files.append(file.name)
        return weight_files.read_tensors(file)

    for module in (tiny_provider, expert_stages):
        monkeypatch.setattr(module, "read_tensors", read_file)
    for record in start(brought).records:
        assert record.provenance.notes == (
            "The expert of hills is stored as bfloat16 and was read as float32.",
        )
    assert files.count("hills.safetensors") == 1


def spoilt(name, change):
    """Experts of which one has a tensor changed."""

    def spoil(folder):
        path = folder / "hills.safetensors"
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)

    spoil.__name__ = name
    return spoil


def turned(folder):
    """An expert that went the other way from theta0, and so learnt to be wrong."""
    path = folder / "hills.safetensors"
    weights = dict(tiny_provider.backbone("worded")[1].named_parameters())
    tensors = {n: (2 * weights[n] - t).detach() for n, t in load_file(path).items()}
    save_file(tensors, path)


def pretrained(folder):
    weights = dict(tiny_provider.backbone("worded")[1].named_parameters())
    save_file({n: t.detach() for n, t in weights.items()}, folder / "hills.safetensors")


BAD = {
    "NaN": (
        spoilt("nan", lambda t: t["first.weight"][0].fill_(float("nan"))),
        r"'first\.weight' of .*hills\.safetensors.* not finite",
    ),
    "a tensor is missing": (
        spoilt("missing", lambda t: t.pop("norm.bias")),
        r"hills\.safetensors' does not fit .*missing: norm\.bias\)",
    ),
    "another shape": (
        spoilt("shape", lambda t: t.update({"second.weight": torch.zeros(2, 2)})),
        r"hills\.safetensors' does not fit .*second\.weight is \(2, 2\)",
    ),
    "a tensor too much": (
        spoilt("more", lambda t: t.update({"lm_head.weight": torch.zeros(2)})),
        r"hills\.safetensors' does not fit .*unexpected: lm_head\.weight\); .*ignore = \['lm_head",
    ),
    "codes in place of numbers": (
        spoilt("codes", lambda t: t.update({"first.weight": t["first.weight"].to(torch.int8)})),
        r"hills\.safetensors' does not fit .*first\.weight is int8",
    ),
    "an adapter": (
        spoilt("adapter", lambda t: t.update({"base_model.a.lora_A.weight": torch.zeros(2)})),
        r"hills\.safetensors' does not fit .*LoRA adapters.*merge_and_unload",
    ),
    "the same file twice": (
        lambda f: (f / "hills.safetensors").write_bytes((f / "lakes.safetensors").read_bytes()),
        "tasks 'hills' and 'lakes' in .* are the same",
    ),
    "the model before tuning": (
        pretrained,
        "hills has .* right on validation, and the pre-trained",
    ),
    "one that learnt to be wrong": (turned, "it may be another task's expert"),
    "a half-written file": (
        lambda f: (f / "hills.safetensors").write_bytes(
            (f / "hills.safetensors").read_bytes()[:-100]
        ),
        r"hills\.safetensors is damaged",
    ),
    "a link to nothing": (
        lambda f: (
            (f / "hills.safetensors").rename(f / "x")
            and (f / "hills.safetensors").symlink_to("gone")
        ),
        r"hills\.safetensors' cannot be read \(No such file",
    ),
    "no file of a task": (lambda f: (f / "hills.safetensors").unlink(), "no expert of 'hills'"),
    "a label that is no TOML": (
        lambda f: (f / "experts.toml").write_text("family ="),
        r"experts\.toml.* not valid TOML",
    ),
    "a label with an unknown word": (
        lambda f: (f / "experts.toml").write_text('famly = "x"'),
        r"experts\.toml.*'famly'.*may have family",
    ),
    "a family that is no name": (
        lambda f: (f / "experts.toml").write_text('family = "A + B"'),
        r"experts\.toml.*'family'",
    ),
}


@pytest.mark.parametrize(("spoil", "sentence"), BAD.values(), ids=BAD)
def test_what_is_wrong_with_experts_is_one_sentence_before_any_method_runs(
    start, brought, tmp_path, spoil, sentence
):
    spoil(brought)
    with pytest.raises(TaskmarkError, match=sentence):
        start(brought)
    assert not list((tmp_path / "out").glob("records/*"))


def test_files_of_torch_are_read_and_pickled_modules_refused(start, brought):
    tensors = load_file(brought / "hills.safetensors")
    as_safetensors = start(brought).records[0]
    (brought / "hills.safetensors").unlink()
    torch.save({"state_dict": tensors}, brought / "hills.pt")
    assert said(start(brought).records[0]) == said(as_safetensors)
    torch.save(tiny_provider.backbone("worded")[1], brought / "hills.pt")
    with pytest.raises(TaskmarkError, match=r"hills\.pt holds a pickled module"):
        start(brought)


def same_vectors(records, others):
    return [r.geometry for r in records] == [r.geometry for r in others]


def test_buffers_wrappers_and_statistics_change_no_vector_and_statistics_are_noted(start, brought):
    plain = start(brought).records
    path = brought / "hills.safetensors"
    more = {
        "position_ids": torch.arange(3),
        "norm.num_batches_tracked": torch.tensor(4),
        "norm.running_mean": torch.ones(16),
        "norm.running_var": torch.ones(16),
    }
    wrapped = {f"module._orig_mod.{name}": t for name, t in (load_file(path) | more).items()}
    save_file(wrapped, path)
    records = start(brought).records
    assert same_vectors(records, plain)
    for record in records:
        (note,) = record.provenance.notes
        assert note.endswith("and 1 more of the expert of hills are no weights and were not read.")


def test_a_tensor_too_much_is_left_out_where_the_label_says_so_and_every_record_tells(
    start, brought
):
    plain = start(brought).records
    path = brought / "hills.safetensors"
    save_file(load_file(path) | {"lm_head.weight": torch.ones(2)}, path)
    (brought / "experts.toml").write_text(f'{LABEL}ignore = ["lm_head.*"]', "utf-8")
    records = start(brought).records
    assert same_vectors(records, plain)
    for record in records:
        assert "Tensors called lm_head.* were not read of the expert of hills." in (
            record.provenance.notes
        )


def test_weights_in_several_files_are_one_expert_whose_hash_is_of_all_files(start, brought):
    plain = start(brought).records
    tensors = load_file(brought / "hills.safetensors")
    (brought / "hills.safetensors").unlink()
    folder = brought / "hills"
    folder.mkdir()
    names = list(tensors)
    parts = {
        f"model-0000{number}-of-00002.safetensors": {n: tensors[n] for n in some}
        for number, some in ((1, names[:3]), (2, names[3:]))
    }
    for file, some in parts.items():
        save_file(some, folder / file)
    places = {name: file for file, some in parts.items() for name in some}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}), "utf-8")
    (folder / "optimizer.pt").write_bytes(b"state")
    (folder / "training_args.bin").write_bytes(b"arguments")
    records = start(brought).records
    assert same_vectors(records, plain)
    save_file({n: t + 0.01 for n, t in parts[file].items()}, folder / file)
    again = start(brought).records
    hashes = [r.experts.files["hills"] for r in (plain[0], records[0], again[0])]
    assert len(set(hashes)) == 3
    assert not same_vectors(again, records)
    (folder / file).unlink()
    with pytest.raises(TaskmarkError, match=r"names 2 files and model-00002.* is not there"):
        start(brought)


def test_experts_that_look_wrong_can_be_accepted_with_a_reason_on_every_record(start, brought):
    pretrained(brought)
    outcome = start(brought, accept_experts="an experiment on zero vectors")
    for record in (*outcome.records, *outcome.of("disentanglement")):
        (note,) = record.provenance.notes
        assert note.startswith("Experts accepted (an experiment on zero vectors) although: hills")


def test_a_file_that_changes_after_it_was_hashed_is_refused(brought, monkeypatch, start):
    def read_then_change(folder, tasks, **choice):
        found = read_experts(folder, tasks, **choice)
        (place, own) = next(iter(found.folders.items()))
        files = {**own.files, "hills": replace(own.files["hills"], sha256="0" * 64)}
        return replace(found, folders={place: replace(own, files=files)})

    monkeypatch.setattr("taskmark.engine.run.read_experts", read_then_change)
    with pytest.raises(TaskmarkError, match="changed since the run began"):
        start(brought)


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"backbones": ("plain", "worded")}, "one backbone, and this run has plain, worded"),
        ({"seeds": (0, 1)}, "same under every seed, and this run has 0, 1"),
        ({"recipes": ("tangent",)}, "'tangent' needs experts tuned as 'tangent'"),
        (
            {"recipes": (), "methods": ("tangent_fine_tuning",)},
            "'tangent_fine_tuning' runs under a recipe",
        ),
    ],
)
def test_what_the_experts_cannot_stand_for_is_refused(start, brought, choice, sentence):
    with pytest.raises(TaskmarkError, match=sentence):
        start(brought, **choice)


def test_without_a_choice_only_the_recipes_of_the_experts_are_run(start, brought):
    outcome = start(
        brought, methods=("ties", "post_hoc_linearisation"), recipes=(), tasks=TASKS[:2]
    )
    assert {record.recipe for record in outcome.records} == {"standard", "post_hoc"}


def test_experts_that_were_not_made_cannot_be_exported(tiny_suite, tmp_path):
    suite, store, out = read(tiny_suite), store_at(tmp_path / "empty"), tmp_path / "out"
    with pytest.raises(TaskmarkError, match=r"'hills' on 'plain' is not in the store.*--seed 0"):
        export_experts(suite, store, out, backbones=["plain"], recipe="standard", seeds=[0])
    assert not (tmp_path / "out").exists()


def test_whatever_made_experts_another_way_gives_their_family_another_name(tiny_suite):
    suite = read(tiny_suite)
    long = suite.model_copy(update={"name": "A Name (of 40 letters or more) that is cut"})
    part = suite.only(TASKS[:2])
    racing = suite.racing()
    names = [
        family_of(each, mode)
        for each in (suite, part, racing, racing.only(TASKS[:2]))
        for mode in ("standard", "tangent")
    ]
    assert len(set(names)) == len(names)
    for name in (*names, family_of(long, "standard")):
        assert Label(family=name).family == name


@pytest.mark.parametrize("tasks", [(), TASKS[:2]])
def test_the_commands_that_are_suggested_can_be_typed(
    long_suite, start, tiny_store, tmp_path, capsys, tasks
):
    def export(store):
        config = RunConfig(
            suite=str(long_suite),
            backbones=["worded"],
            tasks=tasks,
            seeds=[1],
            device="cpu",
            store=store,
        )
        export_command(tmp_path / "my experts", config, recipe="tangent")

    with pytest.raises(TaskmarkError) as caught:
        export(tmp_path / "empty")
    first = parsed(str(caught.value).split("`")[1])
    assert list(first["seeds"]) == [1]
    assert load(first["suite"]).only(tuple(first["tasks"] or ())).tasks.keys() == set(
        tasks or TASKS
    )
    recipes, backbones = tuple(first["recipes"]), tuple(first["backbones"])
    start(out="own", recipes=recipes, backbones=backbones, seeds=(1,), tasks=tasks)
    export(tiny_store)
    second = parsed(capsys.readouterr().out.splitlines()[-1])
    assert tuple(second["tasks"] or ()) == tasks
    assert load(second["suite"]).name == "tiny"
    brought = start(
        second["experts"],
        methods=("tangent_fine_tuning",),
        recipes=tuple(second["recipes"] or ()),
        backbones=tuple(second["backbones"]),
        tasks=tuple(second["tasks"] or ()),
        seeds=tuple(second["seeds"]),
        accept_experts="they are small",
    )
    assert {(record.state, record.recipe) for record in brought.records} == {("ok", "tangent")}
    assert {record.seeds.expert for record in brought.records} == {1}


def parsed(line):
    """What the command line makes of a command, less the program's name."""
    words = shlex.split(line)
    return typer.main.get_command(cli.app).commands[words[1]].make_context("run", words[2:]).params


def test_experts_from_elsewhere_have_one_seed_whatever_the_seed_of_the_methods(
    start, brought, tmp_path
):
    for seed in (0, 1):
        outcome = start(brought, seeds=(seed,))
        assert {(r.seeds.expert, r.seeds.method) for r in outcome.records} == {(0, seed)}
        assert {record.expert_seed for record in outcome.of("disentanglement")} == {0}
    (board,) = boards(read_records(tmp_path / "out"))
    assert board.seeds == (0,)
    assert {len(row.records) for row in board.ranked} == {2}
    assert not board.unranked


def test_links_keep_the_names_that_say_how_to_read_them(brought, tmp_path):
    blob = tmp_path / ("b" * 64)
    (brought / "hills.safetensors").rename(blob)
    (brought / "hills.safetensors").symlink_to(blob)
    (folder,) = read_experts(brought, TASKS[:2], backbones=["any"], seeds=[0]).folders.values()
    assert folder.files["hills"].path == brought / "hills.safetensors"


def test_the_label_of_an_export_can_be_read_back(exported):
    found = read_experts(exported("tangent"), TASKS[:2], backbones=["worded"], seeds=[0])
    assert found.recipe == "tangent"
    facts = json.loads(json.dumps(found.facts("worded", 0).model_dump()))
    assert facts["source"] == "taskmark, tiny 0.1+hills+lakes"
    ((_, folder),) = found.folders.items()
    assert folder.label.seed == 0
