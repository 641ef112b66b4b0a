# SPDX-License-Identifier: Apache-2.0
"""A throw-away PKI by the openssl command: root, intermediate, brokers and clients."""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

ORGANISATION = "Example"
# "CN=alice,O=Example" is User:alice; other names stay as they are.
MAPPING_RULES = f"RULE:^CN=([^,]+),O={ORGANISATION}$/$1/,DEFAULT"

WEEK = 7 * 24 * 3600

# `openssl ca`, because `openssl x509` knows whole days only.
_CONFIG = """[ca]
default_ca = throw_away
[throw_away]
database = {directory}/issued.txt
new_certs_dir = {directory}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = subject
[subject]
organizationName = supplied
commonName = supplied
"""


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
        self._config = directory / f"{name}.cnf"
        self._config.write_text(_CONFIG.format(directory=directory))
        (directory / "issued.txt").touch()
        self.key = directory / f"{name}.key"
        self.certificate = directory / f"{name}.crt"
        by = issuer._flags() if issuer else ["-selfsign", "-keyfile", self.key]
        self._sign(name, self.key, self.certificate, "basicConstraints=critical,CA:true", by, WEEK)
        self.chain = [] if issuer is None else [self.certificate, *issuer.chain]

    def _flags(self):
        return ["-cert", self.certificate, "-keyfile", self.key]

    def _sign(self, name, key, certificate, extensions, by, seconds):
        request = key.with_suffix(".csr")
        _openssl(
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/O={ORGANISATION}/CN={name}", "-keyout", key, "-out", request,
        )  # fmt: skip
        file = key.with_suffix(".ext")
        file.write_text(extensions)
        end = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds))
        _openssl(
            "ca", "-batch", "-notext", "-config", self._config, *by, "-in", request,
            "-enddate", end, "-extfile", file, "-out", certificate,
        )  # fmt: skip

    def issue(self, name, seconds=WEEK) -> Identity:
        """The certificate CN=name, which ends so many seconds from now."""
        stem = name if seconds == WEEK else f"{name}-{seconds}-s"
        key = self._directory / f"{stem}.key"
        leaf = self._directory / f"{stem}.leaf.crt"
        extensions = (
            "basicConstraints=critical,CA:false\n"
            "extendedKeyUsage=serverAuth,clientAuth\n"
            "subjectAltName=DNS:localhost,IP:127.0.0.1\n"
        )
        self._sign(name, key, leaf, extensions, self._flags(), seconds)
        certificate = self._directory / f"{stem}.crt"
        certificate.write_text("".join(file.read_text() for file in [leaf, *self.chain]))
        keystore = self._directory / f"{stem}.pem"
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
