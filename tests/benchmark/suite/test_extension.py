"""Suites that extend another: what is inherited, what differs, and what is refused."""

from __future__ import annotations

import hashlib

import pytest

from taskmark.errors import TaskmarkError
from taskmark.suite import suite_file as module
from taskmark.suite.extension import differences, laid_over
from taskmark.suite.suite_file import load, read

HEADER = 'extends = "{base}"\nname = "{stem}"\nversion = "1.0"\nsummary = "A variant."\n'


@pytest.fixture
def write(tiny_suite, tmp_path):
    """Write a suite file that extends another, beside a copy of the tiny suite."""
    (tmp_path / "tiny-0.1.toml").write_bytes(tiny_suite.read_bytes())

    def variant(body: str, *, base: str = "tiny-0.1.toml", stem: str = "variant"):
        path = tmp_path / f"{stem}.toml"
        path.write_text(HEADER.format(base=base, stem=stem) + body, "utf-8")
        return path

    return variant


@pytest.fixture
def base(tiny_suite):
    return read(tiny_suite)


def test_tables_are_merged_and_all_else_is_replaced():
    base = {"a": 1, "b": [1, 2], "t": {"x": 1, "y": {"z": 2}}, "u": {"v": 1}}
    changes = {"b": [3], "t": {"y": {"w": 4}}, "u": 5, "n": {"m": 6}}
    assert laid_over(base, changes) == {
        "a": 1,
        "b": [3],
        "t": {"x": 1, "y": {"z": 2, "w": 4}},
        "u": 5,
        "n": {"m": 6},
    }
    assert base["t"] == {"x": 1, "y": {"z": 2}}


def test_differences_are_written_as_toml_writes_them():
    changes = {"on": True, "t": {"x": 0.5, "u": {"names": ["a", "b"]}}}
    assert list(differences(changes)) == ["on = true", "t.x = 0.5", 't.u.names = ["a", "b"]']


def test_a_variant_is_its_base_but_for_what_it_says(write, base):
    body = "[tasks.lakes]\nepochs_factor = 10\n[protocol.tangent]\nlabel_smoothing = 0.25\n"
    suite = read(write(body))
    expected = base.model_dump()
    expected["tasks"]["lakes"]["epochs_factor"] = 10
    expected["protocol"]["tangent"]["label_smoothing"] = 0.25
    expected |= {"name": "variant", "version": "1.0", "sha256": suite.sha256}
    expected["summary"] = (
        "A variant. (tiny 0.1, but tasks.lakes.epochs_factor = 10; "
        "protocol.tangent.label_smoothing = 0.25)"
    )
    assert suite.model_dump() == expected


def test_a_factor_of_epochs_lengthens_the_tuning_of_its_task_alone(write, base):
    suite = read(write("[tasks.lakes]\nepochs_factor = 10\n"))
    for mode in ("standard", "tangent"):
        usual = getattr(base.protocol, mode)
        assert suite.tuning("hills", mode) == base.tuning("hills", mode) == usual
        assert suite.tuning("lakes", mode) == usual.model_copy(update={"epochs": 30})


def test_the_hash_covers_the_file_and_the_bytes_of_its_base(write, tmp_path):
    path = write("")
    suite, below = read(path), tmp_path / "tiny-0.1.toml"
    expected = hashlib.sha256(below.read_bytes()).hexdigest().encode() + path.read_bytes()
    assert suite.sha256 == hashlib.sha256(expected).hexdigest()
    below.write_bytes(below.read_bytes() + b"# one comment more\n")
    assert read(path).sha256 != suite.sha256
    assert read(write("# one comment more\n", stem="variant")).sha256 != suite.sha256


def test_some_tasks_are_kept_in_the_bases_order_under_the_variants_name(write, base):
    suite = read(write('only = ["woods", "hills"]\n'))
    assert (suite.name, suite.version) == ("variant", "1.0")
    assert suite.tasks == {name: base.tasks[name] for name in ("hills", "woods")}
    assert suite.protocol.disentanglement.pairs == (("hills", "woods"),)
    assert suite.summary == 'A variant. (tiny 0.1, but only = ["woods", "hills"])'


def test_a_variant_without_pairs_gets_none(write):
    suite = read(write("[protocol.disentanglement]\npairs = []\n"))
    assert suite.protocol.disentanglement.pairs == ()


def test_a_variant_of_a_variant_inherits_from_both(write, base):
    first = write('only = ["hills", "woods"]\n', stem="first")
    suite = read(write("[protocol]\ntrials = 7\n", base="first.toml", stem="second"))
    assert list(suite.tasks) == ["hills", "woods"]
    assert suite.protocol.trials == 7
    assert suite.summary == "A variant. (first 1.0, but protocol.trials = 7)"
    assert len({base.sha256, read(first).sha256, suite.sha256}) == 3


def test_a_shipped_suite_is_extended_by_its_stem(write, tmp_path, monkeypatch, base):
    monkeypatch.setattr(module, "_files", lambda: tmp_path.glob("*.toml"))
    write("", base="tiny-0.1", stem="tiny-stress-1.0")
    suite = load("tiny-stress")
    assert suite.backbones == base.backbones
    assert suite.summary == "A variant. (tiny 0.1, but nothing)"


@pytest.mark.parametrize(
    ("body", "base", "words"),
    [
        ("", "tiny-0.2.toml", "'tiny-0.2.toml', but there is no file"),
        ("", "tny-0.1", "variant.toml could extend as 'tny-0.1'; did you mean 'tiny-0.1'?"),
        ("", "variant.toml", "extends itself in the end (variant.toml -> variant.toml)"),
        ("[tasks.lake]\nepochs_factor = 2", "tiny-0.1.toml", "'lake'; did you mean 'lakes'?"),
        ('only = ["lake"]', "tiny-0.1.toml", "'lake'; did you mean 'lakes'?"),
        (
            'only = ["hills"]\n[tasks.lakes]\nepochs_factor = 2',
            "tiny-0.1.toml",
            "'lakes'; known: hil",
        ),
        ("only = []", "tiny-0.1.toml", "not valid at 'only': Tuple should have at least 1 item"),
        ("[tasks.lakes]\nepochs_factor = 0", "tiny-0.1.toml", "'tasks.lakes.epochs_factor'"),
        ("[protocol]\ntrails = 5", "tiny-0.1.toml", "not valid at 'protocol.trails': Extra"),
        ('sha256 = "x"', "tiny-0.1.toml", "not valid TOML"),
    ],
)
def test_a_faulty_extension_is_one_sentence(write, monkeypatch, tmp_path, body, base, words):
    monkeypatch.setattr(module, "_files", lambda: tmp_path.glob("tiny-*.toml"))
    with pytest.raises(TaskmarkError) as caught:
        read(write(body, base=base))
    assert words in str(caught.value)
    assert "variant" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cycle_is_named_link_by_link(write):
    write("", base="second.toml", stem="first")
    path = write("", base="first.toml", stem="second")
    with pytest.raises(TaskmarkError, match=r"\(second.toml -> first.toml -> second.toml\)"):
        read(path)


@pytest.mark.parametrize("missing", ["name", "version", "summary"])
def test_a_variant_says_who_it_is_itself(write, missing):
    path = write("")
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(x for x in lines if not x.startswith(missing)), "utf-8")
    with pytest.raises(TaskmarkError, match=f"not valid at '{missing}': Field required"):
        read(path)


def test_a_fault_of_the_base_is_said_of_the_base(write, tmp_path):
    (tmp_path / "tiny-0.1.toml").write_text("name = ", "utf-8")
    with pytest.raises(TaskmarkError, match=r"tiny-0\.1\.toml' is not valid TOML"):
        read(write(""))


def test_only_is_for_suites_that_extend(tiny_suite, tmp_path):
    path = tmp_path / "alone.toml"
    path.write_text('only = ["hills"]\n' + tiny_suite.read_text("utf-8"), "utf-8")
    with pytest.raises(TaskmarkError, match="not valid at 'only': Extra inputs"):
        read(path)
