"""torchrun's processes, which share the scans of a run."""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from mri_saliency.errors import UserError, warn
from mri_saliency.wording import listed

if TYPE_CHECKING:
    from torch.distributed import Store

_OF_TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_POLL_S = 0.05
_CONNECT_S = 5.0  # of one try, which no signal interrupts
START_LIMIT_S = 300.0  # in which all processes must have begun
SHARED_WITHIN_S = 30.0  # in which all must see what one has written
SILENCE_LIMIT_S = 3600.0  # without a sign of life from those that are waited for


class Ranks:
    """The processes that torchrun started; without torchrun, this process alone.

    They communicate through torchrun's key-value store. A wait for others ends, with a UserError that names
    them, when they give no sign of life.
    """

    def __init__(self) -> None:
        self.rank, self.size, self.local_rank = 0, 1, 0
        self._counts: Counter[str] = Counter()  # where there is no store
        self._store: Store | None = None
        size = os.environ.get("WORLD_SIZE", "1")
        missing = [name for name in _OF_TORCHRUN if name not in os.environ]
        if missing and size != "1":
            warn(
                f"WORLD_SIZE is {size}, but torchrun did not start this process (no {listed(missing)}): it "
                "runs alone. To share the work, start it with torchrun."
            )
        elif int(size) > 1:
            self.rank, self.size = int(os.environ["RANK"]), int(size)
            self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
            self._store = self._join()

    def _join(self) -> "Store":
        """Connect to torchrun's store; return the part of it that this attempt's ranks share."""
        from torch.distributed import DistNetworkError, DistStoreError, PrefixStore, TCPStore

        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        # the store is in torchrun itself, or else in the first process
        serves = self.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
        deadline_s = time.monotonic() + START_LIMIT_S
        try_s = timedelta(seconds=_CONNECT_S)
        while True:
            try:
                store = TCPStore(address, port, self.size, serves, timeout=try_s, wait_for_workers=False)
                break
            except (DistNetworkError, DistStoreError) as error:
                if serves or time.monotonic() > deadline_s:
                    reason = str(error).partition("\n")[0]
                    raise UserError(
                        f"torchrun's store at {address}:{port} cannot be reached ({reason}). Without "
                        "torchrun, unset RANK and WORLD_SIZE."
                    ) from error
        return PrefixStore(agree_on_attempt(store, self.rank, self.size), store)

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
            if amount:
                self._store.add(f"signs of life of rank {self.rank}", 1)
            return self._store.add(name, amount)
        self._counts[name] += amount
        return self._counts[name]

    def exchange(self, name: str, content: object, meanwhile: Callable[[], None] = lambda: None) -> list:
        """Wait until all ranks are here; return all ranks' contents, which JSON can hold, in their order.

        `meanwhile` is called five times a second. Raises UserError: the others have given no sign of life for
        `SILENCE_LIMIT_S`.
        """
        store = self._store
        if store is None:
            return [content]
        store.set(f"{name} of rank {self.rank}", json.dumps(content))
        missing, signs, silent_since_s = set(range(self.size)), -1, time.monotonic()
        while missing:
            missing = {rank for rank in missing if not store.check([f"{name} of rank {rank}"])}
            now_s = time.monotonic()
            found = sum(store.add(f"signs of life of rank {rank}", 0) for rank in missing)
            if found != signs:
                signs, silent_since_s = found, now_s
            if missing and now_s - silent_since_s > SILENCE_LIMIT_S:
                raise UserError(_silent(missing, SILENCE_LIMIT_S))
            meanwhile()
            if missing:
                time.sleep(0.2)
        return [json.loads(store.get(f"{name} of rank {rank}")) for rank in range(self.size)]

    def check_plans(self, plan: str) -> None:
        """Wait until all ranks are here; raise UserError if their plans differ."""
        plans = self.exchange("plan", plan)
        if differing := [rank for rank, other in enumerate(plans) if other != plans[0]]:
            raise UserError(
                f"torchrun: {_names(differing)} would make other maps than rank 0. Give the processes of all "
                "machines the same table, checkpoint, options and --output_dir."
            )

    def check_shared(self, folder: Path) -> None:
        """Raise UserError if there are ranks that do not see in a folder what the main one writes there."""
        path = folder / f".{self.exchange('token', uuid4().hex)[0]}.mri-saliency.part"
        if self.is_main:
            path.touch()
        self.exchange("token is written", None)
        deadline_s = time.monotonic() + SHARED_WITHIN_S
        while not (sees := path.exists()) and time.monotonic() < deadline_s:
            time.sleep(0.2)  # a network's disk shows a new file late
        blind = [rank for rank, sees in enumerate(self.exchange("sees", sees)) if not sees]
        if self.is_main:
            path.unlink(missing_ok=True)
        if blind:
            raise UserError(
                f"{folder}: what rank 0 writes there, {_names(blind)} cannot see. Choose an --output_dir on "
                "a disk that all machines share."
            )


def agree_on_attempt(store: "Store", rank: int, size: int) -> str:
    """Return a name that the ranks of this attempt share, and no rank of another attempt.

    torchrun starts all ranks again when one has died, and its store keeps the keys of the attempts before: a
    barrier that counted in them would let ranks through that the others have not reached. Raises UserError:
    not all ranks have begun within `START_LIMIT_S`.
    """
    own, deadline_s = uuid4().hex, time.monotonic() + START_LIMIT_S

    def wait(missing: Iterable[int]) -> None:
        if time.monotonic() > deadline_s:
            raise UserError(_silent(missing, START_LIMIT_S))
        time.sleep(_POLL_S)

    if rank:
        store.set(f"rank {rank} asks", own)
        while not store.check([f"answer to {own}"]):  # only the living main rank gives it
            wait([0])
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
        wait(missing)
    return own


def _names(ranks: Iterable[int]) -> str:
    return listed(f"rank {rank}" for rank in sorted(ranks))


def _silent(ranks: Iterable[int], seconds: float) -> str:
    return (
        f"torchrun: no sign of life from {_names(ranks)} for {seconds / 60:.0f} minutes. The reason is in "
        "what these processes print; the same command goes on. Without torchrun, unset RANK and WORLD_SIZE."
    )
