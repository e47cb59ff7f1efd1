"""The options of `relocate repair`, with the names by which those who come from other tools know them, and what they stand for."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from typing import Any, NamedTuple

import click

from relocator.cli.options import Option, size
from relocator.errors import UsageError
from relocator.findings import Severity
from relocator.metadata import normalised
from relocator.output import formats
from relocator.platform_tags import FAT
from relocator.repairs import Provider, RepairOptions
from relocator.verification import Level

SEVERITIES = {str(severity): severity for severity in sorted(Severity, reverse=True)}

PLAT_VARIABLE = "AUDITWHEEL_PLAT"
LEVEL_VARIABLE = "AUDITWHEEL_ZIP_COMPRESSION_LEVEL"
MACOS_VARIABLE = "MACOSX_DEPLOYMENT_TARGET"
EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"

SEARCH_VARIABLES = (
    *("AUDITWHEEL_LD_LIBRARY_PATH", "LD_LIBRARY_PATH", "PATH"),
    *("DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "DYLD_FALLBACK_FRAMEWORK_PATH"),
)
"""Variables that say where libraries are looked for, each where the other tools define it."""

DEFAULT_LEVEL = 6

_DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
"""PEP 508."""

_DRIVE = re.compile(r"(?:^|(?<=[;:]))([A-Za-z]):(?=[\\/])")

_REFUSED: tuple[tuple[tuple[str, ...], bool, str], ...] = (
    (("-d", "--dylibs-only"), False, "leave it out: binaries are told by their content; `--exclude` keeps libraries outside"),
    (("--executable-path",), True, "type `--search DIR`, with the folder that holds the library"),
    (("--no-sanitize-rpaths",), False, "leave it out: search paths that stay in the wheel are kept, others find nothing elsewhere"),
    (("--patcher",), True, "leave it out: relocate rewrites ELF, Mach-O and PE files by itself"),
)
"""Options of other tools that mean nothing here: their names, whether they have a value, and what to do instead."""

_VOID = ("-k", "--check-archs", "--sanitize-rpaths", "--ignore-existing", "--ignore-in-wheel", "--with-mangle", "--no-diagnostic")
"""Options of other tools that ask for what is done anyway."""


class Grouped(click.Option):
    """An option that stands below a heading of the help, and has names that the help leaves out."""

    def __init__(self, declarations: list[str], *, heading: str = "", aliases: tuple[str, ...] = (), **attributes: Any) -> None:
        super().__init__([*declarations, *aliases], **attributes)
        self.heading = heading
        self.aliases = aliases

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the line of the help, without the aliases."""
        shown = copy(self)
        shown.opts = [name for name in self.opts if name not in self.aliases]
        return click.Option.get_help_record(shown, ctx)


class Repair(click.Command):
    """A command whose help has headings, and whose `--strip` takes a value only behind "="."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give a bare `--strip` its value: click would take the next word, which is a wheel."""
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*("--strip=auto" if word == "--strip" else word for word in args[:end]), *args[end:]])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, each below its heading."""
        found: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                found.setdefault(param.heading if isinstance(param, Grouped) else "Configuration and help", []).append(record)
        for heading, records in found.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def _group(heading: str) -> Callable[..., Option]:
    """Return what makes options below a heading."""

    def option(*declarations: str, **attributes: Any) -> Option:
        return click.option(*declarations, cls=Grouped, heading=heading, **attributes)

    return option


# ---- the options


def options() -> list[Option]:
    """Return all options but those of the configuration file, in the order of the help."""
    return [*_places(), *_choice(), *_tags(), *_names(), *_windows(), *_changes(), *_writing(), *_printing(), *_foreign()]


def _places() -> list[Option]:
    option = _group("Where libraries come from")
    folders: dict[str, Any] = {"multiple": True, "type": click.Path()}
    return [
        option("-l", "--search", metavar="DIR", aliases=("--lib-dir",), help="Look here first. Repeatable.", **folders),
        option("--ldpaths", metavar="DIR:DIR", default="", help="Look here in place of this machine's library directories."),
        option(
            "--host/--no-host",
            default=True,
            show_default=True,
            help="Whether this machine's library directories, the variables that name some, and absolute paths in binaries count.",
        ),
        click.option("--no-sys-paths", is_flag=True, hidden=True, allow_from_autoenv=False),
        click.option("--add-path", multiple=True, hidden=True, allow_from_autoenv=False),
    ]


def _choice() -> list[Option]:
    option = _group("Which libraries are brought in")
    return [
        option("-e", "--exclude", metavar="GLOB", multiple=True, help="Leave these outside, by name or path, with what only they need."),
        option("--include", metavar="LIB", multiple=True, help="Bring this one in, too, with its needs: a plugin, or a system's library."),
        option(
            "--provided-by",
            metavar="DIST[=PATH]",
            multiple=True,
            help="Use the libraries of this dependency where they lie. PATH is its wheel or an environment.",
        ),
        option("--allow-missing", is_flag=True, aliases=("--ignore-missing-dependencies",), help="Leave out what cannot be found."),
        click.option("--no-dll", multiple=True, hidden=True, allow_from_autoenv=False),
        click.option("--add-dll", multiple=True, hidden=True, allow_from_autoenv=False),
    ]


def _tags() -> list[Option]:
    option = _group("Tags and promises")
    return [
        option("--plat", metavar="TAG", multiple=True, help="Tag that the wheel is to bear. Repeatable.  [default: the best]"),
        option("--only-plat", is_flag=True, help="Bear no better tag beside those of --plat."),
        option("--update-tags/--no-update-tags", default=True, show_default=True, help="Whether the tags change."),
        option("--disable-isa-ext-check", is_flag=True, help="Let binaries need x86-64-v2 or more."),
        option("--require-archs", metavar="ARCHS", multiple=True, help="Refuse binaries without one of these: x86_64,arm64 or universal2."),
        option("--require-target-macos-version", metavar="X.Y", default="", help="Refuse binaries that need a newer macOS."),
        option("--allow-pure-python-wheel", is_flag=True, help="Copy a wheel without binaries instead of refusing it."),
    ]


def _names() -> list[Option]:
    option = _group("Names and places in the wheel")
    return [
        option("--no-rename", metavar="GLOB", multiple=True, help="Let these libraries keep their names. Repeatable."),
        option("--no-rename-all", is_flag=True, aliases=("--no-mangle-all",), help="Let all libraries keep their names."),
        option("-L", "--lib-sdir", metavar="NAME", default="", help="What their folder is called.  [default: .libs; macOS: .dylibs]"),
        click.option("--no-mangle", multiple=True, hidden=True, allow_from_autoenv=False),
    ]


def _windows() -> list[Option]:
    option = _group("Windows")
    existing = ("--analyze-existing-exes",)
    return [
        option("--namespace-pkg", metavar="PKG", multiple=True, help="Packages that must have no __init__.py. Repeatable."),
        option("--custom-patch", is_flag=True, help="Patch sources only where a line `# relocate: patch` asks for it."),
        option("--analyze-existing", is_flag=True, aliases=existing, help="Also mend DLLs and programs that no import reaches."),
        option("--include-symbols", is_flag=True, help="Bring the .pdb files beside the DLLs."),
        option("--include-imports", is_flag=True, help="Bring the .lib files beside the DLLs."),
        option("--unmodified-runtimes", is_flag=True, help="Leave Microsoft's redistributable runtimes as they are."),
    ]


def _changes() -> list[Option]:
    option = _group("What else is changed")
    return [
        option("--strip", metavar="[=TOOL]", default="", help="Strip binaries first, with llvm-strip, strip, or this tool."),
        option("--keep-execstack", is_flag=True, help="Leave executable stacks as they are."),
        option("--fix-notes", is_flag=True, help="Also mend what an audit would only note."),
        option("--sbom/--no-sbom", default=True, show_default=True, help="Whether to list what was brought in, as CycloneDX."),
    ]


def _writing() -> list[Option]:
    option = _group("Writing")
    levels = [str(Level.NORMAL), str(Level.FULL)]
    return [
        option(
            "-w",
            "--wheel-dir",
            metavar="DIR",
            default="wheelhouse",
            show_default=True,
            aliases=("-o", "--output-dir"),
            help="Where finished wheels go.",
        ),
        option("-n", "--dry-run", is_flag=True, help="Show the plan, and write nothing."),
        option("--force", is_flag=True, help="Replace a wheel that is there and differs."),
        option(
            "-z",
            "--zip-level",
            metavar="0-9",
            type=click.Choice([str(number) for number in range(10)]),
            aliases=("--zip-compression-level",),
            help=f"How much to compress what changes.  [default: {DEFAULT_LEVEL}]",
        ),
        option("--verify", type=click.Choice(levels), default="normal", show_default=True, help="Full adds symbols, relocations, LIEF."),
        option("--max-size", callback=size, metavar="SIZE", help="Refuse archives that inflate to more than this.  [default: 16G]"),
        option(
            *("--fail-on", "fail_on_remaining"),
            type=click.Choice([*SEVERITIES, "never"]),
            default="never",
            show_default=True,
            help="Exit with 1 when a finding of this severity remains.",
        ),
    ]


def _printing() -> list[Option]:
    option, forms = _group("Output"), formats("repair")
    return [
        option(
            *("--format", "form"),
            type=click.Choice(forms),
            default="text",
            show_default=True,
            envvar="RELOCATOR_FORMAT",
            help="Of the plan.",
        ),
        option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True, help="When to colour."),
        option("-v", "--verbose", is_flag=True, help="Every action and its reason."),
        option("-q", "--quiet", is_flag=True, help="One line for each wheel, and no progress."),
        click.option("--traceback", is_flag=True, hidden=True),
    ]


def _foreign() -> list[Option]:
    void = click.option(*_VOID, "_void", is_flag=True, hidden=True, expose_value=False, allow_from_autoenv=False)
    refused = []
    for names, has_value, hint in _REFUSED:
        kind: dict[str, Any] = {} if has_value else {"is_flag": True}
        key = "_" + names[-1].removeprefix("--").replace("-", "_")
        told = _refuse(names[-1], hint)
        refused.append(click.option(*names, key, hidden=True, expose_value=False, allow_from_autoenv=False, callback=told, **kind))
    return [void, *refused]


def _refuse(name: str, hint: str) -> Callable[[click.Context, click.Parameter, object], None]:
    def callback(ctx: click.Context, param: click.Parameter, value: object) -> None:
        if value:
            raise UsageError(f"{name} means nothing to relocate", hint)

    return callback


# ---- what they stand for


def repair_options(values: Mapping[str, Any], environment: Mapping[str, str]) -> RepairOptions:
    """Return what decides the plan, without the platform tag of the environment; raise UsageError for what makes no sense."""
    if values["custom_patch"] and values["namespace_pkg"]:
        raise UsageError("--custom-patch and --namespace-pkg exclude one another", "patch by hand, or name the packages")
    if values["only_plat"] and not (values["plat"] or environment.get(PLAT_VARIABLE)):
        raise UsageError("--only-plat says that no tag comes beside those of --plat, and there is no --plat", "add `--plat TAG`")
    return RepairOptions(
        plat=tuple(tag for tag in values["plat"] if tag != "auto"),
        only_plat=values["only_plat"],
        update_tags=values["update_tags"],
        exclude=(*values["exclude"], *split(values["no_dll"])),
        include=(*values["include"], *split(values["add_dll"])),
        provided_by=tuple(map(_provider, values["provided_by"])),
        allow_missing=values["allow_missing"],
        check_isa=not values["disable_isa_ext_check"],
        require_arches=_arches(values["require_archs"]),
        require_macos=_macos(values["require_target_macos_version"], environment),
        no_rename=("*",) if values["no_rename_all"] else (*values["no_rename"], *split(values["no_mangle"])),
        lib_sdir=_folder_name(values["lib_sdir"]),
        strip=values["strip"],
        namespace_packages=split(values["namespace_pkg"]),
        custom_patch=values["custom_patch"],
        analyze_existing=values["analyze_existing"],
        include_symbols=values["include_symbols"],
        include_imports=values["include_imports"],
        unmodified_runtimes=values["unmodified_runtimes"],
        keep_execstack=values["keep_execstack"],
        allow_pure=values["allow_pure_python_wheel"],
        sbom=values["sbom"],
        fix_notes=values["fix_notes"],
    )


class Folders(NamedTuple):
    """Where libraries are looked for."""

    search: tuple[str, ...]
    instead_of_host: tuple[str, ...]
    absent: tuple[str, ...]
    """Named in lists that other tools made, and not there."""
    host: bool


def folders(values: Mapping[str, Any]) -> Folders:
    """Return where libraries are looked for. Folders of `--add-path` and `--ldpaths` need not exist, as elsewhere.

    Those of `--ldpaths` stay all the same: without any the machine's own would count.
    """
    added, instead = split(values["add_path"]), split([values["ldpaths"]], windows=False)
    absent = tuple(folder for folder in (*added, *instead) if not os.path.isdir(folder))
    return Folders(
        (*values["search"], *(folder for folder in added if folder not in absent)),
        instead,
        absent,
        values["host"] and not values["no_sys_paths"],
    )


def split(texts: Iterable[str], windows: bool = sys.platform == "win32") -> tuple[str, ...]:
    """Split lists at ";" and, off Windows, at ":", but not after the letter of a drive."""
    marks = ";" if windows else ";:"
    found: list[str] = []
    for text in texts:
        kept = _DRIVE.sub("\\1\0", text)
        found += (part.replace("\0", ":").strip() for part in re.split(f"[{marks}]", kept))
    return tuple(part for part in found if part)


def level(values: Mapping[str, Any], environment: Mapping[str, str]) -> int:
    """Return how much to compress, 0 to 9: as typed, else as auditwheel's variable says, where -1 is the default, as in zlib."""
    if values["zip_level"] is not None:
        return int(values["zip_level"])
    text = environment.get(LEVEL_VARIABLE, "")
    chosen = _number(LEVEL_VARIABLE, text, range(-1, 10), "a level is 0 to 9") if text else -1
    return chosen if chosen >= 0 else DEFAULT_LEVEL


def epoch(environment: Mapping[str, str]) -> int | None:
    """Return SOURCE_DATE_EPOCH, None when it is not set."""
    text = environment.get(EPOCH_VARIABLE, "")
    return _number(EPOCH_VARIABLE, text, None, "it is a number of seconds since 1970") if text else None


def _number(variable: str, text: str, among: range | None, hint: str) -> int:
    if re.fullmatch(r"-?[0-9]{1,18}", text.strip()) and (among is None or int(text) in among):
        return int(text)
    raise UsageError(f"the environment variable {variable} is {text!r}", f"{hint}; mend it or unset it")


def _provider(text: str) -> Provider:
    name, equals, path = text.partition("=")
    if not _DISTRIBUTION.fullmatch(name.strip()) or (equals and not path):
        raise UsageError(f"--provided-by {text!r} is not DIST[=PATH]", "write it as nvidia-cublas-cu12, or numpy=wheels/numpy-2.1-....whl")
    if path and not os.path.exists(path):
        raise UsageError(f"--provided-by {text!r}: {path!r} does not exist", "name a wheel, or the prefix of an environment")
    return Provider(normalised(name.strip()), os.path.abspath(path) if path else "")


def _arches(texts: Iterable[str]) -> tuple[str, ...]:
    known = {*FAT, *(arch for arches in FAT.values() for arch in arches)}
    found: dict[str, None] = {}
    for name in (part.strip() for text in texts for part in text.split(",")):
        if name and name not in known:
            raise UsageError(f"--require-archs: macOS has no architecture {name!r}", f"known are {', '.join(sorted(known))}")
        found.update(dict.fromkeys(FAT.get(name, (name,)) if name else ()))
    return tuple(found)


def _macos(typed: str, environment: Mapping[str, str]) -> tuple[int, ...]:
    text = typed or environment.get(MACOS_VARIABLE, "")
    if not text:
        return ()
    if not re.fullmatch(r"\d{1,3}(\.\d{1,3}){0,2}", text.strip(), re.ASCII):
        place = "--require-target-macos-version" if typed else f"the environment variable {MACOS_VARIABLE}"
        raise UsageError(f"{place} is {text!r}, which is no version of macOS", "write it as 11.0")
    return tuple(int(part) for part in text.strip().split("."))


def _folder_name(text: str) -> str:
    if text in (".", "..") or any(mark in text for mark in "/\\\0"):
        raise UsageError(f"--lib-sdir {text!r} is not the name of a folder", "give one name without a slash, such as .libs")
    return text
