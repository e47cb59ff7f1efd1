"""METADATA and WHEEL: header lines, read without the email package, which costs more time than all that is asked here.

And entry_points.txt: "Entry points specification", packaging.python.org.
"""

import re
from collections.abc import Collection, Iterator

from relocator.model import Distribution

HEADER_LIMIT = 4 << 20
"""Bytes of a file that are looked at for headers."""

_SCRIPT = re.compile(r"[\w.-]+")


def parse_headers(data: bytes) -> tuple[tuple[str, str], ...]:
    """Return the (name, value) pairs of the header lines up to the first empty line, in order, repeated ones too; names in lower case.

    Folded lines are joined with one space; a line that is no header is skipped, as installers do.
    """
    text = data[:HEADER_LIMIT].decode("utf-8-sig", "surrogateescape")
    return tuple(_headers(text.replace("\r\n", "\n").split("\n")))


def _headers(lines: list[str]) -> Iterator[tuple[str, str]]:
    name, value = "", ""
    for line in lines:
        if not line:  # one of blanks alone goes on with a folded value, such as a licence's text
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


def distribution_of(requirement: str) -> str:
    """Return the normalised distribution name of a Requires-Dist value; "" when it makes no sense (PEP 508, PEP 503)."""
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415  only where somebody asks
    from packaging.utils import canonicalize_name  # noqa: PLC0415

    try:
        return canonicalize_name(Requirement(requirement).name)
    except InvalidRequirement:
        return ""


def entry_point_fault(data: bytes) -> str:
    """Say why the contents of entry_points.txt are refused; "" when they are fine.

    They have to be an INI file in which "=" stands between name and value, and scripts need names that are file names everywhere.
    """
    if not data:
        return ""
    from configparser import ConfigParser, Error  # noqa: PLC0415  only for packages that have any

    parser = ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(data.decode("utf-8"))
    except UnicodeDecodeError:
        return "is not UTF-8"
    except Error as error:
        return "cannot be parsed: " + " ".join(str(error).replace("'<string>'", "the file").split())
    names = (name for group in ("console_scripts", "gui_scripts") if parser.has_section(group) for name in parser[group])
    return next((f"has a script called {name!r}" for name in names if not _SCRIPT.fullmatch(name)), "")


def missing_license_files(headers: tuple[tuple[str, str], ...], dist_info: str, present: Collection[str]) -> tuple[str, ...]:
    """Return where METADATA's License-File values should lie and do not; before version 2.4 no place was laid down (PEP 639)."""
    version = tuple(int(part) for part in ("".join(values(headers, "metadata-version")[:1]) or "0").split(".") if part.isdecimal())
    if version < (2, 4):
        return ()
    expected = (f"{dist_info}/licenses/{name}" for name in values(headers, "license-file"))
    return tuple(path for path in expected if path not in present)
