"""Logs in with several keys, as a person does it; says who it was each time."""

import json
import os
import subprocess
import sys

import wandb
from reporting import raised, report

base, keys, wrong = os.environ["WANDB_BASE_URL"], json.loads(os.environ["LOGIN_KEYS"]), "f" * 40


def login(key: str) -> int:
    """`wandb login`, which asks the server; its exit code."""
    command = [sys.executable, "-m", "wandb", "login", "--relogin", "--verify", "--host", base, key]
    environment = {name: value for name, value in os.environ.items() if name not in {"WANDB_API_KEY", "WANDB_SILENT"}}
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False, timeout=120).returncode


def viewer(key: str) -> dict:
    """Who a key is."""
    api = wandb.Api(api_key=key, timeout=30)
    seen = api.viewer
    return {
        "username": seen.username,
        "entity": seen.entity,
        "admin": seen.admin,
        "teams": seen.teams,
        "default_entity": api.default_entity,
    }


os.environ.pop("WANDB_API_KEY")
out = {"login": {name: login(key) for name, key in keys.items() if name == "person"}, "wrong": login(wrong)}
out["viewer"] = {name: viewer(key) for name, key in keys.items()}
out["wrong viewer"] = raised(viewer, wrong)
report(out)
