"""What recorder.py wrote down, read back: the disk as a power cut would leave it.

The model. A cut at position c lets the first c records have happened. All writes before the last flush of them are on
the disk. Of the writes after it any subset may be: each whole, lost, or torn at a sector. Where two that survive overlap,
the later one wins. Which of all that it is, a random number generator decides.
"""

import mmap
import os
import random
import shutil
import struct

# As in recorder.py, which only nbdkit can import.
RECORD = struct.Struct("<QI")
FLUSH = (1 << 64) - 1
FAIL_NOTHING, FAIL_FLUSHES, FAIL_ALL = range(3)

SECTOR_BYTES = 512


class Recording:
    """base: the image before the first record. whole_blocks: numbers of 4 KiB blocks that are never torn."""

    def __init__(self, base, log, whole_blocks):
        self.base, self.whole = base, whole_blocks
        self.records = []  # (offset or FLUSH, where its data begins in the log, length)
        self.flushes = []  # their positions
        with open(log, "rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        at = 0
        while at < len(self.data):
            offset, length = RECORD.unpack_from(self.data, at)
            if offset == FLUSH:
                self.flushes.append(len(self.records))
            self.records.append((offset, at + RECORD.size, length))
            at += RECORD.size + length

    def close(self):
        self.data.close()

    def bytes_of(self, position):
        _, at, length = self.records[position]
        return self.data[at:at + length]

    def write(self, fd, position):
        os.pwrite(fd, self.bytes_of(position), self.records[position][0])

    def write_torn(self, fd, position, sectors):
        """Only the sectors for which sectors() says so."""
        offset, _, length = self.records[position]
        data = self.bytes_of(position)
        for at in range(0, length, SECTOR_BYTES):
            if sectors(at // SECTOR_BYTES):
                os.pwrite(fd, data[at:at + SECTOR_BYTES], offset + at)

    def may_tear(self, position):
        offset, _, length = self.records[position]
        return length > SECTOR_BYTES and not any(
            block in self.whole for block in range(offset // 4096, (offset + length - 1) // 4096 + 1))


class Fate(random.Random):
    """What becomes of the writes that no flush made durable, not drawn: which share is kept, and which of that torn."""

    def __init__(self, keep, tear, seed=0):
        super().__init__(seed)
        self.keep, self.tear = keep, tear

    def choice(self, options):
        return self.keep if len(options) == 5 else self.tear


FATES = {"dropped": (0.0, 0.0), "kept": (1.0, 0.0), "torn": (1.0, 1.0)}


class Replay:
    """Images at cuts that come in ascending order, each made from the one before."""

    def __init__(self, recording, durable):
        self.recording, self.durable = recording, durable
        shutil.copyfile(recording.base, durable)
        self.fd = os.open(durable, os.O_RDWR)
        self.done = 0  # records that `durable` has

    def close(self):
        os.close(self.fd)

    def image(self, cut, rng, path):
        """Makes the image at `path`. In words, what became of the writes that no flush had made durable."""
        recording = self.recording
        flushed = self._advance(cut)
        copy_sparse(self.durable, path)
        pending = [at for at in range(flushed, cut) if recording.records[at][0] != FLUSH]
        keep = rng.choice((0.0, 1.0, rng.random(), rng.random() ** 3, 1 - rng.random() ** 3))
        tear = rng.choice((0.0, 0.0, 0.1, 0.5))
        kept = torn = 0
        fd = os.open(path, os.O_RDWR)
        try:
            for at in pending:
                if rng.random() >= keep:
                    continue
                kept += 1
                if rng.random() < tear and recording.may_tear(at):
                    torn += 1
                    self._tear(fd, at, rng)
                else:
                    recording.write(fd, at)
        finally:
            os.close(fd)
        return f"{len(pending)} unflushed, {kept} kept, {torn} of them torn"

    def _advance(self, cut):
        """Up to the last flush before the cut. Where the writes behind it begin."""
        flushed = self.done
        for at in range(self.done, cut):
            if self.recording.records[at][0] == FLUSH:
                flushed = at + 1
        for at in range(self.done, flushed):
            if self.recording.records[at][0] != FLUSH:
                self.recording.write(self.fd, at)
        self.done = flushed
        return flushed

    def _tear(self, fd, at, rng):
        if rng.random() < 0.5:
            self.recording.write_torn(fd, at, lambda _: rng.random() < 0.5)
        else:
            length = rng.randrange(1, self.recording.records[at][2] // SECTOR_BYTES + 1)
            self.recording.write_torn(fd, at, lambda sector: sector < length)


def copy_sparse(source, target):
    """A copy in which holes stay holes."""
    with open(source, "rb") as reader, open(target, "wb") as writer:
        size = os.fstat(reader.fileno()).st_size
        writer.truncate(size)
        at = 0
        while at < size:
            try:
                at = os.lseek(reader.fileno(), at, os.SEEK_DATA)
            except OSError:
                break  # only a hole is left
            end = os.lseek(reader.fileno(), at, os.SEEK_HOLE)
            os.lseek(writer.fileno(), at, os.SEEK_SET)
            while at < end:
                at += os.sendfile(writer.fileno(), reader.fileno(), at, end - at)
