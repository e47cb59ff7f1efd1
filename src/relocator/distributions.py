"""What an installer leaves behind: .dist-info folders ("Recording installed projects"), .egg-info, and conda's records (CEP 32).

Nothing here opens a file: the caller hands over the bytes.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from relocator import metadata
from relocator.loading import normalise
from relocator.model import Distribution, Problem
from relocator.records import parse_record

CONDA_LIMIT = 64 << 20
"""Bytes of a file in conda-meta that are looked at; the largest one known has a tenth of it."""


@dataclass(slots=True)
class Claims:
    """One distribution and the files that it says are its own."""

    distribution: Distribution
    files: dict[str, str] = field(default_factory=dict)
    """Installed path to the SHA-256 that was recorded, in hexadecimal; "" where none was."""
    tops: tuple[str, ...] = ()
    """Installed paths of the modules and packages that are its own, where no list of files is kept."""
    project: str = ""
    """Installed path of the folder that an editable installation was made from."""
    problems: tuple[Problem, ...] = ()


Read = Callable[[str], bytes | None]
"""Gives the contents of a file by its name in the .dist-info folder; None when there is none, or it cannot be read."""


# ---- .dist-info


def from_dist_info(folder: str, member: str, site: str, read: Read) -> Claims:
    """Return what a .dist-info folder says; `folder` and `site` are installed paths, `member` is the folder's name for problems."""
    problems: list[Problem] = []
    name, version = metadata.split_dist_info(folder.rpartition("/")[2])
    data = read("METADATA")
    if data is None:
        problems.append(Problem("metadata", f"{member}/METADATA", "is missing: the distribution is half removed, or broken"))
    base = metadata.distribution(metadata.parse_headers(data or b""), name, version, site)
    installer = _line(read("INSTALLER"))
    url, project = _direct_url(read("direct_url.json"), f"{member}/direct_url.json", problems)
    source = "conda" if installer == "conda" else "pip"
    distribution = Distribution(base.name, base.version, base.requires, site, installer, source, bool(project), url, folder)
    record = read("RECORD")
    if record is None:
        tops = tuple(f"{site}/{top}" for top in _lines(read("top_level.txt")))
        return Claims(distribution, {}, tops, project, tuple(problems))
    return Claims(distribution, _recorded(record, f"{member}/RECORD", site, problems), (), project, tuple(problems))


def _recorded(data: bytes, member: str, site: str, problems: list[Problem]) -> dict[str, str]:
    rows, faults = parse_record(data, member)
    problems += faults
    return {_below(site, row.path): _hexadecimal(row.hash) for row in rows or () if row.path and "\0" not in row.path}


def _below(site: str, path: str) -> str:
    """Return where a row's path leads: relative to the folder of modules, or absolute."""
    path = path.replace("\\", "/")
    if path.startswith("/"):
        return normalise(path)
    if path[1:3] == ":/":
        return normalise("/" + path)
    return normalise(f"{site}/{path}") if "./" in path or "//" in path else f"{site}/{path}"


def _hexadecimal(digest: str) -> str:
    algorithm, _, value = digest.partition("=")
    if algorithm != "sha256":
        return ""
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()
    except (ValueError, binascii.Error):
        return ""


def _direct_url(data: bytes | None, member: str, problems: list[Problem]) -> tuple[str, str]:
    """Return the URL, and the local folder when the installation is editable (PEP 610)."""
    if data is None:
        return "", ""
    found = _object(data)
    url = found.get("url") if found else None
    if found is None or not isinstance(url, str):
        problems.append(Problem("metadata", member, "is no JSON object with a url"))
        return "", ""
    info = found.get("dir_info")
    editable = isinstance(info, dict) and info.get("editable") is True
    return url, local_path(url) if editable else ""


def local_path(url: str) -> str:
    """Return the installed path that a file URL stands for; "" for any other URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return normalise(unquote(parts.path)) if parts.scheme == "file" and parts.path else ""


# ---- .egg-info


def from_egg_info(path: str, site: str, read: Read) -> Claims:
    """Return what an .egg-info says; `read` gives PKG-INFO for one that is a file by itself."""
    name, _, version = path.rpartition("/")[2].removesuffix(".egg-info").partition("-")
    headers = metadata.parse_headers(read("PKG-INFO") or b"")
    base = metadata.distribution(headers, name, version.partition("-")[0], site)
    listed = {normalise(f"{path}/{line}"): "" for line in _lines(read("installed-files.txt"))}
    tops = tuple(f"{site}/{top}" for top in _lines(read("top_level.txt"))) or (f"{site}/{name}",)
    return Claims(Distribution(base.name, base.version, base.requires, site, "", "", metadata=path), listed, () if listed else tops)


# ---- conda


def from_conda_meta(data: bytes, member: str, path: str, prefix: str) -> Claims | Problem:
    """Return what one file of conda-meta says, or why it cannot be used. Paths in it are relative to the prefix."""
    found = _object(data)
    if found is None:
        return Problem("metadata", member, "is no JSON object: conda or its successors write another format, or it was cut off")
    name, version = found.get("name"), found.get("version")
    files = found.get("files")
    if not isinstance(name, str) or not name or not isinstance(files, list):
        return Problem("metadata", member, "has no name or no list of files: a record of a version that is not known here")
    hashes = dict(_conda_hashes(found))
    claimed = {f"{prefix}/{file}": hashes.get(file, "") for file in files if isinstance(file, str) and _is_inside(file)}
    distribution = Distribution(
        name,
        version if isinstance(version, str) else "",
        root=prefix,
        installer="conda",
        source="conda",
        url=_text(found.get("url")) or _text(found.get("channel")),
        metadata=path,
        package=path.rpartition("/")[2].removesuffix(".json"),
    )
    return Claims(distribution, claimed)


def _conda_hashes(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    paths_data = record.get("paths_data")
    paths = paths_data.get("paths") if isinstance(paths_data, dict) else None
    for item in paths if isinstance(paths, list) else ():
        if isinstance(item, dict) and isinstance(item.get("_path"), str):
            yield item["_path"], _text(item.get("sha256_in_prefix")) or _text(item.get("sha256"))


def _is_inside(file: str) -> bool:
    return bool(file) and "\0" not in file and not file.startswith("/") and ".." not in file.split("/")


# ---- small things


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _line(data: bytes | None) -> str:
    return next(iter(_lines(data)), "")


def _lines(data: bytes | None) -> list[str]:
    text = (data or b"").decode("utf-8", "surrogateescape")
    return [line.strip() for line in text.splitlines() if line.strip()]
