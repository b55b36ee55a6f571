"""`wandb.Api()` over runs and projects."""

import inspect
import sys
import time

import wandb
from reporting import missing, plain, raised, report

P = sys.argv[1]
api = wandb.Api(timeout=30)
out = {}


def ids(**query):
    """The ids that a query gives, in its order."""
    return [run.id for run in api.runs(P, **query)]


# Attributes of the Api and of one run
out["default_entity"] = api.default_entity
out["viewer"] = {"username": api.viewer.username, "entity": api.viewer.entity, "teams": plain(api.viewer.teams)}
out["viewer_keys"] = len(api.viewer.api_keys)
for _ in range(100):
    run = api.run(f"{P}/r00")
    if len(run.history(pandas=False, samples=1000)) == 300:
        break
    api.flush()
    time.sleep(0.2)
out["run"] = {
    name: plain(getattr(run, name, missing(name)))
    for name in [
        "id",
        "name",
        "state",
        "path",
        "url",
        "config",
        "json_config",
        "tags",
        "notes",
        "group",
        "job_type",
        "entity",
        "project",
        "username",
        "storage_id",
        "created_at",
        "lastHistoryStep",
        "description",
        "read_only",
        "sweep_name",
        "summary_metrics",
        "rawconfig",
    ]
}
out["user"] = run.user.username
out["paths"] = {
    "full": api.run(f"{run.entity}/{P}/r00").id,
    "from_path": api.from_path(f"{run.entity}/{P}/r00").id,
    "runs": api.run(f"{run.entity}/{P}/runs/r00").id,
}
out["missing_run"] = raised(api.run, f"{P}/absent")
out["missing_project"] = raised(lambda: list(api.runs("no-such-project-here")))
out["html"] = run.to_html(height=99)

# Lists
out["default_order"] = ids()
out["count"] = len(api.runs(P))
out["paged"] = ids(per_page=5)
out["indexed"] = api.runs(P)[3].id
out["orders"] = {
    order: ids(order=order)
    for order in (
        "+created_at",
        "-created_at",
        "+summary_metrics.loss",
        "-summary_metrics.acc",
        "+config.number.value",
        "-config.lr.value",
        "+display_name",
    )
}
out["filters"] = {
    name: sorted(ids(filters=filters))
    for name, filters in {
        "state": {"state": "failed"},
        "not state": {"state": {"$ne": "finished"}},
        "group": {"group": "even"},
        "job type": {"jobType": "eval"},
        "tag": {"tags": "special"},
        "tags in": {"tags": {"$in": ["special", "none"]}},
        "tags nin": {"tags": {"$nin": ["special"]}},
        "config": {"config.number": 4},
        "config value": {"config.number.value": 4},
        "config nested": {"config.opt.value.name": "sgd"},
        "config gt": {"config.number": {"$gt": 8}},
        "config lte": {"config.number": {"$lte": 2}},
        "config in": {"config.text": {"$in": ["t1", "t5"]}},
        "summary": {"summary_metrics.acc": {"$gte": 0.5}},
        "summary lt": {"summary_metrics.loss": {"$lt": 0.2, "$gt": 0.1}},
        "name": {"name": "r03"},
        "display name": {"display_name": "run-05"},
        "regex": {"display_name": {"$regex": "^run-1"}},
        "or": {"$or": [{"config.number": 1}, {"config.number": 2}]},
        "and": {"$and": [{"group": "odd"}, {"config.number": {"$lt": 4}}]},
        "not": {"config.number": {"$not": {"$gt": 1}}},
        "exists": {"summary_metrics.sparse": {"$exists": True}},
        "not exists": {"summary_metrics.sparse": {"$exists": False}},
        "username": {"username": run.user.username},
        "created": {"created_at": {"$gt": "2020-01-01T00:00:00"}},
        "created never": {"created_at": {"$lt": "2020-01-01T00:00:00"}},
        "nothing": {"config.absent": 1},
        "empty": {},
    }.items()
}
out["bad_filter"] = raised(lambda: list(api.runs(P, filters={"config.number": {"$frobnicate": 1}})))
if "lazy" in inspect.signature(api.runs).parameters:
    whole = list(api.runs(P, lazy=False, order="+created_at"))
    out["lazy"] = [plain(whole[4].config), plain(whole[4].summary._json_dict.get("acc"))]
else:
    out["lazy"] = missing("runs(lazy)")
if hasattr(type(api.runs(P)), "histories"):
    histories = api.runs(P).histories(samples=50, keys=["acc"], format="default")
    out["histories"] = sorted({row["run_id"] for row in histories})

# History
out["history"] = {
    "full": len(run.history(pandas=False, samples=1000)),
    "samples": len(run.history(pandas=False, samples=50)),
    "keys": plain(run.history(pandas=False, keys=["sparse"], samples=1000)[:3]),
    "key count": len(run.history(pandas=False, keys=["sparse"], samples=1000)),
    "two keys": plain(run.history(pandas=False, keys=["loss", "sparse"], samples=1000)[:2]),
    "x_axis": plain(run.history(pandas=False, keys=["loss"], x_axis="step_squared", samples=1000)[:2]),
    "frame": list(run.history(keys=["loss"], samples=1000).columns),
    "frame rows": len(run.history(samples=1000)),
}
out["scan"] = {
    "all": [row["_step"] for row in run.scan_history()] == list(range(300)),
    "page_size": [row["_step"] for row in run.scan_history(page_size=17)] == list(range(300)),
    "range": [row["_step"] for row in run.scan_history(min_step=10, max_step=20)],
    "keys": plain(list(run.scan_history(keys=["sparse", "_step"]))[:3]),
    "keys count": len(list(run.scan_history(keys=["sparse"]))),
    "value": next(iter(run.scan_history(keys=["loss", "_step"], min_step=150)))["loss"],
}
if hasattr(run, "beta_scan_history"):
    out["scan"]["beta"] = len(list(run.beta_scan_history(page_size=100)))
out["history_keys"] = plain(run.history_keys) if hasattr(run, "history_keys") else plain(run.historyKeys)

# Projects, users, teams
out["projects"] = sorted(project.name for project in api.projects())
mine = api.project(P)
out["project"] = {
    "name": mine.name,
    "entity": mine.entity,
    "path": plain(mine.path),
    "url": mine.url,
    "id": raised(lambda: mine.id),
}
out["project_missing"] = raised(lambda: api.project("no-such-project-here").id)
api.create_project(f"{P}-made", run.entity)
out["created_project"] = f"{P}-made" in [project.name for project in wandb.Api(timeout=30).projects()]
out["user_lookup"] = {
    "known": getattr(api.user(api.viewer.username), "username", None),
    "unknown": plain(api.user("nobody-of-that-name")),
}
out["users"] = [user.username for user in api.users(api.viewer.username)]
team = api.create_team(f"team-{P}".replace(".", "-"))
out["team"] = {"name": team.name, "members": [[member.username, member.admin] for member in team.members]}
again = api.team(team.name)
out["team_again"] = [again.name, [member.username for member in again.members]]
service = again.create_service_account("robots")
out["service_account"] = [
    service.username,
    bool(service.service_account) if hasattr(service, "service_account") else None,
]
out["teams_of_viewer"] = plain(wandb.Api(timeout=30).viewer.teams)
if wandb.__version__.startswith("0.19."):
    # this release logs in with a key that it reads from the server, to make another one
    out["generated_key"] = raised(api.viewer.generate_api_key, "for the test")
else:
    before = set(wandb.Api(timeout=30).viewer.api_keys)
    key = api.viewer.generate_api_key("for the test")
    out["generated_key"] = len(key or "")
    out["key_works"] = wandb.Api(timeout=30, api_key=key).viewer.username
    (listed,) = set(wandb.Api(timeout=30).viewer.api_keys) - before
    out["key_deleted"] = wandb.Api(timeout=30).viewer.delete_api_key(listed)
    out["key_refused"] = raised(lambda: wandb.Api(timeout=30, api_key=key).viewer.username)
made = api.create_run(run_id="by-the-api", project=P, entity=run.entity)
out["created_run"] = {"id": made.id, "state": made.state}
report(out)
