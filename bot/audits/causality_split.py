"""Whether the slices of a split follow each other with room between them, each label known before the next begins.

Between the last label of a slice and the first row of the next lie at least max(window, label reach) minutes, after
M. López de Prado, Advances in Financial Machine Learning (2018), chapter 7 (purging and embargo): a window of the later
slice then shares no candle with a label of the earlier one.
"""

from __future__ import annotations

import itertools

import numpy as np

from bot.audits.causality import Finding, Slice, Split, minute_words
from bot.core.market import MINUTE_MS


def split_finding(split: Split) -> Finding | None:
    """The first fault of a split, None where it has none."""
    for one in split.slices:
        if not len(one.ts):
            return Finding(f"split: the slice {one.name} is empty")
    for number, later in enumerate(split.slices):
        for earlier in split.slices[:number]:
            shared = np.intersect1d(earlier.ts, later.ts)
            if len(shared):
                return Finding(
                    f"split: {len(shared)} minutes, from {minute_words(int(shared[0]))} on, are in {earlier.name} and in "
                    f"{later.name}",
                    int(shared[0]),
                )
    for earlier, later in itertools.pairwise(split.slices):
        if (found := _pair_finding(earlier, later, split.window)) is not None:
            return found
    return None


def label_known_ms(part: Slice) -> int:
    """When the last label of a slice is known, ms: the close of its last row's candle, ``reach`` minutes on."""
    return int(part.ts.max()) + (1 + part.reach) * MINUTE_MS


def _pair_finding(earlier: Slice, later: Slice, window: int) -> Finding | None:
    """A fault between a slice and the next."""
    begin = int(later.ts.min())
    if int(earlier.ts.max()) >= begin:
        return Finding(
            f"split: {earlier.name} goes on until {minute_words(int(earlier.ts.max()))}, but {later.name} begins at "
            f"{minute_words(begin)}: the slices are mixed, as by a shuffle",
            begin,
        )
    known = label_known_ms(earlier)
    if known > begin:
        return Finding(
            f"split: the last labels of {earlier.name} are known at {minute_words(known)} only, after {later.name} began "
            f"at {minute_words(begin)}: labels overlap, {earlier.name} is not purged",
            begin,
        )
    embargo, least = (begin - (known - MINUTE_MS)) // MINUTE_MS, max(window, earlier.reach)
    if embargo < least:
        return Finding(
            f"split: {embargo} minutes lie between the last label of {earlier.name} and {later.name}; at least {least}, "
            "the longer of window and label reach, must",
            begin,
        )
    return None
