"""A small file system, and what it takes to fill it."""

import contextlib
import os
import pathlib

import pytest

from . import children


@contextlib.contextmanager
def mounted(directory, size=64 << 20):
    """An ext4 in a file, or the test is skipped. With blocks as large ones have them: SQLite reserves its shared memory by a
    byte in each page, and is killed when a page has smaller blocks and no room for the others."""
    if os.geteuid() != 0 or not pathlib.Path("/dev/loop-control").exists():
        pytest.skip("needs root and loop devices to mount a small file system")
    image, path = directory / "disk.img", directory / "disk"
    path.mkdir()
    with open(image, "wb") as file:
        file.truncate(size)
    children.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", str(image)], check=True)
    if children.run(["mount", "-o", "loop", str(image), str(path)], capture_output=True).returncode != 0:
        pytest.skip("needs a free loop device to mount a small file system")
    try:
        yield path
    finally:
        children.run(["umount", str(path)], check=True)


def fill_up(path, leave=0):
    """To the last byte, or so that this much is left."""
    with open(path / "filling", "wb") as file:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(file.fileno(), b"x" * size)
        file.truncate(max(0, file.tell() - leave))
        os.fsync(file.fileno())
