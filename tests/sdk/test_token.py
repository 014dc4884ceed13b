"""The API token of the SDK: where it is taken from, and where it must not show."""

from __future__ import annotations

import pytest

from mltrail._settings import read_settings
from mltrail._transport.http import HttpTransport

SECRET = "mlt_0123456789abcdef_" + "s" * 43


def test_the_argument_wins_over_the_variable() -> None:
    environment = {"MLTRAIL_URI": "http://x:1", "MLTRAIL_TOKEN": f" {SECRET}\n"}
    assert read_settings(environment).destination.token == SECRET
    assert read_settings(environment, token="other").destination.token == "other"
    assert read_settings({"MLTRAIL_TOKEN": ""}).destination.token is None


def test_a_token_shows_in_no_repr() -> None:
    settings = read_settings({"MLTRAIL_URI": "http://x:1", "MLTRAIL_TOKEN": SECRET})
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings.destination)


@pytest.mark.parametrize("letter", ["\n", "\r\nX-Mltrail-Actor: root", " ", "\0", "é", "\x7f"])
def test_what_no_header_can_carry_is_refused_without_repeating_it(letter: str) -> None:
    with pytest.raises(ValueError, match="API token") as refused:
        read_settings({}, token=f"{SECRET}{letter}x")
    assert SECRET not in str(refused.value)


def test_a_password_in_the_url_shows_in_no_error() -> None:
    transport = HttpTransport(f"http://ann:{SECRET}@127.0.0.1:1")
    try:
        with pytest.raises(Exception, match="can't be reached") as refused:
            transport.append([])
    finally:
        transport.close()
    assert SECRET not in str(refused.value)
