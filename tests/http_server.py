"""A local server that answers well or badly, by script: for tests of everything that fetches.

    with serve({"/version": [status(429), json_answer({"dataTimestamp": "2026-01-01"})]}) as server:
        server.url, server.asked

Each path has its answers in order; the last one repeats. A path may end in `?`: then any query fits; else the query
belongs to it. A callable gets the request's path with its query and returns an answer.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Reply:
    """One answer: what is sent, and how it goes wrong."""

    body: bytes = b""
    code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    claimed: int | None = None
    cut: int | None = None
    delay: float = 0.0
    repeat: int = 1
    drop: bool = False


def answer(body: bytes, kind: str = "application/json", **headers: str) -> Reply:
    """A good answer."""
    return Reply(body, headers={"Content-Type": kind, **headers})


def json_answer(value: object) -> Reply:
    """A good answer in JSON."""
    return answer(json.dumps(value).encode())


def status(code: int, body: bytes = b"", **headers: str) -> Reply:
    """An answer with another state; `Retry_After` gives the header Retry-After."""
    return Reply(body, code=code, headers={name.replace("_", "-"): value for name, value in headers.items()})


def slow(body: bytes, seconds: float) -> Reply:
    """A good answer that comes late."""
    return Reply(body, headers={"Content-Type": "application/json"}, delay=seconds)


def truncated(body: bytes, keep: int) -> Reply:
    """An answer that claims its whole length and ends after `keep` bytes."""
    return Reply(body, headers={"Content-Type": "application/json"}, cut=keep)


def huge(claimed: int | None = None, sent: int = 2**16, repeat: int = 1) -> Reply:
    """An answer that claims so many bytes (nothing when None) and sends `sent` bytes `repeat` times."""
    return Reply(
        b" " * sent, headers={"Content-Type": "application/json"}, claimed=-1 if claimed is None else claimed,
        repeat=repeat,
    )  # fmt: skip


def redirect(to: str) -> Reply:
    """A redirect."""
    return Reply(code=301, headers={"Location": to})


def dropped() -> Reply:
    """No answer: the connection is closed."""
    return Reply(drop=True)


Script = Mapping[str, Sequence[Reply] | Reply | Callable[[str], Reply]]


@dataclass
class Server:
    """A running server: its address, and what it was asked for (path with query, time)."""

    url: str
    asked: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


@contextmanager
def serve(script: Script) -> Iterator[Server]:
    """Run a server on a free port of this machine while the block runs."""
    left = {path: list(found) for path, found in script.items() if isinstance(found, list | tuple)}
    told = Server("")

    def chosen(path: str) -> Reply:
        for name in (path, path.partition("?")[0] + "?", path.partition("?")[0]):
            found = script.get(name)
            if callable(found):
                return found(path)
            if isinstance(found, Reply):
                return found
            if name in left:
                return left[name].pop(0) if len(left[name]) > 1 else left[name][0]
        return Reply(b"not here", code=404)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            told.asked.append(self.path)
            told.times.append(time.monotonic())
            self.close_connection = True
            with suppress(ConnectionError):  # a client that has gone is not the server's fault
                self._send(chosen(self.path))

        def _send(self, reply: Reply) -> None:
            if reply.drop:
                return
            time.sleep(reply.delay)
            self.send_response(reply.code)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            claimed = len(reply.body) * reply.repeat if reply.claimed is None else reply.claimed
            if claimed >= 0:
                self.send_header("Content-Length", str(claimed))
            self.send_header("Connection", "close")
            self.end_headers()
            for _ in range(reply.repeat):
                self.wfile.write(reply.body if reply.cut is None else reply.body[: reply.cut])

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
