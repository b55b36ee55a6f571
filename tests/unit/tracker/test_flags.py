"""The tracker's command line."""

import pytest

from outrider_tracker.__main__ import _parser


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ("https://runs.example.com", "https://runs.example.com"),
        ("HTTPS://runs.example.com:8443/", "https://runs.example.com:8443"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("", ""),
    ],
)
def test_a_public_address_is_a_sites(given: str, want: str) -> None:
    """Its scheme in lower case, since it decides on the cookie."""
    assert _parser().parse_args(["serve", "--public-url", given]).public_url == want


@pytest.mark.parametrize(
    "given",
    [
        "runs.example.com",
        "ftp://runs.example.com",
        "https://",
        "https://a.b/path",
        "https://a.b?x",
        "https://u:p@a.b",
        "https://a.b:x",
    ],
)
def test_what_is_no_sites_address_is_refused_with_what_is_expected(
    given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the start, not at the first log-in."""
    with pytest.raises(SystemExit):
        _parser().parse_args(["serve", "--public-url", given])
    assert "https://HOST or https://HOST:PORT is expected" in capsys.readouterr().err


def test_nobody_needs_to_say_a_public_address() -> None:
    """A person's own tracker has none."""
    assert _parser().parse_args(["serve"]).public_url == ""
