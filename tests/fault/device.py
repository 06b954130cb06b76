"""Disks for the campaigns: ext4 on a loop device, over a plain image or over a recorded one (recorder.py behind
nbdkit, nbdfuse and loop). Each is a context manager that takes away what it made, whatever happened inside."""

import contextlib
import ctypes
import mmap
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess

from harness.children import LIBC, die_with_us, wait_until
from recorder_log import FAIL_NOTHING, Recording

HERE = pathlib.Path(__file__).resolve().parent
BLOCK_BYTES = 4096
NEEDED = ("nbdkit", "nbdfuse", "fusermount3", "losetup", "mkfs.ext4", "debugfs", "mount", "umount")


def missing():
    """Why there can be no such disks here, or None."""
    if os.geteuid() != 0:
        return "not root"
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return "not installed: " + ", ".join(absent)
    for path in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(path):
            return f"no {path}"
    if subprocess.run(["losetup", "-f"], capture_output=True).returncode != 0:
        return "no loop device"
    if subprocess.run(["nbdkit", "--dump-plugin", "python"], capture_output=True).returncode != 0:
        return "no nbdkit-plugin-python"
    return None


def command(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def end_with_us():
    """So that they end in order, one after the other."""
    die_with_us(signal.SIGTERM)


def make_image(path, size_bytes):
    with open(path, "wb") as image:
        image.truncate(size_bytes)
    # Nothing is left to the kernel to initialise later: each write in the log is one that somebody asked for.
    command("mkfs.ext4", "-q", "-F", "-b", BLOCK_BYTES, "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", path)
    command("debugfs", "-w", "-R", "rmdir /lost+found", path)


def whole_blocks(image):
    """The blocks that no write is torn in: the superblocks of ext4 and of its journal. Both are 1 KiB that ext4 trusts the
    disk to write as one, and without them there is no mounting."""
    first = re.search(r"\((?:0|0-\d+)\):(\d+)", command("debugfs", "-R", "stat <8>", image))
    return {0, int(first[1])}


@contextlib.contextmanager
def mounted_image(path, directory):
    """Mounts an ext4 image by a loop device that goes with the mount, however that ends. Yields the device."""
    directory.mkdir(parents=True, exist_ok=True)
    device = command("losetup", "--find", "--show", path).strip()
    try:
        command("mount", "-t", "ext4", "-o", "noatime", device, directory)
    finally:
        command("losetup", "--detach", device)  # while it is mounted: once it no longer is
    try:
        yield device
    finally:
        # A process that was just killed may hold it for an instant yet.
        wait_until(lambda: subprocess.run(["umount", directory], capture_output=True).returncode == 0,
                   f"umount {directory}")


class State:
    """What we share with the plugin: 8 bytes of how many records the log has, 1 byte of what fails."""

    def __init__(self, path):
        path.write_bytes(bytes(16))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 16)

    def position(self):
        return struct.unpack_from("<Q", self.map)[0]

    def fail(self, what):
        self.map[8] = what


@contextlib.contextmanager
def recorded_file(directory, image):
    """The image as a file through nbdkit and nbdfuse: (the file's path, State)."""
    state = State(directory / "state")
    sock, point = directory / "nbd", directory / "fuse"
    point.mkdir()
    errors = open(directory / "errors", "wb")  # what they say about a disk that is to fail
    nbdkit = subprocess.Popen(
        ["nbdkit", "--foreground", "--unix", sock, "python", HERE / "recorder.py", f"image={image}",
         f"log={directory / 'log'}", f"state={directory / 'state'}"], preexec_fn=end_with_us, stderr=errors)
    nbdfuse = None
    try:
        wait_until(lambda: sock.exists() or nbdkit.poll() is not None, "nbdkit's socket")
        nbdfuse = subprocess.Popen(["nbdfuse", f"{point}/disk", f"nbd+unix:///?socket={sock}"],
                                   preexec_fn=end_with_us, stderr=errors)
        wait_until(lambda: (point / "disk").exists() or nbdfuse.poll() is not None, "nbdfuse's file")
        yield point / "disk", state
    finally:
        if nbdfuse:
            if os.path.ismount(point):
                wait_until(lambda: subprocess.run(["fusermount3", "-u", point], capture_output=True).returncode == 0,
                           f"fusermount3 -u {point}")
            nbdfuse.wait()
        nbdkit.terminate()
        nbdkit.wait()
        errors.close()


class RecordedDisk:
    """A mounted file system of which every write and flush is kept.

    position(): how many there have been; recording(): them, once the disk is no longer used."""

    def __init__(self, directory, size_bytes):
        self.directory = directory
        self.mount_point = directory / "mount"
        self.base = directory / "base"
        self.size_bytes = size_bytes
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.directory.mkdir(parents=True)
            make_image(self.base, self.size_bytes)
            self.whole = whole_blocks(self.base)
            image = self.directory / "image"
            command("cp", "--sparse=always", self.base, image)
            disk, self.state = stack.enter_context(recorded_file(self.directory, image))
            self.device = stack.enter_context(mounted_image(disk, self.mount_point))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.state.fail(FAIL_NOTHING)
        self.stack.close()

    def position(self):
        return self.state.position()

    @staticmethod
    def write_back(fd):
        """All of a file to the disk, without a flush."""
        begin_and_wait = 1 | 2 | 4  # SYNC_FILE_RANGE_WAIT_BEFORE, _WRITE, _WAIT_AFTER
        if LIBC.sync_file_range(fd, ctypes.c_int64(0), ctypes.c_int64(0), begin_and_wait) != 0:
            raise OSError(ctypes.get_errno(), "sync_file_range")

    def recording(self):
        return Recording(self.base, self.directory / "log", self.whole)
