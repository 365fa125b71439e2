"""Secrets in URLs: what is printed or stored has none.

``user:password@`` and the values of query parameters become ``***``, but for parameters that say which file is meant
(:data:`KEPT`), without which nobody could fetch it again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line uses this module, and has to start quickly
    from weam.config_data import Source

URLS = "WEAM_URLS"
"""Environment variable by which places with secrets reach the downloads: JSON, source to its url and mirrors."""

KEPT = frozenset(
    {"dl", "download", "f", "file", "filename", "format", "id", "lang", "name", "path", "raw", "ref", "revision"}
    | {"version"}
)

_URL = re.compile(r"""[A-Za-z][A-Za-z0-9+.-]*://[^\s'"<>]+""")
_USER = re.compile(r"(?<=://)[^/?#]*@")
_BROKEN_USER = re.compile(r"(?<=://)[^/?#@\[]*:(?!\d*(?:[/?#]|$)).*@")  # a password with a bare /, ? or #
_VALUE = re.compile(r"(?<=[?&;#])([^=?&;#]*)=([^&]*?)(?=[;,.)\]}]*(?:&|$))")


def redact(text: str) -> str:
    """The text with no secrets in its URLs.

    >>> redact("https://me:secret@example.org/get?token=1234&f=a.zip: no such file")
    'https://***@example.org/get?token=***&f=a.zip: no such file'
    """
    return _URL.sub(lambda match: redact_url(match[0]), text)


def redact_url(url: str) -> str:
    """The same for a text that is one URL, whatever characters it has, or a path, which stays as it is."""
    if "://" not in url:
        return url
    url = _BROKEN_USER.sub("***@", _USER.sub("***@", url, count=1), count=1)
    return _VALUE.sub(lambda match: match[0] if match[1].lower() in KEPT else f"{match[1]}=***", url)


def conceal(sources: Mapping[str, Source]) -> dict[str, Source]:
    """The sources without secrets; those that have some are put into the environment, for :func:`places`."""
    clean, secret = {}, {}
    for name, source in sources.items():
        shown = [redact_url(place) for place in (source.url, *source.mirrors)]
        clean[name] = source.model_copy(update={"url": shown[0], "mirrors": shown[1:]})
        if clean[name] != source:
            secret[name] = [source.url, *source.mirrors]
    if secret:
        os.environ[URLS] = json.dumps(secret)
    return clean


def places(name: str, source: Source) -> list[str]:
    """The url and the mirrors of a source, with the secrets that :func:`conceal` took out of them."""
    given = [source.url, *source.mirrors]
    secret: list[str] = json.loads(os.environ.get(URLS, "{}")).get(name, [])
    return secret if [redact_url(place) for place in secret] == given else given
