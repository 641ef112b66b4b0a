# SPDX-License-Identifier: Apache-2.0
"""A real OPA that fetches its policy as bundles from a server of the harness."""

import contextlib
import http.client
import io
import json
import os
import socket
import ssl
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from . import OPA, REPOSITORY
from .pki import ORGANISATION
from .processes import Process, free_ports, wait_until

POLICIES = REPOSITORY / "policies" / "kafka"


def bundle(revision, grants) -> bytes:
    """The shipped policy with these grants, as OPA wants a bundle."""
    files = {
        ".manifest": json.dumps({"revision": revision, "roots": ["kafka"]}),
        "kafka/grants/data.json": json.dumps(grants),
    }
    for policy in POLICIES.rglob("*.rego"):
        if not policy.stem.endswith("_test"):
            files[f"kafka/{policy.relative_to(POLICIES)}"] = policy.read_text()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


class BundleServer:
    """Serves one bundle; `publish` replaces it. Without a bundle it answers 404."""

    def __init__(self):
        self._bundle = None
        self._tag = None
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):  # the name that the library wants
                server._answer(self)

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._http.server_port
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def publish(self, revision, grants):
        self._bundle, self._tag = bundle(revision, grants), f'"{revision}"'

    def withdraw(self):
        self._bundle = self._tag = None

    def _answer(self, request):
        content, tag = self._bundle, self._tag
        if content is None:
            request.send_error(404)
        elif request.headers.get("If-None-Match") == tag:
            request.send_response(304)
            request.end_headers()
        else:
            request.send_response(200)
            request.send_header("Content-Type", "application/gzip")
            request.send_header("Content-Length", str(len(content)))
            request.send_header("ETag", tag)
            request.end_headers()
            request.wfile.write(content)

    def stop(self):
        self._http.shutdown()
        self._http.server_close()


class Opa:
    """One OPA server on a loopback port that it keeps over restarts."""

    def __init__(self, directory: Path):
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._process = None
        self.bundles = BundleServer()
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self):
        """Returns when OPA listens; its bundle may not be active yet."""
        config = self._directory / "opa.json"
        config.write_text(json.dumps(self._config()))
        command = [OPA, "run", "--server"]
        command += ["--config-file", config, "--log-level", "error", "--disable-telemetry"]
        command += self._arguments()
        self._process = Process(command, self._directory / "opa.log")
        wait_until(f"OPA listens ({self._process.log})", lambda: self._get("/health") == 200)

    def _config(self):
        service = {"url": f"http://127.0.0.1:{self.bundles.port}"}
        polling = {"min_delay_seconds": 1, "max_delay_seconds": 1}
        return {
            "services": {"harness": service},
            "bundles": {"authz": {"service": "harness", "resource": "authz", "polling": polling}},
        }

    def publish(self, revision, grants):
        """Returns when OPA decides by these grants."""
        self.bundles.publish(revision, grants)
        wait_until(f"bundle {revision} is active", lambda: self.active_revision() == revision)

    def active_revision(self):
        with contextlib.suppress(OSError, http.client.HTTPException, KeyError, ValueError):
            answer = json.loads(self._ask("GET", "/v1/data/kafka/authz/batch?provenance=true"))
            return answer["provenance"]["bundles"]["authz"]["revision"]
        return None

    @property
    def process(self):
        return self._process

    def stop(self):
        """Ends OPA; the bundles stay, so that it can be started again."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def close(self):
        self.stop()
        self.bundles.stop()

    def _get(self, path):
        with contextlib.suppress(OSError, http.client.HTTPException):
            with contextlib.closing(self._connection()) as connection:
                connection.request("GET", path, headers=self._headers)
                return connection.getresponse().status
        return None

    def _ask(self, method, path):
        with contextlib.closing(self._connection()) as connection:
            connection.request(method, path, headers=self._headers)
            return connection.getresponse().read()

    # How it listens, and how the harness gets through to it.

    _headers = {}

    def _arguments(self):
        return ["--addr", f"127.0.0.1:{self.port}"]

    def _connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)


class SocketOpa(Opa):
    """Listens on a Unix socket."""

    def __init__(self, directory: Path):
        super().__init__(directory)
        self._socket = directory / "opa.sock"
        self.url = f"unix:{self._socket}"

    def _arguments(self):
        return ["--addr", f"unix://{self._socket}"]

    def _connection(self):
        connection = http.client.HTTPConnection("localhost", timeout=2)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(2)
        connection.sock.connect(str(self._socket))
        return connection


class TlsOpa(Opa):
    """Answers who has the certificate CN=doorkeeper and knows the token, by https."""

    _POLICY = """package system.authz
default allow := false
allow if {{
    input.identity == "CN=doorkeeper,O={organisation}"
    input.headers.Authorization == ["Bearer {token}"]
}}
"""

    def __init__(self, directory: Path, pki, token):
        super().__init__(directory)
        self._own = pki.identity("opa")
        self._ca = pki.truststore
        self._client = pki.identity("doorkeeper")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._policy = directory / "authz.rego"
        self._policy.write_text(self._POLICY.format(organisation=ORGANISATION, token=token))
        self.url = f"https://localhost:{self.port}"

    def _arguments(self):
        return [
            *super()._arguments(),
            *("--tls-cert-file", self._own.certificate, "--tls-private-key-file", self._own.key),
            *("--tls-ca-cert-file", self._ca, "--authentication", "tls"),
            *("--authorization", "basic", self._policy),
        ]

    def _connection(self):
        context = ssl.create_default_context(cafile=str(self._ca))
        context.load_cert_chain(self._client.certificate, self._client.key)
        return http.client.HTTPSConnection("localhost", self.port, timeout=2, context=context)
