"""Where every page lies, and how pages lead to each other without a server."""

from __future__ import annotations

import hashlib
import posixpath
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskmark.records.disentanglement_record import DisentanglementRecord
    from taskmark.records.localisation_record import LocalisationRecord
    from taskmark.records.negation_record import NegationRecord
    from taskmark.records.record import Record
    from taskmark.reports.board import Board
    from taskmark.reports.site.content import Edition

HOME = "index.html"
METHODS = "methods/index.html"
DATA = "data.html"
ABOUT = "about.html"

_ID_CHARACTERS = 16
_LONGEST = 60
_PLAIN = re.compile(r"[a-z0-9_][a-z0-9_.@+-]{0,59}")


def slug(text: str) -> str:
    """Make a file's name: the text itself if it is plain, else what is plain in it and a hash."""
    if _PLAIN.fullmatch(text):
        return text
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_LONGEST]
    return f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:8]}".strip("-")


def relative(target: str, page: str) -> str:
    """Path from one page to another, both as paths within the site."""
    place, hash_mark, fragment = target.partition("#")
    return posixpath.relpath(place, posixpath.dirname(page) or ".") + hash_mark + fragment


def overview(edition: Edition, *, default: bool) -> str:
    """The overview of an edition; that of the default edition is the home page."""
    return HOME if default else f"{edition.folder}/index.html"


def board(edition: Edition, found: Board, seed: int | None = None) -> str:
    """The board of a backbone, of all its seeds together or of one."""
    first = next(iter(edition.boards_of(found.backbone)), found)
    tasks = (
        "" if found == first else f"-{len(found.tasks)}-tasks-{slug('+'.join(found.tasks))[-6:]}"
    )
    of_seed = "" if seed is None else f"-seed-{seed}"
    return f"{edition.folder}/board-{slug(found.backbone)}{tasks}{of_seed}.html"


def plots(edition: Edition, backbone: str) -> str:
    """The figures of a backbone."""
    return f"{edition.folder}/plots-{slug(backbone)}.html"


def backbone(edition: Edition, name: str) -> str:
    """The card of a backbone."""
    return f"{edition.folder}/backbone-{slug(name)}.html"


def task(edition: Edition, name: str) -> str:
    """The card of a task."""
    return f"{edition.folder}/task-{slug(name)}.html"


def findings(edition: Edition) -> str:
    """The findings of an edition."""
    return f"{edition.folder}/findings.html"


def disentanglement(edition: Edition) -> str:
    """The maps and other metrics of an edition."""
    return f"{edition.folder}/disentanglement.html"


def method(name: str) -> str:
    """The page of a method."""
    return f"methods/{slug(name)}.html"


def record(of: Record) -> str:
    """The page of a record."""
    return f"records/{of.record_id[:_ID_CHARACTERS]}.html"


def metric_json(of: DisentanglementRecord | NegationRecord | LocalisationRecord) -> str:
    """The record of a map, of negation or of localisation."""
    return f"data/metrics/{of.record_id[:_ID_CHARACTERS]}.json"


def record_json(of: Record) -> str:
    """The record itself."""
    return f"data/records/{of.record_id[:_ID_CHARACTERS]}.json"
