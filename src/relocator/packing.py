"""Writing a wheel's archive: the compressed bytes of untouched members as they are, changed members compressed by two threads.

The strictest reader known, the index's upload gate, walks an archive from its first byte and compares what it meets with the directory.
So every member has a local header of our own, which says the same as its entry of the directory and nothing more: no data descriptor,
comment or extra field, and ZIP64 only where a number does not fit otherwise. PKWARE's APPNOTE.TXT is the specification; section numbers
below are its own.
"""

import hashlib
import stat
import struct
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import BinaryIO, NamedTuple

from relocator.apply import NotWritten
from relocator.archive_tools import crc32, deflated
from relocator.archives import DEFLATED, STORED, Archive, ZipMember, encoding_fault, locate, name_fault
from relocator.errors import InternalError, RelocatorError
from relocator.inflating import IN_FLIGHT, LARGE, PIECE, Known, refusal
from relocator.records import record_text

WIDE, MANY = 0xFFFFFFFF, 0xFFFF
"""From these on sizes and offsets, or counts of members, do not fit the old fields (4.4.1.4)."""

_LOCAL = struct.Struct("<4s5H3L2H")  # 4.3.7
_CENTRAL = struct.Struct("<4s6H3L5H2L")  # 4.3.12
_END64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_END64_LOCATOR = struct.Struct("<4sLQL")  # 4.3.15
_END = struct.Struct("<4s4H2LH")  # 4.3.16
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_ZIP64 = 1
"""Id of the extra field (4.5.3)."""
_PLAIN, _NEEDS_ZIP64 = 20, 45  # 4.4.3.2
_UNIX = 3 << 8  # 4.4.2.2: the mode bits are believed
_UTF8 = 0x800  # 4.4.4
_DOS_FOLDER = 0x10

_EARLIEST, _LATEST = 315_532_800, 4_354_819_198
"""1980-01-01 and 2107-12-31 23:59:58: what a date of zip archives can say (4.4.6)."""

Bytes = bytes | bytearray | memoryview


class Item(NamedTuple):
    """One member of the archive that is to be written."""

    name: str
    """With "/" at its end when it only names a folder."""
    source: ZipMember | None = None
    """The member that it comes from, which gives its date and mode; None for a new one."""
    content: Callable[[], Bytes] | None = None
    """Gives the bytes, called once in another thread; may raise RelocatorError. None copies the compressed bytes of `source`."""
    size: int = 0
    """Of what `content` will give, about; 0 for that of `source`. Memory is shared out by it."""
    sha256: str = ""
    """Hexadecimal, of what is copied, as whoever read it found it."""
    mode: int | None = None
    """Permission bits; None for those of `source`, or 0o644."""


class Packed(NamedTuple):
    """One file of the finished archive."""

    name: str
    sha256: str
    """Hexadecimal."""
    size: int
    mode: int
    """st_mode bits."""
    crc: int
    copied: bool
    """Its compressed bytes are those of the archive it comes from."""


class NotPacked(RelocatorError):
    """Members that could not be written: all of them at once, each with its reason."""

    def __init__(self, failures: tuple[tuple[str, RelocatorError], ...]) -> None:
        super().__init__("; ".join(f"{name}: {error.message}" for name, error in failures), failures[0][1].hint)
        self.failures = failures
        self.exit_code = max(NotWritten.exit_code, *(error.exit_code for _, error in failures))

    def __reduce__(self) -> tuple[type["NotPacked"], tuple[tuple[tuple[str, RelocatorError], ...]]]:
        return type(self), (self.failures,)


class _Body(NamedTuple):
    """What a member's headers say of its bytes, and the bytes as they will lie in the archive, or where they lie in the old one."""

    method: int
    crc: int
    compressed: int
    size: int
    sha256: str
    data: Bytes = b""
    start: int = -1
    """In the old archive; -1 for `data`."""


_FOLDER = _Body(STORED, 0, 0, 0, "")


def write_archive(
    file: BinaryIO, source: Archive, items: Sequence[Item], record: str, *, level: int = 6, epoch: int | None = None, workers: int = 2
) -> tuple[Packed, ...]:
    """Write an archive of these members to an empty file, and return what it holds: files alone, RECORD last.

    The members keep their order, but what lies in the folder of RECORD comes last, and RECORD, which is made here, last of all; `record` is
    its name, and of an item of that name the mode alone counts. Folders that lost all they held are left out. `level` is that of
    compression, 0 to 9; `epoch`, in seconds, becomes the date of every member. Raises NotPacked after all contents were asked for, with
    what is wrong with any of them; then the file is of no use.
    """
    order = _ordered(source, items, record)
    stamp = _stamps(source, record, epoch)
    failures: list[tuple[str, RelocatorError]] = list(_unfit_names([*order, Item(record)]))
    packed: list[Packed] = []
    directory: list[bytes] = []
    with closing(_bodies([item for item in order if item.content is not None], level, workers)) as bodies:
        for item in order:
            body = next(bodies) if item.content is not None else _raw(source, item)
            if isinstance(body, RelocatorError):
                failures.append((item.name, body))
            elif not failures:
                directory.append(_write_member(file, source, item, body, stamp(item)))
                packed += _packed(item, body)
            del body  # its bytes must not outlive the wait for the next ones
    if failures:
        raise NotPacked(tuple(failures))
    last, body = _record(_record_item(source, items, record), packed, level)
    directory.append(_write_member(file, source, last, body, stamp(last)))
    _write_end(file, directory)
    return (*packed, *_packed(last, body))


def known(packed: Iterable[Packed]) -> dict[str, Known]:
    """Return what need not be read again of an archive that was just written: the members whose compressed bytes were copied."""
    return {one.name: Known(one.sha256, one.size, one.crc) for one in packed if one.copied}


# ---- which members, in which order


def _ordered(source: Archive, items: Sequence[Item], record: str) -> list[Item]:
    """Return the items as they are to lie, without RECORD and without folders that lost all that they held."""
    had = sorted(member.name for member in source.members if not member.is_folder)
    have = sorted([record, *(item.name for item in items if not item.name.endswith("/"))])
    kept = [item for item in items if item.name != record and not _emptied(item, had, have)]
    last = record.rpartition("/")[0] + "/"
    return sorted(kept, key=lambda item: item.name.startswith(last))


def _emptied(item: Item, had: Sequence[str], have: Sequence[str]) -> bool:
    return item.name.endswith("/") and not _holds(have, item.name) and _holds(had, item.source.name if item.source else item.name)


def _holds(files: Sequence[str], folder: str) -> bool:
    """Tell whether one of the files, which are sorted, lies in the folder."""
    place = bisect_left(files, folder)
    return place < len(files) and files[place].startswith(folder)


def _unfit_names(items: Iterable[Item]) -> Iterator[tuple[str, RelocatorError]]:
    """Yield what installers would refuse, or would unpack elsewhere."""
    seen: set[str] = set()
    for name in (item.name for item in items):
        fault = name_fault(name) or encoding_fault(name) or ("two members have this name" if name in seen else "")
        seen.add(name)
        if fault:
            shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
            yield shown, NotWritten(f"is no name for a member: {fault}", "build the wheel anew with names that every system takes")


# ---- what becomes of the bytes


def _bodies(items: Iterable[Item], level: int, workers: int) -> Generator[_Body | RelocatorError, None, None]:
    """Yield what the items' contents become, in their order, worked out ahead as far as memory is allowed for it.

    An error that a content raises is yielded in its place. What was yielded counts as held until the next one is asked for.
    """
    waiting = deque(items)
    ahead: deque[tuple[int, Future[_Body | RelocatorError]]] = deque()
    held = 0
    executor = ThreadPoolExecutor(workers, "pack")
    try:
        while waiting or ahead:
            while waiting and (not ahead or held + _weight(waiting[0]) <= IN_FLIGHT):
                item = waiting.popleft()
                held += _weight(item)
                ahead.append((_weight(item), executor.submit(_made, item, level)))
            yield ahead[0][1].result()
            held -= ahead.popleft()[0]
    finally:
        executor.shutdown(cancel_futures=True)


def _weight(item: Item) -> int:
    """Return the bytes that an item takes; a large one counts so that nothing is done beside it."""
    size = item.size or (item.source.size if item.source else 0)
    return max(size, IN_FLIGHT) if size > LARGE else size


def _made(item: Item, level: int) -> _Body | RelocatorError:
    """Ask for an item's content, and compress it; in a thread of its own."""
    assert item.content is not None
    try:
        return _compressed(item.content(), level)
    except RelocatorError as error:
        return error
    except MemoryError:
        return NotWritten("does not fit into memory", "repair it on a machine that has more")


def _compressed(data: Bytes, level: int) -> _Body:
    size, crc, sha256 = len(data), crc32(data), hashlib.sha256(data).hexdigest()
    small = deflated(data, level) if size and level else data
    if len(small) < size:
        return _Body(DEFLATED, crc, len(small), size, sha256, small)
    return _Body(STORED, crc, size, size, sha256, data)


def _raw(archive: Archive, item: Item) -> _Body | RelocatorError:
    """Return where the compressed bytes of an untouched member lie; they must be those that were hashed when the archive was read."""
    member = item.source
    if item.name.endswith("/"):
        return _FOLDER
    if member is None:
        raise InternalError(f"{item.name} has neither a source nor a content", "please report it with the file and the command")
    start, problems = locate(archive, member)
    problem = refusal(member) or (problems[-1] if start is None else None)
    if problem is not None:
        return NotWritten(f"cannot be copied: {problem.message}", "build the wheel anew, or download it again")
    if start is None or not item.sha256 or (member.method == STORED and member.compressed != member.size):
        return NotWritten("cannot be copied: its bytes are damaged", "build the wheel anew, or download it again")
    return _Body(member.method, member.crc, member.compressed, member.size, item.sha256, start=start)


def _record(item: Item, packed: Iterable[Packed], level: int) -> tuple[Item, _Body]:
    text = record_text(((one.name, one.sha256, one.size) for one in packed), item.name)
    return item, _compressed(text.encode(), level)


def _record_item(source: Archive, items: Iterable[Item], record: str) -> Item:
    """Return RECORD without its bytes: dated as the old one, with the mode that is asked for."""
    old = next((member for member in source.members if member.name == record), None)
    mode = next((item.mode for item in items if item.name == record), None)
    return Item(record, old, mode=mode)


def _packed(item: Item, body: _Body) -> tuple[Packed, ...]:
    if item.name.endswith("/"):
        return ()
    return (Packed(item.name, body.sha256, body.size, _mode(item), body.crc, body.start >= 0),)


# ---- what stands around them


def _stamps(source: Archive, record: str, epoch: int | None) -> Callable[[Item], tuple[int, int]]:
    """Return what gives an item's time and date in the format of DOS: the same for all, or each its own, new ones that of WHEEL."""
    if epoch is not None:
        year, month, day, hour, minute, second, *_ = time.gmtime(min(max(epoch, _EARLIEST), _LATEST))
        same = hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day
        return lambda _: same
    folder = record.rpartition("/")[0]
    dates = {member.name: (member.time, member.date) for member in source.members}
    new = next((dates[name] for name in (f"{folder}/WHEEL", f"{folder}/METADATA") if name in dates), (0, 1 << 5 | 1))
    return lambda item: (item.source.time, item.source.date) if item.source else new


def _mode(item: Item) -> int:
    """Return the st_mode bits: those of the old archive, whatever system it names, unless there are none or others are wanted."""
    kind, usual = (stat.S_IFDIR, 0o755) if item.name.endswith("/") else (stat.S_IFREG, 0o644)
    if item.mode is not None:
        return kind | stat.S_IMODE(item.mode)
    return (item.source.mode if item.source else 0) or kind | usual


def _write_member(file: BinaryIO, archive: Archive, item: Item, body: _Body, stamp: tuple[int, int]) -> bytes:
    """Write a local header and the bytes, and return the entry for the directory."""
    offset, name = file.tell(), item.name.encode()
    flags = 0 if name.isascii() else _UTF8
    wide_sizes = body.size >= WIDE or body.compressed >= WIDE
    extra = _zip64_extra((body.size, body.compressed)) if wide_sizes else b""
    needs = _NEEDS_ZIP64 if wide_sizes or offset >= WIDE else _PLAIN
    sizes = (_FULL32, _FULL32) if wide_sizes else (body.compressed, body.size)
    what = flags, body.method, *stamp, body.crc
    file.write(_LOCAL.pack(b"PK\3\4", needs, *what, *sizes, len(name), len(extra)) + name + extra)
    if body.start < 0:
        file.write(body.data)
    else:
        _copy(file, archive, item.name, body)
    beyond = (*((body.size, body.compressed) if wide_sizes else ()), *((offset,) if offset >= WIDE else ()))
    extra = _zip64_extra(beyond) if beyond else b""
    external = _mode(item) << 16 | (_DOS_FOLDER if item.name.endswith("/") else 0)
    lengths = len(name), len(extra), 0, 0, 0, external, _FULL32 if offset >= WIDE else offset
    return _CENTRAL.pack(b"PK\1\2", _UNIX | needs, needs, *what, *sizes, *lengths) + name + extra


def _zip64_extra(numbers: Sequence[int]) -> bytes:
    return struct.pack(f"<2H{len(numbers)}Q", _ZIP64, 8 * len(numbers), *numbers)


def _copy(file: BinaryIO, archive: Archive, name: str, body: _Body) -> None:
    end = body.start + body.compressed
    for position in range(body.start, end, PIECE):
        size = min(PIECE, end - position)
        piece = archive.data[position : position + size]
        if len(piece) != size:
            raise NotWritten(f"the wheel was cut off while {name} was copied from it", "repair it again when nothing else writes the file")
        file.write(piece)


def _write_end(file: BinaryIO, directory: Sequence[bytes]) -> None:
    """Write the directory and its end record, with the wide one before it where a number asks for it."""
    offset, count, size = file.tell(), len(directory), sum(map(len, directory))
    file.writelines(directory)
    if count >= MANY or size >= WIDE or offset >= WIDE:
        numbers = count, count, size, offset
        file.write(_END64.pack(b"PK\6\6", _END64.size - 12, _UNIX | _NEEDS_ZIP64, _NEEDS_ZIP64, 0, 0, *numbers))
        file.write(_END64_LOCATOR.pack(b"PK\6\7", 0, offset + size, 1))
        count, size, offset = (_FULL16 if count >= MANY else count), *(_FULL32 if n >= WIDE else n for n in (size, offset))
    file.write(_END.pack(b"PK\5\6", 0, 0, count, count, size, offset, 0))
