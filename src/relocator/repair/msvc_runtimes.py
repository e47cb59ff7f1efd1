"""What a repair does about Microsoft's runtimes: some may not be passed on, some may not be changed, and all must be new enough."""

from collections.abc import Iterator

from relocator.meeting import MSVC_RUNTIME, file_version
from relocator.model import Binary, Image
from relocator.native import PeFacts
from relocator.repair.naming import base_name
from relocator.repair.wiring import Request, Taken
from relocator.repairs import Refusal
from relocator.rules import debug_runtime, older_msvc_runtime

_TOOLSET = 14
"""Major version of the linkers whose runtimes replace one another: Visual Studio 2015 and later."""
_NEWER = "give a newer one with --search: VC/Redist/MSVC of the Visual Studio that built the wheel, or of a later one"


def is_runtime(binary: Binary) -> bool:
    """Tell whether a file is one of Microsoft's redistributable runtimes."""
    return is_name(base_name(binary))


def is_name(name: str) -> bool:
    """Tell whether a name is that of one of Microsoft's redistributable runtimes."""
    return bool(MSVC_RUNTIME.fullmatch(name.casefold()))


def refusals(request: Request) -> Iterator[Refusal]:
    """Yield why runtimes that are needed cannot be brought in."""
    for taken in request.taken:
        name = base_name(taken.binary)
        if debug_runtime.is_debug_runtime(name.casefold()):
            users = ", ".join(sorted(binary.member for binary, _ in _users(request, taken))) or "the wheel"
            yield Refusal(
                f"{users} needs {name}, a debug build, which may not be passed on (debug-runtime)",
                f"build for release: /MD instead of /MDd, CMAKE_BUILD_TYPE=Release; or leave it outside with --exclude {name}",
            )
    for binary, taken in _too_old(request):
        yield Refusal(
            f"{binary.member} locks a mutex in a way that needs {base_name(taken.binary)} {_text(older_msvc_runtime.NEEDED)}, and "
            f"{taken.binary.member} is {_text(file_version(taken.binary.images[0]))} (older-msvc-runtime)",
            f"{_NEWER}; or build with /D_DISABLE_CONSTEXPR_MUTEX_CONSTRUCTOR",
        )


def remarks(request: Request) -> Iterator[str]:
    """Yield which runtimes are older than the toolset of those that use them; Microsoft promises nothing for that."""
    refused = {(binary.path, taken.binary.path) for binary, taken in _too_old(request)}
    for taken in request.taken:
        version = file_version(taken.binary.images[0])[:2] if is_runtime(taken.binary) else ()
        newest = max(
            (_toolset(image), binary.member) for binary, image in [*_users(request, taken), (taken.binary, taken.binary.images[0])]
        )
        if () < version < newest[0] and not any(path == taken.binary.path for _, path in refused):
            yield (
                f"{taken.binary.member} is {_text(file_version(taken.binary.images[0]))}, older than the toolset {_text(newest[0])} that "
                f"built {newest[1]}: Microsoft asks for one that is as new (older-msvc-runtime); {_NEWER}"
            )


def _users(request: Request, taken: Taken) -> Iterator[tuple[Binary, Image]]:
    """Yield the files that need a taken one, other runtimes apart."""
    by_path = {item.binary.path: item.binary for item in request.taken}
    for path in sorted({link.importer for link in request.links if link.target == taken.binary.path}):
        binary = by_path.get(path) or request.survey.binary_at(path)
        if binary is not None and not is_runtime(binary):
            yield binary, binary.images[0]


def _too_old(request: Request) -> Iterator[tuple[Binary, Taken]]:
    for taken in request.taken:
        version = file_version(taken.binary.images[0])
        if () < version < older_msvc_runtime.NEEDED:
            for binary, image in _users(request, taken):
                if older_msvc_runtime.asks_for_new(image) == base_name(taken.binary).casefold():
                    yield binary, taken


def _toolset(image: Image) -> tuple[int, ...]:
    """Return the version of the linker, where it is one of Visual Studio's; () for others."""
    version = image.native.linker_version if isinstance(image.native, PeFacts) else (0, 0)
    return version if version[0] == _TOOLSET else ()


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
