"""A process alone is the main rank, with all the work; torchrun's ranks divide it."""

import threading

from mri_saliency.runtime.ranks import Ranks, agree_on_attempt


def test_without_torchrun_this_process_has_all():
    ranks = Ranks()
    assert ranks.is_main and ranks.shard([1, 2, 3]) == [1, 2, 3]
    assert (ranks.add("map"), ranks.add("map", 2), ranks.add("check")) == (1, 3, 1)
    ranks.barrier("planned")
    assert ranks.gather({"n": 1}) == []


def test_shards_divide_the_items():
    ranks = Ranks()
    ranks.size = 3
    shards = []
    for ranks.rank in range(3):
        shards.append(ranks.shard(list(range(8))))
    assert shards == [[0, 3, 6], [1, 4, 7], [2, 5]] and not ranks.is_main


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


def test_the_main_rank_waits_for_the_others_and_gathers_their_content():
    main, other = Ranks(), Ranks()
    main._store = other._store = Store()
    main.size = other.size = 2
    other.rank = 1
    waits = []

    def meanwhile():
        waits.append(1)
        if len(waits) == 2:
            assert other.gather({"n": 5}) == []

    assert main.gather({"n": 3}, meanwhile) == [{"n": 5}] and len(waits) == 3  # and once at the end


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
