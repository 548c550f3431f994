"""A tracking server with runs and a registry but no logged models and no aliases, as Azure Machine Learning's is."""

from __future__ import annotations

import itertools
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit


class Registry:
    """What the server holds. `asked` are the calls in order, `refused` those that it answered with 404."""

    def __init__(self, folder: Path, *, json_errors: bool) -> None:
        self.folder, self.json_errors = folder, json_errors
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.models: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[str] = []
        self.refused: list[str] = []
        self._ids = itertools.count(1)

    def answer(self, call: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to a call, None where there is none."""
        self.asked.append(call)
        act = getattr(self, call.replace("/", "_").replace("-", "_"), None)
        found: dict[str, Any] | None = act(body) if act is not None else None
        if found is None:
            self.refused.append(call)
        return found

    def experiments_get_by_name(self, body: dict[str, Any]) -> dict[str, Any]:
        name = body["experiment_name"]
        if name not in self.experiments:
            return {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such experiment"}
        return {"experiment": {"experiment_id": self.experiments[name], "name": name, "lifecycle_stage": "active"}}

    def experiments_create(self, body: dict[str, Any]) -> dict[str, Any]:
        self.experiments[body["name"]] = str(next(self._ids))
        return {"experiment_id": self.experiments[body["name"]]}

    def runs_create(self, body: dict[str, Any]) -> dict[str, Any]:
        run_id = uuid.uuid4().hex  # MLflow's client remembers where the artifacts of a run go
        info = {
            "run_id": run_id,
            "run_uuid": run_id,
            "experiment_id": body["experiment_id"],
            "status": "RUNNING",
            "artifact_uri": (self.folder / run_id).as_uri(),
            "lifecycle_stage": "active",
        }
        self.runs[run_id] = {"info": info, "data": {"tags": body.get("tags", []), "params": [], "metrics": []}}
        return {"run": self.runs[run_id]}

    def runs_get(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"run": self.runs[body["run_id"]]}

    def runs_log_batch(self, body: dict[str, Any]) -> dict[str, Any]:
        for kind in ("tags", "params", "metrics"):
            self.runs[body["run_id"]]["data"][kind] += body.get(kind, [])
        return {}

    def runs_update(self, body: dict[str, Any]) -> dict[str, Any]:
        self.runs[body["run_id"]]["info"]["status"] = body["status"]
        return {"run_info": self.runs[body["run_id"]]["info"]}

    def registered_models_create(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["name"] in self.models:
            return {"error_code": "RESOURCE_ALREADY_EXISTS", "message": "it is there"}
        self.models[body["name"]] = []
        return {"registered_model": {"name": body["name"]}}

    def registered_models_get(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"registered_model": {"name": body["name"]}}

    def model_versions_create(self, body: dict[str, Any]) -> dict[str, Any]:
        versions = self.models[body["name"]]
        kept: dict[str, Any] = {key: body[key] for key in ("name", "source", "run_id", "tags") if key in body}
        versions.append({**kept, "version": str(len(versions) + 1), "status": "READY"})
        return {"model_version": versions[-1]}

    def model_versions_get(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"model_version": self.models[body["name"]][int(body["version"]) - 1]}

    def model_versions_search(self, body: dict[str, Any]) -> dict[str, Any]:
        name = body["filter"].split("'")[1]
        return {"model_versions": self.models.get(name, [])}

    def model_versions_set_tag(self, body: dict[str, Any]) -> dict[str, Any]:
        tags = self.models[body["name"]][int(body["version"]) - 1].setdefault("tags", [])
        tags[:] = [tag for tag in tags if tag["key"] != body["key"]]
        tags.append({"key": body["key"], "value": body["value"]})
        return {}


@contextmanager
def serving(folder: Path, *, json_errors: bool = True) -> Iterator[tuple[str, Registry]]:
    """A server on loopback while the block runs: its address, and what it holds."""
    registry = Registry(folder, json_errors=json_errors)

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else dict(parse_qsl(parts.query))
            call = parts.path.partition("/mlflow/")[2]
            found = registry.answer(call, body)
            status = 404 if found is None else {"RESOURCE_DOES_NOT_EXIST": 404}.get(found.get("error_code", ""), 200)
            status = 400 if found is not None and found.get("error_code") == "RESOURCE_ALREADY_EXISTS" else status
            self.send_response(status)
            told = json.dumps(found if found is not None else {"error": {"code": "UserError", "message": "no"}})
            if found is None and not registry.json_errors:
                told = "<html>not here</html>"
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told.encode())

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _do

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
