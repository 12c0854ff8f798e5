"""execute.map: the same results wherever and however often it runs."""

from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tasks
from enthesis.errors import UsageError
from enthesis.execute import Folder, WorkerLost, map, task_key


@given(st.lists(st.integers(-5, 5), max_size=12))
def test_results_are_in_the_order_of_the_inputs(inputs):
    assert map(tasks.square, inputs) == [x * x for x in inputs]


def test_processes_give_what_one_process_gives():
    assert map(tasks.square, range(20), workers=2) == [x * x for x in range(20)]


def test_any_executor_with_submit_will_do():
    with ThreadPoolExecutor(2) as executor:
        assert map(tasks.square, range(5), executor=executor) == [0, 1, 4, 9, 16]


def test_equal_inputs_are_computed_once(tmp_path):
    assert map(tasks.note_and_square, [(str(tmp_path), 2), (str(tmp_path), 2)]) == [4, 4]
    assert logged(tmp_path) == {2: 1}


def test_a_second_run_with_a_cache_computes_nothing(tmp_path):
    jobs = [(str(tmp_path), x) for x in range(4)]
    first = map(tasks.note_and_square, jobs, cache=Folder(tmp_path / "cache"))
    again = map(tasks.note_and_square, jobs, cache=Folder(tmp_path / "cache"))
    assert first == again == [0, 1, 4, 9]
    assert set(logged(tmp_path).values()) == {1}


def test_a_killed_worker_loses_one_task_which_is_tried_again(tmp_path):
    jobs = [(str(tmp_path), x) for x in range(12)]
    assert map(tasks.die_once, jobs, workers=2) == [x * x for x in range(12)]
    assert (tmp_path / "killed").exists()
    counts = logged(tmp_path)
    assert set(counts) == set(range(12))
    assert sum(counts.values()) <= 13  # beside the killed task at most the one that ran next to it


def test_a_task_that_always_kills_its_worker_is_named_and_the_others_are_kept():
    cache = {}
    with pytest.raises(WorkerLost, match="input 2"):
        map(tasks.die_always, [1, 2, 3], workers=2, cache=cache)
    assert task_key(tasks.die_always, 1) in cache


def test_a_broken_pool_of_the_caller_is_said_in_a_sentence():
    with (
        ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as executor,
        pytest.raises(WorkerLost, match="start another"),
    ):
        map(tasks.die_always, [2], executor=executor)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_task_reaches_the_caller(workers):
    with pytest.raises(ValueError, match="three is refused"):
        map(tasks.refuse_three, range(5), workers=workers)


def test_what_was_finished_before_an_error_stays_in_the_cache():
    cache = {}
    with pytest.raises(ValueError, match="three"):
        map(tasks.refuse_three, range(5), cache=cache)
    assert len(cache) == 3


def test_progress_counts_to_the_number_of_different_inputs():
    seen = []
    map(tasks.square, [1, 2, 2], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_the_key_depends_on_task_and_input():
    keys = {task_key(tasks.square, 1), task_key(tasks.square, 2), task_key(tasks.refuse_three, 1)}
    assert len(keys) == 3


@pytest.mark.parametrize("task", [lambda x: x, "square"], ids=["lambda", "text"])
def test_a_task_that_a_worker_cannot_find_is_refused(task):
    with pytest.raises(UsageError, match="top of a module"):
        map(task, [1])


def test_no_workers_is_refused():
    with pytest.raises(UsageError, match="1 or more"):
        map(tasks.square, [1], workers=0)


def test_a_folder_reads_no_file_outside_itself(tmp_path):
    (tmp_path / "secret.pickle").write_bytes(b"")
    with pytest.raises(KeyError):
        Folder(tmp_path / "cache")["../secret"]


def logged(folder: Path) -> Counter[int]:
    return Counter(int(line) for line in (folder / "log").read_text().split())
