"""Which of the symbols that a file has is most like one that it lacks, and whether the two differ in the ABI of std::string alone.

Names are mangled as in the Itanium C++ ABI. GCC's old std::string is "Ss" there (or "Sb", basic_string of something else); the new one lies
in an inline namespace, "NSt7__cxx11", and functions that return it bear the tag "B5cxx11" (GCC, "Dual ABI").
"""

from collections.abc import Iterable

_OLD, _NEW, _TAG = (b"Ss", b"Sb"), b"NSt7__cxx11", b"B5cxx11"
_LIKE_ENOUGH = 0.6
"""The part of a name that has to be the same at its beginning and end."""
_LEAST = 6


class Starting:
    """All names that start in one way, as a container for SymbolTable.defines."""

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix

    def __contains__(self, name: object) -> bool:
        """Tell whether a name does."""
        return isinstance(name, bytes) and name.startswith(self.prefix)


def prefix_of(name: bytes) -> bytes:
    """Return how names that could be like this one start."""
    return name[: max(_LEAST, len(name) // 3)]


def nearest(name: bytes, others: Iterable[bytes]) -> bytes:
    """Return the name most like another one, b"" when none is like enough."""
    best, score = b"", _LIKE_ENOUGH * len(name)
    for other in others:
        alike = _common(name, other) + _common(name[::-1], other[::-1])
        if other != name and alike >= max(score, _LEAST) and len(other) <= 2 * len(name):
            best, score = other, alike + 0.5
    return best


def _common(one: bytes, other: bytes) -> int:
    """Return how many bytes at the beginning are the same."""
    for count, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return count
    return min(len(one), len(other))


def string_abi(name: bytes) -> tuple[str, int]:
    """Return "old" or "new" and where in a mangled name the first std::string of that ABI is; "" and the length when there is none."""
    place = 2 if name.startswith(b"_Z") else len(name)
    while place < len(name):
        if name.startswith((_NEW, _TAG), place):
            return "new", place
        if name.startswith(_OLD, place):
            return "old", place
        if name[place : place + 1].isdigit():
            end = place
            while name[end : end + 1].isdigit() and end - place < 6:
                end += 1
            place = end + int(name[place:end])
        else:
            place += 1
    return "", len(name)


def twin(name: bytes, others: Iterable[bytes]) -> bytes:
    """Return the name of the same function with the other std::string, b"" when it is not among the others."""
    abi, place = string_abi(name)
    if not name.startswith(b"_Z"):
        return b""
    bare = name.replace(_TAG, b"")
    for other in others:
        other_abi, other_place = string_abi(other)
        if {abi, other_abi} == {"old", "new"} and place == other_place and name[:place] == other[:place]:
            return other
        if other != name and abi != other_abi and other.replace(_TAG, b"") == bare:
            return other
    return b""
