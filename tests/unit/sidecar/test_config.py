"""Settings: understood, or refused with the variable's name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from outrider_sidecar import contract
from outrider_sidecar.config import VARIABLES, Config, ConfigError, FileRule, Mount, TrainerContainer, from_env

LEAST = {"OUTRIDER_TRACKER_URL": "https://tracker.outrider.svc:8443", "OUTRIDER_POD_UID": "0-1"}


def test_the_least() -> None:
    """Two variables are enough; the rest has the defaults that --help names."""
    config = from_env(LEAST)
    assert config == Config(
        directory="/outrider",
        tracker_url="https://tracker.outrider.svc:8443",
        source="0-1",
        token_file="/var/run/secrets/kubernetes.io/serviceaccount/token",
        pod={"namespace": "", "name": "", "node": ""},
        owner={},
    )


def test_everything() -> None:
    """As the webhook writes it."""
    config = from_env(
        LEAST
        | {
            "OUTRIDER_CONTAINERS": '[{"name": "t", "capture": "wrap", "workingDir": "/w", "mounts": '
            '[{"path": "/d/", "at": "/outrider-files/d"}]}, {"name": "u", "capture": "env", "mounts": []}]',
            "OUTRIDER_FILES": '[{"path": "ckpt/**", "policy": "live"}]',
            "OUTRIDER_OWNER": '{"kind": "Job"}',
            "OUTRIDER_LINGER": "30",
            "OUTRIDER_METRICS_INTERVAL": "2.5",
            "OUTRIDER_SPOOL_LIMIT": "1000000",
        }
    )
    assert config.containers == (
        TrainerContainer("t", "/w", (Mount("/d", "/outrider-files/d"),)),
        TrainerContainer("u", None, ()),
    )
    assert config.files == (FileRule("ckpt/**", "live"),)
    assert (config.linger, config.metrics_interval, config.spool_limit) == (30.0, 2.5, 1_000_000)
    assert config.owner == {"kind": "Job"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OUTRIDER_TRACKER_URL", ""),
        ("OUTRIDER_TRACKER_URL", "tracker:8443"),
        ("OUTRIDER_TRACKER_URL", "https://tracker/path"),
        ("OUTRIDER_TRACKER_URL", "https://user@tracker"),
        ("OUTRIDER_TRACKER_URL", "https://tracker:port"),
        ("OUTRIDER_TRACKER_URL", "http://tracker:8080"),  # would carry the token in clear text
        ("OUTRIDER_POD_UID", ""),
        ("OUTRIDER_POD_UID", "../x"),
        ("OUTRIDER_LINGER", "soon"),
        ("OUTRIDER_LINGER", "-1"),
        ("OUTRIDER_LINGER", "inf"),
        ("OUTRIDER_METRICS_INTERVAL", "0"),
        ("OUTRIDER_OWNER", "[]"),
        ("OUTRIDER_CONTAINERS", "{"),
        ("OUTRIDER_CONTAINERS", '[{"capture": "wrap"}]'),
        ("OUTRIDER_CONTAINERS", '[{"name": "t", "mounts": [{"path": "relative", "at": "/x"}]}]'),
        ("OUTRIDER_FILES", '[{"path": "x", "policy": "sometimes"}]'),
    ],
)
def test_what_cannot_be_understood_is_refused_by_name(name: str, value: str) -> None:
    """The person who set it must find it."""
    with pytest.raises(ConfigError, match=name):
        from_env(LEAST | {name: value})


def outrider_sidecar(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "outrider_sidecar", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={}, check=False)


def test_help_names_every_variable_of_the_contract_that_the_sidecar_reads() -> None:
    """With a meaning and a default each."""
    answer = outrider_sidecar("--help")
    assert answer.returncode == 0
    for name, meaning, default in VARIABLES:
        assert f"{meaning} (default: {default})" in answer.stdout
        assert name in answer.stdout
    sidecar_only = {
        value
        for key, value in vars(contract).items()
        if key.startswith("ENV_") and key not in {"ENV_DIR", "ENV_ATTEMPT"}
    }
    assert sidecar_only <= {name for name, _, _ in VARIABLES}


def test_wrong_settings_end_the_process_with_two() -> None:
    """And one line that says which."""
    answer = outrider_sidecar("run")
    assert answer.returncode == 2
    assert answer.stderr.startswith("outrider-sidecar: OUTRIDER_TRACKER_URL is not set")
