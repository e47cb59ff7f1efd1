"""Zip archives: the directory, judged strictly, and where each member's bytes lie.

Installers differ in what they believe, the directory, the local headers or the end record; whatever these say differently is a `Problem`.
What cannot be followed at all is a `ContainerError`. Nothing is written to disk. PKWARE's APPNOTE.TXT is the specification; section
numbers below are its own.
"""

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from relocator.buffer import Buffer
from relocator.errors import ContainerError
from relocator.model import Problem

STORED, DEFLATED = 0, 8

MAX_MEMBERS = 500_000
"""Forty times what the largest wheels have."""

_END = struct.Struct("<4s4H2LH")  # 4.3.16
_END64_LOCATOR = struct.Struct("<4sLQL")  # 4.3.15
_END64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_CENTRAL = struct.Struct("<4s6H3L5H2L")  # 4.3.12
_LOCAL = struct.Struct("<4s5H3L2H")  # 4.3.7
_END_MAGIC, _END64_LOCATOR_MAGIC, _END64_MAGIC = b"PK\5\6", b"PK\6\7", b"PK\6\6"
_CENTRAL_MAGIC, _LOCAL_MAGIC, _DESCRIPTOR_MAGIC = b"PK\1\2", b"PK\3\4", b"PK\7\x08"
_ENCRYPTED, _DESCRIPTOR, _PATCHED, _STRONGLY_ENCRYPTED, _UTF8 = 1, 8, 0x20, 0x40, 0x800  # 4.4.4
_ZIP64_EXTRA, _UNICODE_PATH_EXTRA = 0x0001, 0x7075
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "123456789\xb9\xb2\xb3")})
_AGAIN = "download or build it again"


class ZipMember(NamedTuple):
    """One member as the directory describes it: all that is needed to read it, or to copy it unchanged."""

    name: str
    raw_name: bytes
    offset: int
    """Of the local header, from the start of the file."""
    compressed: int
    size: int
    crc: int
    method: int
    flags: int
    made_by: int
    needs: int
    time: int
    date: int
    internal: int
    external: int
    extra: bytes
    comment: bytes

    @property
    def is_folder(self) -> bool:
        """Whether it only names a folder."""
        return self.raw_name.endswith(b"/")

    @property
    def mode(self) -> int:
        """The st_mode bits, 0 when there are none: believed whatever system the archive claims to come from."""
        return self.external >> 16

    @property
    def encrypted(self) -> bool:
        """Whether its bytes are encrypted."""
        return bool(self.flags & (_ENCRYPTED | _STRONGLY_ENCRYPTED))

    @property
    def patched(self) -> bool:
        """Whether its bytes are a patch to another archive's."""
        return bool(self.flags & _PATCHED)

    @property
    def version(self) -> int:
        """The version of the format that it asks for, ten times the number: 20 for 2.0."""
        return self.needs & 0xFF


class Archive(NamedTuple):
    """An archive's directory, and what is wrong with it."""

    data: Buffer
    members: tuple[ZipMember, ...]
    """In the directory's order, folders included."""
    problems: tuple[Problem, ...]
    limits: dict[int, int]
    """By a member's offset: where the next one or the directory begins; nothing of it may lie beyond."""


class _End(NamedTuple):
    """What the end records say, and where they lie."""

    members: int
    size: int
    offset: int
    start: int
    """Where the first end record begins, so where the directory must end."""


def open_archive(data: Buffer, max_size: int) -> Archive:
    """Read the directory; raise ContainerError when there is none that can be followed, or when its members exceed `max_size` bytes."""
    problems: list[Problem] = []
    end = _end_record(data, problems)
    start, shift = _directory_start(data, end, problems)
    raw = bytes(data[start : start + end.size])
    if end.size // _CENTRAL.size > MAX_MEMBERS and raw.count(_CENTRAL_MAGIC) > MAX_MEMBERS:
        raise ContainerError(f"holds more than {MAX_MEMBERS:,} members", "no wheel is that large; look at where it comes from")
    members = tuple(_members(raw, start, shift, problems))
    if (len(members) - end.members) & 0xFFFF or (end.members > 0xFFFF and end.members != len(members)):
        problems.append(Problem("directory", "", f"its end record counts {end.members:,} members, the directory has {len(members):,}"))
    first = min((member.offset for member in members), default=start)
    if first > 0:
        problems.append(Problem("prepended", "", f"{first:,} bytes"))
    _judge_names(members, problems)
    total = sum(member.size for member in members)
    if total > max_size:
        size, limit = f"inflates to {total:,} bytes", f"{max_size:,}"
        raise ContainerError(f"{size}, more than the {limit} allowed", "raise the limit with --max-size if you trust it")
    return Archive(data, members, tuple(problems), _limits(members, start))


# ---- end records


def _end_record(data: Buffer, problems: list[Problem]) -> _End:
    tail_start = max(0, len(data) - _END.size - 0xFFFF)
    tail = bytes(data[tail_start:])
    position, alone = _find_end(tail)
    if position < 0:
        if bytes(data[:4]) == _LOCAL_MAGIC:
            raise ContainerError("is a zip archive that was cut off: its directory, which lies at the end, is missing", _AGAIN)
        raise ContainerError("is not a zip archive", _AGAIN)
    _, disk, first_disk, here, count, size, offset, comment = _END.unpack_from(tail, position)
    if not alone:
        problems.append(
            Problem("directory", "", "there are two end records, one in the comment of the other: tools differ in which they take")
        )
    trailing = len(tail) - position - _END.size - comment
    if trailing:
        problems.append(Problem("trailing", "", f"{trailing:,} bytes"))
    end = _End(count, size, offset, tail_start + position)
    end64 = _end64(data, end, problems)
    if end64 is None and (disk or first_disk or here != count):
        raise ContainerError("is one part of a split archive", "join the parts first")
    return end64 or end


def _find_end(tail: bytes) -> tuple[int, bool]:
    """Return where the end record begins, -1 when there is none, and whether no other can be taken for it.

    The last one whose comment ends the file is preferred, then the last one that has bytes behind it.
    """
    complete: list[int] = []
    followed: list[int] = []
    position = tail.rfind(_END_MAGIC)
    while position >= 0:
        if position + _END.size <= len(tail):
            end = position + _END.size + struct.unpack_from("<H", tail, position + 20)[0]
            if end <= len(tail):
                (complete if end == len(tail) else followed).append(position)
        position = tail.rfind(_END_MAGIC, 0, position)
    if not complete:
        return (followed[0] if followed else -1), True
    return complete[0], len(complete) == 1 and (not followed or followed[0] < complete[0])


def _end64(data: Buffer, end: _End, problems: list[Problem]) -> _End | None:
    """Return what the ZIP64 end record says, None when there is no locator for one."""
    at = end.start - _END64_LOCATOR.size
    locator = bytes(data[at : end.start]) if at >= 0 else b""
    if not locator.startswith(_END64_LOCATOR_MAGIC):
        return None
    _, _, place, disks = _END64_LOCATOR.unpack(locator)
    for start in (at - _END64.size, place):
        raw = bytes(data[start : start + _END64.size]) if 0 <= start < at else b""
        if len(raw) == _END64.size and raw.startswith(_END64_MAGIC):
            _, length, _, _, disk, first_disk, _, count, size, offset = _END64.unpack(raw)
            break
    else:
        raise ContainerError("has a ZIP64 locator that leads to no end record", _AGAIN)
    if disk or first_disk or disks > 1:
        raise ContainerError("is one part of a split archive", "join the parts first")
    if length != _END64.size - 12:
        problems.append(Problem("directory", "", "its ZIP64 end record has a part that no tool knows"))
    for plain, wide, full in ((end.members, count, 0xFFFF), (end.size, size, _FULL32), (end.offset, offset, _FULL32)):
        if plain not in (wide, full):
            problems.append(Problem("directory", "", f"its two end records disagree: {plain:,} and {wide:,}"))
    return _End(count, size, offset, start)


def _directory_start(data: Buffer, end: _End, problems: list[Problem]) -> tuple[int, int]:
    """Return where the directory begins, and how many bytes stand before the place that the offsets are counted from."""
    start = end.start - end.size
    if end.offset > start:
        raise ContainerError(f"has a damaged end record: a directory of {end.size:,} bytes at {end.offset:#x} overlaps it", _AGAIN)
    if (
        start != end.offset
        and bytes(data[start : start + 4]) != _CENTRAL_MAGIC
        and bytes(data[end.offset : end.offset + 4]) == _CENTRAL_MAGIC
    ):
        problems.append(Problem("directory", "", f"{start - end.offset:,} bytes stand between it and its end record"))
        return end.offset, 0
    return start, start - end.offset


# ---- the directory


def _limits(members: Sequence[ZipMember], start: int) -> dict[int, int]:
    """Return where what follows each member begins; members that begin at one place have no room at all."""
    offsets = sorted(member.offset for member in members)
    return {here: min(following, start) for here, following in reversed(list(pairwise([*offsets, start])))}


def _members(raw: bytes, start: int, shift: int, problems: list[Problem]) -> Iterator[ZipMember]:
    """Yield the members; `start` is where the directory lies, `shift` what is added to its offsets."""
    position, end = 0, len(raw)
    while position < end:
        if end - position < _CENTRAL.size or not raw.startswith(_CENTRAL_MAGIC, position):
            raise ContainerError(f"has a damaged directory: no entry at {start + position:#x}", _AGAIN)
        # fmt: off
        (_, made_by, needs, flags, method, time, date, crc, compressed, size, name_size, extra_size, comment_size,
         _disk, internal, external, offset) = _CENTRAL.unpack_from(raw, position)
        # fmt: on
        position += _CENTRAL.size
        extra_at, comment_at = position + name_size, position + name_size + extra_size
        raw_name, extra, comment = raw[position:extra_at], raw[extra_at:comment_at], raw[comment_at : comment_at + comment_size]
        position = comment_at + comment_size
        if position > end:
            raise ContainerError(f"has a damaged directory: it ends within the entry of {raw_name!r}", _AGAIN)
        name = _decoded(raw_name, flags, extra, problems)
        if extra:
            size, compressed, offset = _widened(name, extra, (size, compressed, offset), problems)
        if comment:
            problems.append(Problem("comment", name, f"{comment_size} bytes of comment"))
        # fmt: off
        yield ZipMember(name, raw_name, offset + shift, compressed, size, crc, method, flags,
                        made_by, needs, time, date, internal, external, extra, comment)
        # fmt: on


def _decoded(raw: bytes, flags: int, extra: bytes, problems: list[Problem]) -> str:
    if raw.isascii() and not extra:
        return raw.decode("ascii")
    name = raw.decode("utf-8", "surrogateescape")
    if not raw.isascii():
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            problems.append(Problem("name", name, "not UTF-8"))
        else:
            if not flags & _UTF8:
                problems.append(Problem("name", name, "not marked as UTF-8: installers take it for code page 437"))
    other = _extras(extra).get(_UNICODE_PATH_EXTRA, b"")[5:]
    if other and other != raw:
        problems.append(Problem("name", name, f"a second name stands beside it: {other.decode('utf-8', 'backslashreplace')}"))
    return name


def _extras(extra: bytes) -> dict[int, bytes]:
    """Return the extra fields by their id (4.5); what does not hold together is left out."""
    return dict(_extra_fields(extra))


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, position)
        yield kind, extra[position + 4 : position + 4 + size]
        position += 4 + size


def _widened(name: str, extra: bytes, values: tuple[int, int, int], problems: list[Problem]) -> tuple[int, int, int]:
    """Return size, compressed size and offset with those that do not fit 32 bits taken from the ZIP64 extra field (4.5.3)."""
    if _named_twice(extra):
        problems.append(Problem("directory", name, "its directory entry has the same extra field twice"))
    problems += _odd_lengths(name, extra)
    wide = _extras(extra).get(_ZIP64_EXTRA)
    if wide is None:
        return values
    found, position = [], 0
    for value in values:
        if value == _FULL32 and position + 8 <= len(wide):
            found.append(struct.unpack_from("<Q", wide, position)[0])
            position += 8
        else:
            found.append(value)
    return found[0], found[1], found[2]


def _named_twice(extra: bytes) -> bool:
    """Tell whether a field that says something about the member occurs more than once: readers differ in which they take."""
    times = Counter(kind for kind, _ in _extra_fields(extra))
    return times[_ZIP64_EXTRA] > 1 or times[_UNICODE_PATH_EXTRA] > 1


def _odd_lengths(name: str, extra: bytes) -> Iterator[Problem]:
    """Judge a ZIP64 extra field's length: up to three numbers of 8 bytes, and one of 4."""
    for kind, data in _extra_fields(extra):
        if kind == _ZIP64_EXTRA and len(data) not in (0, 8, 16, 24, 28):
            yield Problem("extra", name, f"its ZIP64 extra field has {len(data)} bytes")


# ---- names


def _judge_names(members: tuple[ZipMember, ...], problems: list[Problem]) -> None:
    for member in members:
        if fault := name_fault(member.name):
            problems.append(Problem("name", member.name, fault))
    if len({member.name for member in members}) < len(members):
        times = Counter(member.name for member in members)
        problems += (Problem("duplicate", name, f"{count} times") for name, count in times.items() if count > 1)


def name_fault(name: str) -> str:
    """Say why a member's name is not safe on every system; "" when it is."""
    if not name.isprintable() and any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name):
        return "control character"
    if "\\" in name:
        return "backslash"
    if name.startswith("/") or not name:
        return "absolute" if name else "empty"
    if name[1:2] == ":":
        return "drive letter"
    parts = name.removesuffix("/").split("/")
    if ".." in parts:
        return "leads out of the folder"
    if "" in parts or "." in parts:
        return "empty or single-dot part"
    device = next((part for part in parts if part.partition(".")[0].rstrip(" ").lower() in _DEVICES), "")
    return f"{device} is a device on Windows" if device else ""


def encoding_fault(name: str) -> str:
    """Say why no archive can have a member of that name; "" when one can."""
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return "not UTF-8"
    return f"{size:,} bytes long" if size > _FULL16 else ""


# ---- local headers


def locate(archive: Archive, member: ZipMember) -> tuple[int | None, tuple[Problem, ...]]:
    """Compare a member's local header and data descriptor with the directory.

    Returns where its compressed bytes begin, None when they cannot be had, and what is wrong.
    """
    name, data = member.name, archive.data
    head = bytes(data[member.offset : member.offset + _LOCAL.size + len(member.raw_name) + 64])
    if len(head) < _LOCAL.size or not head.startswith(_LOCAL_MAGIC):
        return None, (Problem("local-header", name, f"there is none at {member.offset:#x}"),)
    _, _, flags, method, _, _, crc, compressed, size, name_size, extra_size = _LOCAL.unpack_from(head)
    start = member.offset + _LOCAL.size + name_size + extra_size
    if start - member.offset > len(head):
        head = bytes(data[member.offset : start])
    local_name, extra = head[_LOCAL.size : _LOCAL.size + name_size], head[_LOCAL.size + name_size : start - member.offset]
    if extra and _FULL32 in (size, compressed):
        size, compressed, _ = _widened(name, extra, (size, compressed, 0), [])
    problems = [*_odd_lengths(name, extra), *_differences(member, local_name, flags, method, (crc, compressed, size))]
    if _named_twice(extra):
        problems.append(Problem("extra", name, "its local header has the same extra field twice"))
    end, limit = start + member.compressed, archive.limits[member.offset]
    if end > limit:
        problems.append(Problem("overlap", name, f"reaches {end - limit:,} bytes into what follows"))
        return None, tuple(problems)
    if end < limit or member.flags & _DESCRIPTOR:
        problems += _after(data, member, end, limit)
    return start, tuple(problems)


def _differences(member: ZipMember, name: bytes, flags: int, method: int, sums: tuple[int, int, int]) -> Iterator[Problem]:
    if name != member.raw_name:
        yield Problem("local-header", member.name, f"it calls the member {name.decode('utf-8', 'backslashreplace')}")
    if method != member.method:
        yield Problem("local-header", member.name, f"its method is {method}, the directory's {member.method}")
    if (flags ^ member.flags) & (_ENCRYPTED | _DESCRIPTOR):
        yield Problem("local-header", member.name, f"its flags are {flags:#x}, the directory's {member.flags:#x}")
    unset = (0, _FULL32) if flags & _DESCRIPTOR else ()
    for what, here, there in zip(("CRC-32", "compressed size", "size"), sums, (member.crc, member.compressed, member.size), strict=True):
        if here != there and here not in unset:
            yield Problem("local-header", member.name, f"its {what} is {here}, the directory's {there}")


def _after(data: Buffer, member: ZipMember, end: int, limit: int) -> Iterator[Problem]:
    """Judge what stands between a member's bytes and the next member: a data descriptor (4.3.9) or nothing."""
    following = bytes(data[end : min(end + 24, limit)])
    if member.flags & _DESCRIPTOR:
        yield Problem("descriptor", member.name, "its size stands behind its bytes")
        body = following.removeprefix(_DESCRIPTOR_MAGIC)
        lead = len(following) - len(body)
        forms = [struct.pack(layout, member.crc, member.compressed, member.size) for layout in _descriptor_layouts(member)]
        length = next((len(form) for form in forms if body.startswith(form)), None)
        if length is None:
            yield Problem("local-header", member.name, "its data descriptor differs from the directory")
            return
        end += lead + length
    if end < limit:
        hidden = bytes(data[end : end + 4]) == _LOCAL_MAGIC
        what = "a member that the directory does not list" if hidden else f"{limit - end:,} bytes"
        yield Problem("local-header" if hidden else "gap", member.name, f"followed by {what}")


def _descriptor_layouts(member: ZipMember) -> tuple[str, ...]:
    """Return the layouts that a data descriptor may have: sizes of 8 bytes in ZIP64 archives, of 4 otherwise, if they fit."""
    return ("<L2Q",) if max(member.compressed, member.size) > _FULL32 else ("<L2Q", "<L2L")
