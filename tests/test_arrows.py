"""The arrows between the folders: no stage imports one further down the flow."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmark", "methods", "suites", "reports")

# What a method may name: the contract, how recipes and probes are defined, and other methods.
CONTRACT = {
    "taskmark",
    "taskmark.contract.allocation",
    "taskmark.contract.edit",
    "taskmark.errors",
    "taskmark.contract.given",
    "taskmark.contract.head",
    "taskmark.contract.method",
    "taskmark.inference.probing",
    "taskmark.contract.weights",
}

# What suites may name besides: the rules that weights are held to, whoever hands them over.
OF_WEIGHTS = {"taskmark.contract.checkpoints", "taskmark.contract.tensor_names"}


def modules(folder: str) -> list[Path]:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    return files


def imported(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it; of a name imported, the module and it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively; write the full name"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def within(names: set[str], *packages: str) -> set[str]:
    return {n for n in names if any(n == p or n.startswith(f"{p}.") for p in packages)}


def ours(path: Path) -> set[str]:
    """The modules of taskmark that a file imports (names inside of modules left out)."""
    names = within(imported(path), "taskmark")
    return {n for n in names if n in KNOWN}


def _known() -> set[str]:
    prefix = {"benchmark": ("taskmark",)} | {f: ("taskmark", f) for f in FOLDERS[1:]}
    found = {"taskmark"}
    for folder in FOLDERS:
        for path in modules(folder):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found.add(".".join((*prefix[folder], *parts)))
    return found


KNOWN = _known()


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("path", modules("methods"), ids=names(modules("methods")))
def test_a_method_imports_the_contract_and_other_methods_alone(path):
    allowed = CONTRACT | {name for name in KNOWN if name.startswith("taskmark.methods")}
    if path.name == "__init__.py":
        allowed |= {"taskmark.plugins", "taskmark.plugins.registry"}
    assert ours(path) <= allowed


@pytest.mark.parametrize("path", modules("benchmark"), ids=names(modules("benchmark")))
def test_the_harness_imports_no_method_and_reports_only_in_its_commands(path):
    found = imported(path)
    assert not within(found, "taskmark.methods")
    assert not within(found, "taskmark.suites.mini")
    if path.parent.name != "commands":
        assert not within(found, "taskmark.reports")


def test_the_harness_names_no_competitor():
    """A method is found by scanning a folder, so no name of one stands in the harness."""
    method_names = {path.stem for path in modules("methods")} - {"__init__"}
    # These are words of the harness as well: stages and models, not methods.
    method_names -= {"experts", "pretrained", "coefficients"}
    for path in modules("benchmark"):
        tree = ast.parse(path.read_text("utf-8"))
        texts = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert not method_names & texts, path


@pytest.mark.parametrize("path", modules("reports"), ids=names(modules("reports")))
def test_reports_read_records_alone_and_need_no_torch(path):
    found = imported(path)
    assert not within(found, "torch", "timm", "open_clip", "safetensors")
    allowed = {
        "taskmark",
        "taskmark.records.record",
        "taskmark.records.record_files",
        "taskmark.errors",
    }
    allowed |= {name for name in KNOWN if name.startswith("taskmark.statistics")}
    metrics = {"localisation_record", "localisation_summary"}
    metrics |= {"negation_record", "negation_summary"}
    allowed |= {"taskmark.records", *(f"taskmark.records.{name}" for name in metrics)}
    allowed |= {"taskmark.records.catalogue", "taskmark.plugins.submission"}
    assert ours(path) <= allowed | {name for name in KNOWN if name.startswith("taskmark.reports")}


@pytest.mark.parametrize("path", modules("suites"), ids=names(modules("suites")))
def test_suites_import_nothing_of_the_harness(path):
    allowed = {name for name in KNOWN if name.startswith("taskmark.suites")}
    allowed |= {"taskmark.errors", "taskmark.contract", *OF_WEIGHTS}
    assert ours(path) - {"taskmark"} <= allowed


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_unpickles(folder):
    banned = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "torch.load"}
    for path in modules(folder):
        assert not banned & {name.partition(".")[0] for name in imported(path)}, path
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called == "torch.load" and "weights_only=True" in ast.unparse(node):
                continue  # reads tensors and plain containers alone
            assert called not in {"torch.load", "np.load", "numpy.load", "eval", "exec"}, path


@pytest.mark.parametrize("folder", FOLDERS)
def test_modules_go_by_the_name_they_are_installed_under(folder):
    for path in modules(folder):
        assert not within(imported(path), *FOLDERS), path


@pytest.mark.parametrize("folder", ["benchmark", "methods", "reports"])
def test_a_module_opens_with_one_sentence(folder):
    for path in modules(folder):
        text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        assert text.partition("\n\n")[0].endswith((".", "?")), path


@pytest.mark.parametrize("folder", ["benchmark", "methods", "reports"])
def test_no_library_function_seeds_a_global_generator(folder):
    banned = {"torch.manual_seed", "np.random.seed", "numpy.random.seed", "random.seed"}
    for path in modules(folder):
        calls = {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call)
        }
        assert not banned & calls, path
