"""Check Power BI projects with Microsoft's own readers: `make check-powerbi`, or with a folder (ARGS=out/powerbi).

Without a folder it draws projects of every kind, with names that are hard to quote. Needs node and npm, and fetches
three packages of Microsoft's on first use, for development only: the report's validator (MIT), the parser of Power
Query (MIT), and the modelling server, which brings the Tabular Object Model (preview terms: to develop and test).
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOOLS = Path(os.environ.get("PBIP_TOOLS", Path.home() / ".cache" / "segengine-powerbi"))
PACKAGES = {
    "@microsoft/powerbi-report-authoring-cli": "0.1.4",
    "@microsoft/powerbi-modeling-mcp": "0.5.0-beta.13",
    "@microsoft/powerquery-parser": "2.0.0",
}
SECONDS = 90
PARSE = """
const { TaskUtils, DefaultSettings } = require("@microsoft/powerquery-parser");
const fs = require("fs");
(async () => {
  const texts = JSON.parse(fs.readFileSync(0, "utf8"));
  for (const [name, text] of Object.entries(texts)) {
    const task = await TaskUtils.tryLexParse(DefaultSettings, text);
    if (!TaskUtils.isParseStageOk(task)) console.log(name + ": " + (task.error ? task.error.message : task.stage));
  }
})();
"""


def main(arguments: list[str]) -> int:
    """Print a line for each finding; 1 when there is one, 2 when the tools cannot be had."""
    if shutil.which("npm") is None:
        print("check-powerbi needs node and npm, which are not installed here: NOTHING WAS CHECKED.")
        return 2
    install()
    with tempfile.TemporaryDirectory() as work:
        folders = [Path(a) for a in arguments] or list(drawn(Path(work)))
        total = 0
        for folder in folders:
            findings = [*report_findings(folder), *model_findings(folder)]
            print(f"{folder.name}: {len(findings)} findings")
            for line in findings:
                print(f"  {line}")
            total += len(findings)
    return 1 if total else 0


def install() -> None:
    """Fetch the packages where they are not there yet."""
    wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
    if not all((TOOLS / "node_modules" / name).exists() for name in PACKAGES):
        TOOLS.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(TOOLS), *wanted]
        subprocess.run(command, check=True)


def drawn(work: Path) -> Iterator[Path]:
    """Projects of every kind, drawn from made-up publications."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from segengine.report.powerbi import project
    from tests.powerbi_facts import VARIANTS

    for name, (published, options) in VARIANTS.items():
        folder = work / name.replace(" ", "-")
        for path, data in project(published, options).files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        yield folder


def report_findings(folder: Path) -> Iterator[str]:
    """What Microsoft's report validator says."""
    for report in sorted(folder.glob("*.Report")):
        command = [str(TOOLS / "node_modules/.bin/powerbi-report-author"), "validate", "--no-schema", str(report)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            groups = json.loads(run.stdout).get("data", {}).get("diagnostics", {})
        except ValueError:
            yield f"{report.name}: {(run.stdout + run.stderr)[:300]}"
            continue
        for code, group in groups.items():
            for item in group.get("items", []):
                yield f"{report.name}: {group.get('severity')} {code} {item.get('path', '')}: {item['message']}"


def model_findings(folder: Path) -> Iterator[str]:
    """Whether the Tabular Object Model loads the model and writes the same text, and whether every query parses."""
    for model in sorted(folder.glob("*.SemanticModel")):
        server = Server()
        try:
            with tempfile.TemporaryDirectory() as back:
                definition = model / "definition"
                error = server.ask("connection_operations", operation="ConnectFolder", folderPath=str(definition))
                if error:
                    yield f"{model.name}: {error}"
                    continue
                bim = Path(back) / "model.bim"
                server.ask("database_operations", operation="ExportToTmdlFolder", tmdlFolderPath=f"{back}/tmdl")
                server.ask("database_operations", operation="ExportToBimFile", bimFilePath=str(bim))
                yield from different(definition, Path(back) / "tmdl")
                yield from query_findings(json.loads(bim.read_text("utf-8-sig"))["model"])
        finally:
            server.close()


def different(ours: Path, theirs: Path) -> Iterator[str]:
    """Files that Power BI Desktop would write otherwise: they would show as changes when an analyst saves."""
    for file in sorted(theirs.rglob("*.tmdl")):
        same = ours / file.relative_to(theirs)
        if not same.exists():
            yield f"{file.name}: Microsoft's writer names it so, we do not"
        elif same.read_text("utf-8").split() != file.read_text("utf-8-sig").split():
            yield f"{file.name}: Microsoft's writer writes it otherwise"


def query_findings(model: dict[str, Any]) -> list[str]:
    """What Microsoft's parser of Power Query refuses."""
    texts = {e["name"]: joined(e["expression"]) for e in model.get("expressions", [])}
    for table in model["tables"]:
        for partition in table["partitions"]:
            texts[table["name"]] = joined(partition["source"]["expression"])
    command = ["node", "-e", PARSE]
    environment = {**os.environ, "NODE_PATH": str(TOOLS / "node_modules")}
    run = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, env=environment, check=False)
    return [f"query {line}" for line in (run.stdout + run.stderr[:300]).splitlines()]


def joined(text: str | list[str]) -> str:
    """An expression of the exported model as one text."""
    return text if isinstance(text, str) else "\n".join(text)


class Server:
    """The modelling server: JSON-RPC over a pipe."""

    def __init__(self) -> None:
        program = TOOLS / "node_modules/@microsoft/powerbi-modeling-mcp-linux-x64/dist/powerbi-modeling-mcp"
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG")}
        self.process = subprocess.Popen(
            [str(program), "--start", "--read-write", "--skip-confirmation"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=kept,
        )
        self.lines: queue.Queue[str] = queue.Queue()
        self.sent = 0
        threading.Thread(target=self._read, daemon=True).start()
        client = {"name": "check", "version": "0"}
        self._call("initialize", {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": client})
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def ask(self, tool: str, **request: str) -> str:
        """Use a tool; the error's text, empty when there is none."""
        answer = self._call("tools/call", {"name": tool, "arguments": {"request": request}})
        if "error" in answer:
            return json.dumps(answer["error"])
        result = answer["result"]
        return "".join(part.get("text", "") for part in result["content"])[:600] if result.get("isError") else ""

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.terminate()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def _call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self.sent += 1
        self._send({"jsonrpc": "2.0", "id": self.sent, "method": method, "params": parameters})
        while True:
            try:
                answer: dict[str, Any] = json.loads(self.lines.get(timeout=SECONDS))
            except ValueError:
                continue
            if answer.get("id") == self.sent and ("result" in answer or "error" in answer):
                return answer


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
