"""Downloads every media file of the run and says what it is; reads the values in its history."""

import hashlib
import json
import sys
from pathlib import Path

import wandb
from reporting import report

api = wandb.Api(timeout=30)
run = api.run(f"{sys.argv[1]}/media")
values = {}
for row in run.scan_history():
    values.update({key: value for key, value in row.items() if not key.startswith("_")})
files = {}
for file in run.files(per_page=100):
    if file.name.startswith("media/"):
        with file.download(root="down", replace=True) as handle:
            body = Path(handle.name).read_bytes()
        files[file.name] = {"size": file.size, "sha256": hashlib.sha256(body).hexdigest(), "length": len(body)}
visualize = json.loads(run.json_config)["_wandb"]["value"].get("visualize")
report(
    {"values": values, "files": files, "summary": run.summary._json_dict, "visualize": visualize, "state": run.state}
)
