"""A method with its hyper-parameters as plain values, found again wherever a stage needs it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taskmark.engine.stage import outside_key
from taskmark.plugins.registry import build
from taskmark.plugins.stand_ins import Limits, find_isolated
from taskmark.records.identity import hyperparameters_for_identity
from taskmark.records.provenance import method_facts
from taskmark.store.keys import method_code_hash

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from taskmark.contract.method import Method
    from taskmark.plugins.registry import Found
    from taskmark.records.envelope import MethodFacts


@dataclass(frozen=True, slots=True)
class PluginFiles:
    """The plug-ins of a run, and what holds for their code.

    Attributes:
        files: Python files with methods.
        time_limit: seconds that one edit may take.
        provider: the module that makes the suite's data, which plug-ins may not import.
    """

    files: tuple[Path, ...] = ()
    time_limit: float = 3600.0
    provider: str = ""

    @property
    def limits(self) -> Limits:
        """What holds for the code of plug-ins."""
        return Limits(self.time_limit, self.provider)

    def methods(self) -> dict[str, Found]:
        """All methods by name, with the plug-ins as their files are now."""
        contents = tuple(p.read_bytes() for p in self.files if p.is_file())
        return _methods(self, contents)


@dataclass(frozen=True, slots=True)
class MethodCall:
    """A method with its hyper-parameters.

    Attributes:
        name: of the method.
        hyperparameters: those that differ from their defaults.
        code: hash of the code that makes its results.
        source_sha256: of the file that defines it, as on the record.
        plugins: where it is found.
    """

    name: str
    hyperparameters: Mapping[str, Any]
    code: str
    source_sha256: str
    plugins: PluginFiles = outside_key(PluginFiles())

    @classmethod
    def of(
        cls, found: Found, hyperparameters: Mapping[str, Any], plugins: PluginFiles
    ) -> MethodCall:
        """The call of a method that was found.

        Raises:
            TaskmarkError: if a hyper-parameter is not allowed.
        """
        build(found.method, dict(hyperparameters))  # a wrong value is refused before anything runs
        return cls(
            found.method.name,
            hyperparameters_for_identity(
                found.hyperparameters(), dict(sorted(hyperparameters.items()))
            ),
            method_code_hash(tuple(sorted(found.code()))),
            found.source_sha256(),
            plugins,
        )

    def build(self) -> Method:
        """The method, ready to be run."""
        return build(self._found().method, dict(self.hyperparameters))

    def facts(self) -> MethodFacts:
        """What a record says of it."""
        return method_facts(self._found(), dict(self.hyperparameters))

    def _found(self) -> Found:
        return self.plugins.methods()[self.name]


@functools.cache
def _methods(plugins: PluginFiles, _contents: tuple[bytes, ...]) -> dict[str, Found]:
    return find_isolated(plugins.files, plugins.limits)
