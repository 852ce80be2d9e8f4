"""One job at a time; the latest wins."""

import gc
import logging
import threading
import weakref

import pytest
from torch import nn

from ig_widgets.engine.model_locks import lock_of
from ig_widgets.explorers.widget.worker import Worker
from tests.explorers.conftest import workers
from tests.explorers.subjects import SECONDS


class Job:
    """Starts, waits until it is released, and says whether it was asked to stop."""

    def __init__(self):
        self.started, self.go_on, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.cancel = None

    def __call__(self, cancel):
        self.cancel = cancel
        self.started.set()
        assert self.go_on.wait(SECONDS)
        self.ended.set()

    def await_start(self):
        assert self.started.wait(SECONDS)
        return self


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.close()


def test_newest_job_wins_and_those_between_never_run(worker):
    first, between, last = Job(), [Job() for _ in range(5)], Job()
    worker.submit(first)
    first.await_start()
    assert not first.cancel.is_set()
    for job in (*between, last):
        worker.submit(job)
    assert first.cancel.is_set()
    assert not last.started.is_set()  # one at a time
    last.go_on.set()
    first.go_on.set()
    assert worker.wait(SECONDS)
    assert last.ended.is_set()
    assert not last.cancel.is_set()
    assert not any(job.started.is_set() for job in between)


def test_jobs_never_overlap(worker):
    running, most, lock, done = 0, 0, threading.Lock(), threading.Event()

    def job(cancel):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        cancel.wait(0.001)
        with lock:
            running -= 1

    for _ in range(100):
        worker.submit(job)
    worker.submit(lambda cancel: done.set())
    assert worker.wait(SECONDS)
    assert done.is_set()
    assert most <= 1


def test_cancel_reaches_the_running_job(worker):
    job = Job()
    worker.submit(job)
    job.await_start()
    worker.cancel()
    assert job.cancel.is_set()
    job.go_on.set()
    assert worker.wait(SECONDS)


def test_cancel_reaches_a_pending_job_and_not_the_next(worker):
    first, pending, later = Job(), Job(), Job()
    worker.submit(first)
    first.await_start()
    worker.submit(pending)
    worker.cancel()
    for job in (first, pending, later):
        job.go_on.set()
    assert worker.wait(SECONDS)
    assert pending.cancel.is_set()  # it runs, to say that it was cancelled
    worker.submit(later)
    assert worker.wait(SECONDS)
    assert not later.cancel.is_set()


def test_cancel_of_nothing_does_nothing(worker):
    worker.cancel()
    job = Job()
    job.go_on.set()
    worker.submit(job)
    assert worker.wait(SECONDS)
    assert not job.cancel.is_set()


def test_wait_gives_up_after_its_timeout(worker):
    assert worker.wait(0)  # nothing to do
    job = Job()
    worker.submit(job)
    job.await_start()
    assert not worker.wait(0)
    assert not worker.wait(0.01)
    job.go_on.set()
    assert worker.wait(SECONDS)


def test_wait_waits_for_pending_jobs_too(worker):
    first, second = Job(), Job()
    worker.submit(first)
    first.await_start()
    worker.submit(second)
    first.go_on.set()
    second.await_start()
    assert not worker.wait(0)
    second.go_on.set()
    assert worker.wait(SECONDS)
    assert second.ended.is_set()


def test_closing_stops_for_good(worker):
    running, pending, later = Job(), Job(), Job()
    worker.submit(running)
    running.await_start()
    worker.submit(pending)
    worker.close()
    assert running.cancel.is_set()
    worker.submit(later)
    running.go_on.set()
    assert worker.wait(SECONDS)
    assert not pending.started.is_set()
    assert not later.started.is_set()
    worker.close()  # twice is no harm


def test_job_that_raises_does_not_stop_the_next(worker, caplog):
    def fail(cancel):
        raise ValueError("no good")

    ran = threading.Event()
    with caplog.at_level(logging.ERROR):
        worker.submit(fail)
        assert worker.wait(SECONDS)
    assert "no good" in caplog.text
    worker.submit(lambda cancel: ran.set())
    assert worker.wait(SECONDS)
    assert ran.is_set()


def test_job_that_raises_does_not_stop_one_that_is_pending(worker, caplog):
    entered, go_on, ran = threading.Event(), threading.Event(), threading.Event()

    def fail(cancel):
        entered.set()
        assert go_on.wait(SECONDS)
        raise ValueError("no good")

    with caplog.at_level(logging.ERROR):
        worker.submit(fail)
        assert entered.wait(SECONDS)
        worker.submit(lambda cancel: ran.set())
        go_on.set()
        assert worker.wait(SECONDS)
    assert ran.is_set()


def test_job_that_asks_to_exit_does_not_hang_those_who_wait(worker, caplog):
    """`sys.exit()` in a user's model ends the thread, not the waiting."""

    def leave(cancel):
        raise SystemExit

    worker.submit(leave)
    assert worker.wait(SECONDS)
    assert "SystemExit" in caplog.text


def test_jobs_in_a_row_share_a_thread(worker):
    threads = []
    for _ in range(3):
        worker.submit(lambda cancel: threads.append(threading.get_ident()))
        assert worker.wait(SECONDS)
    assert len(set(threads)) == 1
    assert len(workers()) == 1


def test_closing_ends_an_idle_thread(worker):
    worker.submit(lambda cancel: None)
    assert worker.wait(SECONDS)
    (thread,) = workers()
    worker.close()
    thread.join(SECONDS)
    assert not thread.is_alive()


def test_no_thread_is_left_when_idle_for_long(worker, monkeypatch):
    monkeypatch.setattr("ig_widgets.explorers.widget.worker._IDLE_SECONDS", 0.0)
    worker.submit(lambda cancel: None)
    assert worker.wait(SECONDS)
    for thread in workers():
        thread.join(SECONDS)
    assert workers() == []
    ran = threading.Event()
    worker.submit(lambda cancel: ran.set())  # and it starts again
    assert worker.wait(SECONDS)
    assert ran.is_set()


def test_a_job_and_what_it_holds_are_let_go(worker):
    class Heavy:
        pass

    heavy = Heavy()
    gone = weakref.ref(heavy)
    worker.submit(lambda cancel, heavy=heavy: None)
    assert worker.wait(SECONDS)
    del heavy
    gc.collect()
    assert gone() is None


# ---------------------------------------------------------------- one lock a model


def test_a_model_has_one_lock():
    model, other = nn.Linear(1, 1), nn.Linear(1, 1)
    assert lock_of(model) is lock_of(model)
    assert lock_of(model) is not lock_of(other)


def test_lock_is_the_same_for_all_threads():
    model, barrier, locks = nn.Linear(1, 1), threading.Barrier(8), []

    def ask():
        barrier.wait(SECONDS)
        locks.append(lock_of(model))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len(locks) == 8
    assert len({id(lock) for lock in locks}) == 1


def test_lock_can_be_taken_twice_by_one_thread():
    lock = lock_of(nn.Linear(1, 1))
    with lock:
        assert lock.acquire(blocking=False)
        lock.release()


def test_lock_keeps_no_model_alive():
    model = nn.Linear(1, 1)
    lock_of(model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_what_cannot_be_referred_to_weakly_has_a_lock_as_well():
    with lock_of((1, 2)):
        pass
