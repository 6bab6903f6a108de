"""Finding methods: built in, installed, and from files; what is wrong with one is a sentence."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from pydantic import model_validator

from taskmark import Method, methods
from taskmark.errors import TaskmarkError
from taskmark.methods.ties import Ties
from taskmark.plugins import registry
from taskmark.plugins.method_choice import MethodChoice
from taskmark.plugins.registry import build, find

HEADER = "from taskmark import Method\n\n\n"


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return write


def test_built_in_methods_are_those_of_the_folder():
    found = find()
    sources = {item.source.stem for item in found.values() if item.origin == "built-in"}
    folder = {path.stem for path in Path(methods.__file__).parent.glob("*.py")}
    defining = {
        stem
        for stem in folder
        if "\n    name = " in (Path(methods.__file__).parent / f"{stem}.py").read_text()
    }
    assert sources == defining
    assert len(found) >= 5


@pytest.mark.parametrize(
    ("text", "name", "fields"),
    [
        ("ties", "ties", {}),
        ("ties[]", "ties", {}),
        (" ties [ density = 0.1 , scope=global ] ", "ties", {"density": 0.1, "scope": "global"}),
        ("a[x='1',y=None]", "a", {"x": "1", "y": None}),
        ("a[x=[1, 2],y=(3, 4),z=True]", "a", {"x": (1, 2), "y": (3, 4), "z": True}),
    ],
)
def test_a_choice_is_read_from_text(text, name, fields):
    choice = MethodChoice.parse(text)
    assert choice.name == name
    assert dict(choice.hyperparameters) == fields
    assert hash(choice) == hash(MethodChoice.parse(text))


@pytest.mark.parametrize("text", ["", "a b", "a[", "a[b]", "a[=1]", "a[b=]", "a]b["])
def test_a_choice_that_cannot_be_read_is_one_sentence(text):
    with pytest.raises(TaskmarkError, match=r"cannot be read; write"):
        MethodChoice.parse(text)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"densty": 0.1}, "no hyper-parameter of 'ties' called 'densty'; did you mean 'density'?"),
        ({"density": 7}, "'ties' does not take density = 7: input should be less than"),
        ({"density": "x"}, "'ties' does not take density = 'x': input should be a valid number"),
        ({"density": "nan"}, "'ties' does not take density = 'nan'"),
    ],
)
def test_a_hyperparameter_that_is_not_allowed_is_one_sentence(fields, words):
    with pytest.raises(TaskmarkError) as caught:
        build(Ties, fields)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_constructor_that_raises_is_one_sentence():
    class Broken(Method):
        name = "broken"

        @model_validator(mode="after")
        def _fail(self):
            raise RuntimeError("no way")

    with pytest.raises(TaskmarkError, match=r"'broken' cannot be made \(RuntimeError: no way\)"):
        build(Broken, {})


def test_a_file_may_hold_several_methods_and_is_read_once(write):
    path = write(HEADER + "".join(f'class {n}(Method):\n    name = "{n.lower()}"\n' for n in "AB"))
    first, second = find([path]), find([path, path])
    assert {"a", "b"} <= set(first)
    assert first["a"].method is second["a"].method
    assert (first["a"].origin, first["a"].source) == ("file", path)
    assert first["a"].code() == [path]


def test_a_file_that_was_edited_is_read_anew(write):
    for value in (1, 2):
        text = f'class A(Method):\n    name = "a"\n    value: int = {value}\n'
        assert find([write(HEADER + text)])["a"].method().value == value


def test_a_class_that_is_only_imported_is_not_the_plugins_own(write):
    path = write(
        "from taskmark.methods.ties import Ties\n\n\n"
        'class Mine(Ties):\n    """Mine."""\n    name = "mine"\n'
    )
    found = find([path])
    assert found["mine"].method.__base__ is found["ties"].method
    assert found["ties"].origin == "built-in"


FAULTY = {
    "a syntax error": ("def (:", "cannot be imported (SyntaxError: "),
    "an import that is not there": ("import no_such", "cannot be imported (ModuleNotFoundError: "),
    "an exit at import": ("raise SystemExit(3)", "cannot be imported (SystemExit: 3, line 1 of "),
    "an error at import": ("1 / 0", "division by zero, line 1 of "),
    "no method": ("x = 1", "defines no subclass of taskmark.Method with a name"),
    "a name with a type": (
        HEADER + 'class A(Method):\n    name: str = "a"',
        'write one that says name = "my_method", without a type',
    ),
    "a method without a name": (HEADER + "class A(Method):\n    pass", "defines no subclass"),
    "a taken name": (HEADER + 'class A(Method):\n    name = "ties"', "Two methods are called"),
    "a name in capitals": (HEADER + 'class A(Method):\n    name = "A b"', "is not an identifier"),
    "a name that is no text": (HEADER + "class A(Method):\n    name = 3", "is not an identifier"),
    "an unknown track": (
        HEADER + 'class A(Method):\n    name = "a"\n    track = "all"',
        "declares track = 'all'; use one of weights, unlabelled, labelled",
    ),
    "an unknown role": (
        HEADER + 'class A(Method):\n    name = "a"\n    role = "winner"',
        "declares role = 'winner'",
    ),
    "an unknown recipe": (
        HEADER + 'class A(Method):\n    name = "a"\n    recipe = "mine"',
        "declares recipe = 'mine'; use one of standard, tangent, post_hoc",
    ),
    "a scale range that is none": (
        HEADER + 'class A(Method):\n    name = "a"\n    scale_range = (1.0, 0.0)',
        "declares scale_range = (1.0, 0.0); give two finite numbers",
    ),
    "a number of tasks that is none": (
        HEADER + 'class A(Method):\n    name = "a"\n    n_tasks = (3, 2)',
        "declares n_tasks = (3, 2); give the least number of tasks",
    ),
    "no task at all": (
        HEADER + 'class A(Method):\n    name = "a"\n    n_tasks = (0, None)',
        "declares n_tasks = (0, None)",
    ),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_plugin_is_one_sentence_and_leaves_nothing_behind(write, fault):
    text, words = FAULTY[fault]
    before = set(sys.modules)
    with pytest.raises(TaskmarkError) as caught:
        find([write(text)])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    if "import" in words:
        assert not {name for name in set(sys.modules) - before if "plugin" in name}


@pytest.mark.parametrize("name", ["missing.py", "folder"])
def test_a_plugin_that_is_no_file_is_one_sentence(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(TaskmarkError, match="no plug-in file"):
        find([tmp_path / name])


def test_a_plugin_that_is_not_python_is_one_sentence(write):
    with pytest.raises(TaskmarkError, match="is not Python"):
        find([write("hello", "mine.txt")])


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package of two modules, installed with an entry point of the value given."""

    def install(value: str) -> Path:
        package = tmp_path / "sample_package"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "numbers.py").write_text("TWO = 2\n")
        (package / "method.py").write_text(
            HEADER + "from sample_package.numbers import TWO\n"
            'class Packed(Method):\n    """Packed."""\n    name = "packed"\n'
        )
        monkeypatch.syspath_prepend(tmp_path)
        point = EntryPoint("packed", value, registry.ENTRY_POINT_GROUP)
        monkeypatch.setattr(registry, "entry_points", lambda **_: [point])
        return package

    yield install
    for name in [name for name in sys.modules if name.startswith("sample_package")]:
        del sys.modules[name]


@pytest.mark.parametrize("value", ["sample_package.method", "sample_package.method:Packed"])
def test_an_installed_package_is_found_and_all_of_it_counts_as_its_code(installed, value):
    package = installed(value)
    found = find()["packed"]
    assert found.origin == "package"
    assert found.source == package / "method.py"
    assert found.code() == sorted(package.glob("*.py"))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("sample_package.nothing", "cannot be imported (ModuleNotFoundError"),
        ("sample_package.method:Nothing", "cannot be imported (AttributeError"),
        ("sample_package.numbers:TWO", "is no subclass of taskmark.Method"),
    ],
)
def test_a_broken_entry_point_is_one_sentence(installed, value, words):
    installed(value)
    with pytest.raises(TaskmarkError) as caught:
        find()
    assert words in str(caught.value)


def test_a_method_is_got_by_name_or_suggested():
    assert registry.get("ties") is Ties
    with pytest.raises(TaskmarkError, match="no method 'tie'; did you mean 'ties'"):
        registry.get("tie")


def test_built_in_methods_come_by_name_and_a_file_may_define_several():
    found = list(registry.built_in())
    assert [one.method.name for one in found] == sorted(one.method.name for one in found)
    assert {one.method.name for one in found if one.source.name == "iso.py"} == {"iso_c", "iso_cts"}
