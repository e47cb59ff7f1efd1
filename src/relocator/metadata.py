"""METADATA and WHEEL: header lines, read without the email package, which costs more time than all that is asked here."""

from collections.abc import Iterator

from relocator.model import Distribution

HEADER_LIMIT = 4 << 20
"""Bytes of a file that are looked at for headers."""


def parse_headers(data: bytes) -> tuple[tuple[str, str], ...]:
    """Return the (name, value) pairs of the header lines up to the first empty line, in order, repeated ones too; names in lower case.

    Folded lines are joined with one space; a line that is no header is skipped, as installers do.
    """
    text = data[:HEADER_LIMIT].decode("utf-8-sig", "surrogateescape")
    return tuple(_headers(text.replace("\r\n", "\n").split("\n")))


def _headers(lines: list[str]) -> Iterator[tuple[str, str]]:
    name, value = "", ""
    for line in lines:
        if not line.strip():
            break
        if line[0] in " \t":
            value += " " + line.strip()
            continue
        if name:
            yield name, value
        before, colon, after = line.partition(":")
        name, value = (before.strip().lower(), after.strip()) if colon else ("", "")
    if name:
        yield name, value


def values(headers: tuple[tuple[str, str], ...], name: str) -> tuple[str, ...]:
    """Return the values of one header, in order; `name` is in lower case."""
    return tuple(value for key, value in headers if key == name)


def distribution(headers: tuple[tuple[str, str], ...], name: str, version: str, root: str) -> Distribution:
    """Return what METADATA describes; name and version are those to fall back to."""
    own_name, own_version = values(headers, "name"), values(headers, "version")
    return Distribution(
        own_name[0] if own_name else name,
        own_version[0] if own_version else version,
        values(headers, "requires-dist"),
        root,
    )


def split_dist_info(folder: str) -> tuple[str, str]:
    """Split "demo-1.0.dist-info" into "demo" and "1.0"; the version is "" when there is none."""
    name, _, version = folder.removesuffix(".dist-info").partition("-")
    return name, version


def normalised(name: str) -> str:
    """Return a distribution's name in the spelling by which names are compared (PEP 503)."""
    return "-".join(filter(None, name.lower().replace("_", "-").replace(".", "-").split("-")))
