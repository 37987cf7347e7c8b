"""A process alone is the main rank, with all the work; torchrun's ranks divide it."""

from mri_saliency.runtime.ranks import Ranks


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
        return self.values[key]

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
