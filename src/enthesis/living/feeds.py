"""What changed, run by run, as feeds: Atom, RSS and JSON Feed. One entry per recorded run that has something to say.

Feeds are made from the history alone, so that every run writes them anew and the same history gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from enthesis.living.cache import sentences, write_whole

if TYPE_CHECKING:
    from enthesis.living.history import Record
    from enthesis.living.review import Review

#: entries in a feed
MOST = 50


def write_feeds(review: Review, records: Sequence[Record], folder: str | Path) -> tuple[Path, ...]:
    """Write `feed.atom`, `feed.rss` and `feed.json`; each is whole or as it was.

    Parameters
    ----------
    review : Review
    records : sequence of Record
        Oldest first.
    folder : path

    Returns
    -------
    tuple of Path
    """
    folder = Path(folder)
    with sentences(folder):
        folder.mkdir(parents=True, exist_ok=True)
    found = entries(records)
    texts = {"feed.atom": atom(review, found), "feed.rss": rss(review, found), "feed.json": json_feed(review, found)}
    for name, text in texts.items():
        write_whole(folder / name, text.encode("utf-8"))
        (folder / name).chmod(0o644)
    return tuple(folder / name for name in texts)


def entries(records: Sequence[Record]) -> list[dict[str, str]]:
    """One entry per run, newest first: id, title, text, date.

    Runs in which no question and no conclusion moved are left out, except the first.
    """
    found = []
    for before, record in zip([None, *records], records):
        told = changes_in_words(before, record)
        if told is None:
            continue
        found.append({
            "id": f"urn:sha256:{record.hash}", "title": told[0], "text": told[1], "date": record.recorded_at,
        })  # fmt: skip
    return found[::-1][:MOST]


def changes_in_words(before: Record | None, record: Record) -> tuple[str, str] | None:
    """Title and text of what changed between two records; None when nothing did."""
    states = [c["state"] for c in record.conclusions]
    counted = f"{states.count('holds')} hold, {states.count('open')} are open, {states.count('refuted')} are refuted"
    if before is None:
        text = f"First recorded run: {len(record.questions)} questions."
        return f"Run {record.number}: first run", text + (f" Conclusions: {counted}." if states else "")
    earlier = {c["id"]: c for c in before.conclusions}
    flips, moves = [], []
    for c in record.conclusions:
        was = earlier.get(c["id"])
        if was is None or was["asked"] != c["asked"]:
            flips.append(f"{c['id']} is new or asked otherwise: {c['statement']}: {c['state']}")
        elif was["state"] != c["state"]:
            flips.append(f"{c['id']} flipped from {was['state']} to {c['state']}: {c['statement']} "
                         f"(P {_p(was)} -> {_p(c)}, threshold {c['threshold']:.2f})")  # fmt: skip
        elif _p(was) != _p(c):
            moves.append(f"{c['id']} unchanged, {c['state']} (P {_p(was)} -> {_p(c)}, threshold {c['threshold']:.2f})"
                         + (", near" if c["near"] else ""))  # fmt: skip
    moved = [
        id for id, q in record.questions.items() if q.get("network") != before.questions.get(id, {}).get("network")
    ]
    if not (flips or moves or moved):
        return None
    head = f"{len(flips)} of {len(states)} conclusions changed" if flips else f"{len(moved)} questions have new data"
    text = ". ".join([*flips, *moves, f"Questions with other data: {', '.join(moved) or 'none'}"]) + "."
    return f"Run {record.number}: {head}", text


def _p(c: dict[str, Any]) -> str:
    return "not computed" if c["probability"] is None else f"{c['probability']:.2f}"


def _title(review: Review) -> str:
    return f"{review.title}: what changed"


def atom(review: Review, found: Sequence[dict[str, str]]) -> str:
    """An Atom feed (RFC 4287)."""
    feed = ET.Element("feed", xmlns="http://www.w3.org/2005/Atom")
    ET.SubElement(feed, "id").text = f"urn:enthesis:{review.id}"
    ET.SubElement(feed, "title").text = _xml(_title(review))
    ET.SubElement(feed, "updated").text = found[0]["date"] if found else "1970-01-01T00:00:00+00:00"
    ET.SubElement(ET.SubElement(feed, "author"), "name").text = "enthesis"
    for one in found:
        entry = ET.SubElement(feed, "entry")
        ET.SubElement(entry, "id").text = one["id"]
        ET.SubElement(entry, "title").text = _xml(one["title"])
        ET.SubElement(entry, "updated").text = one["date"]
        ET.SubElement(entry, "content", type="text").text = _xml(one["text"])
    return _document(feed)


def rss(review: Review, found: Sequence[dict[str, str]]) -> str:
    """An RSS 2.0 feed."""
    root = ET.Element("rss", version="2.0")
    channel = ET.SubElement(root, "channel")
    ET.SubElement(channel, "title").text = _xml(_title(review))
    ET.SubElement(channel, "link").text = f"urn:enthesis:{review.id}"
    ET.SubElement(channel, "description").text = _xml(review.asks or review.title)
    for one in found:
        item = ET.SubElement(channel, "item")
        ET.SubElement(item, "title").text = _xml(one["title"])
        ET.SubElement(item, "guid", isPermaLink="false").text = one["id"]
        ET.SubElement(item, "pubDate").text = format_datetime(datetime.fromisoformat(one["date"]))
        ET.SubElement(item, "description").text = _xml(one["text"])
    return _document(root)


def json_feed(review: Review, found: Sequence[dict[str, str]]) -> str:
    """A JSON Feed, version 1.1."""
    told = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": _title(review),
        "items": [
            {"id": one["id"], "title": one["title"], "content_text": one["text"], "date_published": one["date"]}
            for one in found
        ],
    }
    return json.dumps(told, ensure_ascii=False, indent=1) + "\n"


def _document(root: ET.Element) -> str:
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    """Text without signs that XML does not allow, or that would turn the direction of writing."""
    from enthesis.report.render.svg import drawable

    return str(drawable(text))


__all__ = ["atom", "changes_in_words", "entries", "json_feed", "rss", "write_feeds"]
