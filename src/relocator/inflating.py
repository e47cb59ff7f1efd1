"""The bytes of an archive's members: each inflated, hashed and checked once, ahead of whoever reads them.

A second thread inflates and hashes (both release the interpreter's lock) while the first one reads symbols. What is in flight never
exceeds the larger of the largest member and 64 MB, plus its compressed bytes; a member above 32 MB is inflated in pieces and alone.
"""

import hashlib
import threading
import zlib
from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from itertools import chain
from queue import Empty, SimpleQueue
from types import MappingProxyType
from typing import NamedTuple

from relocator.archives import DEFLATED, STORED, Archive, ZipMember, locate
from relocator.buffer import Buffer
from relocator.errors import ContainerError
from relocator.model import Problem

try:
    import deflate
except ImportError:  # the extra "fast" is not installed: zlib gives the same, more slowly
    deflate = None

LARGE = 32 << 20
IN_FLIGHT = 64 << 20
BATCH = 1 << 20
"""Members handed to the other thread at a time, in bytes: one at a time the hand-over would cost more than small members do."""

BATCH_MEMBERS = 64
NEWEST = 63
"""The newest version of the zip format (4.4.3.2), ten times its number."""

PIECE = 1 << 20
HEAD = 64
RATIO = 1032
"""No deflate stream expands further: RFC 1951 spends at least one bit on a match of 258 bytes, and one for its distance."""

METHODS = {1: "shrink", 6: "implode", 9: "deflate64", 12: "bzip2", 14: "LZMA", 20: "zstd", 93: "zstd", 95: "xz", 98: "PPMd", 99: "AES"}
_crc32 = zlib.crc32 if deflate is None else deflate.crc32


class Head:
    """A large file of which only the first bytes are at hand, a `Buffer`: it has the whole file's length."""

    def __init__(self, first: bytes, size: int) -> None:
        self._first = first
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, region: slice, /) -> bytes:
        start, stop, _ = region.indices(self._size)
        return self._first[start:stop]


Wanted = Callable[[bytes], bool]
"""Tells from the first 64 bytes of a large file whether the others are needed; they are hashed in any case."""


def everything(_head: bytes) -> bool:
    """Want every file in full."""
    return True


class Known(NamedTuple):
    """What a member that need not be inflated holds: its compressed bytes were copied from an archive that was read whole."""

    sha256: str
    """Hexadecimal."""
    size: int
    crc: int


NOTHING_KNOWN: Mapping[str, Known] = MappingProxyType({})


class Content(NamedTuple):
    """One member with its bytes."""

    member: ZipMember
    data: Buffer | None
    """None when it was known already, or when they cannot be had, which a Problem explains; a `Head` when they are many and not wanted."""
    sha256: str
    """Hexadecimal; "" when the bytes cannot be had."""
    problems: tuple[Problem, ...]


def contents(archive: Archive, wanted: Wanted = everything, known: Mapping[str, Known] = NOTHING_KNOWN) -> Iterator[Content]:
    """Yield every member of the archive in the directory's order; its bytes stay valid as long as they are referred to.

    Those that are `known` by name, and are what they are known to be as far as the directory tells, are not inflated; their local headers
    are compared as all others. Raises ContainerError when memory does not suffice.
    """
    jobs: SimpleQueue[Sequence[ZipMember] | None] = SimpleQueue()
    results: SimpleQueue[list[Content] | BaseException] = SimpleQueue()
    spared = dict(_spared(archive.members, known))
    worker = threading.Thread(target=_work, args=(archive, wanted, spared, jobs, results), daemon=True)
    worker.start()
    batches = deque(_batches(archive.members, spared))
    ahead: deque[int] = deque()  # the sizes of the batches handed over, first come first
    try:
        while batches or ahead:
            while batches and (not ahead or sum(ahead) + _weight(batches[0], spared) <= IN_FLIGHT):
                jobs.put(batches[0])
                ahead.append(_weight(batches.popleft(), spared))
            done = results.get()
            if isinstance(done, BaseException):
                raise done
            done.reverse()
            while done:
                yield done.pop()
            ahead.popleft()
    finally:
        _drain(jobs)
        jobs.put(None)
        worker.join()


def _drain(jobs: SimpleQueue[Sequence[ZipMember] | None]) -> None:
    try:
        while True:
            jobs.get_nowait()
    except Empty:
        pass


def _spared(members: Sequence[ZipMember], known: Mapping[str, Known]) -> Iterator[tuple[int, str]]:
    """Yield offset and hash of the members that need not be inflated."""
    if known:
        for member in members:
            fact = known.get(member.name)
            if fact is not None and (fact.size, fact.crc) == (member.size, member.crc) and refusal(member) is None:
                yield member.offset, fact.sha256


def _work(
    archive: Archive,
    wanted: Wanted,
    spared: Mapping[int, str],
    jobs: SimpleQueue[Sequence[ZipMember] | None],
    results: SimpleQueue[list[Content] | BaseException],
) -> None:
    try:
        while (batch := jobs.get()) is not None:
            results.put(
                [
                    _located(archive, member, spared[member.offset]) if member.offset in spared else read_member(archive, member, wanted)
                    for member in batch
                ]
            )
    except BaseException as error:  # raised again in the thread that waits, which would wait for ever otherwise
        results.put(error)


def _batches(members: Sequence[ZipMember], spared: Container[int] = frozenset()) -> Iterator[Sequence[ZipMember]]:
    start = weight = 0
    for index, member in enumerate(members):
        size = 0 if member.offset in spared else member.size
        if index > start and (weight + size > BATCH or index - start >= BATCH_MEMBERS):
            yield members[start:index]
            start, weight = index, 0
        weight += size
    if start < len(members):
        yield members[start:]


def _weight(batch: Sequence[ZipMember], spared: Container[int]) -> int:
    """Return the bytes that a batch takes; a large member counts so that nothing is read ahead beside it."""
    size = sum(member.size for member in batch if member.offset not in spared)
    return max(size, IN_FLIGHT) if size > LARGE else size


# ---- one member


def _located(archive: Archive, member: ZipMember, sha256: str) -> Content:
    """Return a member that is not inflated, compared with its local header."""
    start, problems = locate(archive, member)
    return Content(member, None, "" if start is None else sha256, (*problems, *_too_new(member)))


def read_member(archive: Archive, member: ZipMember, wanted: Wanted = everything) -> Content:
    """Inflate, check and hash one member."""
    try:
        start, problems = locate(archive, member)
        problems = (*problems, *_too_new(member))
        if problem := refusal(member):
            return Content(member, None, "", (*problems, problem))
        if start is None:
            return Content(member, None, "", problems)
        large = member.size > LARGE
        read = _read_large(archive.data, member, start, wanted) if large else _read_small(archive.data, member, start)
    except MemoryError as error:
        raise ContainerError(f"does not fit into memory: {member.name} has {member.size:,} bytes") from error
    return Content(member, read.data, read.sha256 if read.data is not None else "", (*problems, *_faults(member, read)))


def _too_new(member: ZipMember) -> Iterator[Problem]:
    """Judge the version that a member asks for: it changes nothing for methods that we know, but Python's zipfile gives up."""
    if member.version > NEWEST:
        yield Problem("method", member.name, f"asks for version {member.version / 10} of the zip format, newer than any")


def refusal(member: ZipMember) -> Problem | None:
    """Say why a member's bytes cannot be had at all, wherever they lie."""
    if member.encrypted:
        return Problem("encrypted", member.name, "no password is known")
    if member.patched:
        return Problem("method", member.name, "a patch to another archive")
    if member.method not in (STORED, DEFLATED):
        return Problem("method", member.name, METHODS.get(member.method, f"method {member.method}"))
    return None


class _Read(NamedTuple):
    """What came out of one member."""

    data: Buffer | None
    sha256: str = ""
    crc: int = 0
    longer: bool = False
    """There is more than the directory claims; `data` ends where the claim does, as it does for installers."""
    fault: str = ""


def _faults(member: ZipMember, read: _Read) -> Iterator[Problem]:
    if read.fault:
        yield Problem("crc", member.name, read.fault)
    elif read.longer:
        yield Problem("size", member.name, f"claims {member.size:,} bytes and holds more")
    elif read.data is not None and len(read.data) != member.size:
        yield Problem("size", member.name, f"claims {member.size:,} bytes and holds {len(read.data):,}")
    elif read.crc != member.crc:
        yield Problem("crc", member.name, f"CRC-32 is {read.crc:#010x}, should be {member.crc:#010x}")


def _read_small(data: Buffer, member: ZipMember, start: int) -> _Read:
    raw = data[start : start + member.compressed]
    if len(raw) != member.compressed:
        return _Read(None, fault="the archive was cut off while it was read")
    longer = False
    if member.method == STORED:
        plain: bytes | bytearray | memoryview = raw[: member.size]
        longer = len(raw) > member.size
    else:
        quick = _inflated_quickly(raw, member)
        if quick is None:
            try:
                slow = zlib.decompressobj(-zlib.MAX_WBITS)
                plain = slow.decompress(raw, member.size + 1)
            except zlib.error as error:
                return _Read(None, fault=f"cannot be inflated: {error}")
            if len(plain) <= member.size and not slow.eof:
                return _Read(None, fault="cannot be inflated: the compressed bytes end too early")
            longer, plain = len(plain) > member.size, plain[: member.size]
        else:
            plain = quick
    return _Read(memoryview(plain), hashlib.sha256(plain).hexdigest(), _crc32(plain), longer)


def _inflated_quickly(raw: bytes | memoryview, member: ZipMember) -> bytearray | None:
    """Inflate by libdeflate; None when it is absent or the bytes are not what is claimed: zlib, which is stricter, tells what is wrong."""
    if deflate is None or not member.size or member.size > RATIO * len(raw):
        return None
    try:
        plain: bytearray = deflate.deflate_decompress(raw, member.size)
    except deflate.DeflateError:
        return None
    return plain if len(plain) == member.size and _crc32(plain) == member.crc else None


def _read_large(data: Buffer, member: ZipMember, start: int, wanted: Wanted) -> _Read:
    """Inflate in pieces, hashed while they are in the processor's cache: into one buffer if the bytes are wanted."""
    claimed = min(member.size, member.compressed * (RATIO if member.method == DEFLATED else 1))
    digest, crc, filled = hashlib.sha256(), 0, 0
    pieces = _pieces(data, member, start)
    try:
        lead = _lead(pieces)
        kept = memoryview(bytearray(claimed)) if wanted(lead[:HEAD]) else None
        for piece in chain([lead], pieces):
            part = memoryview(piece)[: claimed - filled]
            if kept is not None:
                kept[filled : filled + len(part)] = part
            digest.update(part)
            crc = _crc32(part, crc)
            filled += len(part)
            if len(part) < len(piece):
                break
    except zlib.error as error:
        return _Read(None, fault=f"cannot be inflated: {error}")
    except EOFError:
        return _Read(None, fault="cannot be inflated: the compressed bytes end too early")
    plain: Buffer = Head(lead[: min(HEAD, filled)], filled) if kept is None else kept[:filled]
    return _Read(plain, digest.hexdigest(), crc, longer=len(part) < len(piece))


def _lead(pieces: Iterator[bytes | memoryview]) -> bytes:
    """Take pieces until there is enough to tell a file's format: a stream may begin with any number of empty blocks."""
    lead = b""
    for piece in pieces:
        lead += piece
        if len(lead) >= HEAD:
            break
    return lead


def _pieces(data: Buffer, member: ZipMember, start: int) -> Iterator[bytes | memoryview]:
    """Yield what a member holds, at most one byte more than it claims; raise zlib.error when it is damaged, EOFError when it is cut."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    room = member.size + 1
    for position in range(start, start + member.compressed, PIECE):
        raw = data[position : min(position + PIECE, start + member.compressed)]
        if member.method == STORED:
            yield raw
            continue
        while raw and room and not inflater.eof:
            piece = inflater.decompress(raw, min(PIECE, room))
            room -= len(piece)
            yield piece
            raw = inflater.unconsumed_tail
    while member.method == DEFLATED and room and not inflater.eof:
        piece = inflater.decompress(inflater.unconsumed_tail, min(PIECE, room))
        if not piece:
            raise EOFError
        room -= len(piece)
        yield piece
