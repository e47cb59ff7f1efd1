"""Archives written by `packing`, for several tests: from the bytes of an old one and what is to change in it."""

import io
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from relocator.archives import Archive, open_archive
from relocator.inflating import contents
from relocator.packing import Bytes, Item, Packed, write_archive

INFO = "demo-1.0.dist-info"
RECORD = f"{INFO}/RECORD"
LIMIT = 1 << 40


class Result(NamedTuple):
    """An archive that was written."""

    data: bytes
    packed: tuple[Packed, ...]


def giving(data: Bytes) -> Callable[[], Bytes]:
    return lambda: data


def copies(archive: Archive) -> list[Item]:
    """Return what copies every member of an archive."""
    return [Item(content.member.name, content.member, sha256=content.sha256) for content in contents(archive)]


def repacked(old: bytes, changes: Mapping[str, bytes | None] = {}, **how: Any) -> Result:
    """Write an archive anew: with other bytes, or without a member (None), and with new members; all others are copied."""
    archive = open_archive(memoryview(old), LIMIT)
    items = []
    for item in copies(archive):
        change = changes.get(item.name, b"")
        if item.name not in changes:
            items.append(item)
        elif change is not None:
            items.append(item._replace(content=giving(change), sha256=""))
    known = {item.name for item in copies(archive)}
    items += (Item(name, None, giving(data), len(data)) for name, data in changes.items() if name not in known and data is not None)
    return written(archive, items, **how)


def written(archive: Archive, items: list[Item], record: str = RECORD, **how: Any) -> Result:
    file = io.BytesIO()
    packed = write_archive(file, archive, items, record, **how)
    return Result(file.getvalue(), packed)
