"""Which item was in which part of the data: kept with a run, and the same when it goes on."""

from __future__ import annotations

import csv
import io

from spikescan.data import SequenceData
from spikescan.errors import UsageError
from spikescan.train.folder import RunFolder
from spikescan.train.whole import whole


def keep_members(folder: RunFolder, data: SequenceData) -> None:
    """Write ``splits.csv`` where a run has none, and compare the data's items with it otherwise.

    Raises:
        UsageError: an item is in another part than before, has come or has gone.
    """
    rows = data.members()
    if not rows:
        return
    if not folder.splits.is_file():
        with whole(folder.splits) as part, part.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("name", "class", "group", "part"), *rows])
        return
    text = folder.splits.read_text(encoding="utf-8")
    _, *kept = csv.reader(io.StringIO(text, newline=""))
    before = {name: part for name, _, _, part in kept}
    now = {name: part for name, _, _, part in rows}
    for name in [*now, *before]:
        if before.get(name) != now.get(name):
            there, here = (parts.get(name, "absent") for parts in (before, now))
            raise UsageError(
                f"the data are not those that {folder.path} was trained on: {name} is {here}, and "
                f"was {there} ({folder.splits}); train a new run with them"
            )
