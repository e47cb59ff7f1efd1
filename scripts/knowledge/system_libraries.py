"""Libraries of the system that many systems lack: names that distributions dropped, and what slim images leave out. Kept by hand.

Names are base names as needs spell them, those of Windows in lower case.
"""

from typing import Any

RETIRED = {
    "libcrypt.so.1": ("libcrypt.so.2 (libxcrypt)", "Fedora 30, RHEL 9 and newer do not install it"),
    "libnsl.so.1": ("libnsl.so.2 or libtirpc.so.3", "Fedora 28, RHEL 8 and newer do not install it"),
    **dict.fromkeys(
        ("libtinfo.so.5", "libncurses.so.5", "libncursesw.so.5", "libpanel.so.5", "libpanelw.so.5", "libform.so.5", "libmenu.so.5"),
        ("version 6 of ncurses", "Fedora 24, RHEL 8, Debian 13, Ubuntu 24.04 and newer do not install it"),
    ),
    **dict.fromkeys(
        ("libreadline.so.5", "libreadline.so.6", "libhistory.so.5", "libhistory.so.6"),
        ("libreadline.so.8", "RHEL 8, Debian 9, Ubuntu 18.04 and newer do not install it"),
    ),
    "libreadline.so.7": ("libreadline.so.8", "RHEL 9, Debian 11, Ubuntu 20.04 and newer do not install it"),
    **dict.fromkeys(("libffi.so.5", "libffi.so.6"), ("libffi.so.8", "RHEL 9, Debian 11, Ubuntu 20.04 and newer do not install it")),
    "libffi.so.7": ("libffi.so.8", "RHEL 9, Debian 12, Ubuntu 22.04 and newer do not install it"),
    **{
        f"{library}.so.{version}": (f"{library}.so.3", reason)
        for library in ("libssl", "libcrypto")
        for version, reason in (
            ("6", "only RHEL 5 installs it"),
            ("10", "RHEL 8 and newer do not install it, Debian and Ubuntu never did"),
            ("0.9.8", "Debian 7, Ubuntu 12.04 and newer do not install it"),
            ("1.0.0", "Debian 9, Ubuntu 20.04 and newer do not install it"),
            ("1.0.2", "Debian 10 and newer do not install it"),
            ("1.1", "RHEL 9, Debian 12, Ubuntu 22.04 and newer do not install it"),
        )
    },
    "libpng12.so.0": ("libpng16.so.16", "RHEL 9, Debian 9, Ubuntu 18.04 and newer do not install it"),
    "libpng15.so.15": ("libpng16.so.16", "only RHEL 7 installs it"),
    **dict.fromkeys(("libtiff.so.3", "libtiff.so.4"), ("libtiff.so.6", "RHEL 7, Debian 8, Ubuntu 14.04 and newer do not install it")),
    "libtiff.so.5": ("libtiff.so.6", "RHEL 10, Debian 12, Ubuntu 23.04 and newer do not install it"),
    **dict.fromkeys(
        ("libwebp.so.4", "libwebp.so.5", "libwebp.so.6"), ("libwebp.so.7", "RHEL 8, Debian 12, Ubuntu 22.04 and newer do not install it")
    ),
    **dict.fromkeys(
        ("libgfortran.so.1", "libgfortran.so.3", "libgfortran.so.4"),
        ("libgfortran.so.5", "RHEL 8, Debian 11, Ubuntu 22.04 and newer do not install it"),
    ),
    **dict.fromkeys(
        ("libldap-2.4.so.2", "libldap_r-2.4.so.2", "liblber-2.4.so.2"),
        ("OpenLDAP 2.6", "RHEL 9, Debian 12, Ubuntu 22.04 and newer do not install it"),
    ),
    "libstdc++.so.5": ("libstdc++.so.6", "GCC 3.4 replaced it in 2004"),
    "libudev.so.0": ("libudev.so.1", "RHEL 7, Debian 8, Ubuntu 14.04 and newer do not install it"),
}
"""By name: what took its place, and which systems lack it."""

_DESKTOP = "slim images and servers lack it"
_WINDOWS_N = "editions N of Windows and Windows Server Core lack it"
_SERVER_CORE = "Windows Server Core and its container images lack it"

SLIM = {
    "libGL.so.1": f"{_DESKTOP} (Debian: libgl1, Fedora: libglvnd-glx)",
    "libX11.so.6": f"{_DESKTOP} (Debian: libx11-6, Fedora: libX11)",
    "libXext.so.6": f"{_DESKTOP} (Debian: libxext6, Fedora: libXext)",
    "libXrender.so.1": f"{_DESKTOP} (Debian: libxrender1, Fedora: libXrender)",
    "libICE.so.6": f"{_DESKTOP} (Debian: libice6, Fedora: libICE)",
    "libSM.so.6": f"{_DESKTOP} (Debian: libsm6, Fedora: libSM)",
    "libglib-2.0.so.0": f"{_DESKTOP} (Debian: libglib2.0-0, Fedora: glib2)",
    "libgobject-2.0.so.0": f"{_DESKTOP} (Debian: libglib2.0-0, Fedora: glib2)",
    "libgthread-2.0.so.0": f"{_DESKTOP} (Debian: libglib2.0-0, Fedora: glib2)",
    "libatomic.so.1": "slim images lack it (Debian: libatomic1, Fedora: libatomic)",
    "libexpat.so.1": "slim images of Debian and Ubuntu lack it (Debian: libexpat1, Fedora: expat)",
    **dict.fromkeys(("evr.dll", "mf.dll", "mfcore.dll", "mfplat.dll", "mfplay.dll", "mfreadwrite.dll", "wmvcore.dll"), _WINDOWS_N),
    **dict.fromkeys(("avicap32.dll", "avifil32.dll", "glu32.dll", "msvfw32.dll", "opengl32.dll"), _SERVER_CORE),
}
"""By name of a library that a platform promises: who lacks it all the same, and which package brings it."""


def facts() -> dict[str, dict[str, Any]]:
    """Return both tables by file, relative to the repository, without their dates."""
    return {
        "src/relocator/knowledge/retired_sonames.json": {
            "source": "release notes and package lists of Debian, Fedora, RHEL, openSUSE and Ubuntu, collected by hand",
            "libraries": {name: list(RETIRED[name]) for name in sorted(RETIRED)},
        },
        "src/relocator/knowledge/slim_libraries.json": {
            "source": "package lists of minimal images of Debian, Fedora and Ubuntu, and of editions of Windows, collected by hand",
            "libraries": dict(sorted(SLIM.items())),
        },
    }
