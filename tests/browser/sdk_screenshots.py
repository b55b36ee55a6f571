"""The pictures of docs/ui.md of SDK runs, by the real client: `python -m tests.browser.sdk_screenshots docs/images`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final, Literal

from tests.browser.browsing import browser, log_in, new_page
from tests.browser.sdk import PROJECT, WHOLE, log_runs
from tests.browser.served import ADMIN_KEY, serving

# Picture: address, height, and what shows that it is drawn.
PICTURES: Final = {
    "overview": (WHOLE, 520, "text=Loss is flat"),
    "charts": (f"{WHOLE}?tab=charts&smooth=0.8", 900, "article:has-text('train/loss') canvas"),
    "media": (f"{WHOLE}?tab=media", 1000, "article img"),
    "logs": (f"{WHOLE}?tab=logs", 420, ".line >> text=epoch 19"),
    "project": (f"{PROJECT}?tab=charts", 760, "article:has-text('train/loss') canvas"),
}


def main(folder: Path, scheme: Literal["light", "dark"] = "light") -> None:
    """Writes sdk-run-{overview,charts,media,logs}.png and sdk-run-project.png."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, serving(Path(data)) as served, browser() as made:
        log_runs(served.url, Path(data) / "sdk", "picture")
        page = new_page(made, served.url, scheme)
        log_in(page, ADMIN_KEY)
        for name, (address, height, sign) in PICTURES.items():
            page.set_viewport_size({"width": 1280, "height": height})
            page.goto(address)
            page.locator(sign).first.wait_for()
            if name != "logs":  # which never stops asking for the next line
                page.wait_for_load_state("networkidle")
            page.screenshot(path=folder / f"sdk-run-{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), "dark" if "--dark" in sys.argv else "light")
