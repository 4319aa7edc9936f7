"""Certificates."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509

from bot.simexchange.tls import server_context


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> None:
    """A whole handshake in memory; raises what the client raises."""
    wires = [ssl.MemoryBIO() for _ in range(4)]
    near = client.wrap_bio(wires[0], wires[1], server_hostname=host)
    far = server.wrap_bio(wires[2], wires[3], server_side=True)
    pending = [near, far]
    for _ in range(10):
        for side in list(pending):
            try:
                side.do_handshake()
                pending.remove(side)
            except ssl.SSLWantReadError:
                pass
        wires[2].write(wires[1].read())
        wires[0].write(wires[3].read())
        if not pending:
            return
    raise AssertionError("the handshake did not end")


@pytest.mark.parametrize(
    "host", ["api.binance.com", "fapi.binance.com", "fstream.binance.com", "stream.binance.com", "sim.local",
             "localhost", "127.0.0.1", "www.okx.com", "ws.okx.com"]
)  # fmt: skip
def test_the_hosts_of_ccxt_are_certified(tmp_path: Path, host: str) -> None:
    """A client that trusts the written authority accepts the server under each of Binance's and OKX's names."""
    server = server_context(tmp_path / "ca.pem")
    _handshake(server, ssl.create_default_context(cafile=str(tmp_path / "ca.pem")), host)


def test_another_authority_is_not_trusted(tmp_path: Path) -> None:
    """A client that trusts the authority of another run refuses the server."""
    server = server_context(tmp_path / "ca.pem")
    server_context(tmp_path / "other.pem")
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(server, ssl.create_default_context(cafile=str(tmp_path / "other.pem")), "sim.local")


def test_another_host_is_not_certified(tmp_path: Path) -> None:
    """The certificate does not cover a host that is not Binance's."""
    server = server_context(tmp_path / "ca.pem")
    client = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(server, client, "example.com")


def test_no_private_key_is_left_on_disk(tmp_path: Path) -> None:
    """All that is written is the authority's certificate."""
    server_context(tmp_path / "ca.pem")
    assert [path.name for path in tmp_path.iterdir()] == ["ca.pem"]
    text = (tmp_path / "ca.pem").read_bytes()
    assert b"PRIVATE" not in text
    assert (
        x509.load_pem_x509_certificate(text)
        .extensions.get_extension_for_class(x509.BasicConstraints)
        .value.ca
    )
