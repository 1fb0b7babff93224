"""A model hub on this machine: as much of Hugging Face's and of ModelScope's protocols as their clients need to fetch a
repository of files.

Knows HTTP and folders; nothing of models.  Protocols: huggingface.co/docs/hub/api, and what `huggingface_hub` and
`modelscope-hub` ask for.
"""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

COMMIT = "0" * 40
NOWHERE = "http://127.0.0.1:9"
API = "/api/v1/models/"  # ModelScope's


class Hub:
    """What a hub serves, what it was asked for, and where it breaks."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self.folders = folders
        self.asked: list[str] = []
        self.ranges: list[str] = []
        self.sizes: dict[str, int] = {}  # it claims these of files, by their names
        self.breaks_at: int | None = None  # this byte of a file; there the connection ends

    def repository(self, path: str) -> tuple[str, Path] | tuple[None, None]:
        asked = f"{urlsplit(path).path}/"
        return next(((name, folder) for name, folder in self.folders.items() if f"/{name}/" in asked), (None, None))

    def size(self, name: str, path: Path) -> int:
        return self.sizes.get(name, path.stat().st_size)


@contextmanager
def serve(folders: dict[str, Path], modelscope: bool = False):
    """Serve folders as repositories, by name; gives the environment in which the clients find them, and the hub.

    The other hub is out of reach.
    """
    hub = Hub(folders)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield unreachable() | {"MODELSCOPE_ENDPOINT" if modelscope else "HF_ENDPOINT": here}, hub
    finally:
        server.shutdown()
        server.server_close()


def unreachable() -> dict[str, str]:
    """The environment without a hub."""
    return {
        "MODELSCOPE_ENDPOINT": NOWHERE,
        "MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS": "1",  # its client would wait 7 s for the network to come back
        "HF_ENDPOINT": NOWHERE,
        "HF_HUB_OFFLINE": "0",  # a model that another test loaded says otherwise
    }


def _handler(hub: Hub):
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self._answer(body=False)

        def do_GET(self):
            self._answer(body=True)

        def _answer(self, body):
            hub.asked.append(self.path)
            name, folder = hub.repository(self.path)
            if folder is None:
                self.send_error(404)
            elif self.path.startswith(f"{API}{name}/repo/files"):
                self._send_json({"Code": 200, "Success": True, "Data": {"Files": _modelscope_files(hub, folder)}}, body)
            elif self.path.startswith(f"{API}{name}/repo?"):
                self._send_file(folder / parse_qs(urlsplit(self.path).query)["FilePath"][0], body)
            elif self.path.startswith(f"/api/models/{name}"):
                self._send_json(_tree(folder) if "/tree/" in self.path else _about(hub, folder, name), body)
            elif self.path.startswith(f"/{name}/resolve/"):
                self._send_file(folder / self.path.split("/", 5)[5].split("?")[0], body)
            else:
                self.send_error(404)

        def _send_json(self, document, body):
            self._send(json.dumps(document).encode(), "application/json", body)

        def _send_file(self, path, body):
            data = path.read_bytes()
            self._send(data, "application/octet-stream", body, hub.breaks_at)

        def _send(self, data, kind, body, breaks_at=None):
            tag, total = hashlib.sha1(data).hexdigest(), len(data)
            start, stop = self._range(total) if kind != "application/json" else (0, total)
            self.send_response(206 if (start, stop) != (0, total) else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(stop - start))
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{total}")
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{tag}"')
            self.end_headers()
            if body:
                self.wfile.write(data[start:stop] if breaks_at is None else data[start : min(stop, breaks_at)])

        def _range(self, total):
            wanted = self.headers.get("Range", "")
            if not wanted.startswith("bytes="):
                return 0, total
            hub.ranges.append(wanted)
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            return int(first), min(total, int(last) + 1) if last else total

        def log_message(self, *_): ...

    return Handler


def _files(folder: Path):
    return [(str(path.relative_to(folder)), path) for path in sorted(folder.rglob("*")) if path.is_file()]


def _tree(folder: Path):
    return [
        {"type": "file", "path": name, "size": path.stat().st_size, "oid": hashlib.sha1(path.read_bytes()).hexdigest()}
        for name, path in _files(folder)
    ]


def _about(hub: Hub, folder: Path, repository: str):
    siblings = [{"rfilename": name, "size": hub.size(name, path)} for name, path in _files(folder)]
    return {"id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings}


def _modelscope_files(hub: Hub, folder: Path):
    return [
        {
            "Path": name,
            "Name": Path(name).name,
            "Type": "blob",
            "Size": hub.size(name, path),
            "Sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "Revision": COMMIT,
            "CommittedDate": 1_750_000_000,
        }
        for name, path in _files(folder)
    ]
