"""A server that sends only its own certificate, not the one that signed it."""

import datetime
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from actreel.dataset.fetch.certificates import verifying_context
from actreel.dataset.fetch.download import download
from actreel.errors import FetchError
from tests.loopback import Loopback, serving

CONTENT = bytes(range(256)) * 100


@dataclass(frozen=True)
class Identity:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


def key_usage(ca: bool) -> x509.KeyUsage:
    """Signs certificates, or TLS handshakes."""
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name == ("key_cert_sign" if ca else "digital_signature") for name in names})


def issue(
    name: str, issuer: Identity | None = None, *, ca: bool = True, host: str = "127.0.0.1", issuer_at: str | None = None
) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = issuer or Identity(key, None)  # type: ignore[arg-type]
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
        # Python 3.13 checks that a CA may sign certificates.
        .add_extension(key_usage(ca), critical=True)
    )
    if not ca:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
    if issuer_at:
        place = x509.UniformResourceIdentifier(issuer_at)
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return Identity(key, builder.sign(signer.key, hashes.SHA256()))


@contextmanager
def serving_as(leaf: Identity, folder: Path) -> Iterator[Loopback]:
    """Serves over TLS, showing the leaf's certificate alone."""
    file = folder / "leaf.pem"
    key = leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(leaf.pem + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with serving(CONTENT, context) as server:
        yield server


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Identity:
    """A root that this machine trusts."""
    trusted = issue("Trusted root")
    (tmp_path / "roots.pem").write_bytes(trusted.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "roots.pem"))
    return trusted


def as_der(intermediate: Identity) -> bytes:
    return intermediate.der


def as_pem(intermediate: Identity) -> bytes:
    return intermediate.pem


def as_pkcs7(intermediate: Identity) -> bytes:
    return pkcs7.serialize_certificates([intermediate.certificate], Encoding.DER)


@pytest.mark.parametrize("form", [as_der, as_pem, as_pkcs7])
def test_a_missing_intermediate_is_found(tmp_path: Path, root: Identity, form: Callable[[Identity], bytes]) -> None:
    intermediate = issue("Intermediate", root)
    with serving(form(intermediate)) as issuers:
        leaf = issue("leaf", intermediate, ca=False, issuer_at=issuers.url)
        with serving_as(leaf, tmp_path) as server:
            server.breaks.append(1000)
            download(server.url, tmp_path / "file", size=len(CONTENT), first_pause_s=0.001)
        assert len(issuers.requests) == 1  # the second connection knows the chain
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_two_missing_intermediates_are_found(tmp_path: Path, root: Identity) -> None:
    outer = issue("Outer", root)
    with serving(outer.der) as outers:
        inner = issue("Inner", outer, issuer_at=outers.url)
        with serving(inner.der) as inners:
            leaf = issue("leaf", inner, ca=False, issuer_at=inners.url)
            with serving_as(leaf, tmp_path) as server:
                download(server.url, tmp_path / "file", size=len(CONTENT))
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_complete_chain_asks_nobody(tmp_path: Path, root: Identity) -> None:
    with serving(b"") as issuers:
        with serving_as(issue("leaf", root, ca=False, issuer_at=issuers.url), tmp_path) as server:
            download(server.url, tmp_path / "file", size=len(CONTENT))
        assert not issuers.requests


def refused(server: Loopback, target: Path, why: str) -> None:
    with pytest.raises(FetchError, match=why):
        download(server.url, target, size=len(CONTENT), first_pause_s=0.001)
    assert server.sent == 0
    assert not target.exists()


def test_an_untrusted_root_stays_untrusted_whatever_the_server_points_to(tmp_path: Path, root: Identity) -> None:
    rogue = issue("Rogue root")
    with serving(rogue.der) as issuers:
        leaf = issue("leaf", rogue, ca=False, issuer_at=issuers.url)
        with serving_as(leaf, tmp_path) as server:
            refused(server, tmp_path / "file", "lead to a root that this machine trusts")


def test_an_intermediate_is_no_anchor(tmp_path: Path, root: Identity) -> None:
    rogue = issue("Rogue root")
    intermediate = issue("Intermediate", rogue)
    with serving(intermediate.der) as issuers:
        leaf = issue("leaf", intermediate, ca=False, issuer_at=issuers.url)
        with serving_as(leaf, tmp_path) as server:
            refused(server, tmp_path / "file", "certificate must be valid.*unable to get issuer certificate")


def test_a_rogue_of_the_root_s_name_is_no_root(tmp_path: Path, root: Identity) -> None:
    rogue = issue("Trusted root")
    intermediate = issue("Intermediate", rogue)
    with serving(intermediate.der) as issuers:
        leaf = issue("leaf", intermediate, ca=False, issuer_at=issuers.url)
        with serving_as(leaf, tmp_path) as server:
            refused(server, tmp_path / "file", "certificate must")


def test_another_host_s_certificate_is_refused(tmp_path: Path, root: Identity) -> None:
    with serving_as(issue("leaf", root, ca=False, host="127.0.0.2"), tmp_path) as server:
        refused(server, tmp_path / "file", "certificate must be valid.*IP address mismatch")


def test_a_completed_chain_is_still_checked_for_the_host(tmp_path: Path, root: Identity) -> None:
    intermediate = issue("Intermediate", root)
    with serving(intermediate.der) as issuers:
        leaf = issue("leaf", intermediate, ca=False, host="127.0.0.2", issuer_at=issuers.url)
        with serving_as(leaf, tmp_path) as server:
            refused(server, tmp_path / "file", "certificate must be valid.*IP address mismatch")


@pytest.mark.parametrize("content", [b"no certificate", b""])
def test_what_is_no_certificate_is_refused(tmp_path: Path, root: Identity, content: bytes) -> None:
    with serving(content) as issuers:
        leaf = issue("leaf", issue("Intermediate", root), ca=False, issuer_at=issuers.url)
        with serving_as(leaf, tmp_path) as server:
            refused(server, tmp_path / "file", rf"missing certificate must be at {issuers.url}")


@pytest.mark.parametrize("place", [None, "file:///etc/passwd", "ldap://127.0.0.1/x"])
def test_where_no_issuer_is_told_the_chain_stays_open(tmp_path: Path, root: Identity, place: str | None) -> None:
    leaf = issue("leaf", issue("Intermediate", root), ca=False, issuer_at=place)
    with serving_as(leaf, tmp_path) as server:
        refused(server, tmp_path / "file", "lead to a root that this machine trusts")


def test_an_unsafe_redirect_is_refused(tmp_path: Path, root: Identity) -> None:
    with serving(CONTENT) as unsafe, serving_as(issue("leaf", root, ca=False), tmp_path) as server:
        server.redirect = unsafe.url
        refused(server, tmp_path / "file", r"must not redirect to an unsafe one\. Received: http:")


def test_verification_is_on() -> None:
    context = verifying_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
