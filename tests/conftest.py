"""Fixtures that several test files share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from postgresql_server import Server


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Where everything is required, a skipped test is a failed one: a check must not shrink unnoticed."""
    outcome = yield
    report = outcome.get_result()
    _demanded(report)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    """The same for a file that skips itself."""
    outcome = yield
    _demanded(outcome.get_result())


def _demanded(report) -> None:
    if report.skipped and os.environ.get("ENTHESIS_REQUIRE") == "all" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome, report.longrepr = "failed", f"skipped although ENTHESIS_REQUIRE=all: {reason}"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server; its absence is a failure when ENTHESIS_REQUIRE=all."""
    try:
        server = Server()
    except FileNotFoundError as error:
        if os.environ.get("ENTHESIS_REQUIRE") == "all":
            raise
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path) -> str:
    """Where a new store can be made, in each database."""
    if request.param == "sqlite":
        return str(tmp_path / "store.sqlite")
    return request.getfixturevalue("postgresql").database()


@pytest.fixture(autouse=True)
def _own_data_folder(monkeypatch, tmp_path_factory):
    """No test reads or writes the store of the person who runs it."""
    monkeypatch.delenv("ENTHESIS_STORE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "user-data"))
