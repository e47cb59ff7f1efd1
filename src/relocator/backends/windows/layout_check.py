"""Our own look at the layout of a PE file that was rewritten: what a parser passes over and Windows refuses, or runs into later.

Microsoft's PE format specification, "Section Table", "Optional Header Windows-Specific Fields".
"""

import itertools
from collections.abc import Iterator

from relocator.backends.windows.headers import (
    OWN_NAME,
    Headers,
    SectionHeader,
    aligned,
    checksum_of,
    file_sum,
    read_headers,
    word_sum,
)
from relocator.backends.windows.layout import CERTIFICATES, Region
from relocator.backends.windows.links import read_links
from relocator.backends.windows.read import read
from relocator.buffer import Buffer
from relocator.errors import UnreadableBinary

_PAGE = 0x1000
_IN_HEADERS = 11  # bound imports lie behind the section table
_NOT_TABLES = (7, 8, 15)  # architecture, global pointer, reserved


def check_layout(buffer: Buffer) -> tuple[str, ...]:
    """Return one line for each rule that the file breaks; none for a sound one. Raises nothing for a damaged file but says so."""
    try:
        headers = read_headers(buffer)
        if headers is None:
            return ("no PE header",)
        read(buffer)
        read_links(headers.layout, Region(0, 0))
        return tuple(_broken(headers))
    except UnreadableBinary as error:
        return (error.message,)


def _broken(headers: Headers) -> Iterator[str]:
    yield from _headers(headers)
    yield from _sections(headers)
    yield from _directories(headers)
    yield from _end(headers)
    if headers.checksum:
        wanted = right_checksum(headers)
        if headers.checksum != wanted:
            yield f"CheckSum is {headers.checksum:#x}, the file adds up to {wanted:#x}"


def right_checksum(headers: Headers) -> int:
    """Return what CheckSum has to be for the file as it is."""
    buffer = headers.layout.buffer
    place = headers.checksum_place
    return checksum_of(file_sum(buffer, len(buffer)) - word_sum(bytes(buffer[place : place + 4]), place), len(buffer))


def _headers(headers: Headers) -> Iterator[str]:
    layout = headers.layout
    if headers.headers_size < layout.table_end:
        yield f"SizeOfHeaders is {headers.headers_size:#x}, the section table ends at {layout.table_end:#x}"
    if headers.headers_size % headers.file_alignment:
        yield f"SizeOfHeaders {headers.headers_size:#x} is not aligned to {headers.file_alignment:#x}"
    if layout.first_content < layout.table_end:
        yield f"a section's bytes start at {layout.first_content:#x}, within the section table"
    end = max((section.rva + section.extent for section in headers.sections), default=headers.headers_size)
    if headers.image_size != aligned(end, headers.section_alignment):
        yield f"SizeOfImage is {headers.image_size:#x}, the sections end at {end:#x}"


def _sections(headers: Headers) -> Iterator[str]:
    previous: SectionHeader | None = None
    for section in headers.sections:
        label = section.name.decode("ascii", "replace")
        if section.rva % headers.section_alignment:
            yield f"{label}: VirtualAddress {section.rva:#x} is not aligned to {headers.section_alignment:#x}"
        if previous and section.rva < previous.rva + previous.extent:
            yield f"{label}: starts within {previous.name.decode('ascii', 'replace')}"
        if section.size and headers.section_alignment >= _PAGE:
            if section.pointer % headers.file_alignment:
                yield f"{label}: PointerToRawData {section.pointer:#x} is not aligned to {headers.file_alignment:#x}"
            if section.size % headers.file_alignment:
                yield f"{label}: SizeOfRawData {section.size:#x} is not aligned to {headers.file_alignment:#x}"
        previous = section
    filled = sorted((s for s in headers.sections if s.size and s.pointer), key=lambda s: s.pointer)
    for one, other in itertools.pairwise(filled):
        if one.pointer + one.size > other.pointer:
            yield f"{other.name.decode('ascii', 'replace')}: its bytes in the file overlap those of {one.name.decode('ascii', 'replace')}"
    if sum(section.name == OWN_NAME for section in headers.sections) > 1:
        yield f"more than one section is called {OWN_NAME.decode('ascii')}"


def _directories(headers: Headers) -> Iterator[str]:
    for index, region in enumerate(headers.layout.directories):
        if not region.rva or not region.size or index in (CERTIFICATES, *_NOT_TABLES):
            continue
        inside = any(s.rva <= region.rva and region.rva + region.size <= s.rva + aligned(s.extent, _PAGE) for s in headers.sections)
        if not inside and not (index == _IN_HEADERS and region.rva + region.size <= headers.headers_size):
            yield f"data directory {index} at {region.rva:#x} lies in no section"


def _end(headers: Headers) -> Iterator[str]:
    certificate = headers.certificate
    size = len(headers.layout.buffer)
    if certificate is None:
        return
    if certificate.rva % 8:
        yield f"the certificate table at {certificate.rva:#x} is not aligned to 8 bytes"
    if certificate.rva + certificate.size > size:
        yield f"the certificate table ends at {certificate.rva + certificate.size:#x}, the file at {size:#x}"
    for section in headers.sections:
        if section.size and section.pointer < certificate.rva + certificate.size and certificate.rva < section.pointer + section.size:
            yield f"the certificate table overlaps {section.name.decode('ascii', 'replace')}"
