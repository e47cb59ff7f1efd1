"""Downloads the real wheels of tests/oracle/corpus.tsv with pip: `scripts/corpus.py OUT [SUBSTRING...]`.

Only rows that hold every SUBSTRING are taken; without any it is all, about 0.9 GB. Wheels that OUT has already are not fetched again.
Then `pytest --corpus OUT` audits them.
"""

import argparse
import subprocess
import sys
from pathlib import Path

TABLE = Path(__file__).resolve().parents[1] / "tests" / "oracle" / "corpus.tsv"
NEWEST = "3.12"
"""The Python that wheels for any Python 3 are asked for with."""


def main() -> int:
    """Fetch the wheels one by one, say which could not be had, and return 1 when there is any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder, made when it does not exist")
    parser.add_argument("wanted", nargs="*", metavar="SUBSTRING")
    options = parser.parse_args()
    rows = [line for line in TABLE.read_text(encoding="utf-8").splitlines()[1:] if all(part in line for part in options.wanted)]
    if not rows:
        parser.error("no row holds all of that")
    failed = [name for name in map(str.split, rows) if not fetched(name, options.out)]
    print(f"{len(rows) - len(failed)} of {len(rows)} wheels are in {options.out}")
    return 1 if failed else 0


def fetched(row: list[str], out: Path) -> bool:
    """Have pip put one wheel into the folder and tell whether it did."""
    project, release, python, abi, platform = row[:5]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(out)]
    command += ["--python-version", python_version(python), "--abi", abi, "--platform", platform, f"{project}=={release}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    reason = "" if done.returncode == 0 else ": " + (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
    print(f"{'FAILED' if reason else 'ok'}  {project} {release} {platform}{reason}", flush=True)
    return not reason


def python_version(tag: str) -> str:
    """Return "3.12" for cp312, and the newest for py3."""
    digits = tag.lstrip("cpy")
    return f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else NEWEST


if __name__ == "__main__":
    sys.exit(main())
