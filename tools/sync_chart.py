"""Copies what the chart takes over from elsewhere in the repository: `python -m tools.sync_chart [--check]`.

The CRDs and policies are generated into crds/ from the operator's models; a chart reads only files below its folder.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "crds"
COPY = ROOT / "charts" / "outrider" / "files" / "crds"


def differences(source: Path = SOURCE, copy: Path = COPY) -> list[str]:
    """Names of files that are missing, different or too many in the copy, in order."""
    wanted = {path.name: path.read_bytes() for path in source.glob("*.yaml")}
    present = {path.name: path.read_bytes() for path in copy.glob("*")}
    return sorted(name for name in wanted | present if wanted.get(name) != present.get(name))


def sync(source: Path = SOURCE, copy: Path = COPY) -> list[str]:
    """Make the copy equal to the source; returns the names that changed."""
    changed = differences(source, copy)
    copy.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if (source / name).exists():
            (copy / name).write_bytes((source / name).read_bytes())
        else:
            (copy / name).unlink()
    return changed


def main(argv: Sequence[str] | None = None) -> int:
    """Copy, or with --check only say whether the copy is current (status 1 where it is not)."""
    parser = argparse.ArgumentParser(prog="python -m tools.sync_chart", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where something would change")
    if parser.parse_args(argv).check:
        stale = differences()
        if stale:
            print(
                f"charts/outrider/files/crds is not what crds/ is: {', '.join(stale)}; run python -m tools.sync_chart",
                file=sys.stderr,
            )
        return 1 if stale else 0
    for name in sync():
        print(f"charts/outrider/files/crds/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
