"""A stand-in for the gate that the package index puts before uploads: what it refuses in a wheel's archive, told from outside.

The gate walks the archive from its first byte, as a stream would be read, and compares what it meets with what Python's zipfile reads from
the directory; and it compares RECORD with the names. Nothing here is shared with the package: it reads with `struct` and `zipfile` alone.
"""

import configparser
import csv
import io
import re
import struct
import zipfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

SIGNATURES = ("RECORD.jws", "RECORD.p7s")


class Walk(NamedTuple):
    """What lies in the archive, first byte to last."""

    local: list[tuple[bytes, int, int]]
    """Name, compressed size, size."""
    central: list[bytes]
    problems: list[str]


def gate_problems(path: Path | str) -> list[str]:
    """Return why the index would refuse a wheel; [] when it would not."""
    data = Path(path).read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            listed = {info.orig_filename: (info.compress_size, info.file_size) for info in archive.infolist()}
            walk = walked(data)
            return [*walk.problems, *name_problems(walk), *size_problems(walk, listed), *content_problems(archive)]
    except (zipfile.BadZipFile, struct.error) as error:
        return [f"no zip archive: {error}"]


def walked(data: bytes) -> Walk:
    """Read record after record."""
    walk, position, directory = Walk([], [], []), 0, 0
    wide: tuple[int, ...] = ()
    while True:
        magic = data[position : position + 4]
        if magic == b"PK\3\4":
            position = local_header(data, position, walk)
        elif magic == b"PK\1\2":
            directory = directory if walk.central else position
            position = central_header(data, position, walk)
        elif magic == b"PK\6\6":
            length, here, count, size, offset = struct.unpack_from("<Q12x4Q", data, position + 4)
            wide = position, here, count, size, offset
            walk.problems.extend(["the ZIP64 end record has extensible data"] * (length != 44))
            position += 12 + length
        elif magic == b"PK\6\7":
            (located,) = struct.unpack_from("<4xQ", data, position + 4)
            walk.problems.extend(["the ZIP64 end record is not where its locator says"] * (wide[:1] != (located,)))
            position += 20
        elif magic == b"PK\5\6":
            end_record(data, position, walk, directory if walk.central else position, wide)
            return walk
        else:
            walk.problems.append(f"an unknown record at {position:#x}: {magic!r}")
            return walk


def numbers(layout: str, data: bytes, start: int) -> tuple[int, ...]:
    return struct.unpack_from(layout, data, start)


def local_header(data: bytes, start: int, walk: Walk) -> int:
    flags, method, compressed, size, names, extras = numbers("<2xHH8xLLHH", data, start + 4)
    name, extra = data[start + 30 : start + 30 + names], data[start + 30 + names : start + 30 + names + extras]
    if flags & 8:
        walk.problems.append(f"{name!r} has a data descriptor")
    for kind, value in fields(name, extra, walk):
        if kind == 1 and len(value) == 8 and method == 0:
            size = compressed = struct.unpack("<Q", value)[0]
        elif kind == 1 and len(value) >= 16:
            size = struct.unpack_from("<Q", value)[0] if size == 0xFFFFFFFF else size
            compressed = struct.unpack_from("<8xQ", value)[0]
        elif kind == 1 and (value or 0xFFFFFFFF in (size, compressed)):
            walk.problems.append(f"{name!r} has a ZIP64 extra field that does not fit")
    walk.local.append((name, compressed, size))
    return start + 30 + names + extras + compressed


def central_header(data: bytes, start: int, walk: Walk) -> int:
    names, extras, comment = numbers("<24xHHH", data, start + 4)
    name = data[start + 46 : start + 46 + names]
    walk.central.append(name)
    list(fields(name, data[start + 46 + names : start + 46 + names + extras], walk))
    if comment:
        walk.problems.append(f"{name!r} has a comment")
    return start + 46 + names + extras + comment


def fields(name: bytes, extra: bytes, walk: Walk) -> list[tuple[int, bytes]]:
    found, position = [], 0
    while position < len(extra):
        kind, size = struct.unpack_from("<HH", extra, position)
        found.append((kind, extra[position + 4 : position + 4 + size]))
        position += 4 + size
    if position != len(extra):
        walk.problems.append(f"{name!r} has extra fields that do not end where they should")
    for kind in (1, 0x7075):
        values = [value for other, value in found if other == kind]
        walk.problems.extend([f"{name!r} has the extra field {kind:#x} twice"] * (len(values) > 1))
        walk.problems.extend([f"{name!r} has {len(v)} bytes of ZIP64" for v in values if kind == 1 and len(v) not in (0, 8, 16, 24, 28)])
    return found


def end_record(data: bytes, start: int, walk: Walk, directory: int, wide: tuple[int, ...]) -> None:
    here, count, size, offset, comment = struct.unpack_from("<4xHHLLH", data, start + 4)
    first = start
    if wide:
        first, here, count, size, offset = wide
    if here != count or count != len(walk.central):
        walk.problems.append(f"the end record counts {count} members, there are {len(walk.central)}")
    if (offset, offset + size) != (directory, first):
        walk.problems.append("the end record gives another place for the directory")
    if start + 22 + comment != len(data):
        walk.problems.append("bytes follow the end record")


def name_problems(walk: Walk) -> list[str]:
    local, found = [name for name, _, _ in walk.local], []
    for where, names in (("local headers", local), ("directory", walk.central)):
        found += [f"{name!r} is twice in the {where}" for name, times in Counter(names).items() if times > 1]
    found += [f"{name!r} is in the directory or a local header alone" for name in set(local) ^ set(walk.central)]
    for name in {*local, *walk.central}:
        if any(byte < 32 or byte == 127 for byte in name):
            found.append(f"{name!r} has a control character")
        try:
            name.decode("utf-8")
        except UnicodeDecodeError:
            found.append(f"{name!r} is not UTF-8")
    return found


def size_problems(walk: Walk, listed: dict[str, tuple[int, int]]) -> list[str]:
    found = []
    for name, compressed, size in walk.local:
        there = listed.get(name.decode("utf-8", "replace"))
        if there != (compressed, size):
            found.append(f"{name!r} has sizes {(compressed, size)} in its local header, and {there} as zipfile reads the directory")
    return found


def content_problems(archive: zipfile.ZipFile) -> list[str]:
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    infos = {name.partition("/")[0] for name in archive.namelist() if name.partition("/")[0].endswith(".dist-info")}
    if len(infos) != 1:
        return [f"{len(infos)} .dist-info folders"]
    (info,) = infos
    missing = [f"no {name}" for name in ("WHEEL", "METADATA", "RECORD") if f"{info}/{name}" not in names]
    if missing:
        return missing
    text = archive.read(f"{info}/RECORD").decode("utf-8")
    rows = {row[0].replace("\\", "/") for row in csv.reader(io.StringIO(text, newline="")) if row}
    wanted = set(names) - {f"{info}/{name}" for name in SIGNATURES}
    found = [f"{name} is in RECORD alone" for name in rows - wanted]
    found += [f"{name} is not in RECORD" for name in wanted - rows]
    if f"{info}/entry_points.txt" in names:
        found += script_problems(archive.read(f"{info}/entry_points.txt").decode("utf-8"))
    return found


def script_problems(text: str) -> list[str]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except configparser.Error as error:
        return [f"entry_points.txt: {error}"]
    scripts = [name for part in ("console_scripts", "gui_scripts") if parser.has_section(part) for name in parser[part]]
    return [f"the script {name!r} has a name that is refused" for name in scripts if not re.fullmatch(r"[\w.-]+", name)]
