"""When certificates end, held against the library that made them."""

from __future__ import annotations

import datetime as dt

import pytest
import trustme

from deployd.transport import expires_at

AUTHORITY = trustme.CA()
SOON = dt.datetime(2031, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
LATE = dt.datetime(2077, 12, 31, 23, 59, 59, tzinfo=dt.UTC)  # told as GeneralizedTime
PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def pem(ends: dt.datetime, kind: trustme.KeyType = trustme.KeyType.ECDSA) -> bytes:
    issued = AUTHORITY.issue_cert("localhost", not_after=ends, key_type=kind)
    return bytes(issued.cert_chain_pems[0].bytes())


@pytest.mark.parametrize("kind", list(trustme.KeyType))
@pytest.mark.parametrize("ends", [SOON, LATE, PAST])
def test_a_certificate_ends_when_it_was_made_to(ends: dt.datetime, kind: trustme.KeyType) -> None:
    assert expires_at(pem(ends, kind)) == ends.timestamp()


def test_a_chain_ends_with_the_first_of_it_whatever_else_the_file_holds() -> None:
    key = AUTHORITY.issue_cert("x").private_key_pem.bytes()
    assert expires_at(key + b"subject=\xff\n" + pem(LATE) + pem(SOON)) == SOON.timestamp()


CUT = pem(SOON).splitlines()


@pytest.mark.parametrize(
    "content",
    [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
     b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
     b"\n".join([*CUT[:4], CUT[-1]])],
    ids=["empty", "text", "no base64", "cut short", "cut"],
)  # fmt: skip
def test_what_is_no_certificate_has_no_end(content: bytes) -> None:
    assert expires_at(content) is None
