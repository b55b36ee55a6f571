"""What the collector costs: resident memory and CPU, idle and at 32 000 lines/s over 16 files, with TLS.

    python bench/sidecar.py [--seconds 20]

The tracker is a process that reads requests and answers; its cost is not counted. Beside the collector runs the least
that could follow the same files: `tail -F` of them all into /dev/null, which keeps, sends and survives nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FILES = 16
LINES = 32_000  # a second, all files together
LINE = b"step 000000 loss 0.123456 lr 3.0e-4 tokens/s 123456.7 grad_norm 0.98765 mem 71.2GiB\n"
BUDGET = {"RSS MiB": 56, "idle": 0.1, "busy": 1.5}


class Answers(BaseHTTPRequestHandler):
    """Takes everything."""

    protocol_version = "HTTP/1.1"
    received = 0

    def log_message(self, *args: object) -> None:
        """Quiet."""

    def do_PUT(self) -> None:
        self.answer({"epoch": 1, "incarnation": "bench", "streams": [], "pace": {"interval": 0.5}, "directives": []})

    def do_POST(self) -> None:
        self.answer({"ends": {}, "unknownFrames": 0, "pace": {"interval": 0.5}, "directives": []})

    def answer(self, value: dict[str, object]) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Answers.received += sum(int(n) for n in re.findall(rb'"n":(\d+)', body))
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def serve(folder: Path) -> tuple[str, str]:
    """Start the tracker; its address and its certificate."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-keyout", folder / "key", "-out", folder / "crt", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"https://localhost:{server.server_address[1]}", (folder / "crt").read_text()


def cost(pid: int) -> tuple[float, float, float]:
    """CPU seconds so far, resident MiB now and at most."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    used = sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return used / 1e9, _mib(status["VmRSS"]), _mib(status["VmHWM"])


def _mib(text: str) -> float:
    return int(text.split(maxsplit=1)[0]) / 1024


def write(files: list[Path], seconds: float) -> int:
    """Write LINES lines a second to the files; returns bytes."""
    outs = [file.open("ab", buffering=0) for file in files]
    began, turns = time.monotonic(), 0
    chunk = LINE * (LINES // 20 // FILES)
    while turns < seconds * 20:
        for out in outs:
            out.write(chunk)
        turns += 1
        time.sleep(max(0.0, began + turns / 20 - time.monotonic()))
    for out in outs:
        out.close()
    return turns * len(chunk) * FILES


def measure(name: str, process: subprocess.Popen[bytes], files: list[Path], seconds: float) -> dict[str, float]:
    """Idle, then busy: percent of a core, and resident MiB."""
    time.sleep(3)
    before, rss, _ = cost(process.pid)
    time.sleep(seconds)
    idle = (cost(process.pid)[0] - before) / seconds * 100
    before = cost(process.pid)[0]
    written = write(files, seconds)
    time.sleep(1.5)
    after, busy_rss, most = cost(process.pid)
    busy = (after - before) / seconds * 100
    sys.stderr.write(f"{name}: {written / seconds / 1e6:.2f} MB/s written\n")
    return {"idle": idle, "busy": busy, "RSS idle": rss, "RSS busy": busy_rss, "RSS most": most}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url, certificate = serve(folder)
        torch = folder / "volume/containers/train/0/torch/l/attempt_0"
        files = [torch / str(rank) / f"{stream}.log" for rank in range(FILES // 2) for stream in ("stdout", "stderr")]
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        (folder / "token").write_text("t")
        env = {
            "PATH": os.environ["PATH"],
            "OUTRIDER_DIR": str(folder / "volume"),
            "OUTRIDER_TRACKER_URL": url,
            "OUTRIDER_CA": certificate,
            "OUTRIDER_TOKEN_FILE": str(folder / "token"),
            "OUTRIDER_POD_UID": "bench",
            "OUTRIDER_TERMINATION_LOG": str(folder / "termination-log"),
        }
        results = {}
        collector = subprocess.Popen([sys.executable, "-m", "outrider_sidecar", "run"], env=env)
        results["collector"] = measure("collector", collector, files, seconds)
        collector.send_signal(signal.SIGTERM)
        collector.wait()
        words = json.loads((folder / "termination-log").read_text())
        assert words["unsentBytes"] == 0, words
        follower = subprocess.Popen(["tail", "-q", "-n", "0", "-F", *map(str, files)], stdout=subprocess.DEVNULL)
        results["tail -F"] = measure("tail -F", follower, files, seconds)
        follower.kill()
        follower.wait()
    print_table(results)


def print_table(results: dict[str, dict[str, float]]) -> None:
    """Ours beside the peer, the ratio and the budget."""
    ours, peer = results["collector"], results["tail -F"]
    rows = (
        ("CPU idle, % of a core", "idle", BUDGET["idle"]),
        ("CPU at 32 000 lines/s, %", "busy", BUDGET["busy"]),
        ("RSS idle, MiB", "RSS idle", BUDGET["RSS MiB"]),
        ("RSS at 32 000 lines/s, MiB", "RSS busy", BUDGET["RSS MiB"]),
        ("RSS at most, MiB", "RSS most", BUDGET["RSS MiB"]),
    )
    print(f"{'':28}{'collector':>10}{'tail -F':>10}{'ratio':>8}{'budget':>8}")
    for label, key, budget in rows:
        ratio = f"{ours[key] / peer[key]:.1f}" if peer[key] else "-"
        print(f"{label:28}{ours[key]:>10.2f}{peer[key]:>10.2f}{ratio:>8}{budget:>8}")


if __name__ == "__main__":
    main()
