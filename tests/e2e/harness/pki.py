# SPDX-License-Identifier: Apache-2.0
"""A throw-away PKI by the openssl command: root, intermediate, brokers and clients."""

import itertools
import subprocess
from dataclasses import dataclass
from pathlib import Path

ORGANISATION = "Example"
# "CN=alice,O=Example" is User:alice; other names stay as they are.
MAPPING_RULES = f"RULE:^CN=([^,]+),O={ORGANISATION}$/$1/,DEFAULT"

_serials = itertools.count(0x1000)


def _openssl(*arguments):
    subprocess.run(
        ["openssl", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL, capture_output=True
    )


@dataclass(frozen=True)
class Identity:
    """A key and a certificate with its chain, each in PEM."""

    name: str
    key: Path
    certificate: Path
    keystore: Path  # both, as Kafka wants a PEM key store


class Authority:
    """Signs certificates; `chain` is what a leaf needs besides itself."""

    def __init__(self, directory: Path, name: str, issuer=None):
        self._directory = directory
        self.key = directory / f"{name}.key"
        self.certificate = directory / f"{name}.crt"
        self._sign(name, "CA:true", self.key, self.certificate, issuer)
        self.chain = [] if issuer is None else [self.certificate, *issuer.chain]

    def _sign(self, name, constraint, key, certificate, issuer, names=""):
        extensions = self._directory / f"{name}.ext"
        usage = "" if constraint == "CA:true" else "extendedKeyUsage=serverAuth,clientAuth\n"
        extensions.write_text(f"basicConstraints=critical,{constraint}\n{usage}{names}")
        request = self._directory / f"{name}.csr"
        _openssl(
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/O={ORGANISATION}/CN={name}", "-keyout", key, "-out", request,
        )  # fmt: skip
        by = ["-signkey", key] if issuer is None else ["-CA", issuer.certificate, "-CAkey", issuer.key]
        _openssl(
            "x509", "-req", "-in", request, *by, "-set_serial", next(_serials),
            "-days", "7", "-extfile", extensions, "-out", certificate,
        )  # fmt: skip

    def issue(self, name, san="DNS:localhost,IP:127.0.0.1") -> Identity:
        key = self._directory / f"{name}.key"
        leaf = self._directory / f"{name}.leaf.crt"
        names = f"subjectAltName={san}\n" if san else ""
        self._sign(name, "CA:false", key, leaf, self, names)
        certificate = self._directory / f"{name}.crt"
        certificate.write_text("".join(file.read_text() for file in [leaf, *self.chain]))
        keystore = self._directory / f"{name}.pem"
        keystore.write_text(key.read_text() + certificate.read_text())
        keystore.chmod(0o600)
        return Identity(name, key, certificate, keystore)


class Pki:
    """The cluster's authority, and another one that the cluster does not know."""

    def __init__(self, directory: Path):
        directory.mkdir(parents=True, exist_ok=True)
        self.root = Authority(directory, "root")
        self.intermediate = Authority(directory, "intermediate", self.root)
        foreign = directory / "foreign"
        foreign.mkdir(exist_ok=True)
        self.foreign = Authority(foreign, "foreign-root")
        self.truststore = self.root.certificate
        self._identities = {}

    def identity(self, name) -> Identity:
        """The certificate CN=name, made when it is first asked for."""
        if name not in self._identities:
            self._identities[name] = self.intermediate.issue(name)
        return self._identities[name]
