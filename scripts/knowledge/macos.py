"""What macOS promises: Apple's C headers and libc++'s availability header as ziglang's package brings them, the rest kept by hand.

Apple's headers state for each function the first macOS that has it. Where they and the list kept by hand differ the older version is taken.
"""

import datetime
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

HERE = Path(__file__).parent
DATA = "src/relocator/backends/macos/data"

OLDEST = (10, 9)
"""Nothing that came with it or before is worth a row: no wheel for an older macOS is built any more."""

OLDER_THAN_STATED = ("__tlv_bootstrap", "__tlv_atexit")
"""Thread-local variables have worked since 10.7."""

Version = tuple[int, ...]

_SINCE = re.compile(
    r"API_AVAILABLE\s*\(\s*(?:\w+\([^)]*\)\s*,\s*)*?macos\s*\(\s*([\d.]+)\s*\)"
    r"|__OSX_AVAILABLE_STARTING\s*\(\s*__MAC_([\d_]+)"
    r"|__OSX_AVAILABLE\s*\(\s*([\d.]+)\s*\)"
)
_NOT_CODE = re.compile(r"/\*.*?\*/|//[^\n]*|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.S | re.M)
_EXPORTS = re.compile(r"\bsymbols:\s*\[([^\]]*)\]")
_FEATURE = re.compile(r"#\s*define _LIBCPP_AVAILABILITY_HAS_(\w+) _LIBCPP_INTRODUCED_IN_(LLVM_\d+)\b")
_MACROS = re.compile(r"#\s*define _LIBCPP_INTRODUCED_IN_(LLVM_\d+)_ATTRIBUTE((?:[^\n]*\\\n)*[^\n]*)")


def build(root: Path) -> None:
    """Write both tables below a folder laid out like the repository."""
    lib = files("ziglang") / "lib"
    source = f"ziglang {version('ziglang')}"
    tbd = (lib / "libc/darwin/libSystem.tbd").read_text(encoding="utf-8")
    features = libcxx_features((lib / "libcxx/include/__configuration/availability.h").read_text(encoding="utf-8"))
    headers = Path(str(lib / "libc/include/any-darwin-any"))
    stated = in_headers((path.read_text(encoding="utf-8", errors="replace") for path in sorted(headers.rglob("*.h"))), exports(tbd))
    introduced = (
        "# Symbols of macOS system libraries and the first macOS version that has them. Columns: symbol, version, source.\n"
        f"# Source: Apple's C headers and libc++'s availability macros as in {source}; scripts/knowledge/macos_introduced.tsv\n"
    )
    libraries = (
        "# What the system provides to every process. Since macOS 11 these libraries are in the shared cache and no files.\n"
        '# Columns: system ("any": macOS and iOS), kind (library: this path; prefix: every path that starts so), name.\n'
        f"# Source: libSystem's library stub as in {source}; scripts/knowledge/macos_system_libraries.tsv\n"
    )
    write(root, "introduced.tsv", introduced, merged(stated, kept("macos_introduced.tsv"), features))
    write(root, "system_libraries.tsv", libraries, with_stub(kept("macos_system_libraries.tsv"), tbd))


def kept(name: str) -> list[list[str]]:
    """Return the rows of a table kept by hand."""
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def exports(tbd: str) -> set[str]:
    """Return the symbols that a library stub of libSystem offers on any architecture."""
    return {name.strip(" '\n") for found in _EXPORTS.finditer(tbd) for name in found[1].split(",")}


def in_headers(texts: Iterable[str], offered: set[str]) -> dict[str, Version]:
    """Return the version that C headers state for each function of libSystem, the oldest where several do."""
    found: dict[str, Version] = {}
    for text in texts:
        for statement in re.split("[;{}]", _NOT_CODE.sub(" ", text)):
            since = _SINCE.search(statement)
            if since is None:
                continue
            number = parsed(next(filter(None, since.groups())))
            for name in re.findall(r"\b([A-Za-z_]\w*)\s*\(", statement[: since.start()])[:1]:
                symbol = f"_{name}"
                if symbol in offered and symbol not in OLDER_THAN_STATED:
                    found[symbol] = min(number, found.get(symbol, number))
    return {symbol: number for symbol, number in found.items() if number > OLDEST}


def libcxx_features(header: str) -> dict[str, str]:
    """Return the macOS version of each feature of libc++ that has one."""
    versions = {}
    for release, attributes in _MACROS.findall(header):
        if since := re.search(r"macos, strict, introduced = ([\d.]+)", attributes):
            versions[release] = since[1]
        elif same := re.search(r"_LIBCPP_INTRODUCED_IN_(LLVM_\d+)_ATTRIBUTE", attributes):
            versions[release] = same[1]
    versions = {release: versions.get(since, since) for release, since in versions.items()}
    return {feature: versions[release] for feature, release in _FEATURE.findall(header) if release in versions}


def merged(stated: dict[str, Version], by_hand: list[list[str]], features: dict[str, str]) -> list[tuple[str, ...]]:
    """Return the rows of both sources, the oldest versions first; a feature that the header no longer knows is an error."""
    found = {symbol: (number, "Apple's C headers") for symbol, number in stated.items()}
    for symbol, since, source in by_hand:
        number = parsed(features[since[1:]] if since.startswith("@") else since)
        if symbol not in found or number < found[symbol][0]:
            found[symbol] = (number, source)
    ordered = sorted((number, symbol, source) for symbol, (number, source) in found.items())
    return [(symbol, ".".join(map(str, number)), source) for number, symbol, source in ordered]


def with_stub(by_hand: list[list[str]], tbd: str) -> list[tuple[str, ...]]:
    """Return the libraries kept by hand and those that the stub names and no prefix covers."""
    rows = [tuple(row) for row in by_hand]
    known = tuple(name for _, kind, name in rows if kind == "prefix" and name != "/usr/lib/")
    names = set(re.findall(r"^install-name:\s*'([^']+)'", tbd, re.M)) - {name for _, _, name in rows}
    return sorted({*rows, *(("macos", "library", name) for name in names if not name.startswith(known))}, key=_order)


def _order(row: tuple[str, ...]) -> tuple[bool, tuple[str, ...]]:
    return row[1] == "library", row


def write(root: Path, name: str, header: str, rows: Iterable[tuple[str, ...]]) -> None:
    """Write a table, with the date since when it has been as it is."""
    body = header + "# Date: {}\n" + "".join("\t".join(row) + "\n" for row in rows)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    dates = [*_dates(HERE.parents[1] / DATA / name, body), today]
    path = root / DATA / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body.replace("{}", dates[0], 1), encoding="utf-8", newline="\n")


def _dates(path: Path, body: str) -> Iterator[str]:
    """Yield the date of the present table when it is the same but for that."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if (found := re.search(r"^# Date: ([\d-]+)$", text, re.M)) and text == body.replace("{}", found[1], 1):
        yield found[1]


def parsed(written: str) -> Version:
    """Return (10, 12) for "10.12" and "10_12"."""
    return tuple(int(part) for part in re.split("[._]", written))
