"""Hold every method that another library has against it, on the same random models.

    python compare.py mergekit=PYTHON fusion_bench=PYTHON

`nox -s parity` installs both and runs this. A row says by how much the results differ, relative to
the norm of ours, and their cosine; both are of what is added to theta0. It fails where two that
should agree do not.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from cases import CASES, Case
from rich.table import Table
from safetensors.torch import load_file, save_file

import taskmark.methods
from taskmark import Given, WeightSpace
from taskmark.console import PlainConsole

AGREES = 1e-3  # of the norm: float32 against float32, through the SVDs of either
# Sizes are multiples of 20, so that rounding a share of the entries to a count is no question.
SHAPES = {
    "embedding.weight": (60, 3, 4, 5),
    "first.weight": (120, 60),
    "first.bias": (120,),
    "second.weight": (60, 120),
    "second.bias": (60,),
    "norm.weight": (60,),
}
N_EXPERTS = 4


def random_models() -> tuple[torch.Tensor, torch.Tensor, WeightSpace]:
    """theta0 [P], experts [T, P] and the layout; tensors differ in the size of their steps."""
    generator = torch.Generator().manual_seed(0)
    space = WeightSpace.of({name: torch.empty(shape) for name, shape in SHAPES.items()})
    pretrained = torch.randn(space.size, generator=generator)
    # A common part, since experts whose cosines are negative are a case of its own to model stock.
    vectors = torch.randn(N_EXPERTS, space.size, generator=generator)
    vectors += 0.5 * torch.randn(space.size, generator=generator)
    for number, part in enumerate(space, start=1):
        vectors[:, part.slice] *= 0.03 * number
    return pretrained, pretrained + vectors, space


def theirs(
    library: str, python: str, source: Path
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The weights that the library merges, and the reasons why it fails, by the case's place."""
    folder = source.parent
    target, listed = folder / f"{library}.safetensors", folder / f"{library}.json"
    cases = [
        {"method": case.theirs, "parameters": dict(case.parameters)}
        for case in CASES
        if case.library == library
    ]
    listed.write_text(json.dumps(cases), "utf-8")
    script = str(Path(__file__).with_name("library.py"))
    command = [python, script, str(source), str(target), str(listed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(done.stderr)
    return load_file(target), json.loads(done.stdout.splitlines()[-1])


def row(case: Case, found: torch.Tensor, own: torch.Tensor) -> tuple[bool, str, str, str]:
    """Whether it is as expected; the difference, the cosine, and what is to say of them."""
    difference = float((found - own).norm() / own.norm())
    cosine = float(torch.nn.functional.cosine_similarity(found, own, dim=0))
    agrees = difference <= AGREES
    expected = agrees or bool(case.why)
    verdict = case.why or ("agrees" if agrees else "[bold red]differs, and nobody says why")
    return expected, f"{difference:.1e}", f"{cosine:.4f}", verdict


def main(*libraries: str) -> int:
    """Compare with the libraries given as NAME=PYTHON; the number of unexplained differences."""
    pretrained, experts, space = random_models()
    table = Table("library", "their method", "our method", "difference", "cosine", "")
    unexplained = 0
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "models.safetensors"
        shapes = json.dumps(SHAPES)
        save_file({"pretrained": pretrained, "experts": experts}, source, {"shapes": shapes})
        for library, python in (pair.split("=", 1) for pair in libraries):
            merged, failed = theirs(library, python, source)
            for place, case in enumerate(c for c in CASES if c.library == library):
                fields = ", ".join(f"{name}={value}" for name, value in case.fields.items())
                names = (library, case.theirs.rpartition(":")[2], f"{case.ours}({fields})")
                if str(place) in failed:
                    table.add_row(*names, "", "", f"their call fails: {failed[str(place)]}")
                    continue
                vectors = experts[: case.n_experts] - pretrained
                method = taskmark.methods.get(case.ours)(**case.fields)
                own = method.merge(Given.of_weights(pretrained, vectors, space))
                expected, *said = row(case, merged[str(place)] - pretrained, own)
                unexplained += not expected
                table.add_row(*names, *said)
    PlainConsole(width=200).print(table)
    return unexplained


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
