"""The examples: what they ask for, and that their restricted forms differ in nothing but security."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.chart.restricted import violations

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
FOLDERS = ("torchrun-ddp", "rank-failure", "oom")


def documents(path: Path) -> list[dict[str, Any]]:
    """All objects of a file."""
    return list(yaml.safe_load_all(path.read_text()))


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_restricted_form_passes_restricted_and_the_plain_one_is_root(folder: str) -> None:
    """So that both kinds of namespace are covered."""
    plain, restricted = (documents(EXAMPLES / folder / name)[1] for name in ("job.yaml", "restricted/job.yaml"))
    assert violations(restricted["spec"]["template"]["spec"]) == []
    assert "securityContext" not in str(plain)


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_restricted_form_differs_in_nothing_but_security(folder: str) -> None:
    """And in a home for the user that the image does not know."""
    plain, restricted = (documents(EXAMPLES / folder / name) for name in ("job.yaml", "restricted/job.yaml"))
    spec = restricted[1]["spec"]["template"]["spec"]
    del spec["securityContext"]
    (container,) = spec["containers"]
    del container["securityContext"]
    container["env"] = [variable for variable in container["env"] if variable["name"] != "HOME"]
    assert restricted == plain


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_service_comes_first_and_selects_the_pods(folder: str) -> None:
    """torchrun's rendezvous needs the name at once, before any pod is ready."""
    service, job = documents(EXAMPLES / folder / "job.yaml")
    template = job["spec"]["template"]
    assert service["kind"] == "Service"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert template["spec"]["subdomain"] == service["metadata"]["name"]
    assert template["metadata"]["annotations"] == {"outrider.dev/inject": "true"}


def test_the_run_is_the_same_training_as_the_job() -> None:
    """Only names differ, and the annotation, which a Run does not need."""
    _, job = documents(EXAMPLES / "torchrun-ddp/job.yaml")
    _, run = documents(EXAMPLES / "torchrun-ddp/run.yaml")
    del job["spec"]["template"]["metadata"]["annotations"]
    workload = yaml.safe_load(yaml.safe_dump(run["spec"]["workload"]).replace("digits-run", "digits"))
    assert workload == {"apiVersion": "batch/v1", "kind": "Job", "spec": job["spec"]}


SCRIPT = """
import sys, warnings
from pathlib import Path
from recording import record
record(Path(sys.argv[1]), "rank0")
print("a line", 1, "\\u00fc", "\\udcff")
print("no newline", end="")
sys.stdout.flush()
warnings.warn("careful")
sys.stdout.buffer.write(b"\\xff raw")
raise ValueError("the end")
"""


def test_the_record_is_what_was_printed_byte_for_byte(tmp_path: Path) -> None:
    """Traceback, warnings, raw bytes and what was never ended by a newline included."""
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "record")]
    done = subprocess.run(
        command, cwd=EXAMPLES / "scripts", env={"PYTHONPATH": "."}, capture_output=True, check=False, timeout=30
    )
    assert done.returncode == 1
    assert done.stdout == b"a line 1 \xc3\xbc \\udcff\nno newline\xff raw"
    assert done.stderr.endswith(b"ValueError: the end\n")
    assert (tmp_path / "record/rank0.stdout").read_bytes() == done.stdout
    assert (tmp_path / "record/rank0.stderr").read_bytes() == done.stderr
