"""Reads all runs of a project through `wandb.Api()`, and reports each by its id."""

import json
import sys
import time

import wandb
from reporting import report


def run_record(run):
    """All that a client reads of one run."""
    return {
        "id": run.id,
        "name": run.name,
        "display_name": run.display_name if hasattr(run, "display_name") else run.name,
        "state": run.state,
        "path": run.path,
        "url": run.url,
        "config": run.config,
        "summary": run.summary._json_dict,
        "tags": run.tags,
        "notes": run.notes,
        "group": run.group,
        "job_type": run.job_type,
        "user": run.user.username if run.user else None,
        "created_at": run.created_at,
        "heartbeat_at": getattr(run, "heartbeat_at", None) or getattr(run, "heartbeatAt", None),
        "last_step": run.lastHistoryStep,
        "rows": list(run.scan_history()),
        "sampled": run.history(pandas=False, samples=500),
        "system": run.history(stream="events", pandas=False),
        "metadata": run.metadata,
        "internal": json.loads(run.json_config).get("_wandb", {}).get("value", {}),
        "files": {
            file.name: {"size": file.size, "mimetype": file.mimetype, "md5": file.md5} for file in run.files(per_page=7)
        },
    }


def main():
    api = wandb.Api(timeout=30)
    found = {}
    for attempt in range(50):  # what a finished run wrote is decoded behind its acknowledgement
        found = {run.id: run_record(api.run("/".join(run.path))) for run in api.runs(sys.argv[1], per_page=50)}
        if all(settled(record) for record in found.values()):
            break
        api.flush()
        time.sleep(0.2 + attempt / 50)
    report(found)


def settled(record):
    """Whether the sampled history has caught up with the lines."""
    return len(record["sampled"]) >= min(len(record["rows"]), 500)


main()
