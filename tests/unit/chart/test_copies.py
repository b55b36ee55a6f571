"""What the chart takes over from elsewhere in the repository is current."""

from pathlib import Path

import yaml

from tests.unit.chart.rendering import CHART, ROOT, named, render
from tools.sync_chart import differences, sync


def test_the_charts_crds_are_those_of_the_repository() -> None:
    """Byte for byte; if not: python -m tools.sync_chart."""
    assert differences() == []
    assert (CHART / "files/crds/runs.yaml").read_bytes() == (ROOT / "crds/runs.yaml").read_bytes()


def test_the_crd_is_rendered_whole() -> None:
    """Only labels and the annotation that keeps it are added."""
    rendered = named(render(), "CustomResourceDefinition", "runs.outrider.dev")
    source = yaml.safe_load((ROOT / "crds/runs.yaml").read_text())
    assert rendered["spec"] == source["spec"]


def test_sync_replaces_adds_and_removes(tmp_path: Path) -> None:
    """A file that is no longer generated does not stay in the chart."""
    source, copy = tmp_path / "source", tmp_path / "copy"
    for folder, names in ((source, ("new", "changed", "same")), (copy, ("old", "changed", "same"))):
        folder.mkdir()
        for name in names:
            (folder / f"{name}.yaml").write_text(name if name != "changed" else folder.name)
    assert sync(source, copy) == ["changed.yaml", "new.yaml", "old.yaml"]
    assert differences(source, copy) == []
    assert {path.name: path.read_text() for path in copy.iterdir()} == {
        "changed.yaml": "source",
        "new.yaml": "new",
        "same.yaml": "same",
    }
