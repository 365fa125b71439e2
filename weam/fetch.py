"""One file over http(s): streamed to a part-file, resumed by range request, retried with growing waits.

A user and a password in a URL are sent as HTTP basic authentication, to its own host only: never where it redirects to.
"""

from __future__ import annotations

import base64
import email.utils
import http.client
import re
import ssl
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from weam import __version__
from weam.progress import Progress
from weam.redact import redact, redact_url

CHUNK = 1 << 20
TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as broken."""

WAITS = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Seconds before each new try; a try that brought bytes starts again at the first."""

LONGEST_WAIT = 300.0
"""Most seconds that a server's Retry-After is obeyed."""

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


class Unavailable(Exception):
    """A place does not have the file, or not now; the message is the reason."""


class _Again(Exception):
    """A fault that may pass; ``wait`` is the number of seconds that the server asks for."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


def fetch(url: str, part: Path, name: str, size: int | None = None) -> None:
    """Download ``url`` into ``part``, going on where ``part`` ends; stop early when more than ``size`` bytes come.

    Raises :class:`Unavailable` on a final answer (404 and the like) or when all tries are used up; ``part`` then keeps
    what has come.
    """
    if size is not None and _size(part) > size:
        part.unlink()
    validator: str | None = None  # of this run's first answer: the rest must come from the same release
    tries = 0
    with Progress(name, size, "bytes", done=_size(part)) as progress:
        while True:
            before = _size(part)
            if before and before == size:
                return
            try:
                with _open(url, part, validator) as response:
                    tag = response.headers.get("ETag")
                    validator = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
                    _receive(response, part, size, progress)
                return
            except _Again as error:
                tries = 1 if _size(part) > before else tries + 1
                if tries > len(WAITS):
                    raise Unavailable(f"{error}, {tries} times") from None
                wait = min(max(WAITS[tries - 1], error.wait), LONGEST_WAIT)
                print(f"{name}: {redact_url(url)}: {redact(str(error))}; next try in {wait:g} s", file=sys.stderr)
                time.sleep(wait)
            except _Complete:
                return


class _Complete(Exception):
    """The server says that there is nothing behind the end of the part-file."""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _open(url: str, part: Path, validator: str | None) -> Any:
    """Send the request; a response with status 200 (whole file) or 206 (the rest, as asked for) comes back."""
    offset = _size(part)
    headers = {"User-Agent": f"weam/{__version__}", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if validator:
            headers["If-Range"] = validator
    try:
        response = urllib.request.urlopen(_request(url, headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and offset:
            if error.headers.get("Content-Range") == f"bytes */{offset}":
                raise _Complete from None
            part.unlink()
            raise _Again("the part-file is longer than the file") from None
        reason = f"HTTP {error.code} {error.reason}"
        if error.code in RETRIED:
            raise _Again(reason, _retry_after(error.headers.get("Retry-After"))) from None
        raise Unavailable(reason) from None
    except (http.client.InvalidURL, ValueError) as error:
        what = re.split(r"[:.]? ['\"]", str(error))[0]  # what follows in quotes are parts of the URL
        raise Unavailable(f"not a valid URL ({what})") from None
    except (OSError, http.client.HTTPException) as error:
        cause: Any = getattr(error, "reason", error)
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise Unavailable(f"certificate not trusted: {cause.verify_message}") from None
        raise _Again(str(getattr(cause, "strerror", None) or cause or type(error).__name__)) from None
    sent = response.headers.get("Content-Range", "")
    if response.status == HTTPStatus.PARTIAL_CONTENT and not sent.startswith(f"bytes {offset}-"):
        response.close()
        part.unlink(missing_ok=True)
        raise _Again(f"the server sent the range {sent!r} where {offset}- was asked for")
    return response


def _request(url: str, headers: dict[str, str]) -> urllib.request.Request:
    """The request for a URL, with user and password in a header: urllib takes them for a part of the host's name."""
    user = urlsplit(url).netloc.rpartition("@")[0]
    if not user:
        return urllib.request.Request(url, headers=headers)
    request = urllib.request.Request(url.replace(f"//{user}@", "//", 1), headers=headers)
    name, _, password = user.partition(":")
    secret = base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
    request.add_unredirected_header("Authorization", f"Basic {secret}")
    return request


def _receive(response: Any, part: Path, size: int | None, progress: Progress) -> None:
    """Write the body of a response; a body shorter than announced is a fault that may pass."""
    partial = response.status == HTTPStatus.PARTIAL_CONTENT
    if not partial:
        progress.step(-progress.done)
    left = int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
    with part.open("ab" if partial else "wb") as out:
        while size is None or out.tell() <= size:
            try:
                chunk = response.read1(CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _Again(f"the connection broke ({error or type(error).__name__})") from None
            if not chunk:
                break
            out.write(chunk)
            progress.step(len(chunk))
            left = None if left is None else left - len(chunk)
        else:
            return
    if left:
        raise _Again(f"the connection ended {left} bytes early")


def _retry_after(value: str | None) -> float:
    """Seconds of a Retry-After header, a number or a date."""
    if value is None:
        return 0.0
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0
