"""torchrun's processes, which share the scans of a run."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from torch.distributed import Store

_POLL_S = 0.05


def agree_on_attempt(store: Store, rank: int, size: int) -> str:
    """Return a name that the ranks of this attempt share, and no rank of another attempt.

    torchrun starts all ranks again when one has died, and its store keeps the keys of the attempts before: a
    barrier that counted in them would let ranks through that the others have not reached.
    """
    own = uuid4().hex
    if rank:
        store.set(f"rank {rank} asks", own)
        while not store.check([f"answer to {own}"]):  # only the living main rank gives it
            time.sleep(_POLL_S)
        attempt = store.get(f"answer to {own}").decode()
        store.set(f"{attempt}: rank {rank} has joined", "")
        return attempt
    missing = set(range(1, size))
    while missing:
        for other in sorted(missing):
            if store.check([f"rank {other} asks"]):
                store.set(f"answer to {store.get(f'rank {other} asks').decode()}", own)
            if store.check([f"{own}: rank {other} has joined"]):
                missing.remove(other)
        time.sleep(_POLL_S)
    return own


class Ranks:
    """The processes that torchrun started; without torchrun, this process alone.

    They communicate through torchrun's key-value store.

    Attributes
    ----------
    rank, size : int
        This process's number, from 0, and how many processes there are.
    local_rank : int
        Its number on this machine.
    """

    def __init__(self) -> None:
        self.rank, self.size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self._counts: Counter[str] = Counter()  # where there is no store
        self._store: Store | None = None
        if self.size > 1:
            from torch.distributed import PrefixStore
            from torch.distributed.rendezvous import rendezvous

            store = next(rendezvous("env://"))[0]
            self._store = PrefixStore(agree_on_attempt(store, self.rank, self.size), store)

    @property
    def is_main(self) -> bool:
        """Whether this process writes the tables and the report."""
        return self.rank == 0

    def shard(self, items: list) -> list:
        """Return this rank's part of a list."""
        return items[self.rank :: self.size]

    def add(self, name: str, amount: int = 1) -> int:
        """Add to a count that all ranks share; returns its new value."""
        if self._store is not None:
            return self._store.add(name, amount)
        self._counts[name] += amount
        return self._counts[name]

    def barrier(self, name: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait until all ranks are here, calling `meanwhile` five times a second."""
        self.add(name)
        while self.add(name, 0) < self.size:
            meanwhile()
            time.sleep(0.2)

    def gather(self, content: dict, meanwhile: Callable[[], None] = lambda: None) -> list[dict]:
        """Wait for all ranks; return the other ranks' contents on the main rank, [] on the others."""
        store, others = self._store, range(1, self.size) if self.is_main else ()
        if store is None:
            return []
        store.set(f"of rank {self.rank}", json.dumps(content))
        self.barrier("gathered", meanwhile)
        meanwhile()
        return [json.loads(store.get(f"of rank {rank}")) for rank in others]
