"""Console lines and system metrics as clients read them."""

import sys
import time
from pathlib import Path

import wandb
from reporting import missing, plain, report

api = wandb.Api(timeout=30)
for _ in range(150):  # the newest value of a metric is known when it is decoded, behind its acknowledgement
    run = api.run(f"{sys.argv[1]}/console")
    if not hasattr(run, "system_metrics") or run.system_metrics:
        break
    api.flush()
    time.sleep(0.2)
out = {"state": run.state}
names = [file.name for file in run.files()]
out["files"] = names
if "output.log" in names:
    with run.file("output.log").download(root="down") as handle:
        out["output"] = Path(handle.name).read_text()
if hasattr(run, "console_logs"):
    whole = list(run.console_logs(per_page=7))
    out["lines"] = [
        {
            "line": line.content,
            "level": str(line.level),
            "number": getattr(line, "number", None),
            "time": str(line.timestamp),
        }
        for line in whole
    ]
    out["last"] = [line.content for line in run.console_logs(last=3)]
else:
    out["lines"] = missing("console_logs")
out["system"] = plain(run.history(stream="events", pandas=False))
out["system_metrics"] = plain(run.system_metrics) if hasattr(run, "system_metrics") else missing("system_metrics")
quiet = api.run(f"{sys.argv[1]}/quiet")
out["quiet_files"] = [file.name for file in quiet.files()]
out["quiet_system"] = plain(quiet.history(stream="events", pandas=False))
report(out)
