"""Outrider as installed by its chart on a real cluster, and the training jobs that the scenarios run on it."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import requests
import yaml

from outrider_sidecar import contract
from tests.e2e.kube import Kube, Obj, RefusedError, wait_for
from tests.e2e.recorder import Record, Recorder
from tools.cluster import Cluster
from tools.demo.release import NAMESPACE

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ENDED = {"Finished", "Failed", "Crashed", "Killed", "Preempted"}
CHUNK = 4 << 20


def names_of(job: Obj) -> tuple[str, str]:
    """Namespace and name."""
    return job["metadata"]["namespace"], job["metadata"]["name"]


@dataclass
class Tracker:
    """The tracker's API as an administrator sees it; addresses change when its pod is replaced."""

    address: Callable[[], str]
    key: str
    http: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.http.trust_env = False
        self.http.headers["Authorization"] = f"Bearer {self.key}"

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a door below /api/v1."""
        answer = self.http.get(f"{self.address()}/api/v1{path}", params=query, timeout=30)
        if answer.status_code >= 400:
            raise RefusedError(f"{answer.status_code} {path}: {answer.text[:500]}")
        return answer.json()

    def bytes_of(self, stream: str) -> tuple[bytes, list[tuple[int, int]]]:
        """All bytes of a stream's newest generation, with zeros where bytes are lost, and the lost ranges."""
        end = self.get(f"/streams/{stream}")["end"]
        out, lost = bytearray(), []
        while len(out) < end:
            answer = self.http.get(
                f"{self.address()}/api/v1/streams/{stream}/bytes",
                params={"offset": len(out), "limit": CHUNK},
                timeout=30,
            )
            assert answer.status_code in {200, 206}, answer.text[:500]
            out += answer.content
            if gap := answer.headers.get("Outrider-Lost"):
                first, last = map(int, gap.split("-"))
                assert first == len(out), f"lost range {gap} announced at {len(out)}"
                lost.append((first, last))
                out += bytes(last - first)
            else:
                assert answer.content, f"stream {stream} gave nothing at {len(out)} of {end}"
        return bytes(out), lost


@dataclass
class Product:
    """The installed product and its cluster."""

    cluster: Cluster
    kube: Kube
    tracker: Tracker
    recorder: Recorder

    @property
    def nodes(self) -> list[str]:
        """The nodes' network namespaces."""
        return [self.cluster.layout.netns(number) for number in self.cluster.state.numbers]

    def pods_of(self, ns: str, job: str) -> list[Obj]:
        """The pods of a Job, in index order."""
        pods = self.kube.list("Pod", ns, labelSelector=f"batch.kubernetes.io/job-name={job}")
        return sorted(pods, key=lambda pod: pod["metadata"]["name"])

    def job_conditions(self, ns: str, job: str) -> set[str]:
        """Types of a Job's conditions that are True."""
        found = self.kube.get("Job", ns, job) or {}
        return {c["type"] for c in found.get("status", {}).get("conditions", []) if c["status"] == "True"}

    def part(self, component: str) -> list[Obj]:
        """The pods of controller, webhook or tracker that are to stay."""
        return [pod for pod in self._all_of(component) if "deletionTimestamp" not in pod["metadata"]]

    def wait_gone(self, component: str) -> None:
        """Returns when a part has no pod left, also none that is ending: those still finish what they are asked."""
        wait_for(f"the pods of {component} to be gone", lambda: not self._all_of(component), 60)

    def _all_of(self, component: str) -> list[Obj]:
        return self.kube.list("Pod", NAMESPACE, labelSelector=f"app.kubernetes.io/component={component}")

    def run_of(self, ns: str, uid: str) -> Obj | None:
        """The Run that was made for the workload with this UID."""
        for run in self.kube.list("Run", ns):
            if run["metadata"]["name"].endswith(f"-{uid[:8]}"):
                return run
        return None

    def start(
        self,
        ns: str,
        example: str,
        environment: Mapping[str, str] = MappingProxyType({}),
        *,
        restricted: bool = False,
        linger: str = "",
    ) -> Obj:
        """Applies an example's Service and Job with some of the trainer's environment changed; answers the Job.

        linger: how long its pods wait at their end for a tracker that does not answer; empty: as the example says.
        """
        file = EXAMPLES / example / ("restricted/job.yaml" if restricted else "job.yaml")
        job: Obj = {}
        for found in yaml.safe_load_all(file.read_text()):
            obj = copy.deepcopy(found)
            if obj["kind"] == "Job":
                template = obj["spec"]["template"]
                set_environment(template["spec"]["containers"][0], environment)
                if linger:
                    template["metadata"]["annotations"][contract.LINGER] = linger
            made = self.kube.create(obj, ns)
            job = made if obj["kind"] == "Job" else job
        job["kind"] = "Job"
        return job

    def wait_run(self, job: Obj, what: str, probe: Callable[[Obj], object], timeout: float = 120) -> Obj:
        """The Job's Run as soon as `probe` is content with it."""
        ns, _ = names_of(job)

        def look() -> Obj | None:
            run = self.run_of(ns, job["metadata"]["uid"])
            return run if run and probe(run) else None

        try:
            return wait_for(what, look, timeout)
        except AssertionError as error:
            run = self.run_of(ns, job["metadata"]["uid"]) or {}
            raise AssertionError(f"{error}\n{json.dumps(run.get('status'), indent=1)}") from None

    def wait_joined(self, job: Obj, timeout: float = 120) -> Obj:
        """The Run as soon as all of its ranks run and have begun to train."""
        run = self.wait_run(job, "all ranks to run", lambda run: state(run) == "Running", timeout)
        self.wait_step(job, 1, timeout)
        return run

    def wait_step(self, job: Obj, step: int, timeout: float = 120) -> None:
        """Returns when some rank has recorded this training step."""
        ns, name = names_of(job)
        mark = f" step={step} ".encode()

        def look() -> bool:
            uids = {pod["metadata"]["uid"] for pod in self.pods_of(ns, name)}
            return any(mark in text for text in self.recorder.of(uids).values())

        wait_for(f"step {step} of {name}", look, timeout)

    def wait_ended(self, job: Obj, timeout: float = 180) -> Obj:
        """The Run in a terminal state."""
        return self.wait_run(job, "the Run to end", lambda run: state(run) in ENDED, timeout)

    def ranks(self, run: Obj) -> list[Obj]:
        """The tracker's rank records of a Run."""
        path = re.sub(r"^https?://[^/]+", "", run["status"]["url"]).replace("/runs/", "/", 1)
        items: list[Obj] = self.tracker.get(f"/runs{path}/ranks")["items"]
        return items

    def ends(self, run: Obj) -> dict[tuple[str, str], int]:
        """(source, stream name) -> durable end at the tracker, of every stream of the Run's pods."""
        path = re.sub(r"^https?://[^/]+", "", run["status"]["url"]).replace("/runs/", "/", 1)
        return {(s["source"], s["name"]): s["end"] for s in self.tracker.get(f"/runs{path}/streams")["items"]}

    def check_bytes(self, run: Obj, pod_uids: set[str], wanted_ranks: int = 4) -> dict[Record, bytes]:
        """Every byte that each rank recorded is at the tracker under its rank, once. Answers the records.

        What the rank did not record itself (the interpreter's own words about an exception, say) may follow in the
        tracker's copy only as complete text after the recorded bytes; nothing may be missing or come in between.
        """
        records = self.recorder.of(pod_uids)
        assert {key.rank for key in records} >= set(range(wanted_ranks)), f"records: {sorted(records)}"
        by_key: dict[Record, list[str]] = {}
        for rank in self.ranks(run):
            if rank["rank"] is not None:
                for stream in rank["streams"]:
                    key = Record(rank["source"], rank["rank"], rank["restart"], stream["kind"])
                    by_key.setdefault(key, []).append(stream["id"])
        problems = []
        for key, expected in records.items():
            streams = by_key.get(key, [])
            if len(streams) != 1:
                if expected:
                    problems.append(f"{key}: {len(streams)} streams at the tracker, {len(expected)} bytes recorded")
                continue
            got, lost = self.tracker.bytes_of(streams[0])
            if lost or got != expected:
                at = next((i for i, (a, b) in enumerate(zip(got, expected, strict=False)) if a != b), None)
                problems.append(f"{key}: {len(got)} of {len(expected)} bytes, lost {lost}, first difference at {at}")
        assert not problems, "\n".join(problems)
        return records

    def wait_bytes(self, run: Obj, pod_uids: set[str], timeout: float = 120) -> None:
        """check_bytes as soon as it holds; the last difference when it does not within the time."""
        end = time.monotonic() + timeout
        while True:
            try:
                self.check_bytes(run, pod_uids)
            except (AssertionError, RefusedError, requests.RequestException):
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)
            else:
                return


def set_environment(container: Obj, environment: Mapping[str, str]) -> None:
    """Changes or adds variables of a container."""
    for name, value in environment.items():
        container["env"] = [entry for entry in container.get("env", []) if entry["name"] != name]
        container["env"].append({"name": name, "value": value})


def state(run: Obj) -> str:
    """The Run's state; empty while it has none."""
    return str(run.get("status", {}).get("state", ""))


def uids(pods: list[Obj]) -> set[str]:
    """The pods' UIDs."""
    return {pod["metadata"]["uid"] for pod in pods}
