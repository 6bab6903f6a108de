"""Suites: frozen files, read strictly."""

from __future__ import annotations

import pytest

from taskmark.errors import TaskmarkError
from taskmark.suite import suite_file as module
from taskmark.suite.suite_file import find_suites, load, read


@pytest.fixture
def changed(tiny_suite, tmp_path):
    def change(old: str, new: str):
        text = tiny_suite.read_text("utf-8")
        assert old in text
        path = tmp_path / "changed.toml"
        path.write_text(text.replace(old, new), "utf-8")
        return path

    return change


def test_a_suite_is_read_by_path_and_hashed(tiny_suite, changed):
    suite = load(str(tiny_suite))
    assert (suite.name, list(suite.tasks)) == ("tiny", ["hills", "lakes", "woods"])
    other = read(changed("trials = 5", "trials = 6"))
    assert other.sha256 != suite.sha256
    assert suite.facts.sha256 == suite.sha256


def test_an_unknown_suite_gets_a_suggestion(tmp_path, monkeypatch):
    (tmp_path / "mini-0.1.toml").touch()
    monkeypatch.setattr(module, "_files", lambda: tmp_path.glob("*.toml"))
    with pytest.raises(TaskmarkError, match="no suite 'mni'; did you mean 'mini'"):
        load("mni")


def test_shipped_suites_go_by_name_and_version_and_the_newest_by_name_alone(tmp_path, monkeypatch):
    for stem in ("mini-0.2", "mini-0.10", "clip-8-1.0", "closed-vocabulary-0.1"):
        (tmp_path / f"{stem}.toml").touch()
    monkeypatch.setattr(module, "_files", lambda: tmp_path.glob("*.toml"))
    found = {label: path.stem for label, path in find_suites().items()}
    assert found == {
        "mini": "mini-0.10",
        "mini@0.2": "mini-0.2",
        "mini@0.10": "mini-0.10",
        "clip-8": "clip-8-1.0",
        "clip-8@1.0": "clip-8-1.0",
        "closed-vocabulary": "closed-vocabulary-0.1",
        "closed-vocabulary@0.1": "closed-vocabulary-0.1",
    }


def test_a_suite_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(TaskmarkError, match=r"no suite file .*none\.toml'; give the path"):
        load(str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "tiny"', "name = ", "not valid TOML"),
        ('name = "tiny"', "", "not valid at 'name': Field required"),
        ('name = "tiny"', 'name = "tiny"\nfoo = 1', "not valid at 'foo': Extra inputs"),
        ('name = "tiny"', 'name = "tiny"\nsha256 = "x"', "not valid TOML"),
        ("trials = 5", "trials = 0", "not valid at 'protocol.trials'"),
        ("trials = 5", "trails = 5", "not valid at 'protocol.trials': Field required"),
        ('heads = "probed"', 'heads = "guessed"', "not valid at 'backbones.plain.heads'"),
        ("[-0.5, 0.0, 0.5, 1.0]", "[-0.5, 0.5, 1.0]", "the grid must hold 0 once"),
        ('["hills", "woods"]]', '["hills", "seas"]]', "does not name two tasks"),
        ('["hills", "woods"]]', '["hills", "hills"]]', "does not name two tasks"),
        ('default_backbones = ["plain"]', 'default_backbones = ["x"]', "'x', which is no backbone"),
    ],
)
def test_a_faulty_definition_is_one_sentence(changed, old, new, words):
    with pytest.raises(TaskmarkError) as caught:
        read(changed(old, new))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_some_of_its_tasks_keep_the_suites_order_and_get_a_hash_of_their_own(tiny_suite):
    suite = read(tiny_suite)
    part = suite.only(("woods", "hills", "woods"))
    assert list(part.tasks) == ["hills", "woods"]
    assert part.protocol.disentanglement.pairs == (("hills", "woods"),)
    assert part.facts.edition == "0.1+hills+woods"
    assert len({suite.sha256, part.sha256, suite.only(("hills",)).sha256}) == 3
    assert suite.only(()) is suite
    assert suite.only(("lakes", "woods", "hills")) is suite
    assert suite.only(("lakes", "woods")).protocol.disentanglement.pairs == (("lakes", "woods"),)


def test_an_unknown_task_gets_a_suggestion(tiny_suite):
    with pytest.raises(TaskmarkError, match="no task 'hils'; did you mean 'hills'"):
        read(tiny_suite).only(("hils",))


def test_a_task_may_have_epochs_of_its_own(changed):
    path = changed("[tasks.lakes]", "[tasks.lakes]\nepochs = 7\nepochs_factor = 2")
    suite = read(path)
    assert suite.tuning("lakes", "standard").epochs == suite.tuning("lakes", "tangent").epochs == 14
    assert suite.tuning("hills", "standard").epochs == 3


@pytest.mark.parametrize(("written", "kind"), [("500", int), ("1", int), ("0.5", float)])
def test_a_warm_up_is_a_number_of_steps_or_a_share(tiny_suite, tmp_path, written, kind):
    path = tmp_path / "warm.toml"
    text = tiny_suite.read_text("utf-8").replace("warmup = 0.1", f"warmup = {written}")
    path.write_text(text, "utf-8")
    warmup = read(path).protocol.standard.warmup
    assert (warmup, type(warmup)) == (kind(written), kind)


def test_a_warm_up_of_less_than_nothing_or_more_than_all_is_refused(tiny_suite, tmp_path):
    for written in ("-1", "1.5", "-0.1"):
        path = tmp_path / "warm.toml"
        text = tiny_suite.read_text("utf-8").replace("warmup = 0.1", f"warmup = {written}")
        path.write_text(text, "utf-8")
        with pytest.raises(TaskmarkError, match=r"not valid at 'protocol\.standard\.warmup"):
            read(path)


CONTROLLED = """
[controls.seas]
sha256 = "unresolved"
[protocol.negation]
controls = {}
"""


@pytest.mark.parametrize(
    ("controls", "words"),
    [
        ('["rivers"]', "negation.controls has rivers for hills"),
        ('{hills = ["hills"]}', "negation.controls has hills for hills"),
        ('{seas = ["hills"]}', "negation.controls has hills for seas"),
        ("[]", "protocol.negation.controls"),
    ],
)
def test_negation_is_controlled_by_tasks_or_controls_that_there_are(
    tiny_suite, tmp_path, controls, words
):
    path = tmp_path / "controlled.toml"
    path.write_text(tiny_suite.read_text("utf-8") + CONTROLLED.format(controls), "utf-8")
    with pytest.raises(TaskmarkError) as caught:
        read(path)
    assert words in str(caught.value)
    path.write_text(tiny_suite.read_text("utf-8") + CONTROLLED.format('["seas"]'), "utf-8")
    suite = read(path)
    assert suite.data_of("seas") == suite.controls["seas"]
    assert suite.data_of("hills") == suite.tasks["hills"]
    assert list(suite.keeping(("hills", "lakes")).controls) == ["seas"]


def test_a_control_is_not_a_task_too(tiny_suite, tmp_path):
    path = tmp_path / "twice.toml"
    extra = '\n[controls.hills]\nsha256 = "unresolved"\n'
    path.write_text(tiny_suite.read_text("utf-8") + extra, "utf-8")
    with pytest.raises(TaskmarkError, match="'hills' is a task and a control"):
        read(path)


def test_experts_that_are_brought_along_make_another_edition(tiny_suite):
    suite = read(tiny_suite)
    one, other = (suite.on_experts_of(family) for family in ("one", "other"))
    assert one.facts.edition == f"{suite.version}+experts.one"
    assert len({suite.sha256, one.sha256, other.sha256}) == 3


def test_a_range_of_clean_experts_is_in_order(tiny_suite, tmp_path):
    text = tiny_suite.read_text("utf-8")
    for told in ("[0.8, 0.7]", "[0.5, 1.5]"):
        path = tmp_path / "mine.toml"
        path.write_text(text.replace("[tasks.hills]", f"[tasks.hills]\nexpert_range = {told}"))
        with pytest.raises(TaskmarkError, match=r"not valid at 'tasks\.hills\.expert_range"):
            read(path)
