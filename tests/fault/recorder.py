"""An nbdkit plugin: a disk that remembers the order of everything done to it.

Keys: image (the disk, a raw file that exists), log (made here), state (16 bytes, made by device.py: see State there).

The log is one record after the other, RECORD and then `length` bytes of data; a flush is the offset FLUSH and no data.
Requests come one at a time, so the log is one order, and a record is in it, and counted in the state, before its request
is answered. The disk has neither trim nor write-zeroes nor FUA: nbdkit and the kernel make writes and flushes of them.
"""

import errno
import mmap
import os
import struct

import nbdkit

API_VERSION = 2
RECORD = struct.Struct("<QI")
FLUSH = (1 << 64) - 1
FAIL_NOTHING, FAIL_FLUSHES, FAIL_ALL = range(3)

paths = {}
image = log = state = None
count = 0


def config(key, value):
    paths[key] = value


def get_ready():
    global image, log, state
    image = os.open(paths["image"], os.O_RDWR)
    log = os.open(paths["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    state_fd = os.open(paths["state"], os.O_RDWR)
    state = mmap.mmap(state_fd, 16)
    os.close(state_fd)


def thread_model():
    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS


def open(readonly):
    return 1


def get_size(handle):
    return os.fstat(image).st_size


def can_flush(handle):
    return True


def can_fua(handle):
    return nbdkit.FUA_EMULATE


def broken(*kinds):
    if state[8] in kinds:
        nbdkit.set_error(errno.EIO)
        raise OSError(errno.EIO, "broken on purpose")


def record(offset, data):
    global count
    head = RECORD.pack(offset, len(data))
    if os.writev(log, [head, data]) != len(head) + len(data):
        raise OSError(errno.EIO, "the log is short of space")
    count += 1
    state[0:8] = struct.pack("<Q", count)


def pread(handle, buffer, offset, flags):
    if os.preadv(image, [buffer], offset) != len(buffer):
        raise OSError(errno.EIO, "a short read")


def pwrite(handle, buffer, offset, flags):
    broken(FAIL_ALL)
    os.pwrite(image, buffer, offset)
    record(offset, buffer)


def flush(handle, flags):
    broken(FAIL_FLUSHES, FAIL_ALL)
    record(FLUSH, b"")
