"""What a wheel says of its tags in writing: its file name, and the lines of .dist-info/WHEEL, mended where they have to be and only there.

Python packaging, "Binary distribution format" and "Platform compatibility tags".
"""

import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from relocator.containers.wheel import WheelName
from relocator.platform_tags import columns


def file_name(name: WheelName) -> str:
    """Return the file name of a wheel; name and version stay as they are spelled."""
    parts = (name.name, name.version, name.build, columns(name.tags).compressed(), name.variant)
    return "-".join(filter(None, parts)) + ".whl"


# ---- WHEEL


class _Header(NamedTuple):
    """One header with its folded lines, as bytes."""

    name: str
    """In lower case; "" for lines that are no header, which stay where they are."""
    raw: bytes

    @property
    def value(self) -> str:
        return " ".join(self.raw.partition(b":")[2].decode("utf-8", "surrogateescape").split())


def rewritten(data: bytes, tags: Sequence[str], *, build: str | None = None, purelib: bool | None = None) -> bytes:
    """Return WHEEL with these tags, expanded; every line that is right already keeps its bytes and its place.

    `build` is the file name's build number ("" for none; None to leave the line alone), `purelib` what Root-Is-Purelib must say. A header
    that may stand once only is merged into its first line, whose value installers take.
    """
    headers, rest = _split(data)
    newline = b"\r\n" if data.partition(b"\n")[0].endswith(b"\r") else b"\n"
    if _differs([header.value for header in headers if header.name == "tag"], tags):
        headers = list(_with(headers, "Tag", tags, newline))
    says = [header.value for header in headers if header.name == "root-is-purelib"]
    wanted = ("true" if purelib else "false") if purelib is not None and [one.lower() for one in says[:1]] != [str(purelib).lower()] else ""
    if wanted or len(says) > 1:
        headers = list(_with(headers, "Root-Is-Purelib", [wanted or says[0]], newline))
    if build is not None and [header.value for header in headers if header.name == "build"] != ([build] if build else []):
        headers = list(_with(headers, "Build", [build] if build else [], newline))
    return b"".join(header.raw for header in headers) + rest


def builds(data: bytes) -> tuple[str, ...]:
    """Return what the Build lines of WHEEL say."""
    return tuple(header.value for header in _split(data)[0] if header.name == "build")


def _differs(written: Sequence[str], tags: Sequence[str]) -> bool:
    """Tell whether Tag lines mean other tags, or are malformed."""
    meant = {tag for line in written for tag in columns([line]).expanded()}
    return meant != set(tags) or any(line.count("-") != 2 for line in written)


def _split(data: bytes) -> tuple[list[_Header], bytes]:
    """Return the headers, and what follows them from the first empty line on."""
    lines = io.BytesIO(data).readlines()
    found: list[_Header] = []
    for index, line in enumerate(lines):
        if not line.strip(b"\r\n"):
            return found, b"".join(lines[index:])
        if line[:1] in (b" ", b"\t") and found:
            found[-1] = found[-1]._replace(raw=found[-1].raw + line)
            continue
        name, colon, _ = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
        found.append(_Header(name.strip().lower().decode("utf-8", "surrogateescape") if colon else "", line))
    return found, b""


def _with(headers: Sequence[_Header], name: str, values: Sequence[str], newline: bytes) -> Iterator[_Header]:
    """Yield the headers with one of them given values, at the place of its first line, or else at the end."""
    key = name.lower()
    lines = [_Header(key, f"{name}: {value}".encode("utf-8", "surrogateescape") + newline) for value in values]
    for header in headers:
        if header.name != key:
            yield header if header.raw.endswith(b"\n") else header._replace(raw=header.raw + newline)
        else:
            yield from lines
            lines = []
    yield from lines
