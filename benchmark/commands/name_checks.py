"""Looking names up before anything heavy is imported, so that a typo is answered at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmark.contract.recipe import get_recipe
from taskmark.errors import unknown
from taskmark.machine.devices import KINDS, kind_of
from taskmark.plugins.method_choice import MethodChoice
from taskmark.plugins.method_index import index_methods
from taskmark.suite.suite_file import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from taskmark.config import RunConfig


def check_names(config: RunConfig) -> None:
    """Look up what a configuration names: suite, tasks, backbones, recipes, methods and device.

    Raises:
        TaskmarkError: if anything of it does not exist.
    """
    suite = load(config.suite).only(config.tasks)
    suite.chosen([name for name in config.backbones if name != "all"])
    for recipe in config.recipes:
        get_recipe(recipe)
    index_methods(config.plugins).check(config.methods)
    if config.device != "auto" and kind_of(config.device) not in KINDS:
        raise unknown("device", config.device, ("auto", *KINDS))


def check_methods(names: Sequence[str], files: Sequence[Path] = ()) -> None:
    """Look up methods by name, with those of plug-in files.

    Raises:
        TaskmarkError: if one does not exist, or a file is not there.
    """
    index_methods(files).check(map(MethodChoice, names))
