"""The files that a loader could see: a container's own, and what lies in the directories that the user named."""

from collections.abc import Callable, Iterable, Mapping

from relocator.loading import Seen
from relocator.model import Binary


class PackageWorld:
    """A container laid out as installed, plus `--search` directories of the disk; nothing else of the host is ever looked at."""

    def __init__(self, seen: Mapping[str, Seen], links: Mapping[str, str], search: Iterable[str], read: Callable[[str], Seen | None]) -> None:
        """Take the files by installed path, aliases by path, and a reader for files below the search directories."""
        self._seen = seen
        self._links = links
        self._folded: dict[str, str] | None = None
        self._roots = tuple(directory.rstrip("/") + "/" for directory in search)
        self._read = read
        self._probed: dict[str, Seen | None] = {}

    def at(self, path: str, fold_case: bool = False) -> Seen | None:
        """Return what lies at a path; see `loading.World`."""
        path = self._links.get(path, path)
        if fold_case and path not in self._seen:
            path = self._spelled(path)
        found = self._seen.get(path)
        if found is None and path.startswith(self._roots):
            return self._probe(path)
        return found

    @property
    def outside(self) -> tuple[Binary, ...]:
        """The binaries found below the search directories so far, sorted by path."""
        return tuple(sorted((seen for seen in self._probed.values() if isinstance(seen, Binary)), key=lambda binary: binary.path))

    def _spelled(self, path: str) -> str:
        if self._folded is None:
            self._folded = {known.casefold(): known for known in (*self._links, *self._seen)}
        known = self._folded.get(path.casefold(), path)
        return self._links.get(known, known)

    def _probe(self, path: str) -> Seen | None:
        if path not in self._probed:
            self._probed[path] = self._read(path)
        return self._probed[path]
