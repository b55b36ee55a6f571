"""Run files through the public API: list, names, pattern, file(), download, upload, delete."""

import inspect
import sys
from pathlib import Path

import wandb
from reporting import missing, raised, report

api = wandb.Api(timeout=30)
run = api.run(f"{sys.argv[1]}/files")
out = {}


def contents(name):
    """The bytes of a file, as text."""
    with run.file(name).download(root="down", replace=True) as handle:
        return Path(handle.name).read_bytes().decode("latin-1")


files = list(run.files(per_page=3))
out["names"] = [file.name for file in files]
out["count"] = len(run.files())
listed = {file.name: file for file in files}
out["sizes"] = {name: file.size for name, file in listed.items()}
out["md5"] = {name: file.md5 for name, file in listed.items()}
out["mimetypes"] = {name: file.mimetype for name, file in listed.items()}
out["updated_at"] = listed["plain.txt"].updated_at
out["urls"] = {"url": listed["plain.txt"].url, "direct_url": listed["plain.txt"].direct_url}
out["path_uri"] = raised(lambda: listed["plain.txt"].path_uri)
out["contents"] = {name: contents(name) for name in listed if name.endswith(".txt") and name != "requirements.txt"}
out["big"] = contents("big.bin") == (bytes(range(256)) * 4096).decode("latin-1")
out["by_names"] = sorted(file.name for file in run.files(names=["plain.txt", "now.txt", "absent.txt"]) if file.size)
if "pattern" in inspect.signature(run.files).parameters:
    out["by_pattern"] = sorted(file.name for file in run.files(pattern="these/%"))
else:
    out["by_pattern"] = missing("files(pattern)")
absent = run.file("absent.txt")
out["absent_size"] = absent.size
out["absent_download"] = raised(absent.download, root="down2")
with listed["plain.txt"].download(root="once"):
    pass
out["exists"] = raised(listed["plain.txt"].download, root="once")
with listed["plain.txt"].download(root="once", exist_ok=True) as handle:
    out["exist_ok"] = handle.read()

Path("up").mkdir()
Path("up/uploaded.txt").write_text("by the API\n")
uploaded = run.upload_file("up/uploaded.txt", root="up")
out["upload_returns"] = uploaded.name
run.upload_file("up/uploaded.txt", root=".")
out["uploaded"] = contents("uploaded.txt")
out["uploaded_below"] = contents("up/uploaded.txt")
Path("up/uploaded.txt").write_text("by the API, again\n")
run.upload_file("up/uploaded.txt", root="up")
out["uploaded_again"] = contents("uploaded.txt")
run.file("uploaded.txt").delete()
api.flush()
run = api.run(f"{sys.argv[1]}/files")
out["after_delete"] = sorted(file.name for file in run.files())
report(out)
