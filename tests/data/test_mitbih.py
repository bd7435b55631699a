"""Heartbeats by patient: records written by wfdb, and the real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from spikescan.data import DataError, find_source
from spikescan.data.mitbih import DS1, DS2, MITBIH, read_record

wfdb = pytest.importorskip("wfdb")
USED = ["101", "106", "108", "100", "103"]
SYMBOLS = "+NLAV~FQN"


def write(folder: Path) -> Path:
    """Beats every 100 samples; the lead there is the record's number in hundredths of a volt."""
    base = folder / "root" / "mitbih"
    base.mkdir(parents=True)
    for name in USED:
        lead = np.zeros(2000)
        at = np.arange(1, 19) * 100
        lead[at] = int(name) / 100
        wfdb.wrsamp(
            name,
            fs=360,
            units=["mV"] * 2,
            sig_name=["V1", "MLII"],
            p_signal=np.stack([np.ones(2000), lead], 1),
            fmt=["212", "212"],
            adc_gain=[200.0] * 2,
            baseline=[0] * 2,
            write_dir=str(base),
        )
        wfdb.wrann(name, "atr", at, symbol=list(SYMBOLS * 2), write_dir=str(base))
    return base.parent


def tiny(folder: Path) -> list[str]:
    return [
        f"--data.root={write(folder)}",
        f"--data.records={USED}",
        "--data.before=60",
        "--data.after=40",
        "--data.batch_size=8",
    ]


def test_beats_are_cut_out_with_their_class(tmp_path: Path) -> None:
    data = MITBIH(root=str(write(tmp_path)), records=USED, before=60, after=40)
    # Of 18 marks 14 are beats.
    assert [len(part) for part in data.splits] == [28, 14, 28]
    names: list[set[int]] = []
    for part in data.splits:
        assert part.y.tolist() == [0, 0, 1, 2, 3, 4, 0] * (2 * len(part) // 14)
        x = torch.cat([batch.x[:, 60, 0] for batch in part])
        names.append({round(100 * float(v)) for v in x})
        rest = torch.cat([batch.x[:, :60] for batch in part])
        assert (rest == 0).all()
    assert names[0] | names[1] == {101, 106, 108}
    assert len(names[1]) == 1
    assert names[2] == {100, 103}
    wide = MITBIH(root=str(data.root), records=USED, before=250, after=40).splits
    assert len(wide.test) == 2 * 13  # the first beat's window would leave the record


def test_records_divide_the_patients() -> None:
    assert len(DS1) == len(DS2) == 22
    assert not set(DS1) & set(DS2)
    source = find_source("mitbih").contents()
    assert len(source) == 48 * 3
    assert {f"{n}.dat" for n in (*DS1, *DS2)} <= {file.path for file in source}
    assert source[0].urls == (f"https://physionet.org/files/mitdb/1.0.0/{source[0].path}",)


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    root = write(tmp_path)
    with pytest.raises(DataError, match=r"109\.hea is missing; .*spikescan data get mitbih"):
        MITBIH(root=str(root)).setup()
    base = root / "mitbih"
    for ending, content in (("hea", b"nonsense"), ("atr", b"\x01"), ("dat", b"")):
        path = base / f"106.{ending}"
        whole = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"record 106 in .*damaged"):
            read_record(base, "106")
        path.write_bytes(whole)
    header = base / "106.hea"
    header.write_text(header.read_text().replace("MLII", "V5"))
    with pytest.raises(DataError, match="must have the lead MLII at 360 Hz, has V1, V5"):
        read_record(base, "106")


@pytest.mark.parametrize(
    ("name", "options"),
    [("before", {"before": -1}), ("after", {"after": 0}), ("records", {"records": ["102"]}),
     ("records", {"records": ["101", "100"]}), ("records", {"records": ["101", "106"]})],
)  # fmt: skip
def test_wrong_arguments_are_named(name: str, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=name):
        MITBIH(**options)  # type: ignore[arg-type]


def test_the_real_records(real_folder: Callable[[str], str]) -> None:
    folder = Path(real_folder("mitbih")) / "mitbih"
    record = read_record(folder, "106")
    assert record.x.shape == (650_000,)
    # As the data base's own tables count the record: 1,507 normal beats, 520 ventricular.
    assert np.bincount(record.y, minlength=5).tolist() == [1507, 0, 520, 0, 0]
    # The peak of a beat stands out of what is around it.
    around = np.stack([record.x[at - 100 : at + 100] for at in record.at[5:-5]])
    assert np.median(around[:, 90:110].max(1)) > np.median(around.max(1)) - 0.05
