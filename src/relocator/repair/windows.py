"""Where DLLs go in a wheel, what they are called there, and how Windows gets to know their folder.

A DLL of a package lies in one folder beside all packages, which the package's `__init__.py` names to Windows. What belongs to no package
has only its own folder: a module at the top of site-packages, and a program. A delayed import is searched in neither: the helper that
answers it calls LoadLibrary with a name alone, which finds what the process has loaded already ("Linker support for delay-loaded DLLs";
"Dynamic-link library search order"). So the package opens such a DLL by its path.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping

from relocator.model import Binary, Format, Image
from relocator.native import PeFacts
from relocator.plans import Edit, ReplaceNeeded, Resign, SetIdentity
from relocator.repair import msvc_runtimes
from relocator.repair.naming import base_name
from relocator.repair.windows_roots import Work, binary_of, file_key, is_untouched, members_of, new_name, work_of
from relocator.repair.windows_told import added_sources, patches_of, told_of
from relocator.repair.wiring import Edited, Placed, Request, Wired
from relocator.repairs import Action, CopyIn, Origin

_FORCE_INTEGRITY = 0x80  # IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY


def wire(request: Request) -> Wired:
    """Place what is taken, rename what needs it, and have packages tell Windows where it lies."""
    work = work_of(request)
    own = [binary for binary in request.survey.binaries if binary.owner and binary.format == Format.PE]
    edited = [found for binary in (*own, *(taken.binary for taken in request.taken)) if (found := _edited(binary, work))]
    told, refusals, remarks = told_of(work)
    patches, refused = patches_of(work, told)
    beside, left = _beside(work)
    return Wired(
        tuple(Placed(path, members_of(path, work)[0]) for path in work.folders),
        tuple(edited),
        (*patches, *_more_copies(work, edited), *beside),
        (*remarks, *left, *_signatures(work, edited), *added_sources(told, work), *msvc_runtimes.remarks(request)),
        (*refusals, *refused, *msvc_runtimes.refusals(request)),
    )


def _more_copies(work: Work, edited: Iterable[Edited]) -> Iterator[CopyIn]:
    """Yield the copies of a file that has to lie in several folders, beside the first."""
    edits = {item.path: item.edits for item in edited}
    for path in work.folders:
        taken = work.taken[path]
        origin = Origin(taken.binary.member, taken.binary.sha256, taken.binary.size, taken.via)
        for member in members_of(path, work)[1:]:
            yield CopyIn(member, origin, edits.get(path, ()), "what is in no package finds only what lies beside it")


# ---- edits


def _edited(binary: Binary, work: Work) -> Edited | None:
    """Return the edits of one file, None when it stays as it is."""
    image = binary.images[0]
    if not isinstance(image.native, PeFacts) or is_untouched(binary, work.request):
        return None
    renames = dict(_renames(binary, image, work))
    edits: list[Edit] = [ReplaceNeeded(old, new) for old, new in renames.items()]
    sealed = image.native.certificate_size or image.native.dll_characteristics & _FORCE_INTEGRITY
    leaf = work.leaves.get(binary.path, base_name(binary))
    if image.identity is not None and leaf != base_name(binary) and image.identity != leaf and (edits or not sealed):
        edits.append(SetIdentity(leaf))  # no loader asks for it: a signature is worth more
    if edits and image.native.certificate_size:
        edits.append(Resign())
    return Edited(binary.path, tuple(edits), _reason(binary, renames)) if edits else None


def _renames(binary: Binary, image: Image, work: Work) -> Iterator[tuple[str, str]]:
    """Yield the new names of needs, and of libraries that only forwarders name."""
    for link in work.links.get(binary.path, ()):
        if new := new_name(link, work):
            yield link.needed.name, new
    assert isinstance(image.native, PeFacts)
    needed = {file_key(need.name) for need in image.needed}
    for module in sorted({target.rpartition(".")[0] for _, target in image.native.forwarders}):
        found = [item.binary for item in work.request.taken if file_key(base_name(item.binary)) == file_key(module)]
        found = [taken for taken in found if taken.image(image.arch) and work.leaves[taken.path] != base_name(taken)]
        if len(found) == 1 and file_key(module) not in needed:
            yield base_name(found[0]), work.leaves[found[0].path]


def _reason(binary: Binary, renames: Mapping[str, str]) -> str:
    if not binary.owner:
        return "vendored under a name of its own: Windows takes for a DLL whatever bears its name in the process (dll-name-conflict)"
    runtime = all(msvc_runtimes.is_name(old) for old in renames)
    rule = "unbundled-msvc-runtime" if runtime else "unbundled-library"
    return f"{rule}: {len(renames)} of its needs {'is' if len(renames) == 1 else 'are'} brought in"


def _signatures(work: Work, edited: Iterable[Edited]) -> Iterator[str]:
    for item in edited:
        binary = binary_of(item.path, work)
        if binary and any(isinstance(edit, Resign) for edit in item.edits):
            yield f"the signature of {binary.member} is taken off, since names in it change"


# ---- what lies beside


def _beside(work: Work) -> tuple[list[Action], list[str]]:
    """Bring in what belongs to the taken DLLs; an import library names its DLL, and leads nowhere when that has another name."""
    actions: list[Action] = []
    remarks = []
    options = work.request.options
    for item in work.request.beside:
        name = posixpath.basename(item.origin.path.replace("\\", "/"))
        is_symbols = name.casefold().endswith(".pdb")
        if item.path not in work.leaves or not (options.include_symbols if is_symbols else options.include_imports):
            continue
        binary = binary_of(item.path, work)
        if not is_symbols and binary and work.leaves[item.path] != base_name(binary):
            remarks.append(f"{name} is left out: it names {base_name(binary)}, which is renamed; keep the name with --no-rename")
            continue
        option = "--include-symbols" if is_symbols else "--include-imports"
        actions += [
            CopyIn(posixpath.join(posixpath.dirname(member), name), item.origin, (), option) for member in members_of(item.path, work)
        ]
    return actions, remarks
