"""Addresses that clients are given begin with how they reached us."""

from __future__ import annotations

import ipaddress

import pytest

from outrider_tracker.wandb.addresses import base_url

PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
FORWARDED = {"host": "tracker:8080", "x-forwarded-proto": "https", "x-forwarded-host": "wandb.example.com, inner"}


@pytest.mark.parametrize(
    ("scheme", "headers", "peer", "public", "expected"),
    [
        ("http", {"host": "127.0.0.1:8080"}, "127.0.0.1", "", "http://127.0.0.1:8080"),
        ("https", {"host": "tracker.outrider.svc:8443"}, "10.0.0.9", "", "https://tracker.outrider.svc:8443"),
        ("http", {"host": "[::1]:8080"}, "::1", "", "http://[::1]:8080"),
        ("http", FORWARDED, "10.1.2.3", "", "https://wandb.example.com"),
        ("http", FORWARDED, "192.168.0.1", "", "http://tracker:8080"),
        (
            "http",
            {"host": "Wandb.Example.com"},
            "192.168.0.1",
            "https://wandb.example.com",
            "https://wandb.example.com",
        ),
        ("http", {"host": "tracker:80"}, "192.168.0.1", "https://wandb.example.com", "http://tracker:80"),
        ("http", {"host": "evil.com/path"}, "1.2.3.4", "", ""),
        ("http", {"host": "evil.com\r\nX: y"}, "1.2.3.4", "", ""),
        ("http", {"host": "user@evil.com"}, "1.2.3.4", "", ""),
        ("http", {}, "1.2.3.4", "", ""),
        ("http", {"host": "t", "x-forwarded-proto": "javascript"}, "fd00::1", "", ""),
        ("http", {"host": "t"}, "", "", "http://t"),
    ],
)
def test_base_url(scheme: str, headers: dict[str, str], peer: str, public: str, expected: str) -> None:
    assert base_url(scheme, headers, peer, public_url=public, trusted=PROXIES) == expected
