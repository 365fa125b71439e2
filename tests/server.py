"""A local HTTP server for downloads, with ranges and with faults that are played one after the other."""

from __future__ import annotations

import functools
import http.server
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Server(http.server.BaseHTTPRequestHandler):
    """Serves ``files`` with ranges; ``faults`` are played first, one per request: a status, or ("drop", bytes sent).

    Answers wait for ``pause`` to be set, if there is one, and are sent at ``rate`` bytes a second.
    """

    files: dict[str, bytes]
    faults: list[Any]
    requests: list[tuple[str, str | None]]
    ranges: bool
    etag: str
    pause: threading.Event | None = None
    rate: float = float("inf")

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.requests.append((self.path, wanted))
        if self.pause is not None:
            self.pause.wait(60)
        fault = self.faults.pop(0) if self.faults else None
        data = self.files.get(self.path)
        if isinstance(fault, int) or data is None:
            self.send_response(fault or 404)
            self.send_header("Content-Length", "0")
            if fault == 429:
                self.send_header("Retry-After", "0.01")
            self.end_headers()
            return
        start = 0
        if wanted and self.ranges and self.headers.get("If-Range", self.etag) == self.etag:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])  # type: ignore[index]
            if start >= len(data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(data)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("ETag", self.etag)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        body = data[start : start + fault[1]] if fault else data[start:]
        for place in range(0, len(body), 2**16):
            self.wfile.write(body[place : place + 2**16])
            time.sleep(2**16 / self.rate)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(files: dict[str, bytes], kind: type[Server] = Server) -> Iterator[Any]:
    """Serve ``files`` (path to content) on this machine; gives the server's class, with ``url`` and ``requests``."""
    fresh: Any = type("Fresh", (kind,), {"files": files, "faults": [], "requests": [], "ranges": True, "etag": '"1"'})
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), fresh)
    httpd.handle_error = lambda *request: None  # type: ignore[method-assign]  # a client that hangs up early
    fresh.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=functools.partial(httpd.serve_forever, poll_interval=0.01))
    thread.start()
    try:
        yield fresh
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()
