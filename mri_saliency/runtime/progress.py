"""How far a run is, on the screen: a bar with the time left, or plain lines."""

import sys
import time

from mri_saliency.runtime.ranks import Ranks

REPORT_EVERY_S = 20.0  # between lines where stderr is no terminal


class Progress:
    """One bar with the time left, for all ranks together; plain lines where stderr is no terminal.

    Of `total` units, an earlier run finished `n_before`. The main rank prints.
    """

    def __init__(self, total: int, n_before: int, ranks: Ranks, unit: str = "map") -> None:
        from tqdm import tqdm

        self._is_terminal = sys.stderr.isatty()
        is_hidden = not (self._is_terminal and ranks.is_main)
        self._bar = tqdm(total=total, initial=n_before, unit=unit, disable=is_hidden, smoothing=0.05)
        self._total, self._n_before, self._ranks, self._unit = total, n_before, ranks, unit
        self._n_shown = 0
        self._began_s = self._reported_s = time.monotonic()

    @property
    def n_done(self) -> int:
        """All units of which nothing more will come, of all ranks."""
        return self._n_before + self._ranks.add(self._unit, 0)

    def advance(self, n: int = 1) -> None:
        """Count units of this rank, finished or failed; show how far all ranks are."""
        n_done = self._ranks.add(self._unit, n)
        self._bar.update(n_done - self._n_shown)
        is_end = self._n_before + n_done == self._total and n_done > self._n_shown
        self._n_shown = n_done
        now_s = time.monotonic()
        prints_lines = self._ranks.is_main and not self._is_terminal
        if prints_lines and n_done and (now_s - self._reported_s > REPORT_EVERY_S or is_end):
            self._reported_s = now_s
            elapsed_s, n_left = now_s - self._began_s, self._total - self._n_before - n_done
            elapsed, left = map(self._bar.format_interval, (elapsed_s, elapsed_s / n_done * n_left))
            line = f"{self._total - n_left} of {self._total} {self._unit}s, {elapsed} elapsed, {left} left"
            print(line, file=sys.stderr, flush=True)

    def print(self, message: str) -> None:
        """Print a line to stderr without breaking the bar."""
        self._bar.write(message, file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()
