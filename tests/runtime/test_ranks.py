"""A process alone is the main rank, with all the work; torchrun's ranks divide it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mri_saliency.errors import UserError
from mri_saliency.runtime import ranks as module
from mri_saliency.runtime.ranks import Ranks, agree_on_attempt


def test_without_torchrun_this_process_has_all():
    ranks = Ranks()
    assert ranks.is_main and ranks.shard([1, 2, 3]) == [1, 2, 3]
    assert (ranks.add("map"), ranks.add("map", 2), ranks.add("check")) == (1, 3, 1)
    assert ranks.exchange("n", 1) == [1]
    ranks.rank, ranks.size = 2, 3
    assert ranks.shard(list(range(8))) == [2, 5] and not ranks.is_main


class Store:
    """torchrun's key-value store, in this process."""

    def __init__(self):
        self.values, self.counts = {}, {}

    def set(self, key, value):
        self.values[key] = value

    def get(self, key):
        return self.values[key].encode()

    def check(self, keys):
        return all(key in self.values for key in keys)

    def add(self, key, amount):
        self.counts[key] = self.counts.get(key, 0) + amount
        return self.counts[key]


def two_ranks():
    main, other = Ranks(), Ranks()
    main._store = other._store = Store()
    main.size = other.size = 2
    other.rank = 1
    return main, other


def test_ranks_wait_for_each_other_and_exchange_what_they_have():
    main, other = two_ranks()
    waits = []

    def meanwhile():
        waits.append(1)
        if len(waits) == 2:
            assert other.exchange("counts", {"n": 5}) == [{"n": 3}, {"n": 5}]

    assert main.exchange("counts", {"n": 3}, meanwhile) == [{"n": 3}, {"n": 5}] and len(waits) == 3


def test_a_wait_ends_that_nobody_answers_but_not_while_others_work(monkeypatch):
    monkeypatch.setattr(module, "SILENCE_LIMIT_S", 1.0)
    main, other = two_ranks()
    began_s, worked = time.monotonic(), []

    def work():
        if time.monotonic() - began_s < 2:
            worked.append(other.add("map"))

    with pytest.raises(UserError, match="no sign of life from rank 1"):
        main.exchange("counts", {}, work)
    assert time.monotonic() - began_s > 2.5 and len(worked) > 3


def test_ranks_that_never_begin_are_named(monkeypatch):
    monkeypatch.setattr(module, "START_LIMIT_S", 0.2)
    with pytest.raises(UserError, match="rank 1 and rank 2"):
        agree_on_attempt(Store(), 0, 3)
    with pytest.raises(UserError, match="rank 0"):
        agree_on_attempt(Store(), 1, 3)


def test_a_size_that_torchrun_did_not_set_is_named_and_ignored(monkeypatch, capsys):
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert Ranks().size == 1
    assert "WORLD_SIZE is 2" in capsys.readouterr().err


def attempt_names(store, size):
    """Let the ranks of one attempt agree, each in a thread of its own."""
    found = {}

    def join(rank):
        found[rank] = agree_on_attempt(store, rank, size)

    threads = [threading.Thread(target=join, args=(rank,)) for rank in reversed(range(size))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return found


def test_the_ranks_of_an_attempt_agree_on_a_name_that_no_earlier_attempt_had():
    """torchrun's store keeps the keys of the attempt in which a rank died."""
    store = Store()
    names = set()
    for _ in range(3):
        found = attempt_names(store, 3)
        assert len(found) == 3 and len(set(found.values())) == 1
        names |= set(found.values())
    assert len(names) == 3


@pytest.mark.parametrize(
    ("plans", "place", "message"),
    [("aa", "", ""), ("ab", "", "rank 1 would make other maps"), ("aa", "elsewhere", "rank 1 cannot see")],
)
def test_ranks_with_other_plans_or_another_disk_are_named(tmp_path, monkeypatch, plans, place, message):
    monkeypatch.setattr(module, "SHARED_WITHIN_S", 0.1)

    def found(ranks, plan, folder):
        try:
            ranks.check_plans(plan)
            ranks.check_shared(folder)
        except UserError as error:
            return str(error)
        return ""

    (tmp_path / place).mkdir(exist_ok=True)
    with ThreadPoolExecutor() as pool:
        errors = list(pool.map(found, two_ranks(), plans, (tmp_path, tmp_path / place)))
    assert all(message in error and bool(error) == bool(message) for error in errors)
    assert not list(tmp_path.rglob("*.part"))
