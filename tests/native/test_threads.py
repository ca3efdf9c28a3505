"""The thread pool: every task once, whatever the sizes; a pool that never ran, sleeps or forks can go."""

from __future__ import annotations

import os

import pytest

from tests.native.kernel_support import kernels


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("tasks", [0, 1, 2, 7, 1000])
def test_every_task_runs_once_a_round(threads: int, tasks: int) -> None:
    assert kernels.pool_counts(threads, tasks, 200) == [200] * tasks


@pytest.mark.parametrize("spin_ns", [0, 1000])
def test_workers_that_sleep_at_once_are_woken(spin_ns: int) -> None:
    assert kernels.pool_counts(4, 9, 2000, work=50, spin_ns=spin_ns) == [2000] * 9


def test_more_threads_than_cores_make_progress() -> None:
    assert kernels.pool_counts(16, 64, 300, work=100) == [300] * 64


def test_a_forked_child_can_make_its_own_pool() -> None:
    kernels.pool_counts(2, 10, 10)
    child = os.fork()
    if child == 0:
        os._exit(0 if kernels.pool_counts(2, 10, 10) == [10] * 10 else 1)
    assert os.waitpid(child, 0)[1] == 0
