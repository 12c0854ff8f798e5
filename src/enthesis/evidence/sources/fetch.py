"""The one way to the network: polite, patient, bounded, and never led to another host.

    client = Client("https://clinicaltrials.gov/api/v2")
    client.get("version").content

A request waits its turn, is tried again when the server is busy or the answer was cut off, and is given up in a
sentence. Nothing here reads what it fetched.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from enthesis.errors import DataError, EnthesisError, UsageError, shortened

#: Largest answer that is taken, in bytes.
MAX_BYTES = 64 * 2**20
#: States of a server that pass: too many requests, errors of the server and of what stands before it.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
#: Longest time that is waited between two attempts, in seconds, whatever the server asks for.
MAX_WAIT = 60.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class FetchError(EnthesisError):
    """A server that cannot be reached, is busy for too long, or answers what cannot be taken."""


@dataclass(frozen=True)
class Answer:
    """What a server answered.

    Attributes
    ----------
    content : bytes
        As it came.
    url : str
        Where it came from, after redirects.
    headers : mapping of str to str
        Names in lower case.
    """

    content: bytes
    url: str
    headers: Mapping[str, str]

    def json(self) -> Any:
        """The content as JSON.

        Raises
        ------
        DataError
            When it is not JSON.
        """
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            raise DataError("is not JSON", file=self.url, fix="Try again later, or check the address.") from None


class _Again(Exception):
    """An attempt that failed in a way that may pass."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass
class Client:
    """Requests to one server.

    Parameters
    ----------
    base : str
        Address below which everything is asked for, such as `https://clinicaltrials.gov/api/v2`.
    pause : float
        Seconds between two requests.
    attempts : int
        How often a request is tried.
    timeout : float
        Seconds without a byte after which an attempt is given up.
    longest : float
        Seconds after which an attempt is given up although bytes still come.
    max_bytes : int
        Largest answer.
    backoff : float
        Seconds before the second attempt; doubled before each further one.
    sleep : callable
        How to wait; for tests.

    Examples
    --------
    >>> Client("https://clinicaltrials.gov/api/v2").address("studies/NCT02552212")
    'https://clinicaltrials.gov/api/v2/studies/NCT02552212'
    """

    base: str
    pause: float = 1.0
    attempts: int = 5
    timeout: float = 30.0
    longest: float = 300.0
    max_bytes: int = MAX_BYTES
    backoff: float = 1.0
    sleep: Callable[[float], None] = time.sleep
    _last: float = field(default=float("-inf"), init=False, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{self.base[:200]!r} is not the address of a server: it begins with https:// and a host.")
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise UsageError(f"{self.base[:200]!r} is not encrypted: use https://.")

    def address(self, path: str) -> str:
        """The address of a path below the base; the path cannot lead out of it."""
        return self.base.rstrip("/") + "/" + "/".join(quote(part, safe="") for part in path.split("/") if part != "..")

    def get(self, path: str, params: Mapping[str, str] | None = None, *, kind: str = "") -> Answer:
        """Ask for a path below the base.

        Parameters
        ----------
        path : str
        params : mapping of str to str, optional
        kind : str
            What the content type must name, such as "json"; empty for anything.

        Returns
        -------
        Answer

        Raises
        ------
        FetchError
            When the server cannot be reached, stays busy, redirects to another host, or refuses.
        DataError
            When the answer is too large or of another kind.
        """
        import httpx

        url, why = self.address(path), ""
        for attempt in range(self.attempts):
            wait = self.backoff * 2**attempt
            try:
                return self._followed(url, dict(params or {}), kind)
            except _Again as problem:
                why, wait = str(problem), max(wait, problem.wait or 0.0)
            except (httpx.TimeoutException, TimeoutError):
                why = f"no answer within {self.timeout:g} s"
            except httpx.RemoteProtocolError:
                why = "the answer was cut off"
            except httpx.DecodingError:
                why = "the answer was cut off or badly compressed"
            except httpx.TransportError as problem:
                why = shortened(problem, 120) or type(problem).__name__
            except httpx.InvalidURL as problem:
                raise FetchError(f"{shortened(url, 200)} cannot be asked for: {problem}.") from None
            if attempt + 1 < self.attempts:
                self.sleep(min(wait, MAX_WAIT))
        raise FetchError(
            f"{shortened(url, 200)} gave no usable answer in {self.attempts} attempts: {why}. Try again later; what "
            "was stored before stays."
        )

    def _followed(self, url: str, params: dict[str, str], kind: str) -> Answer:
        """One attempt, through redirects on the same host."""
        import httpx

        own = urlsplit(self.base)
        local = own.hostname in ("localhost", "127.0.0.1", "::1")
        headers = {"User-Agent": "enthesis (evidence synthesis)", "Accept-Encoding": "gzip"}
        with httpx.Client(timeout=self.timeout, trust_env=not local, headers=headers) as http:
            for _ in range(4):
                self._turn()
                with http.stream("GET", url, params=params) as answer:
                    if answer.status_code in _REDIRECTS:
                        url, params = urljoin(str(answer.url), answer.headers.get("location", "")), {}
                        there = urlsplit(url)
                        if (there.scheme, there.hostname, there.port) != (own.scheme, own.hostname, own.port):
                            raise FetchError(
                                f"{shortened(str(answer.url), 200)} leads to another host "
                                f"({shortened(there.netloc, 80)}), which is not followed."
                            )
                        continue
                    return self._taken(answer, kind)
        raise FetchError(f"{shortened(url, 200)} redirects in a circle.")

    def _taken(self, answer: Any, kind: str) -> Answer:
        url, status = str(answer.url), answer.status_code
        if status in PASSING:
            raise _Again(f"the server answered {status}", _seconds(answer.headers.get("retry-after", "")))
        if status == 404:
            raise FetchError(f"{shortened(url, 200)} does not exist there. Check the number.")
        if status != 200:
            raise FetchError(f"{shortened(url, 200)} was refused: the server answered {status}.")
        found = answer.headers.get("content-type", "")
        if kind and kind not in found.lower():
            raise DataError(
                f"is of the type {shortened(found, 60) or 'unknown'}, not {kind}", file=shortened(url, 200),
                fix="Check the address of the server.",
            )  # fmt: skip
        length = answer.headers.get("content-length", "")
        claimed = int(length) if length.isdecimal() and len(length) < 19 else None
        if claimed is not None and claimed > self.max_bytes:
            raise self._too_large(url, claimed)
        content, end = bytearray(), time.monotonic() + self.longest
        for piece in answer.iter_bytes(2**16):
            content += piece
            if len(content) > self.max_bytes:
                raise self._too_large(url, None)
            if time.monotonic() > end:
                raise _Again(f"the answer took more than {self.longest:g} s")
        if claimed is not None and not answer.headers.get("content-encoding") and len(content) != claimed:
            raise _Again("the answer was cut off")
        return Answer(bytes(content), url, {name.lower(): value for name, value in answer.headers.items()})

    def _too_large(self, url: str, claimed: int | None) -> DataError:
        size = f"has {claimed / 2**20:.0f} MB" if claimed else "is too large"
        return DataError(f"{size}; at most {self.max_bytes / 2**20:g} MB are taken", file=shortened(url, 200))

    def _turn(self) -> None:
        """Wait until a request may be sent; by a clock that never goes backwards."""
        left = self._last + self.pause - time.monotonic()
        if left > 0:
            self.sleep(left)
        self._last = time.monotonic()


def _seconds(text: str) -> float | None:
    """How long a server asks to wait; None when it gives a date or nothing."""
    return float(text) if text.isdecimal() and len(text) < 9 else None
