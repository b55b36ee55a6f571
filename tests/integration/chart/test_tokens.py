"""The tracker's account and the API server's keys: what the chart's flags rely on, against the real server."""

from pathlib import Path

import pytest

from outrider_tracker.auth.entities import EntityMap
from outrider_tracker.auth.jwks import KeySet, fetch
from outrider_tracker.auth.tokens import Cluster, InvalidTokenError, TokenVerifier, issuer_of
from outrider_tracker.core.principals import Controller
from tests.integration.chart.conftest import Release


def test_the_trackers_account_reads_the_keys_that_the_controllers_token_is_signed_with(
    release: Release, tmp_path: Path
) -> None:
    """No role is bound to it; the issuer is that of its own token; another audience is refused."""
    release.install()
    own = release.kubectl("create", "token", "outrider-tracker").strip()
    (tmp_path / "token").write_text(own)
    url = f"{release.cluster.state.api_url}/openid/v1/jwks"
    keys = KeySet(lambda: fetch(url, tmp_path / "token", release.cluster.authority))
    subject = f"system:serviceaccount:{release.namespace}:outrider-controller"
    verifier = TokenVerifier(Cluster(issuer_of(own), keys, subject), EntityMap())

    meant = release.kubectl("create", "token", "outrider-controller", "--audience=outrider").strip()
    assert verifier.verify(meant) == Controller(subject)
    for_the_api = release.kubectl("create", "token", "outrider-controller").strip()
    with pytest.raises(InvalidTokenError, match="Audience"):
        verifier.verify(for_the_api)
