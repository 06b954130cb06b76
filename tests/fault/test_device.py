"""The recorder and its replays show what a disk would: without that, no campaign means anything."""

import os

from campaign import needs_disks, scratch  # noqa: F401
from device import RecordedDisk, mounted_image
from recorder_log import FAIL_FLUSHES, FLUSH, Fate, Replay

DISK_BYTES = 32 << 20
PATTERN = b"a pattern that is nowhere else " * 2000


def content(recording, scratch, cut, keep, name):
    replay = Replay(recording, scratch / "durable")
    try:
        replay.image(cut, Fate(keep, 0.0), scratch / "cut")
    finally:
        replay.close()
    file = scratch / "look" / name
    with mounted_image(scratch / "cut", scratch / "look"):
        return file.read_bytes() if file.exists() else None


@needs_disks
def test_a_sync_comes_through_as_writes_and_then_a_flush(scratch):
    """fdatasync() in the mounted file system is, when it returns, a flush in the log behind all its writes."""
    with RecordedDisk(scratch / "disk", DISK_BYTES) as disk:
        with open(f"/sys/block/{os.path.basename(disk.device)}/queue/write_cache") as cache:
            assert cache.read() == "write back\n"
        fd = os.open(disk.mount_point / "file", os.O_CREAT | os.O_WRONLY)
        before = disk.position()
        os.write(fd, PATTERN)
        os.fdatasync(fd)
        after = disk.position()
        os.close(fd)
        recording = disk.recording()
    try:
        flush = max(at for at in recording.flushes if at < after)
        written = b"".join(recording.bytes_of(at) for at in range(before, flush)
                           if recording.records[at][0] != FLUSH)
        assert PATTERN in written
        assert content(recording, scratch, after, 0.0, "file") == PATTERN
        assert content(recording, scratch, before, 1.0, "file") is None
    finally:
        recording.close()


@needs_disks
def test_what_was_not_flushed_may_be_lost(scratch):
    with RecordedDisk(scratch / "disk", DISK_BYTES) as disk:
        fd = os.open(disk.mount_point / "file", os.O_CREAT | os.O_WRONLY)
        os.write(fd, bytes(len(PATTERN)))
        os.fsync(fd)
        os.pwrite(fd, PATTERN, 0)
        disk.write_back(fd)
        written = disk.position()
        os.fdatasync(fd)
        os.close(fd)
        recording = disk.recording()
    try:
        assert content(recording, scratch, written, 1.0, "file") == PATTERN
        assert content(recording, scratch, written, 0.0, "file") == bytes(len(PATTERN))
    finally:
        recording.close()


@needs_disks
def test_a_flush_that_fails_is_told(scratch):
    with RecordedDisk(scratch / "disk", DISK_BYTES) as disk:
        fd = os.open(disk.mount_point / "file", os.O_CREAT | os.O_WRONLY)
        os.write(fd, PATTERN)
        disk.state.fail(FAIL_FLUSHES)
        try:
            os.fdatasync(fd)
        except OSError:
            return
        finally:
            os.close(fd)
        raise AssertionError("fdatasync() said that all is well")


@needs_disks
def test_torn_writes_and_superblocks(scratch):
    """Sectors of one write are lost each on its own, but for those blocks that ext4 needs whole."""
    with RecordedDisk(scratch / "disk", DISK_BYTES) as disk:
        (disk.mount_point / "file").write_bytes(PATTERN)
        whole = disk.whole
    recording = disk.recording()
    try:
        writes = [at for at, (offset, _, length) in enumerate(recording.records) if offset != FLUSH and length >= 4096]
        assert len(whole) == 2 and 0 in whole
        assert any(recording.may_tear(at) for at in writes)
        assert not any(recording.may_tear(at) for at in writes if recording.records[at][0] // 4096 in whole)
        at = next(at for at in writes if recording.may_tear(at))
        with open(scratch / "torn", "w+b") as image:
            image.truncate(DISK_BYTES)
            recording.write_torn(image.fileno(), at, lambda sector: sector % 2)
            image.seek(recording.records[at][0])
            data = recording.bytes_of(at)
            assert image.read(1536) == bytes(512) + data[512:1024] + bytes(512)
    finally:
        recording.close()
