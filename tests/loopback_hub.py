"""A server on this machine that answers as the hub does, and fails as it is told to."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Hub:
    """What the server has, how it fails, and what it was asked.

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
    holds: str = "datasets"  # or "models", whose pages have no such word before their names

    def kinds(self):
        return [kind for kind, _, _ in self.asked]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        api = f"/api/{self.hub.holds}/{self.hub.repository}"
        named = "/datasets" if self.hub.holds == "datasets" else ""
        resolve = f"{named}/{self.hub.repository}"
        if path.startswith(f"{api}/tree/"):
            kind, answer = "tree", self.tree
        elif path.startswith("/api/"):
            kind, answer = "api", self.info
        elif path.startswith("/content/"):
            kind, answer = "content", self.content
        elif path.startswith(f"{resolve}/resolve/"):
            kind, answer = "resolve", self.resolve
        else:
            kind, answer = "other", self.no_repository
        self.hub.asked.append((kind, self.command, self.headers.get("Range", "")))
        faults = self.hub.faults.get(kind, [])
        if not (faults and faults.pop(0)(self)):
            answer(path)

    do_HEAD = do_GET  # noqa: N815 - the name that the server looks for

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def no_repository(self, _path):
        self.reply(404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")

    def no_revision(self):
        self.reply(404, X_Error_Code="RevisionNotFound", X_Error_Message="Invalid rev id")

    def info(self, path):
        if path == f"/api/{self.hub.holds}/{self.hub.repository}":
            body = {"id": self.hub.repository, "sha": self.hub.revision}
            self.reply(200, json.dumps(body).encode(), Content_Type="application/json")
        else:
            self.no_repository(path)

    def tree(self, path):
        if not path.endswith(self.hub.revision):
            return self.no_revision()
        entries = []
        for name, content in self.hub.files.items():
            lfs = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
            lfs["pointerSize"] = 130
            oid = hashlib.sha1(content).hexdigest()  # noqa: S324 - as git has it
            entry = {"type": "file", "path": name, "size": len(content), "oid": oid, "lfs": lfs}
            entries.append(entry)
        return self.reply(200, json.dumps(entries).encode(), Content_Type="application/json")

    def resolve(self, path):
        revision, _, name = path.partition("/resolve/")[2].partition("/")
        if revision != self.hub.revision:
            return self.no_revision()
        if name not in self.hub.files:
            return self.reply(404, X_Error_Code="EntryNotFound", X_Error_Message="no entry")
        content = self.hub.files[name]
        return self.reply(
            302,
            # By another name of this machine: the hub's files lie on another host than its pages.
            Location=f"{self.hub.endpoint.replace('127.0.0.1', 'localhost')}/content/{name}",
            X_Repo_Commit=self.hub.revision,
            X_Linked_Etag=f'"{hashlib.sha256(content).hexdigest()}"',
            X_Linked_Size=str(len(content)),
        )

    def content(self, path):
        name = path.removeprefix("/content/")
        content = self.hub.sent.get(name, self.hub.files[name])
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
    content = handler.hub.files[unquote(handler.path).removeprefix("/content/")]
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 3])
    handler.wfile.flush()
    handler.close_connection = True
    return True


def trickle(handler):
    """Send a file in small pieces, with pauses."""
    content = handler.hub.files[unquote(handler.path).removeprefix("/content/")]
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
