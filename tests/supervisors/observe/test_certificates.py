"""When certificates end that lie in files, as the one that a broker is shown does."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from deployd.supervisors.observe import Certificates
from deployd.transport import Certificate, TlsTerminator
from support.certificates import issued

SOON = dt.datetime(2031, 1, 1, tzinfo=dt.UTC)
LATER = dt.datetime(2041, 1, 1, tzinfo=dt.UTC)


def test_files_are_looked_at_once_a_minute_and_those_that_cannot_be_read_are_left_out(
    tmp_path: Path,
) -> None:
    now, files = [0.0], {"broker.nats.certFile": issued(tmp_path, ends=SOON).cert_file}
    seen = Certificates(None, {**files, "other": str(tmp_path), "gone": "x"}, lambda: now[0])
    assert seen() == {"broker.nats.certFile": SOON.timestamp()}
    issued(tmp_path, ends=LATER)
    now[0] = 59.0
    assert seen() == {"broker.nats.certFile": SOON.timestamp()}
    now[0] = 60.0
    assert seen() == {"broker.nats.certFile": LATER.timestamp()}


def test_of_the_port_it_is_what_is_in_use_and_not_what_lies_in_its_file(tmp_path: Path) -> None:
    tls = issued(tmp_path, ends=SOON)
    port, now = TlsTerminator(Certificate(tls.cert_file, tls.key_file)), [0.0]
    seen = Certificates(port, {}, lambda: now[0])
    assert seen() == {"tls.certFile": SOON.timestamp()}
    key = Path(tls.key_file).read_bytes()
    issued(tmp_path, ends=LATER)
    good = Path(tls.key_file).read_bytes()
    Path(tls.key_file).write_bytes(key)  # of another certificate
    port.renew()
    now[0] = 60.0
    assert seen() == {"tls.certFile": SOON.timestamp()}
    Path(tls.key_file).write_bytes(good)
    port.renew()
    now[0] = 120.0
    assert seen() == {"tls.certFile": LATER.timestamp()}
