"""What can go wrong while doing the job, as opposed to problems found in a package, which are findings."""


class RelocatorError(Exception):
    """A job that could not be done: what is wrong, where, and what to do next.

    `exit_code` is the process's exit status when a command ends with this error.
    """

    exit_code = 5

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(RelocatorError):
    """The request itself makes no sense: an unknown rule, an impossible target."""

    exit_code = 2


class ContainerError(RelocatorError):
    """A path that does not exist, an archive that cannot be opened or that exceeds the limits."""

    exit_code = 3


class UnreadableBinary(RelocatorError):
    """A file that looks like a binary but whose tables are cut, cyclic or contradictory.

    Readers know no file name: `offset` (in bytes from the start of the buffer that was read, or None) and `field` (the
    structure's name in its specification) say where; the caller, who knows the member, turns it into a finding.
    """

    exit_code = 3

    def __init__(self, field: str, expected: str, offset: int | None = None) -> None:
        place = field if offset is None else f"{field} at offset {offset:#x}"
        super().__init__(f"{place}: {expected}")
        self.field = field
        self.expected = expected
        self.offset = offset

    def __reduce__(self) -> tuple[type["UnreadableBinary"], tuple[str, str, int | None]]:
        return type(self), (self.field, self.expected, self.offset)


class InternalError(RelocatorError):
    """Our own bug: a verifier disagrees, or a recorded world lacks a probe."""

    exit_code = 5
