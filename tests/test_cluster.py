"""A Dask cluster by address: a real scheduler and two worker processes, and one of them killed while it runs."""

import threading
import time
from pathlib import Path

import pandas as pd
import pytest

import enthesis as en
import tasks
from dask_cluster import Cluster
from enthesis.errors import UsageError
from enthesis.execute import WorkerLost, cluster, map
from enthesis.living.multiverse import multiverse
from published import TABLES
from test_cli_main import called

pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
AXES = {"engine": "laplace,gls", "heterogeneity": "random,common", "without": "none,2,5,9"}


@pytest.fixture(scope="module")
def two():
    made = Cluster(2)
    yield made
    made.stop()


@pytest.fixture
def own():
    """A cluster that a test may break."""
    made = Cluster(2)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def network():
    table = pd.read_csv(TABLES / "hasselblad1998.csv")[["study", "trt", "xi", "ni"]]
    table.columns = ["study", "treatment", "events", "n"]
    return en.from_table(table[table["study"] <= 12], measure="OR", reference="no_contact")


def test_results_of_a_cluster_are_in_the_order_of_the_inputs(two):
    with cluster(two.address, timeout=60) as executor:
        assert map(tasks.square, range(30), executor=executor) == [x * x for x in range(30)]


def test_an_error_of_a_task_on_a_cluster_reaches_the_caller(two):
    with cluster(two.address, timeout=60) as executor, pytest.raises(ValueError, match="three is refused"):
        map(tasks.refuse_three, range(5), executor=executor)


def test_a_multiverse_is_the_same_here_in_processes_and_on_a_cluster(two, network):
    settings = {"comparison": ("self_help", "no_contact"), "axes": AXES, "draws": 100}
    here = multiverse(network, **settings)
    processes = multiverse(network, workers=2, **settings)
    with cluster(two.address, timeout=60) as executor:
        there = multiverse(network, executor=executor, **settings)
    pd.testing.assert_frame_equal(processes.table, here.table, check_exact=True)
    pd.testing.assert_frame_equal(there.table, here.table, check_exact=True)


def test_a_killed_worker_costs_the_task_it_ran(own, tmp_path):
    jobs = [(str(tmp_path), x) for x in range(24)]
    seen = []

    def kill_in_the_middle(done: int, total: int) -> None:
        seen.append(done)
        if done == 6:
            own.kill(0)

    with cluster(own.address, timeout=60) as executor:
        executor.client.wait_for_workers(2, timeout=60)
        found = map(tasks.wait_and_square, jobs, executor=executor, progress=kill_in_the_middle)
    assert own.workers[0].wait(10) == -9
    assert found == [x * x for x in range(24)]
    assert seen[-1] == 24
    started = [int(line) for line in Path(tmp_path, "log").read_text().split()]
    # a worker of one thread runs one task, and results it had not yet handed over are computed again
    assert 24 <= len(started) <= 24 + 12


def test_a_multiverse_is_complete_and_the_same_when_a_worker_is_killed(own, network):
    settings = {"comparison": ("self_help", "no_contact"), "axes": AXES, "draws": 100}
    here = multiverse(network, **settings)
    with cluster(own.address, timeout=60) as executor:
        executor.client.wait_for_workers(2, timeout=60)
        there = multiverse(network, executor=executor, progress=lambda done, _: own.kill(1) if done == 3 else None,
                           **settings)  # fmt: skip
    assert own.workers[1].wait(10) == -9
    pd.testing.assert_frame_equal(there.table, here.table, check_exact=True)


def test_a_task_that_kills_every_worker_is_given_up_and_stands_as_what_the_caller_says(own):
    stop, ended = threading.Event(), []

    def start_again() -> None:
        # what a cluster manager does: a new worker for each that is lost
        while not stop.is_set():
            for i, process in enumerate(own.workers):
                if process.poll() is not None:
                    ended.append(process.returncode)
                    own.workers[i] = own.start_worker()
            time.sleep(0.05)

    keeper = threading.Thread(target=start_again)
    keeper.start()
    try:
        with cluster(own.address, timeout=60) as executor:
            found = map(
                tasks.die_always, [1, 2, 3], executor=executor, lost=lambda value, problem: (value, type(problem))
            )
    finally:
        stop.set()
        keeper.join()
    assert found[1] == (2, WorkerLost)
    # a task that waits on the same worker each time it is killed is under the same suspicion, and is told, never wrong
    assert all(result in (value, (value, WorkerLost)) for value, result in zip([1, 3], found[::2], strict=True))
    assert len(ended) >= 3


def test_an_address_where_nothing_answers_is_refused_with_a_sentence():
    with pytest.raises(UsageError, match="no Dask scheduler answers"), cluster("tcp://127.0.0.1:1", timeout=1):
        pass


def test_an_address_that_is_none_is_refused_with_a_sentence():
    with pytest.raises(UsageError, match="no Dask scheduler answers"), cluster("nowhere", timeout=1):
        pass


def test_the_command_runs_on_a_cluster(two, capsys):
    table = TABLES.parents[1] / "docs" / "tutorials" / "smoking.csv"
    axes = ["--axis", "heterogeneity=random,common", "--axis", "engine=gls"]
    code, out, _ = called(
        capsys,
        "multiverse",
        str(table),
        "--measure",
        "OR",
        "--treatment",
        "self_help",
        *axes,
        "--scheduler",
        two.address,
    )
    assert code == 0
    assert "2 specifications, 0 failed" in out
