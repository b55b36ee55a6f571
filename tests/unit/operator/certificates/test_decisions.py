"""What is done about the Secret of certificates, and that clients believe the result at every moment."""

from __future__ import annotations

import datetime as dt
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from outrider_operator.core.certificate_entries import CA_CERT, CA_KEY, NEXT_CERT, WEBHOOK_CERT, WEBHOOK_KEY
from outrider_operator.core.certificates import Step, carry_out, decide, service_names, split_bundle

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
NAMES = {
    "webhook": service_names("outrider-webhook", "outrider"),
    "tracker": service_names("outrider-tracker", "outrider"),
}


def fresh(now: dt.datetime = NOW) -> dict[str, str]:
    """The Secret after the first step."""
    return carry_out(decide(None, now, NAMES), None, now, NAMES)


def verified(data: Any, bundle: str, now: dt.datetime, folder: Path, leaf: str = "webhook") -> bool:
    """Whether OpenSSL, given the bundle, believes the leaf for its Service's name at that time."""
    (folder / "ca.pem").write_text(bundle)
    (folder / "leaf.pem").write_text(data[f"{leaf}.crt"])
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-attime", str(int(now.timestamp()))]
    command += ["-verify_hostname", NAMES[leaf][0], "-CAfile", str(folder / "ca.pem"), str(folder / "leaf.pem")]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_an_empty_secret_gets_everything_and_openssl_believes_it(tmp_path: Path) -> None:
    """A CA of ten years, leaves of ninety days, for the names of both Services."""
    assert decide(None, NOW, NAMES).step is Step.ROTATE
    assert decide({}, NOW, NAMES).step is Step.ROTATE
    data = fresh()
    assert decide(data, NOW, NAMES).step is Step.KEEP
    assert data.keys() == {"ca.crt", "ca.key", "webhook.crt", "webhook.key", "tracker.crt", "tracker.key"}
    for leaf in NAMES:
        assert verified(data, data[CA_CERT], NOW + 89 * DAY, tmp_path, leaf)
        assert not verified(data, data[CA_CERT], NOW + 91 * DAY, tmp_path, leaf)
        assert not verified(data, fresh()[CA_CERT], NOW, tmp_path, leaf)


def test_a_leaf_is_issued_a_month_before_its_end(tmp_path: Path) -> None:
    """By the same CA, so no client notices."""
    data = fresh()
    assert decide(data, NOW + 59 * DAY, NAMES).step is Step.KEEP
    later = NOW + 61 * DAY
    decision = decide(data, later, NAMES)
    assert (decision.step, decision.leaves) == (Step.ISSUE, ("webhook", "tracker"))
    assert "webhook: it ends on 2026-04-01" in decision.why
    renewed = carry_out(decision, data, later, NAMES)
    assert renewed[CA_CERT] == data[CA_CERT]
    assert verified(renewed, data[CA_CERT], later + 80 * DAY, tmp_path)


@pytest.mark.parametrize(
    ("damage", "leaves", "why"),
    [
        ({WEBHOOK_CERT: ""}, ("webhook",), "webhook: there is none"),
        ({WEBHOOK_KEY: "no PEM"}, ("webhook",), "webhook: there is none"),
        ({"tracker.crt": fresh()["tracker.crt"]}, ("tracker",), "certificate and key do not belong together"),
        (
            {key: value for key, value in fresh().items() if key.startswith("tracker")},
            ("tracker",),
            "tracker: another CA issued it",
        ),
    ],
)
def test_a_damaged_leaf_is_issued_anew_and_the_other_stays(damage: Any, leaves: Any, why: str) -> None:
    """Whatever happened to the Secret, the next pass mends it."""
    data = {**fresh(), **damage}
    decision = decide(data, NOW, NAMES)
    assert (decision.step, decision.leaves) == (Step.ISSUE, leaves)
    assert why in decision.why
    mended = carry_out(decision, data, NOW, NAMES)
    assert decide(mended, NOW, NAMES).step is Step.KEEP
    other = ({"webhook", "tracker"} - set(leaves)).pop()
    assert mended[f"{other}.crt"] == data[f"{other}.crt"]


def test_another_release_name_gives_leaves_of_that_name() -> None:
    """A leaf that does not name the Service is no use."""
    names = {**NAMES, "webhook": service_names("other", "elsewhere")}
    decision = decide(fresh(), NOW, names)
    assert decision.leaves == ("webhook",)
    assert "it does not name other, other.elsewhere, other.elsewhere.svc" in decision.why


@pytest.mark.parametrize("damage", [{CA_CERT: ""}, {CA_KEY: ""}, {CA_KEY: fresh()[CA_KEY]}, {CA_CERT: "nonsense"}])
def test_a_damaged_ca_is_replaced_at_once(damage: Any) -> None:
    """Nothing can be signed with it."""
    data = {**fresh(), **damage, "mine": "stays"}
    decision = decide(data, NOW, NAMES)
    assert decision.step is Step.ROTATE
    mended = carry_out(decision, data, NOW, NAMES)
    assert decide(mended, NOW, NAMES).step is Step.KEEP
    assert mended["mine"] == "stays"


def test_a_ca_is_replaced_without_a_moment_in_which_a_running_sidecar_does_not_believe(tmp_path: Path) -> None:
    """Eleven years, a look every ten days: a bundle that a pod got 170 days ago verifies what is served now."""
    data, now = fresh(), NOW
    bundles = [(now, data[CA_CERT])]
    steps = []
    while now < NOW + 11 * 365 * DAY:
        now += 10 * DAY
        while (decision := decide(data, now, NAMES)).step is not Step.KEEP:
            data = carry_out(decision, data, now, NAMES)
            steps.append(decision.step)
        bundles = [(now, data[CA_CERT]), *bundles[:17]]
        if now > NOW + 9 * 365 * DAY:
            for made, bundle in (bundles[0], bundles[-1]):
                assert now - made in {0 * DAY, 170 * DAY}
                assert verified(data, bundle, now, tmp_path), (made, now)
    assert steps.count(Step.PREPARE) == 1
    assert steps.count(Step.ROTATE) == 1
    assert steps.index(Step.PREPARE) < steps.index(Step.ROTATE)
    assert NEXT_CERT not in data
    assert len(split_bundle(data[CA_CERT])) == 1, "the old CA leaves the bundle when it has ended"


def test_python_takes_the_pair_and_the_bundle(tmp_path: Path) -> None:
    """As the webhook and the sidecar load them."""
    data = fresh()
    (tmp_path / "crt").write_text(data[WEBHOOK_CERT])
    (tmp_path / "key").write_text(data[WEBHOOK_KEY])
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "crt", tmp_path / "key")
    ssl.create_default_context(cadata=data[CA_CERT])
