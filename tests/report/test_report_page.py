"""The page is whole, self-contained, escaped, and says nothing about what is missing."""

import base64
import re
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from spikescan.energy import assume
from spikescan.models import SDTCM, Classifier
from spikescan.report import (
    RasterRecord,
    RunRecord,
    Section,
    confusion_matrix,
    confusion_section,
    write_report,
)

VOID = {"meta", "img", "source", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Checks that tags are balanced, and collects what the tests ask for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], "tags left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in {tag}"
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]


@pytest.fixture(scope="module")
def record() -> RunRecord:
    rng = np.random.default_rng(0)
    epochs = np.arange(3)
    layers = ["blocks.0", "blocks.1"]
    spikes = {name: rng.random((128, 16)) < 0.1 for name in layers}
    return RunRecord(
        title='<script>alert("t")</script> & Söhne',
        recipe="r<b>",
        summary="<u>98 %",
        facts=[("Test <i>accuracy</i>", "97 %")],
        environment=[("Machine", "<img src=x>")],
        commands=[("made by <s>", "spikescan train <q>")],
        config="model: {a: <none>}\nseed: 1",
        history={"loss": {"train": (epochs, rng.random(3)), "val": (epochs, rng.random(3))}},
        sections=[confusion_section(rng.integers(0, 9, (3, 3)), ["<a>", "b", '"c"'])],
        rates={name: values.mean(axis=0) for name, values in spikes.items()},
        raster=RasterRecord(input=rng.random((128, 1)), spikes=spikes, words='class ", said <a>'),
        energy=assume(Classifier(SDTCM, features=8, depth=1), steps=10, rate=0.1),
        impulses={name: 0.5 ** np.arange(4) * np.ones((3, 1)) for name in layers},
        neurons={name: {"time constant": rng.random(16) + 1} for name in layers},
    )


@pytest.fixture(scope="module")
def html(record: RunRecord, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "new" / "report.html"
    assert write_report(record, path) == path
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    return path.read_text(encoding="utf-8")


def test_page_is_balanced_and_has_all_sections(html: str) -> None:
    page = Page(html)
    assert [len(page.all(tag)) for tag in ("html", "head", "body", "main", "h1")] == [1] * 5
    assert len(page.all("h2")) == 10
    assert len(page.all("img")) == len(page.all("figcaption")) == 7
    assert page.all("html")[0]["lang"] == "en"
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))


def test_each_picture_has_alt_text_size_and_a_narrow_twin(html: str) -> None:
    page = Page(html)
    for image in page.all("img"):
        assert len(image["alt"] or "") > 30
        assert 0 < int(image["width"] or 0) <= 922
        assert int(image["height"] or 0) > 0
    assert len(page.all("source")) == 7
    assert all(int(source["width"] or 0) <= 423 for source in page.all("source"))
    alts = " ".join(image["alt"] or "" for image in page.all("img"))
    assert " of " in alts
    assert "Most frequent error: " in alts
    assert ' layers: class ", said <a>.' in alts


def test_page_asks_for_nothing_outside(html: str) -> None:
    page = Page(html)
    assert "://" not in html
    assert not page.all("script") + page.all("link") + page.all("iframe")
    assert "@import" not in html
    assert "url(" not in html
    links = [p["src"] for p in page.all("img")] + [p["srcset"] for p in page.all("source")]
    assert len(links) == 14
    for link in links:
        kind, _, data = (link or "").removeprefix("data:image/").partition(";base64,")
        picture = base64.b64decode(data, validate=True)
        assert kind in ("png", "svg+xml")
        if kind == "png":
            assert picture.startswith(b"\x89PNG")
        else:
            names = set(re.findall(rb"[a-z]+://[^\"' <)]*", picture))
            assert names == {b"http://www.w3.org/2000/svg", b"http://www.w3.org/1999/xlink"}
            assert b"<script" not in picture
            ElementTree.fromstring(picture)


def test_text_is_escaped(html: str) -> None:
    page = Page(html)
    assert "<script" not in html
    text = "".join(page.text)
    assert text.count('<script>alert("t")</script> & Söhne') == 2  # title and headline
    for given in ("r<b>", "Test <i>accuracy</i>", "<img src=x>", "model: {a: <none>}\nseed: 1"):
        assert given in text
    assert not page.all("i") + page.all("b")


def test_missing_pieces_are_left_out(tmp_path: Path) -> None:
    path = write_report(RunRecord(title="Bare", recipe=""), tmp_path / "report.html")
    page = Page(path.read_text(encoding="utf-8"))
    for tag in ("h2", "img", "figure", "table", "dl", "details", "code"):
        assert not page.all(tag), tag
    empty = RunRecord(title="Bare", recipe="", history={"loss": {}}, neurons={"lif": {}})
    assert not Page(write_report(empty, path).read_text(encoding="utf-8")).all("img")


def test_notes_stand_on_the_page_once_and_escaped(tmp_path: Path) -> None:
    notes = ["a is silent: it fires in < 1 % of its steps", "b is saturated"]
    path = write_report(RunRecord(title="t", recipe="", notes=notes), tmp_path / "report.html")
    page = Page(path.read_text(encoding="utf-8"))
    assert [a.get("class") for _, a in page.seen].count("note") >= 1
    for note in notes:
        assert "".join(page.text).count(note) == 1


@pytest.mark.no_cover
def test_same_record_same_bytes(record: RunRecord, html: str, tmp_path: Path) -> None:
    again = write_report(record, tmp_path / "report.html")
    assert again.read_text(encoding="utf-8") == html


def test_page_of_a_normal_run_is_small(html: str) -> None:
    assert len(html) < 1_000_000


def test_failure_keeps_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")
    broken = partial(confusion_matrix, np.zeros((2, 3), dtype=int))
    section = Section(heading="h", draw=broken, alt="a", caption="c")
    with pytest.raises(ValueError, match="counts: got shape"):
        write_report(RunRecord(title="t", recipe="", sections=[section]), path)

    epochs, values = np.arange(3), np.zeros(2)
    with pytest.raises(ValueError, match="expected two equal"):
        write_report(
            RunRecord(title="t", recipe="", history={"loss": {"val": (epochs, values)}}), path
        )

    def fail(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(RunRecord(title="t", recipe=""), path)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
