"""A hub on this machine: as much of the Hugging Face hub's API as fetching a model needs."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

COMMIT = "a" * 40


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(self.path.split("?")[0])
        self.server.asked.append(path)
        found = self.server.find(path)
        if found is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            found = b""
        else:
            self.send_response(200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha1(found).hexdigest()}"')
        self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        if with_body:
            self.wfile.write(found)

    def log_message(self, *args: object) -> None:
        return


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, repositories: Mapping[str, Mapping[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories = repositories
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def find(self, path: str) -> bytes | None:
        for name, files in self.repositories.items():
            if path == f"/api/models/{name}":
                siblings = [{"rfilename": file} for file in files]
                return json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode()
            place = f"/{name}/resolve/main/"
            if path.startswith(place):
                return files.get(path.removeprefix(place))
        return None


@contextmanager
def serving(repositories: Mapping[str, Mapping[str, bytes]]) -> Iterator[_Server]:
    """A hub with these repositories: name to file name to content."""
    server = _Server(repositories)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
