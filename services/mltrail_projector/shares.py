"""Which partitions this projector takes now: those that it claimed, and those whose owner does not move them."""

from __future__ import annotations

import time

from sqlalchemy import select

from mltrail_core.ids import PARTITIONS, Partition
from mltrail_core.log import Positions
from mltrail_core.readmodel import tables
from mltrail_core.readmodel.store import ReadModel

RENEW_S = 0.5
"""How often claims are looked at: the bound on how long the partitions of a projector that was killed wait."""
STALL_S = 5.0
"""A partition that somebody else claims, and whose position stands for so long before the log's end, is taken as well:
its owner may be stopped, or hold its claim from where it can't be seen to have died."""


class Shares:
    """The partitions that one projector takes."""

    def __init__(self, read_model: ReadModel) -> None:
        self._read_model = read_model
        self._claims = read_model.claims()
        self._renewed_s: float | None = None
        self._stood_since: dict[Partition, tuple[int, float]] = {}
        self._taken_over: set[Partition] = set()
        self.partitions: frozenset[Partition] = frozenset()

    def renew(self, heads: Positions) -> bool:
        """Look at the claims when it is time to, and return whether there are partitions that were not taken before.

        Raises:
            Unavailable: the database can't be reached.
        """
        now_s = time.monotonic()
        if self._renewed_s is not None and now_s - self._renewed_s < RENEW_S:
            return False
        self._renewed_s = None  # until it succeeds
        before = self.partitions
        claimed = self._claims.renew()
        self._taken_over -= claimed
        if len(claimed) < len(PARTITIONS):
            self._taken_over |= self._stalled(heads, claimed, now_s)
        self.partitions = claimed | self._taken_over
        self._renewed_s = now_s
        return not self.partitions <= before

    def yield_stalled(self) -> None:
        """Leave to their owners what was taken over: one of them is back, or somebody else took it over as well."""
        self._taken_over.clear()
        self._stood_since.clear()
        self._renewed_s = None

    def close(self) -> None:
        """Give up all partitions."""
        self._claims.close()
        self.partitions = frozenset()

    def _stalled(self, heads: Positions, claimed: frozenset[Partition], now_s: float) -> set[Partition]:
        with self._read_model.reading() as connection:
            columns = tables.positions.c
            query = select(columns.partition, columns["index"]).where(columns.halted.is_(None))
            standing = {Partition(partition): index for partition, index in connection.execute(query)}
        stood_since = {}
        for partition, index in standing.items():
            if partition not in claimed and index < heads[partition]:
                known = self._stood_since.get(partition)
                stood_since[partition] = known if known is not None and known[0] == index else (index, now_s)
        self._stood_since = stood_since
        return {partition for partition, (_, since_s) in stood_since.items() if now_s - since_s >= STALL_S}
