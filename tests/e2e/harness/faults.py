# SPDX-License-Identifier: Apache-2.0
"""A proxy between broker and OPA that answers wrongly when it is told to."""

import http.client
import json
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def _status(code, content_type, body):
    def fault(request, _):
        request.reply(code, body, content_type)

    return fault


def _result(result_of):
    """A well-formed 200 whose result is made from the question's requests."""

    def fault(request, question):
        result = result_of(json.loads(question)["input"]["requests"])
        request.reply(200, json.dumps({"result": result}).encode())

    return fault


def _all_indices(requests, shift=0):
    return [
        [[i + shift for i in range(len(ask.get("names", [0])))] for ask in request["asks"]]
        for request in requests
    ]


def _truncated(request, question):
    request.reply(200, b'{"result":[[[0]', length=1000)


def _latency(request, question):
    """Answers well, but longer than a call may take after it was asked."""
    request.proxy.released.wait(LATENCY_SECONDS)
    request.pass_on(question)


def _hang(request, question):
    request.proxy.released.wait()


def _slow_drip(request, question):
    """Always one more byte, and never the last one."""
    request.reply(200, b"", length=1000)
    while not request.proxy.released.wait(0.1):
        request.wfile.write(b" ")


def _reset(request, question):
    request.connection.close()


def _huge(request, question):
    request.reply(200, b" " * (100 * 1024 * 1024))


def _flap(request, question):
    """Half a second well, half a second not."""
    if time.monotonic() % 1 < 0.5:
        request.pass_on(question)
    else:
        _reset(request, question)


LATENCY_SECONDS = 3
REFUSED = "connection refused"
# While these are on, no question has a valid answer in time.
FAULTS = {
    "500": _status(500, "application/json", b'{"code":"internal_error"}'),
    "401": _status(401, "application/json", b'{"code":"unauthorized"}'),
    "HTML": _status(200, "text/html", b"<html>sign in</html>"),
    "undefined": _status(200, "application/json", b"{}"),
    "true": _status(200, "application/json", b'{"result":true}'),
    "wrong lengths": _result(lambda requests: [*_all_indices(requests), [[0]]]),
    "out of range": _result(lambda requests: _all_indices(requests, shift=1)),
    "duplicates": _result(lambda requests: [[[0, 0] for _ in r["asks"]] for r in requests]),
    "truncated": _truncated,
    "latency": _latency,
    "slow drip": _slow_drip,
    "hang": _hang,
    "reset": _reset,
    REFUSED: _reset,  # of connections that are there
    "100 MB": _huge,
}
FLAPPING = {"flapping": _flap}


class FaultProxy:
    """Passes everything on to OPA while `fault` is None, after `delay_seconds`."""

    def __init__(self, opa, port=0):
        self.fault = None
        self.delay_seconds = 0
        self.released = threading.Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):  # the name that the library wants
                self.proxy = proxy
                question = self.rfile.read(int(self.headers["Content-Length"]))
                fault = proxy.fault
                if fault is None:
                    time.sleep(proxy.delay_seconds)
                    self.pass_on(question)
                else:
                    self.close_connection = True
                    (FAULTS | FLAPPING)[fault](self, question)

            def pass_on(self, question):
                connection = http.client.HTTPConnection("127.0.0.1", opa.port, timeout=10)
                with closing(connection):
                    connection.request("POST", self.path, question)
                    answer = connection.getresponse()
                    self.reply(answer.status, answer.read())

            def reply(self, status, body, content_type="application/json", length=None):
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(length or len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._handler = Handler
        self._port = port
        self._listen()
        self.url = f"http://127.0.0.1:{self._port}"

    def _listen(self):
        """On the port that it had before, if it had one."""
        self._http = _Server(("127.0.0.1", self._port), self._handler)
        self._port = self._http.server_port
        threading.Thread(target=self._http.serve_forever, args=[0.05], daemon=True).start()

    def _refuse(self):
        self._http.shutdown()
        self._http.server_close()

    def break_with(self, fault):
        self.released.clear()
        self.fault = fault
        if fault == REFUSED:
            self._refuse()

    def mend(self):
        refused, self.fault = self.fault == REFUSED, None
        if refused:
            self._listen()
        self.released.set()

    def stop(self):
        self.mend()
        self._refuse()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that hang up are what the faults provoke
