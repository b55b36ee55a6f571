"""Names and headers of downloads: whatever a job calls its files, a browser saves them and nothing else."""

from __future__ import annotations

import re
from email.message import EmailMessage
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider_tracker.api import headers
from outrider_tracker.core import user_bytes

TOKEN = re.compile(r"attachment; filename=\"([A-Za-z0-9._ -]+)\"; filename\*=UTF-8''([A-Za-z0-9._~%-]+)")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("out/report.json", "report.json"),
        ("a\\b\\c.txt", "c.txt"),
        ("../../etc/passwd", "passwd"),
        ("weights épochs.pt", "weights épochs.pt"),
        ('x";\r\nSet-Cookie: a=b', "x_;Set-Cookie_ a=b"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("<img src=x>.html", "_img src=x_.html"),
        ("CON", "file-CON"),
        ("com1.txt", "file-com1.txt"),
        ("out/", "file"),
        ("...", "file"),
        ("\ud800\x00\x7f", "file"),
        (".bashrc", "bashrc"),
    ],
)
def test_names_of_downloads_are_the_last_part_made_safe(path: str, name: str) -> None:
    assert headers.download_name(path) == name


def test_long_names_keep_their_ending() -> None:
    name = headers.download_name("n" * 500 + ".safetensors")
    assert len(name) == user_bytes.MAX_NAME
    assert name.endswith("n.safetensors")


@given(st.text(max_size=300))
def test_any_path_gives_one_attachment_with_both_names(path: str) -> None:
    """The header has exactly the form of RFC 6266, in ASCII, and its two names are the same file."""
    value = headers.attachment(path)
    match = TOKEN.fullmatch(value)
    assert match is not None, value
    assert unquote(match[2], errors="strict") == headers.download_name(path)
    assert "/" not in unquote(match[2])


@given(st.text(max_size=200))
def test_an_independent_parser_reads_the_name_back(path: str) -> None:
    """Python's own mail parser knows RFC 8187 too."""
    message = EmailMessage()
    message["Content-Disposition"] = headers.attachment(path)
    assert message.get_content_disposition() == "attachment"
    assert message.get_filename() in {headers.download_name(path), TOKEN.fullmatch(headers.attachment(path))[1]}  # type: ignore[index]


def test_user_bytes_may_neither_run_nor_be_guessed_nor_be_framed() -> None:
    policy = headers.USER_BYTES["Content-Security-Policy"].split("; ")
    assert {"sandbox", "default-src 'none'", "frame-ancestors 'none'"} <= set(policy)
    assert headers.USER_BYTES["X-Content-Type-Options"] == "nosniff"


def test_the_pages_run_our_own_files_only() -> None:
    policy = headers.PAGE["Content-Security-Policy"].split("; ")
    assert {"default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'"} <= set(policy)
    assert not any("unsafe" in part or "data:" in part or "*" in part for part in policy)
