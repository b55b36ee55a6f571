"""The page on annotations names every key, and no other."""

import re
from pathlib import Path

from outrider_sidecar import contract

PAGE = Path(__file__).parents[4] / "docs/reference/annotations.md"


def test_every_key_of_the_contract_is_on_the_page_and_no_other() -> None:
    """Keys stand alone in the first column."""
    keys = {
        value.removeprefix(f"{contract.GROUP}/")
        for value in vars(contract).values()
        if isinstance(value, str) and value.startswith(f"{contract.GROUP}/") and value != contract.API_VERSION
    }
    tables = re.split(r"^#+ ", PAGE.read_text(), flags=re.MULTILINE)
    written = [table for table in tables if table.startswith(("What you write", "What Outrider writes"))]
    rows = [line.split("|")[1] for table in written for line in table.splitlines() if line.startswith("| `")]
    assert {key for row in rows for key in re.findall(r"`([a-z-]+)`", row)} - {"true"} == keys
