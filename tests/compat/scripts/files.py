"""Files of a run: save with each policy, base_path, restore, code."""

import inspect
import time
from pathlib import Path

import wandb
from reporting import missing, project, raised, report

P = project()
out = {}
Path("plain.txt").write_text("plain\n")
Path("these/are").mkdir(parents=True)
Path("these/are/one.txt").write_text("one\n")
Path("these/are/two.txt").write_text("two\n")
Path("live.txt").write_text("first\n")
Path("end.txt").write_text("before\n")
Path("now.txt").write_text("now\n")
Path("empty.txt").write_text("")
Path("big.bin").write_bytes(bytes(range(256)) * 4096)
Path("Gr\u00fc\u00dfe aus \u6771\u4eac 100%.txt").write_text("unicode\n")
absolute = Path("far/level").absolute()
absolute.mkdir(parents=True)
(absolute / "kept.txt").write_text("kept one level\n")
Path("code").mkdir()
Path("code/train.py").write_text("print('train')\n")
Path("code/skip.txt").write_text("no code\n")
Path("code/no.py").write_text("print('no')\n")

run = wandb.init(project=P, id="files", save_code=True)
out["saved"] = [Path(path).name for path in run.save("plain.txt", policy="now")]
run.save("these/are/*.txt")
run.save("these/are/*.txt", base_path="these", policy="end")
run.save(str(absolute / "kept.txt"), policy="now")
run.save("live.txt", policy="live")
run.save("end.txt", policy="end")
run.save("now.txt", policy="now")
run.save("empty.txt")
run.save("big.bin")
run.save("Gr\u00fc\u00dfe aus \u6771\u4eac 100%.txt")
if "glob" in inspect.signature(run.save).parameters:
    Path("odd[1].txt").write_text("odd\n")
    run.save("odd[1].txt", glob=False)
    out["glob"] = "used"
else:
    out["glob"] = missing("save(glob)")
out["bad_policy"] = raised(run.save, "plain.txt", policy="sometimes")
out["outside_base"] = raised(run.save, "plain.txt", base_path="/nonexistent")
api = wandb.Api(timeout=30)


def stored(name):
    """The size of a stored file; None until it is there."""
    api.flush()
    return next((file.size for file in api.run(f"{P}/files").files() if file.name == name), None)


def wait_for(name, size):
    """Whether a file of that size arrives while the run goes on."""
    for _ in range(100):
        if stored(name) == size:
            return True
        time.sleep(0.2)
    return False


out["now_arrives_early"] = wait_for("now.txt", 4)
out["live_first"] = wait_for("live.txt", 6)
out["end_is_not_there"] = stored("end.txt")
Path("live.txt").write_text("second, longer\n")
Path("end.txt").write_text("after\n")
if hasattr(run, "log_code"):
    logged = run.log_code(
        "code",
        name="mycode",
        include_fn=lambda path: path.endswith(".py"),
        exclude_fn=lambda path: path.endswith("no.py"),
    )
    out["log_code"] = type(logged).__name__
run.finish()

again = wandb.init(project=P, id="restorer")
restored = again.restore("plain.txt", run_path=f"{again.entity}/{P}/files")
out["restored"] = restored.read() if restored else None
if restored:
    restored.close()
Path("down").mkdir()
Path("down/plain.txt").write_text("old\n")
kept = again.restore("plain.txt", run_path=f"{again.entity}/{P}/files", root="down")
out["not_replaced"] = kept.read() if kept else Path("down/plain.txt").read_text()
kept and kept.close()
replaced = again.restore("plain.txt", run_path=f"{again.entity}/{P}/files", root="down", replace=True)
out["replaced"] = replaced.read() if replaced else None
replaced and replaced.close()
out["restore_missing_file"] = raised(again.restore, "never.txt", run_path=f"{again.entity}/{P}/files")
out["restore_missing_run"] = raised(again.restore, "plain.txt", run_path=f"{again.entity}/{P}/never")
again.finish()
report(out)
