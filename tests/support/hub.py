"""A model hub on this machine: as much of Hugging Face's protocol as its client needs to fetch a repository of files.

Knows HTTP and a folder; nothing of models.  Protocol: huggingface.co/docs/hub/api, and what `huggingface_hub` asks for.
"""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0" * 40


@contextmanager
def serve(folders: dict[str, Path]):
    """Serve folders as repositories, by name; gives the endpoint's address and the list of paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self._answer(body=False)

        def do_GET(self):
            self._answer(body=True)

        def _answer(self, body):
            asked.append(self.path)
            repository = next((name for name in folders if f"/{name}/" in f"{self.path}/"), None)
            folder = folders.get(repository)
            if folder and self.path.startswith(f"/api/models/{repository}"):
                listing = _tree(folder) if "/tree/" in self.path else _about(folder, repository)
                self._send(json.dumps(listing).encode(), "application/json", body)
            elif folder and self.path.startswith(f"/{repository}/resolve/"):
                self._send(
                    (folder / self.path.split("/", 5)[5].split("?")[0]).read_bytes(), "application/octet-stream", body
                )
            else:
                self.send_error(404)

        def _send(self, data, kind, body):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *_): ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


def _files(folder: Path):
    return [(str(path.relative_to(folder)), path) for path in sorted(folder.rglob("*")) if path.is_file()]


def _tree(folder: Path):
    return [
        {"type": "file", "path": name, "size": path.stat().st_size, "oid": hashlib.sha1(path.read_bytes()).hexdigest()}
        for name, path in _files(folder)
    ]


def _about(folder: Path, repository: str):
    siblings = [{"rfilename": name} for name, _ in _files(folder)]
    return {"id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings}
