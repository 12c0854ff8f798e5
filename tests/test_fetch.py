import pytest

from enthesis.errors import DataError, UsageError
from enthesis.evidence.sources.fetch import Client, FetchError
from http_server import answer, dropped, huge, json_answer, redirect, serve, slow, status, truncated

GOOD = json_answer({"a": 1})


def client(server, **settings):
    """A client that notes its waits instead of waiting."""
    waits = []
    settings = {"pause": 0.0, "timeout": 0.3, "sleep": waits.append, **settings}
    made = Client(server.url, **settings)
    return made, waits


@pytest.mark.parametrize(
    "bad",
    [status(429), status(500), status(503), truncated(b'{"a": 1}', 3), dropped(), slow(b"{}", 1.0)],
    ids=["429", "500", "503", "truncated", "dropped", "slow"],
)
def test_a_passing_fault_is_tried_again(bad):
    with serve({"/x": [bad, GOOD]}) as server:
        made, waits = client(server)
        assert made.get("x").json() == {"a": 1}
        assert waits == [1.0]


def test_waits_double_and_end_in_a_sentence():
    with serve({"/x": [status(503)]}) as server:
        made, waits = client(server, attempts=4)
        with pytest.raises(FetchError, match=r"no usable answer in 4 attempts: the server answered 503\. Try again"):
            made.get("x")
        assert waits == [1.0, 2.0, 4.0]


def test_the_wait_that_a_server_asks_for_is_kept():
    with serve({"/x": [status(429, Retry_After="7"), GOOD]}) as server:
        made, waits = client(server)
        made.get("x")
        assert waits == [7.0]


def test_no_server_makes_us_wait_for_hours():
    with serve({"/x": [status(429, Retry_After="86400"), GOOD]}) as server:
        made, waits = client(server)
        made.get("x")
        assert waits == [60.0]


def test_requests_keep_their_distance():
    with serve({"/x": GOOD}) as server:
        made, waits = client(server, pause=1.0)
        made.get("x")
        made.get("x")
        assert len(waits) == 1
        assert 0.5 < waits[0] <= 1.0


def test_a_claimed_size_of_two_gigabytes_is_refused_before_it_is_read():
    with serve({"/x": huge(claimed=2 * 2**30)}) as server, pytest.raises(DataError, match="has 2048 MB; at most 64 MB"):
        client(server)[0].get("x")


def test_an_endless_answer_is_cut_at_the_limit():
    with serve({"/x": huge(claimed=None, sent=2**16, repeat=100)}) as server:
        made, _ = client(server, max_bytes=2**18)
        with pytest.raises(DataError, match="too large"):
            made.get("x")


def test_a_wrong_type_is_refused():
    with serve({"/x": answer(b"<html>", kind="text/html")}) as server:
        with pytest.raises(DataError, match="is of the type text/html, not json"):
            client(server)[0].get("x", kind="json")
        assert len(server.asked) == 1


def test_content_that_is_no_json_is_a_sentence():
    with serve({"/x": answer(b"[" * 100_000)}) as server, pytest.raises(DataError, match="is not JSON"):
        client(server)[0].get("x").json()


def test_a_redirect_on_the_same_host_is_followed():
    with serve({"/old": redirect("/new"), "/new": GOOD}) as server:
        assert client(server)[0].get("old").url == f"{server.url}/new"


@pytest.mark.parametrize("to", ["http://192.0.2.1/x", "https://127.0.0.1/x", "file:///etc/passwd", "//192.0.2.1/"])
def test_a_redirect_to_another_host_is_not_followed(to):
    with serve({"/old": redirect(to)}) as server, pytest.raises(FetchError, match="leads to another host"):
        client(server)[0].get("old")


def test_a_circle_of_redirects_ends():
    with serve({"/a": redirect("/b"), "/b": redirect("/a")}) as server, pytest.raises(FetchError, match="in a circle"):
        client(server)[0].get("a")


def test_what_is_not_there_is_not_asked_for_twice():
    with serve({}) as server:
        with pytest.raises(FetchError, match="does not exist there"):
            client(server)[0].get("studies/NCT00000000")
        assert len(server.asked) == 1


def test_a_server_that_is_not_there_is_a_sentence():
    made = Client("http://127.0.0.1:9", pause=0, attempts=2, sleep=lambda _: None)
    with pytest.raises(FetchError, match="no usable answer in 2 attempts"):
        made.get("x")


def test_a_path_cannot_leave_the_base():
    assert Client("https://host/api").address("../a b/..%2f?x=1") == "https://host/api/a%20b/..%252f%3Fx%3D1"


@pytest.mark.parametrize("base", ["ftp://host", "host", "http://clinicaltrials.gov", "https://"])
def test_an_address_that_is_no_encrypted_server_is_refused(base):
    with pytest.raises(UsageError, match="is not"):
        Client(base)


def test_parameters_are_sent():
    with serve({"/x?": GOOD}) as server:
        client(server)[0].get("x", {"query.cond": "axial spondyloarthritis"})
        assert server.asked == ["/x?query.cond=axial+spondyloarthritis"]
