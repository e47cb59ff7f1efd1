"""What Windows and CPython's installers bring: the system's DLLs as facts from delvewheel's released lists, the rest kept by hand."""

import importlib
from importlib.metadata import version
from typing import Any

TARGET = "src/relocator/backends/windows/promises.json"

ARCHES = {"amd64": "x64", "arm64": "arm64", "win32": "x86"}

# The lists for x86 and x64 hold what Windows 7 had too; these came with Windows 8.1 and 10 (their pages in the Windows API reference).
SINCE_WINDOWS_10 = """
    bluetoothapis.dll bthprops.cpl cldapi.dll combase.dll coremessaging.dll d3d12.dll d3dcompiler_47.dll dbgcore.dll dcomp.dll directml.dll
    dxcore.dll gdi32full.dll gdiplus.dll icu.dll icuin.dll icuuc.dll kernel.appcore.dll mfcore.dll mfsrcsnk.dll msvcp110_win.dll
    msvcp_win.dll ntoskrnl.exe shcore.dll twinapi.appcore.dll ucrtbase.dll win32u.dll windows.storage.dll wldp.dll wofutil.dll
    xaudio2_8.dll xaudio2_9.dll xinput1_4.dll
"""

# HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\KnownDLLs of Windows 10 and 11, and what those need themselves, which counts too
KNOWN_DLLS = """
    advapi32.dll bcryptprimitives.dll clbcatq.dll combase.dll comdlg32.dll coml2.dll difxapi.dll gdi32.dll gdi32full.dll gdiplus.dll
    imagehlp.dll imm32.dll kernel32.dll kernelbase.dll msctf.dll msvcp_win.dll msvcrt.dll normaliz.dll nsi.dll ntdll.dll ole32.dll
    oleaut32.dll psapi.dll rpcrt4.dll sechost.dll setupapi.dll shcore.dll shell32.dll shlwapi.dll ucrtbase.dll user32.dll win32u.dll
    wldap32.dll ws2_32.dll
"""

# Contracts, not files: the loader maps them to what implements them ("Windows API sets")
API_SETS = ["api-ms-", "ext-ms-"]

# Imports of python.exe and python3XX.dll of every release since 3.8, in the process before any extension module is
LOADED_WITH_PYTHON = ["vcruntime140.dll", "version.dll"]

# PCbuild and PC/layout of CPython: what lies beside python.exe in every installer and package of a release, from that release on
PYTHON_DLLS = {
    "amd64": {"vcruntime140.dll": "3.5", "vcruntime140_1.dll": "3.9"},
    "arm64": {"vcruntime140.dll": "3.8", "vcruntime140_1.dll": "3.9"},
    "win32": {"vcruntime140.dll": "3.5"},
}
DEBUG_DLLS = ["ucrtbased.dll", "vcruntime140d.dll", "vcruntime140_1d.dll"]

# Of the Visual C++ redistributable package; Windows has none of them, whatever a machine that was looked at had
REDISTRIBUTABLE = ("concrt", "mfc1", "mfcm1", "msvcp1", "msvcr1", "vcamp", "vccorlib", "vcomp", "vcruntime")


def facts() -> dict[str, dict[str, Any]]:
    """Return the data by file, relative to the repository, without its date."""
    lists = importlib.import_module("delvewheel._dll_list")
    names = {arch: _system(getattr(lists, f"ignore_names_{theirs}")) for arch, theirs in ARCHES.items()}
    everywhere = set.intersection(*names.values())
    return {
        TARGET: {
            "source": f"lists of delvewheel {version('delvewheel')}; Windows API reference; CPython's PCbuild and PC/layout",
            "libraries": {"every": _grouped(everywhere), **{arch: _grouped(names[arch] - everywhere) for arch in ARCHES}},
            "api_sets": API_SETS,
            "known_dlls": KNOWN_DLLS.split(),
            "loaded_with_python": LOADED_WITH_PYTHON,
            "python_dlls": PYTHON_DLLS,
            "debug_dlls": DEBUG_DLLS,
        }
    }


def _system(listed: set[str]) -> set[str]:
    newer = {*SINCE_WINDOWS_10.split(), *KNOWN_DLLS.split()}
    return newer | {name for name in map(str.casefold, listed) if not name.startswith(REDISTRIBUTABLE)}


def _grouped(names: set[str]) -> dict[str, str]:
    """Return the names by initial, which keeps lines short and differences readable."""
    initials = sorted({name[0] for name in names})
    return {initial: " ".join(sorted(name for name in names if name[0] == initial)) for initial in initials}
