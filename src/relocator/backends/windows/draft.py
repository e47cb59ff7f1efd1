"""Changes to one PE file while they are planned: bytes by offset, the size that the file will have, remarks for the user."""

from relocator.backends.windows.fixups import read_fixups
from relocator.backends.windows.headers import Headers, checksum_of, file_sum, word_sum
from relocator.backends.windows.layout import CERTIFICATES
from relocator.buffer import Buffer, cut
from relocator.errors import UnreadableBinary
from relocator.plans import EditRefused, Patch, Patchset, sorted_patches


class Draft:
    """What shall lie where. Each offset is written once."""

    def __init__(self, headers: Headers) -> None:
        self.headers = headers
        self.buffer: Buffer = headers.layout.buffer
        self.kept = self.size = len(self.buffer)
        """Bytes of the old file that stay; bytes of the new one."""
        self.remarks: list[str] = []
        self._written: dict[int, tuple[bytes, str]] = {}

    def put(self, offset: int, data: bytes, reason: str) -> None:
        """Write bytes at a file offset of the new file."""
        self._written[offset] = data, reason

    def put_number(self, offset: int, value: int, reason: str, size: int = 4) -> None:
        """Write a number, four bytes long unless said otherwise; refuse one that does not fit, which damaged headers may lead to."""
        if value >> 8 * size:
            raise EditRefused(f"{reason} would have to be {value:#x}, more than fits in {size} bytes", "check whether the file is sound")
        self.put(offset, value.to_bytes(size, "little"), reason)

    def drop_directory(self, index: int, reason: str) -> None:
        """Make a data directory absent."""
        self.put(self.headers.directory_place(index), bytes(8), reason)

    def drop_certificate(self) -> None:
        """Take the certificate off; its bytes too when they end the file."""
        region = self.headers.certificate
        if region is None:
            return
        self.drop_directory(CERTIFICATES, "certificate table: entry")
        end = len(self.buffer)
        if self.headers.layout.end <= region.rva < end and region.rva + region.size >= end - 8:
            self.kept = self.size = region.rva
            self.remarks.append("the certificate was removed")
        else:
            self.remarks.append("the certificate is no longer referred to; its bytes stay, since it does not end the file")

    def patchset(self) -> Patchset:
        """Return the patches, checksum included where the file has one."""
        self._check_fixups()
        if self.headers.checksum:
            place = self.headers.checksum_place
            self.put(place, bytes(4), "CheckSum")
            self.put_number(place, checksum_of(self._sum(), self.size), "CheckSum")
        patches = sorted_patches(Patch(at, bytes(self.buffer[at : at + len(data)]), data, why) for at, (data, why) in self._written.items())
        return Patchset(len(self.buffer), self.size, patches, remarks=tuple(self.remarks))

    def _sum(self) -> int:
        total = file_sum(self.buffer, self.kept)
        for at, (data, _) in self._written.items():
            total += word_sum(data, at) - word_sum(bytes(self.buffer[at : min(at + len(data), self.kept)]), at)
        return total

    def _check_fixups(self) -> None:
        """Refuse to change what Windows changes itself for processes of the other architecture."""
        for fixup in read_fixups(self.headers.layout):
            try:
                start = self.headers.layout.locate(fixup.rva, "dynamic relocation")[0]
            except UnreadableBinary:
                continue
            for at, (data, why) in self._written.items():
                if at < start + fixup.size and start < at + len(data) and bytes(cut(self.buffer, at, len(data), why)) != data:
                    raise EditRefused(
                        f"{why}: the file has code for two architectures and keeps this field twice",
                        "link it anew, or edit the library before it is merged into an ARM64X file",
                    )
