"""A server on loopback that answers as Fabric and Power BI do, and remembers what it was asked."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["WORKSPACE", "Asked", "FakeFabric", "fake_fabric"]

WORKSPACE = "11111111-2222-3333-4444-555555555555"


@dataclass(frozen=True)
class Asked:
    """A request: `path` with what follows the question mark, `token` of its Authorization header."""

    method: str
    path: str
    token: str
    body: Any


@dataclass
class FakeFabric:
    """What the workspace holds, and how it answers."""

    root: str = ""
    asked: list[Asked] = field(default_factory=list)
    items: list[dict[str, str]] = field(default_factory=list)
    capacity: str | None = None
    takes_time: bool = False
    """Creation answers 202 and a place to ask at."""
    refuses: dict[str, tuple[int, str]] = field(default_factory=dict)
    """End of a path -> status and text."""

    def of(self, method: str, end: str) -> list[Asked]:
        """The requests whose path ends so, what follows a question mark aside."""
        return [one for one in self.asked if one.method == method and one.path.partition("?")[0].endswith(end)]

    def answer(self, asked: Asked) -> tuple[int, Any, dict[str, str]]:
        """Status, body and headers."""
        path = asked.path.partition("?")[0]
        for end, (status, text) in self.refuses.items():
            if path.endswith(end) and asked.method == "POST":
                return status, {"errorCode": text, "message": text}, {"x-ms-public-api-error-code": text}
        own = f"/v1/workspaces/{WORKSPACE}"
        about = {
            "id": WORKSPACE,
            "displayName": "Marketing",
            **({"capacityId": self.capacity} if self.capacity else {}),
        }
        plain: dict[str, Any] = {
            "/v1/workspaces": {"value": [{"id": "0" * 8, "displayName": "Other"}, about]},
            own: about,
            f"{own}/folders": {"value": []},
            f"{own}/items": {"value": self.items},
        }
        if asked.method == "GET" and path in plain:
            return 200, plain[path], {}
        if asked.method == "GET" and path.startswith("/operations/"):
            done = {"status": "Succeeded"}
            return 200, done, {"Location": f"{self.root}/results/{path.rpartition('/')[2]}"}
        if asked.method == "GET" and path.startswith("/results/"):
            return 200, self.items[int(path.rpartition("/")[2])], {}
        if asked.method == "POST" and path == f"{own}/items":
            return self._created(asked.body)
        if asked.method == "POST" and re.fullmatch(f"{own}/items/[0-9a-f-]+/updateDefinition", path):
            return 200, {}, {}
        if asked.method == "POST" and path.endswith("/refreshes"):
            return 202, None, {"x-ms-request-id": "r"}
        return 404, {"errorCode": "NotFound", "message": path}, {}

    def _created(self, body: Any) -> tuple[int, Any, dict[str, str]]:
        number = len(self.items)
        item = {"id": f"{number:08d}-0000-4000-8000-000000000000", "type": body["type"], "description": ""}
        self.items.append({**item, "displayName": body["displayName"]})
        if self.takes_time:
            return 202, None, {"Location": f"{self.root}/operations/{number}", "Retry-After": "0"}
        return 201, self.items[-1], {}


@contextmanager
def fake_fabric() -> Iterator[FakeFabric]:
    """The server, while it is needed."""
    fake = FakeFabric()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = str(self.headers.get("Authorization")).removeprefix("Bearer ")
            asked = Asked(self.command, self.path, token, json.loads(sent) if sent else None)
            fake.asked.append(asked)
            status, body, headers = fake.answer(asked)
            data = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            kind = {} if body is None else {"Content-Type": "application/json"}
            for name, value in {**kind, **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = _do

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.root = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
