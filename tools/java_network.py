"""For Java, what pip takes from the environment: the proxy, and the certificates that the machine trusts."""

import hashlib
import os
import re
import ssl
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

CA_BUNDLES = (  # where Debian, Fedora, and Alpine or macOS keep the certificates they trust
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
STORE_PASSWORD = "changeit"  # Java's own default; the store holds public certificates only


def network_options(scratch: Path) -> list[str]:
    """Options of a Java process; a key store of the certificates is written below `scratch`."""
    options = []
    proxy = urlsplit(urllib.request.getproxies().get("https", ""))
    if proxy.hostname:
        options += [f"-Dhttps.proxyHost={proxy.hostname}", f"-Dhttps.proxyPort={proxy.port or 80}"]
    named = [os.environ[name] for name in ("SSL_CERT_FILE", "PIP_CERT") if os.environ.get(name)]
    bundle = next((Path(path) for path in [*named, *CA_BUNDLES] if Path(path).is_file()), None)
    if bundle is not None and "javax.net.ssl.trustStore" not in os.environ.get("JAVA_TOOL_OPTIONS", ""):
        store = scratch / "trusted.jks"
        store.write_bytes(java_trust_store(bundle.read_text(encoding="utf-8", errors="replace")))
        options += [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStoreType=JKS"]
        options += [f"-Djavax.net.ssl.trustStorePassword={STORE_PASSWORD}"]
    return options


def java_trust_store(pem: str) -> bytes:
    """The certificates of a PEM bundle as a Java key store (JKS, version 2).

    Java cannot read PEM bundles itself. The format (sun.security.provider.JavaKeyStore): magic, version, count; per
    certificate a tag 2, alias, time, type and DER; then SHA-1 over the password in UTF-16, a phrase, and all before.
    """

    def text(value: str) -> bytes:
        return len(value).to_bytes(2, "big") + value.encode()

    blocks = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", pem, re.DOTALL)
    body = bytes.fromhex("feedfeed") + (2).to_bytes(4, "big") + len(blocks).to_bytes(4, "big")
    for number, block in enumerate(blocks):
        der = ssl.PEM_cert_to_DER_cert(block)
        body += (2).to_bytes(4, "big") + text(f"ca{number}") + bytes(8) + text("X.509")
        body += len(der).to_bytes(4, "big") + der
    seal = hashlib.sha1(STORE_PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + body, usedforsecurity=False)
    return body + seal.digest()
