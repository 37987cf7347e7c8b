"""The queue of writes ends jobs in order, and few are pending."""

import pytest

from mri_saliency.errors import OutputError
from mri_saliency.run.write_queue import WriteQueue
from mri_saliency.runtime.workers import Workers

from ..runtime.jobs import double, slowly_double


@pytest.mark.parametrize("n", [0, 1])
def test_the_queue_ends_jobs_in_order_and_few_are_pending(n):
    ended = []
    with Workers(n) as workers:
        queue = WriteQueue(workers, lambda label, future: ended.append((label, future.result())))
        for label in range(10):
            queue.put(label, double, label)
            assert len(queue) <= WriteQueue.PENDING_PER_WORKER * max(1, n)
        queue.drain()
    assert ended == [(label, 2 * label) for label in range(10)]


def test_a_job_counts_as_soon_as_it_is_over():
    ended = []
    queue = WriteQueue(Workers(0), lambda label, _: ended.append(label))
    for label in range(3):
        queue.put(label, double, label)
        assert ended == list(range(label + 1))


def test_a_failure_before_the_job_is_reported_in_the_same_way():
    ended = []
    queue = WriteQueue(Workers(0), lambda label, future: ended.append((label, future.exception())))
    error = ValueError("no memory")
    queue.put_failure("a", error)
    assert ended == [("a", error)]


def test_a_closed_queue_counts_what_was_finished_and_drops_what_was_not_begun():
    ended = []

    def end(label, future):
        ended.append(label)
        future.result()
        raise OutputError("the disk is full")

    with Workers(1) as workers:
        queue = WriteQueue(workers, end)
        queue.PENDING_PER_WORKER = 100
        for label in range(50):
            queue._pending.append((label, workers.submit(slowly_double, label)))
        queue.close()
    assert len(queue) == 0 and ended == list(range(len(ended))) and len(ended) < 50
