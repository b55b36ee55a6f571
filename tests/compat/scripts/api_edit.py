"""Edits through the API, each read back by a new Api; and deletion."""

import sys

import wandb
from reporting import missing, plain, raised, report

P = sys.argv[1]
out = {}


def fresh(name):
    """The run as another process would read it."""
    return wandb.Api(timeout=30).run(f"{P}/{name}")


run = fresh("r01")
run.config["lr"] = 0.5
run.config["new"] = {"deep": [1]}
run.tags.append("edited")
run.notes = "edited notes"
run.name = "edited name"
run.description = "edited notes"
if hasattr(run, "display_name"):
    run.display_name = "edited name"
run.update()
seen = fresh("r01")
out["edited"] = {
    "config": plain(seen.config),
    "tags": plain(seen.tags),
    "notes": seen.notes,
    "name": seen.name,
    "state": seen.state,
    "history": seen.lastHistoryStep,
}
run = fresh("r02")
run.summary["final"] = 0.75
run.summary["deep"] = {"er": 1}
run.summary.update()
run.summary.update({"acc": 0.99})
out["summary"] = plain(fresh("r02").summary._json_dict)
run = fresh("r02")
run.tags = ["only"]
run.save()
out["saved_tags"] = plain(fresh("r02").tags)
run = fresh("r04")
run.group = "moved"
run.update()
out["group"] = fresh("r04").group
run = fresh("r05")
run.delete()
out["deleted"] = raised(fresh, "r05")
out["left"] = sorted(found.id for found in wandb.Api(timeout=30).runs(P))
if hasattr(run, "update_state"):
    pending = wandb.Api(timeout=30).create_run(run_id="to-be-pending", project=P)
    out["update_state"] = raised(pending.update_state, "pending")
else:
    out["update_state"] = missing("update_state")
finished = fresh("r06")
finished.wait_until_finished()
out["waited"] = finished.state
report(out)
