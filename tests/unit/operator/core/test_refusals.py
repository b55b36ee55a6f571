"""Refused pods: the API server's own sentences, with the sum that they leave out."""

import pytest

from outrider_operator.core.refusals import refusal

REQUESTS = (("cpu", "1"), ("memory", "1Gi"))
# Recorded from Kubernetes 1.36.
QUOTA = (
    'Error creating: pods "over-pfrl8" is forbidden: exceeded quota: team-quota, requested: requests.cpu=1010m, used: '
    "requests.cpu=0, limited: requests.cpu=1"
)
MUST = (
    'Error creating: pods "x" is forbidden: failed quota: team-quota: must specify limits.memory for: outrider; '
    "requests.cpu for: outrider"
)
RANGE = (
    'Error creating: pods "x" is forbidden: [maximum cpu usage per Pod is 1, but request is 1010m, maximum memory '
    "usage per Pod is 1Gi, but limit is 1152Mi]"
)
OTHER = 'Error creating: pods "x" is forbidden: violates PodSecurity "restricted:latest"'


@pytest.mark.parametrize(
    ("message", "want"),
    [(QUOTA, "QuotaRefused"), (MUST, "QuotaRefused"), (RANGE, "LimitRangeRefused"), (OTHER, "PodRefused")],
)
def test_the_reason_of_a_refusal(message: str, want: str) -> None:
    """By what the API server says."""
    found = refusal([{"reason": "FailedCreate", "message": message}], REQUESTS)
    assert found is not None
    assert found.reason == want
    assert message.rstrip(".") in found.message


def test_a_quotas_sum_is_split_into_template_and_sidecar() -> None:
    """1010m are 1000m and 10m."""
    found = refusal([{"reason": "FailedCreate", "message": QUOTA}], REQUESTS)
    assert found is not None
    assert "of 1010m cpu that a pod asks, 1000m are its template's and 10m the sidecar's" in found.message


def test_the_newest_refusal_counts_and_other_events_do_not() -> None:
    """By the last time that it was seen."""
    old = {"reason": "FailedCreate", "message": OTHER, "lastTimestamp": "2026-11-21T12:00:00Z"}
    new = {"reason": "FailedCreate", "message": QUOTA, "lastTimestamp": "2026-11-21T12:01:00Z"}
    found = refusal([new, old, {"reason": "SuccessfulCreate", "message": "x"}], REQUESTS)
    assert found is not None
    assert found.reason == "QuotaRefused"
    assert refusal([{"reason": "SuccessfulCreate"}], REQUESTS) is None
