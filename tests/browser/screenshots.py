"""The pictures of docs/ui.md from the tests' data: `python -m tests.browser.screenshots docs/images`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final, Literal

from tests.browser.browsing import browser, log_in, new_page
from tests.browser.fill import Filler, failed_run, other_runs, running_run
from tests.browser.served import ADMIN_KEY, VIEWER_KEY, serving

# Tab, and what shows that it is drawn.
TABS: Final = {
    "overview": "text=NVIDIA",
    "ranks": "[role=row] >> text=SIGKILL",
    "logs": ".line >> text=lost here",
    "charts": "article:has-text('proc.memory.rssMB') canvas",
    "files": "text=checkpoints/last.pt",
}
HEIGHTS: Final = {"overview": 1020, "charts": 930}
# Rank 2, a piece of whose output was lost.
MORE: Final = {"logs": "&unit=1.0.2&stream=stdout"}


def main(folder: Path, scheme: Literal["light", "dark"] = "light") -> None:
    """Writes runs.png and one picture a tab."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, serving(Path(data)) as served, browser() as made:
        filler = Filler.at(served.url, ADMIN_KEY)
        other_runs(filler)
        path, _ = failed_run(filler)
        running_run(filler)
        page = new_page(made, served.url, scheme)
        page.set_viewport_size({"width": 1280, "height": 680})
        log_in(page, VIEWER_KEY)
        page.get_by_role("link", name="ResNet-50 DDP").wait_for()
        page.screenshot(path=folder / "runs.png")
        for tab, sign in TABS.items():
            page.goto(f"{path}?tab={tab}{MORE.get(tab, '')}")
            page.set_viewport_size({"width": 1280, "height": HEIGHTS.get(tab, 680)})
            page.locator(sign).first.wait_for()
            if tab == "charts":
                page.wait_for_load_state("networkidle")
            page.screenshot(path=folder / f"run-{tab}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), "dark" if "--dark" in sys.argv else "light")
