"""What is recorded about a container, and what is kept out of it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.rider.riding import Volume, python, until


def info(volume: Volume, command: list[str], number: int = 0, **options: Any) -> dict[str, Any]:
    """The record about a command that reads its input to the end: the rider waits only a moment for it after that."""
    process = volume.popen(command, stdin=subprocess.PIPE, **options)
    until(lambda: volume.events("container.info", number), "the record")
    process.communicate(timeout=20)
    return volume.event("container.info", number)


def test_container_start(volume: Volume) -> None:
    volume.run(["sh", "-c", "echo $$"], cwd=volume.root)
    event = volume.event("container.start")
    assert event["container"] == "train"
    assert event["argv"] == ["sh", "-c", "echo $$"]
    assert event["pid"] == int((volume.start() / "stdout.log").read_text())
    assert (event["uid"], event["gid"]) == (os.getuid(), os.getgid())
    assert event["cwd"] == str(volume.root)
    assert event["hostname"] == platform.node()


def test_machine(volume: Volume) -> None:
    event = info(volume, ["cat"])
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    assert event["os"] == release["PRETTY_NAME"].strip('"')
    assert event["kernel"] == platform.release()
    assert event["arch"] == platform.machine()
    assert event["cpu"]["count"] == os.cpu_count()
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert event["memoryBytes"] == pytest.approx(total, rel=0.001)


def test_python_of_a_virtual_environment(volume: Volume) -> None:
    """Version and packages as that Python itself would say."""
    venv = volume.root / "venv"
    site = venv / "lib" / "python3.9" / "site-packages"
    for folder in (
        "torch-2.6.0+cu124.dist-info",
        "nvidia_nccl_cu12-2.21.5.dist-info",
        "old-1.0-py3.9.egg-info",
        "not-a-package",
        "torch",
    ):
        (site / folder).mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text("home = /nowhere\ninclude-system-site-packages = false\nversion = 3.9.17\n")
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to("/bin/cat")
    torchrun = venv / "bin" / "torchrun"
    torchrun.write_text(f"#!{venv}/bin/python\nimport x\n")
    torchrun.chmod(0o755)
    expected = {
        "path": str(venv / "bin" / "python"),
        "version": "3.9.17",
        "packages": {"torch": "2.6.0+cu124", "nvidia_nccl_cu12": "2.21.5", "old": "1.0"},
    }
    assert info(volume, [str(venv / "bin" / "python")])["python"] == expected
    assert info(volume, [str(torchrun), "-"], 1)["python"] == expected
    (venv / "bin" / "python3").symlink_to("python")
    found = info(volume, ["cat"], 2, env={"PATH": f"{venv}/bin:/usr/bin:/bin"})["python"]
    assert found == expected | {"path": str(venv / "bin" / "python3")}


def test_python_that_runs_here(volume: Volume) -> None:
    """Against importlib.metadata of the same interpreter."""
    command = python("")[0]
    ask = """
import importlib.metadata, json, platform
print(json.dumps([platform.python_version(), {d.name: d.version for d in importlib.metadata.distributions()}]))
"""
    version, packages = json.loads(subprocess.run([command, "-I", "-c", ask], capture_output=True, check=True).stdout)
    found = info(volume, [command, "-c", "import sys; sys.stdin.read()"])["python"]
    assert version.startswith(found["version"])
    assert found["version"].startswith("3.")
    normal = {name.lower().replace("-", "_").replace(".", "_"): number for name, number in found["packages"].items()}
    assert (
        normal.items()
        >= {
            name.lower().replace("-", "_").replace(".", "_"): number for name, number in packages.items() if name
        }.items()
    )


@pytest.mark.parametrize("how", ["branch", "packed", "detached", "worktree", "below"])
def test_git_commit(volume: Volume, how: str) -> None:
    repo = volume.root / "repo"
    git = ["git", "-C", str(repo), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    where = repo
    if how == "packed":
        subprocess.run([*git, "pack-refs", "--all"], check=True)
    elif how == "detached":
        subprocess.run([*git, "checkout", "-q", "--detach"], check=True)
    elif how == "worktree":
        where = volume.root / "tree"
        subprocess.run([*git, "worktree", "add", "-q", str(where)], check=True, capture_output=True)
    elif how == "below":
        where = repo / "a" / "b"
        where.mkdir(parents=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, check=True, text=True).stdout.strip()
    assert info(volume, ["cat"], cwd=where)["git"] == {"commit": commit}


@pytest.mark.parametrize(
    "head", ["ref: refs/../../secret\n", "ref: /etc/passwd\n", "ref: refs/heads/none\n", "garbage\n", ""]
)
def test_broken_repository_gives_no_commit(volume: Volume, head: str) -> None:
    (volume.root / ".git").mkdir()
    (volume.root / ".git" / "HEAD").write_text(head)
    (volume.root / "secret").write_text("0" * 40)
    assert "git" not in info(volume, ["cat"], cwd=volume.root)


@pytest.mark.parametrize(
    ("argv", "recorded"),
    [
        (["--api-key=abc"], ["--api-key=***"]),
        (["--api-key", "abc", "x"], ["--api-key", "***", "x"]),
        (["--wandb_token", "abc"], ["--wandb_token", "***"]),
        (["HF_TOKEN=abc"], ["HF_TOKEN=***"]),
        (["model.password=abc", "lr=1"], ["model.password=***", "lr=1"]),
        (["HF_TOKEN=abc python train.py --lr 1"], ["HF_TOKEN=*** python train.py --lr 1"]),
        (["export MY_SECRET='a b'; run"], ["export MY_SECRET='***'; run"]),
        (["--env=HF_TOKEN=abc"], ["--env=HF_TOKEN=***"]),
        (["HF_TOKEN= python x"], ["HF_TOKEN= python x"]),
        (["https://host/x?a=1&token=abc&b=2"], ["https://host/x?a=1&token=***&b=2"]),
        (["--secret", "a=b:c", "x"], ["--secret", "***", "x"]),
        (["a=1", "b:2", "c:", "=", ":", "", "--x=", "[a]:b"], ["a=1", "b:2", "c:", "=", ":", "", "--x=", "[a]:b"]),
        (["--db", "postgres://me:pw@host/db"], ["--db", "postgres://***@host/db"]),
        (["https://host/path?x=@y"], ["https://host/path?x=@y"]),
        (["--tokenizer", "bert", "--max-tokens=2048"], ["--tokenizer", "bert", "--max-tokens=2048"]),
        (["--use-token", "--lr", "1"], ["--use-token", "--lr", "1"]),
        (["--Passwd:abc"], ["--Passwd:***"]),
        (['{"client_secret": "abc", "x": 1}'], ['{"client_secret": "***", "x": 1}']),
    ],
)
def test_secrets_in_the_command_are_redacted(volume: Volume, argv: list[str], recorded: list[str]) -> None:
    volume.run(["true", *argv])
    assert volume.event("container.start")["argv"] == ["true", *recorded]


def test_environment_is_chosen_and_redacted(volume: Volume) -> None:
    env = {
        "NCCL_DEBUG": "INFO",
        "WORLD_SIZE": "4",
        "TORCH_LOGS": "x",
        "TORCH_SECRET": "abc",
        "NCCL_AUTH_TOKEN": "abc",
        "AWS_SESSION": "abc",
        "MY_PRIVATE": "abc",
        "HF_TOKEN": "abc",
        "CUDA_URL": "http://me:abc@host/",
    }
    recorded = info(volume, ["cat"], env=env)["env"]
    assert recorded["NCCL_DEBUG"] == "INFO"
    assert recorded["WORLD_SIZE"] == "4"
    assert recorded["TORCH_SECRET"] == recorded["NCCL_AUTH_TOKEN"] == "***"
    assert recorded["CUDA_URL"] == "http://***@host/"
    assert not {"AWS_SESSION", "MY_PRIVATE", "HF_TOKEN"} & set(recorded)
    for file in ("events.jsonl", "samples.jsonl"):
        assert b"abc" not in (volume.start() / file).read_bytes()


def test_any_bytes_in_the_command_are_valid_json(volume: Volume) -> None:
    """Controls are escaped, what is no UTF-8 becomes U+FFFD, one for each byte."""
    raw = b'q"\\\n\t\x01\x7f \xc3\xa9 \xff \xed\xa0\x80 \xf0\x9f\x98\x80 \xe2\x82 \xc0\xaf'
    volume.run(["true", os.fsdecode(raw)])
    bad = "\ufffd"
    expected = f'q"\\\n\t\x01\x7f \xe9 {bad} {bad * 3} \U0001f600 {bad * 2} {bad * 2}'
    assert volume.event("container.start")["argv"][1] == expected


def test_huge_command_and_environment_stay_below_the_bound_of_a_line(volume: Volume) -> None:
    env = {f"TORCH_{n}": "\x01" * 900 for n in range(100)}
    process = volume.popen(["sh", "-c", "read end", *["x" * 1000] * 100], env=env, stdin=subprocess.PIPE)
    until(lambda: volume.events("container.info") + volume.events("warning"), "the record, or that it was dropped")
    process.communicate(timeout=20)
    assert volume.event("container.start")["argv"][-1] == "… (cut)"
    for line in (volume.start() / "events.jsonl").read_bytes().splitlines():
        assert len(line) < 64 << 10
    assert volume.events("container.info") or volume.event("warning")["code"] == "EventsDropped"
