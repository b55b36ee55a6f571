"""Where the tracker takes the issuer of its cluster's tokens from when nobody names it."""

import jwt
import pytest

from outrider_tracker.auth.tokens import issuer_of

KEY = "a key of thirty-two bytes or more"


def test_the_trackers_own_token_names_the_issuer() -> None:
    """It was mounted by the cluster whose tokens are to be accepted, so it is believed."""
    token = jwt.encode({"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:a:b"}, KEY, "HS256")
    assert issuer_of(token) == "https://kubernetes.default.svc"


@pytest.mark.parametrize("token", ["", "not a token", jwt.encode({"sub": "a"}, KEY, "HS256")])
def test_what_is_no_such_token_is_refused_with_what_to_do(token: str) -> None:
    """The flag that helps is named."""
    with pytest.raises(ValueError, match=r"names no issuer.*--issuer"):
        issuer_of(token)
