"""Explain the errors of the hub's library to a user, in a sentence."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from huggingface_hub import constants, errors

from taskmark.errors import TaskmarkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_UNKNOWN_TOKEN, _TOO_MANY, _OUT_OF_ORDER = 401, 429, 500
_KEPT = "whole files are kept, and one that was broken off starts anew"


class OutOfReachError(TaskmarkError):
    """The hub cannot be asked, so nobody knows what it has."""


_KNOWN: dict[type[Exception], str] = {
    errors.RevisionNotFoundError: "The hub has no commit {revision} of {repository}; its owner may "
    "have removed it: run `{command} lock` for another.",
    errors.GatedRepoError: "{repository} is gated: accept its terms on the hub's page, and give a "
    "token with `hf auth login`.",
    errors.RepositoryNotFoundError: "The hub has no repository {repository} that you may see; if "
    "it is private, give a token with `hf auth login`.",
    errors.RemoteEntryNotFoundError: "The hub lists a file of {at} that it cannot give (404); "
    "fetch again later.",
}
"""The first that fits counts: gated is a kind of not found."""


@contextmanager
def in_sentences(
    repository: str, revision: str, *, command: str = "taskmark data"
) -> Iterator[None]:
    """Say in a sentence what goes wrong on the way to the hub within the block.

    Args:
        repository: what is fetched.
        revision: at which commit.
        command: whose `fetch` and `lock` help.

    Raises:
        TaskmarkError: if the hub, the network or the disk is at fault.
    """
    try:
        yield
    except Exception as error:
        if (explained := sentence(error, repository, revision, command=command)) is None:
            raise
        kind = OutOfReachError if _is_of_network(error) else TaskmarkError
        raise kind(explained) from error


def sentence(
    error: BaseException, repository: str, revision: str, *, command: str = "taskmark data"
) -> str | None:
    """Say what went wrong on the way to the hub, and what helps.

    Args:
        error: whatever was raised; what caused it is looked at too.
        repository: what was fetched.
        revision: at which commit.
        command: whose `fetch` and `lock` help.

    Returns:
        Nothing if it is neither the hub's, nor the network's, nor the disk's.
    """
    causes = list(_causes(error))
    at = f"{repository} at the commit {revision[:12]}"
    for cause in causes:
        if explained := _of_one(cause, repository, revision, at, command):
            return explained
    if any(isinstance(cause, errors.OfflineModeIsEnabled) for cause in causes) or (
        constants.HF_HUB_OFFLINE and isinstance(error, errors.LocalEntryNotFoundError)
    ):
        return (
            f"{at} is not complete in the hub's cache, and HF_HUB_OFFLINE shuts the network: run "
            f"`{command} fetch` where there is one, and bring the cache (HF_HOME) along."
        )
    if any(_is_of_transfer(cause) for cause in causes):
        return (
            f"The transfer of {at} broke off ({_quote(causes)}); go on with the same command, and "
            f"if it breaks off again, with HF_HUB_DISABLE_XET=1 before it: {_KEPT}."
        )
    if isinstance(error, OSError | errors.EntryNotFoundError) or _is_of_network(error):
        return (
            f"{at} could not be fetched ({_quote(causes)}); see that there is a network, and go on "
            f"with the same command: {_KEPT}."
        )
    return None


def _quote(causes: Sequence[BaseException]) -> str:
    return " ".join(str(causes[-1]).split())[:160] or type(causes[-1]).__name__


def _of_one(
    cause: BaseException, repository: str, revision: str, at: str, command: str
) -> str | None:
    if isinstance(cause, OSError) and cause.errno in {errno.ENOSPC, errno.EDQUOT}:
        return (
            f"No space is left for {at} in the hub's cache; make room, or name another folder by "
            f"HF_HOME; {_KEPT}."
        )
    for kind, template in _KNOWN.items():
        if isinstance(cause, kind):
            return template.format(repository=repository, revision=revision, at=at, command=command)
    return _explain_refusal(cause, at) if isinstance(cause, errors.HfHubHTTPError) else None


def _explain_refusal(error: errors.HfHubHTTPError, at: str) -> str:
    status = error.response.status_code
    if status == _TOO_MANY:
        wait = error.response.headers.get("Retry-After")
        after = f"in {wait} s" if wait else "later"
        return f"The hub refuses {at}: too many requests (429); go on {after}, {_KEPT}."
    if status >= _OUT_OF_ORDER:
        return f"The hub is out of order ({status}) for {at}; go on later, {_KEPT}."
    if status == _UNKNOWN_TOKEN:
        return f"The hub refuses {at} (401): give a valid token with `hf auth login`."
    return f"The hub refuses {at} ({status}); see on its page whether you may fetch it."


def _is_of_transfer(error: BaseException) -> bool:
    """Whether it comes from the part of the library that moves large files in pieces."""
    names = {base.__name__ for base in type(error).__mro__}
    # The native part raises bare RuntimeErrors; what derives from them has a meaning of its own.
    return "XetDownloadError" in names or type(error) is RuntimeError


def _is_of_network(error: BaseException) -> bool:
    # The library under the hub's has been renamed before, so its errors go by their base alone.
    return any(base.__name__ == "HTTPError" for base in type(error).__mro__)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
