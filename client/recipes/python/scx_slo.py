"""Sheds load by the node's signal in front of an ASGI app (Starlette, FastAPI, Django, Quart). Standard library only,
Python 3.8 and newer. Copy it into your project:

    app = ShedMiddleware(app)                                  # outermost
    app = ShedMiddleware(app, endpoint="unix:/run/scx-slo/shed.sock", status=503)

A thread follows the level, so an event loop that is busy is not late with it. Without the signal nothing is shed: a level
that is not confirmed for a second halves every second, and then is nothing.
"""

import http.client
import json
import math
import os
import random
import re
import socket
import threading
import time
from urllib.parse import urlsplit

ENDPOINT = "http://scx-slo-signal.scx-slo-system.svc:7080"
HEALTH = re.compile(r"/(healthz|readyz|livez|metrics)(/|$)")
TTL_S = 1.0
HALF_LIFE_S = 1.0
MAX_SHED = 0.95
WAIT_MS = 400  # how long the signal may wait for a change
PAUSE_S = 0.2
MAX_BODY_BYTES = 8192


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Shedder:
    """Follows GET /v1/level in a daemon thread until close()."""

    def __init__(self, endpoint=None):
        self._endpoint = endpoint or os.environ.get("SCX_SLO_ENDPOINT") or ENDPOINT
        self._known = (0.0, 1.0, -math.inf)  # share, seconds to retry, when it was confirmed
        self._closed = threading.Event()
        threading.Thread(target=self._follow, name="scx-slo", daemon=True).start()

    @property
    def level(self):
        """Share of requests to reject now, 0 .. 0.95."""
        share, _, confirmed = self._known
        beyond = max(0.0, time.monotonic() - confirmed - TTL_S)
        share = min(MAX_SHED, share) * 0.5 ** min(64.0, beyond / HALF_LIFE_S)
        return share if share >= 0.01 else 0.0

    def should_shed(self):
        return random.random() < self.level

    @property
    def retry_after_s(self):
        return min(15, max(1, math.ceil(self._known[1] * random.uniform(0.75, 1.25))))

    def close(self):
        self._closed.set()

    def _connect(self):
        if self._endpoint.startswith("unix:"):
            return _UnixConnection(self._endpoint[len("unix:") :], timeout=1.0)
        url = urlsplit(self._endpoint)
        return http.client.HTTPConnection(url.hostname, url.port or 80, timeout=1.0)

    def _follow(self):
        connection, etag, failures = None, None, 0
        while not self._closed.is_set():
            try:
                connection = connection or self._connect()
                etag = self._ask(connection, etag)
                failures = 0
            except Exception:  # whatever it is, the door opens by itself
                if connection is not None:
                    connection.close()
                connection, etag, failures = None, None, min(failures + 1, 4)
            pause = PAUSE_S if failures == 0 else 0.1 * 2**failures
            self._closed.wait(pause * random.uniform(0.9, 1.1))

    def _ask(self, connection, etag):
        headers = {} if etag is None else {"If-None-Match": etag}
        connection.request("GET", "/v1/level?wait=%d" % WAIT_MS, headers=headers)
        response = connection.getresponse()
        body = self._read(response)
        if response.status == 200:
            level = json.loads(body)
            share = float(level["shed"])
            if not 0.0 <= share <= 1.0:
                raise ValueError("a share of %r" % share)
            self._known = (share, float(level.get("retry_after_ms", 1000)) / 1000, time.monotonic())
        elif response.status == 304 and etag is not None:
            self._known = (*self._known[:2], time.monotonic())
        else:
            raise ValueError("status %d" % response.status)
        return response.getheader("ETag")

    def _read(self, response):
        """The whole body within a second, however slowly it comes."""
        limit, body = time.monotonic() + 1.0, b""
        while True:
            part = response.read1(MAX_BODY_BYTES)
            if not part:
                break
            body += part
            if len(body) > MAX_BODY_BYTES or time.monotonic() > limit:
                raise ValueError("not a level")
        if response.length:
            raise ValueError("cut off")
        return body


class ShedMiddleware:
    def __init__(self, app, endpoint=None, status=429, exempt=HEALTH.match):
        self._app = app
        self._status = status
        self._exempt = exempt
        self.shedder = Shedder(endpoint)

    async def __call__(self, scope, receive, send):
        kind = scope["type"]
        if kind not in ("http", "websocket") or self._exempt(scope["path"]) or not self.shedder.should_shed():
            await self._app(scope, receive, send)
        elif kind == "websocket":
            await receive()  # websocket.connect
            await send({"type": "websocket.close", "code": 1013})  # try again later
        else:
            headers = [
                (b"retry-after", str(self.shedder.retry_after_s).encode()),
                (b"x-envoy-ratelimited", b"1"),
                (b"cache-control", b"no-store"),
                (b"content-length", b"0"),
            ]
            await send({"type": "http.response.start", "status": self._status, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
