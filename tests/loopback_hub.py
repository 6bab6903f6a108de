"""A server on this machine that answers as the hub does, and fails as it is told to."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

CONVERTED = "c" * 40
"""The commit of the branch that the hub makes itself."""

_API = re.compile(r"/api/\w+/(?P<repository>[^/]+/[^/]+)(?:/(?P<what>tree|revision)/(?P<at>.+))?")
_FILE = re.compile(r"(?:/datasets)?/(?P<repository>[^/]+/[^/]+)/resolve/(?P<at>[^/]+)/(?P<name>.+)")


@dataclass
class Hub:
    """What the server has, how it fails, and what it was asked.

    It has one repository, and `others` at the same commit. `converted` holds what the branch
    refs/convert/parquet of a repository has, at a commit of its own.

    `faults` holds answers for the next requests of a kind ("api", "tree", "resolve" or "content"),
    each a callable that takes the handler and says whether it answered.
    """

    repository: str
    revision: str
    files: dict[str, bytes]
    faults: dict[str, list] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    sent: dict[str, bytes] = field(default_factory=dict)  # other content than announced
    endpoint: str = ""
    others: dict[str, dict[str, bytes]] = field(default_factory=dict)
    converted: dict[str, dict[str, bytes]] = field(default_factory=dict)
    holds: str = "datasets"  # or "models", whose pages have no such word before their names

    def commits(self, repository):
        """The files of each commit of a repository; none if there is no such repository."""
        files = {self.repository: self.files, **self.others}.get(repository)
        if files is None:
            return {}
        found = {self.revision: files}
        if repository in self.converted:
            found[CONVERTED] = self.converted[repository]
        return found

    def kinds(self):
        return [kind for kind, _, _ in self.asked]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        if (found := _API.fullmatch(path)) and path.startswith(f"/api/{self.hub.holds}/"):
            kind, answer = ("tree", self.tree) if found["what"] == "tree" else ("api", self.info)
        elif path.startswith("/content/"):
            kind, answer, found = "content", self.content, path
        elif (found := _FILE.fullmatch(path)) and self.as_held(path):
            kind, answer = "resolve", self.resolve
        else:
            kind, answer = "other", self.no_repository
        self.hub.asked.append((kind, self.command, self.headers.get("Range", "")))
        faults = self.hub.faults.get(kind, [])
        if not (faults and faults.pop(0)(self)):
            answer(found)

    do_HEAD = do_GET  # noqa: N815 - the name that the server looks for

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def as_held(self, path):
        return path.startswith("/datasets/") == (self.hub.holds == "datasets")

    def no_repository(self, _asked):
        self.reply(404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")

    def no_revision(self):
        self.reply(404, X_Error_Code="RevisionNotFound", X_Error_Message="Invalid rev id")

    def info(self, asked):
        commits = self.hub.commits(asked["repository"])
        names = {None: self.hub.revision, "main": self.hub.revision}
        names |= {"refs/convert/parquet": CONVERTED}
        commit = names.get(asked["at"], asked["at"])
        if not commits:
            return self.no_repository(asked)
        if commit not in commits:
            return self.no_revision()
        body = {"id": asked["repository"], "sha": commit}
        return self.reply(200, json.dumps(body).encode(), Content_Type="application/json")

    def tree(self, asked):
        commits = self.hub.commits(asked["repository"])
        if not commits:
            return self.no_repository(asked)
        if asked["at"] not in commits:
            return self.no_revision()
        entries = []
        for name, content in commits[asked["at"]].items():
            lfs = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
            lfs["pointerSize"] = 130
            oid = hashlib.sha1(content).hexdigest()  # noqa: S324 - as git has it
            entry = {"type": "file", "path": name, "size": len(content), "oid": oid, "lfs": lfs}
            entries.append(entry)
        return self.reply(200, json.dumps(entries).encode(), Content_Type="application/json")

    def resolve(self, asked):
        commits = self.hub.commits(asked["repository"])
        if asked["at"] not in commits:
            return self.no_revision()
        if asked["name"] not in commits[asked["at"]]:
            return self.reply(404, X_Error_Code="EntryNotFound", X_Error_Message="no entry")
        content = commits[asked["at"]][asked["name"]]
        where = f"{asked['repository']}/{asked['at']}/{asked['name']}"
        return self.reply(
            302,
            # By another name of this machine: the hub's files lie on another host than its pages.
            Location=f"{self.hub.endpoint.replace('127.0.0.1', 'localhost')}/content/{where}",
            X_Repo_Commit=asked["at"],
            X_Linked_Etag=f'"{hashlib.sha256(content).hexdigest()}"',
            X_Linked_Size=str(len(content)),
        )

    def body(self):
        """The bytes of the file whose content is asked for."""
        owner, name, at, file = unquote(self.path).removeprefix("/content/").split("/", 3)
        return self.hub.sent.get(file, self.hub.commits(f"{owner}/{name}")[at][file])

    def content(self, _asked):
        content = self.body()
        asked = self.headers.get("Range")
        if not asked:
            return self.reply(200, content, Accept_Ranges="bytes")
        first = int(asked.removeprefix("bytes=").rstrip("-"))
        told = f"bytes {first}-{len(content) - 1}/{len(content)}"
        return self.reply(206, content[first:], Content_Range=told)


def refuse(status, **headers):
    """Answer with an error."""

    def fault(handler):
        handler.reply(status, **headers)
        return True

    return fault


def cut(handler):
    """Announce the whole file, send a part of it, and hang up."""
    content = handler.body()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 3])
    handler.wfile.flush()
    handler.close_connection = True
    return True


def trickle(handler):
    """Send a file in small pieces, with pauses."""
    content = handler.body()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    step = len(content) // 5 + 1
    for start in range(0, len(content), step):
        handler.wfile.write(content[start : start + step])
        handler.wfile.flush()
        time.sleep(0.02)
    return True


@contextmanager
def serve(hub):
    """Serve a hub on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
