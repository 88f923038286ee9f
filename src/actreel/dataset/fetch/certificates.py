"""TLS for hosts that do not send their intermediate certificate, with verification always on.

Browsers complete such a chain: the server's certificate contains the address of its issuer's certificate (Authority
Information Access, RFC 5280 section 4.2.2.1). This module does the same. The fetched certificate is not trusted by
itself; it only fills the gap between the server's certificate and a root that the machine already trusts.
"""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import AuthorityInformationAccessOID

from actreel.errors import FetchError

MOST_MISSING = 4
MOST_BYTES = 65536
TIMEOUT_S = 15

# OpenSSL's X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY and X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE.
_ISSUER_MISSING = frozenset({20, 21})


def lacks_issuer(error: BaseException) -> bool:
    """Whether a failed handshake may be due to an intermediate certificate that the server did not send."""
    cause = _verification_error(error)
    return cause is not None and cause.verify_code in _ISSUER_MISSING


def verifying_context() -> ssl.SSLContext:
    """A client's TLS settings: certificate and host name are verified, and every chain must end in a trusted root."""
    context = ssl.create_default_context()
    # On by default from Python 3.13: every loaded certificate, even an intermediate, would then be a trust anchor.
    context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def completing_context(url: str) -> ssl.SSLContext:
    """Like `verifying_context`, with the intermediate certificates that the server of `url` should have sent.

    Raises:
        FetchError: The server does not show a certificate, or the address in it does not lead to its issuer's.
    """
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 443)
    # Reads the certificate that the server shows to anyone. Nothing is sent or trusted: the download itself uses a
    # new connection with the context below.
    try:
        certificate = x509.load_pem_x509_certificate(ssl.get_server_certificate(address, timeout=TIMEOUT_S).encode())
    except (OSError, ValueError) as error:
        raise FetchError(f"the server must show its certificate. Received: {error}, from {address[0]}.") from error
    context = verifying_context()
    for _ in range(MOST_MISSING):
        issuer_url = _issuer_url(certificate)
        if issuer_url is None:
            break
        certificate = _fetch_certificate(issuer_url)
        if certificate.issuer == certificate.subject:
            break  # a root; only the machine decides whether it is trusted
        context.load_verify_locations(cadata=certificate.public_bytes(Encoding.DER))
    return context


def _verification_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Finds OpenSSL's error inside the errors of requests and urllib3."""
    if error is None or isinstance(error, ssl.SSLCertVerificationError):
        return error
    inner = [error.__cause__, error.__context__, getattr(error, "reason", None), *error.args]
    for candidate in inner:
        if isinstance(candidate, BaseException) and candidate is not error:
            found = _verification_error(candidate)
            if found is not None:
                return found
    return None


def _issuer_url(certificate: x509.Certificate) -> str | None:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return None
    for entry in access:
        url = str(entry.access_location.value)
        if entry.access_method == AuthorityInformationAccessOID.CA_ISSUERS and url.startswith("http://"):
            return url
    return None


def _fetch_certificate(url: str) -> x509.Certificate:
    try:
        with requests.get(url, timeout=TIMEOUT_S, stream=True) as answer:
            answer.raise_for_status()
            content = answer.raw.read(MOST_BYTES, decode_content=True)
    except (requests.RequestException, OSError) as error:
        raise FetchError(f"the missing certificate must be at {url}. Received: {error}") from error
    readers = (
        x509.load_der_x509_certificate,
        x509.load_pem_x509_certificate,
        lambda data: pkcs7.load_der_pkcs7_certificates(data)[0],
    )
    for read in readers:
        try:
            return read(content)
        except (ValueError, IndexError):
            continue
    raise FetchError(f"the missing certificate must be at {url}. Received: {len(content)} bytes of something else.")
