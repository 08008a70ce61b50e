"""Certificates of an authority of our own, and tokens signed with a key of our own."""

from __future__ import annotations

import base64
import ipaddress
import json
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.services.ports import LOOPBACK

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

DAY = timedelta(days=1)
ISSUER = "a test's authority"


class Authority:
    """A certificate authority, with its files in a folder.

    Attributes
    ----------
    ca : Path
        Its certificate, which clients trust.
    """

    def __init__(self, folder: Path) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.ca = self._write("ca.pem", _pem(self._signed(ISSUER, self._key.public_key(), is_authority=True)))

    def server(self, name: str = "localhost") -> Path:
        """The key and certificate of a server of that name; the usual one is also at 127.0.0.1."""
        certificate, key = self._issue(name, is_server=True)
        return self._write("server.pem", key + certificate)

    def client(self, user: str) -> tuple[Path, Path]:
        """The certificate and the key of a user."""
        certificate, key = self._issue(user)
        return self._write(f"{user}.pem", certificate), self._write(f"{user}.key", key)

    def _issue(self, name: str, is_server: bool = False) -> tuple[bytes, bytes]:
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        signed = self._signed(name, key.public_key(), is_authority=False, is_server=is_server)
        return _pem(signed), _key_pem(key)

    def _signed(
        self, name: str, public_key: Any, is_authority: bool, is_server: bool = False
    ) -> x509.Certificate:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        now = datetime.now(timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(ISSUER))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(_usage(is_authority), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        )
        if not is_authority:  # Python 3.13 asks for it
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
            builder = builder.add_extension(identifier, critical=False)
        if is_server:
            names: list[x509.GeneralName] = [x509.DNSName(name)]
            if name == "localhost":
                names.append(x509.IPAddress(ipaddress.ip_address(LOOPBACK)))
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        return path


class TokenKey:
    """Signs tokens (JWT, RS256); `public` is the file of the key that proves them."""

    def __init__(self, folder: Path) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(65537, 2048)
        self._pem = _key_pem(key)
        self.public = folder / "token.pem"
        self.public.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    def token(self, user: str, seconds: float = 3600, **claims: Any) -> str:
        """A token of a user that holds for that long; it is one that has expired if that is negative."""
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding, rsa

        key = serialization.load_pem_private_key(self._pem, None)
        assert isinstance(key, rsa.RSAPrivateKey)
        payload = {"sub": user, "exp": int(time.time() + seconds), **claims}
        said = b".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "RS256"}, payload))
        signature = key.sign(said, padding.PKCS1v15(), hashes.SHA256())
        return b".".join([said, _encoded(signature)]).decode()


def _name(name: str) -> x509.Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _usage(is_authority: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: EllipticCurvePrivateKey | Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
