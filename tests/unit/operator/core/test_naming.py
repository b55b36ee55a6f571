"""Names: DNS labels of at most 63 characters, functions of what exists."""

import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from outrider_operator.core.naming import auto_run_name, event_name, hex8, job_name, run_id

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", fullmatch=True)
LABELS = st.from_regex(DNS_LABEL, fullmatch=True)
UIDS = st.uuids(version=4).map(str)


@given(NAMES, UIDS)
def test_every_workloads_run_has_a_name_that_the_schema_admits(workload: str, uid: str) -> None:
    """Also where the workload's own name has dots and 253 characters."""
    name = auto_run_name(workload, uid)
    assert DNS_LABEL.fullmatch(name)
    assert name.endswith(f"-{uid[:8]}")


@given(NAMES, UIDS, UIDS)
def test_another_uid_is_another_run(workload: str, one: str, two: str) -> None:
    """Delete-and-reapply of the same name makes a second Run."""
    if one[:8] != two[:8]:
        assert auto_run_name(workload, one) != auto_run_name(workload, two)


def test_the_name_of_the_design() -> None:
    """`<workload name, cut to 54>-<8 hex of its UID>`."""
    uid = "41c735ef-bd10-4927-9ab4-4db3074119a1"
    assert auto_run_name("ddp", uid) == "ddp-41c735ef"
    assert auto_run_name("x" * 60, uid) == "x" * 54 + "-41c735ef"
    assert run_id("ddp-41c735ef", str(uuid.UUID(int=0)), auto=True) == "ddp-41c735ef"
    assert run_id("resnet", uid, auto=False) == "resnet-41c735ef"


@given(LABELS, UIDS)
def test_a_made_jobs_pods_have_host_names_for_a_million_indexes(run: str, uid: str) -> None:
    """`<job>-<index>` is a host name: at most 63 characters."""
    name = job_name(run, uid, None)
    assert DNS_LABEL.fullmatch(name)
    assert len(f"{name}-1000000") <= 63
    assert len(run) > 52 or name == run


def test_a_name_that_was_asked_for_is_kept() -> None:
    """spec.workload.metadata.name."""
    assert job_name("run", "uid", "mine") == "mine"


@given(LABELS, st.text(), st.text())
def test_an_events_name_tells_facts_apart(run: str, one: str, two: str) -> None:
    """The same fact has the same name, another fact another."""
    assert event_name(run, one) == event_name(run, one)
    assert (event_name(run, one) == event_name(run, two)) == (one == two)
    assert len(event_name(run, one)) <= 253


def test_a_uid_that_is_no_uuid_has_eight_digits_too() -> None:
    """Some test doubles and old objects have such."""
    assert re.fullmatch(r"[0-9a-f]{8}", hex8("not a uuid"))
