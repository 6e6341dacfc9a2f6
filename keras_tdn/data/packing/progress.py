"""How far a packing is, on the terminal."""

from __future__ import annotations

from typing import Any


class Progress:
    """A bar of records; it is not shown where standard error is not a terminal.

    Args:
        num_records: Records in all.
        shown: Whether to show it at all.
    """

    def __init__(self, num_records: int, shown: bool) -> None:
        self._bar: Any = None
        # By shard, because a shard that is begun again counts once.
        self._done: dict[int, int] = {}
        self._failures = 0
        if shown:
            from tqdm import tqdm

            self._bar = tqdm(total=num_records, unit="video", disable=None, smoothing=0.05)

    def started(self, shard: int, place: int) -> None:
        """Notes that the records before `place` are done."""
        self._note(shard, place)

    def finished(self, shard: int, num_records: int, num_failures: int) -> None:
        """Notes that a shard is done."""
        self._failures += num_failures
        if self._bar is not None and self._failures:
            self._bar.set_postfix(failed=self._failures, refresh=False)
        self._note(shard, num_records)

    def close(self) -> None:
        """Leaves the terminal to others."""
        if self._bar is not None:
            self._bar.close()

    def _note(self, shard: int, done: int) -> None:
        if self._bar is not None:
            self._bar.update(done - self._done.get(shard, 0))
            self._done[shard] = done
