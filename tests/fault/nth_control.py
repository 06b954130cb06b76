"""The unmodified daemon under nth.c: what is counted, what is armed, what happened. A control file is shared with it."""

import ctypes
import mmap
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "wire"))

from harness import daemon  # noqa: E402

FUNCTIONS = ("none", "write", "fdatasync", "fsync", "syncfs", "ftruncate", "linkat", "rename", "openat", "create", "unlinkat",
             "mkdirat", "fallocate", "malloc")
ACTIONS = ("pass", "eio", "enospc", "full", "short", "torn", "kill-before", "kill-half", "kill-after", "lie", "enomem",
           "enfile", "edquot", "emfile", "eacces", "eperm", "erofs")
COUNT_FILES, COUNT_MALLOC = 1, 2
JSON_C, LIBCRYPTO = 1, 2  # libraries[] of nth.c

# Which actions make sense where. full: ENOSPC from there on. torn: half is written, then ENOSPC.
KILLS = ("kill-before", "kill-after")
APPLICABLE = {
    "write": ("eio", "enospc", "edquot", "full", "short", "torn", "erofs", "kill-half", *KILLS),
    "fdatasync": ("eio", "enospc", "edquot", "erofs", *KILLS),
    "fsync": ("eio", "enospc", "erofs", *KILLS),
    "syncfs": ("eio", "enospc", *KILLS),
    "ftruncate": ("eio", "eperm", *KILLS),
    "linkat": ("eio", "enospc", "edquot", "full", "eacces", *KILLS),
    "rename": ("eio", "enospc", "edquot", "full", "eperm", *KILLS),
    "openat": ("eio", "enfile", "emfile", "eacces", *KILLS),
    "create": ("eio", "enfile", "emfile", "enospc", "edquot", "full", "eacces", "erofs", *KILLS),
    "unlinkat": ("eio", "eperm", *KILLS),
    "mkdirat": ("eio", "enospc", "edquot", "full", "eacces", *KILLS),
    "fallocate": ("eio", "enospc", "full", *KILLS),
    "malloc": ("enomem", "kill-before"),
}
LIBRARY = os.environ.get("DETRITUS_NTH", str(daemon.REPO / "build/tests/libnth.so"))


class Layout(ctypes.Structure):
    """struct control of nth.c."""

    _fields_ = [("counting", ctypes.c_uint32), ("function", ctypes.c_uint32), ("action", ctypes.c_uint32),
                ("trace", ctypes.c_uint32), ("n", ctypes.c_uint64), ("filter", ctypes.c_char * 64),
                ("counts", ctypes.c_uint64 * len(FUNCTIONS)), ("fired", ctypes.c_uint32),
                ("spared", ctypes.c_uint32), ("loaded", ctypes.c_uint64), ("blocks_at_exit", ctypes.c_int64),
                ("where", ctypes.c_char * 256)]


class Control:
    def __init__(self, path):
        path.write_bytes(bytes(ctypes.sizeof(Layout)))
        with open(path, "r+b") as file:
            self.shared = Layout.from_buffer(mmap.mmap(file.fileno(), 0))
        self.path = path

    def arm(self, function="none", n=0, action="pass", path="", spared=JSON_C):
        """Zeroes the counts, and counts from here on. With function "none" nothing is going to happen."""
        s = self.shared
        s.counting = 0
        ctypes.memset(ctypes.addressof(s.counts), 0, ctypes.sizeof(s.counts))
        s.function, s.n, s.action = FUNCTIONS.index(function), n, ACTIONS.index(action)
        s.filter, s.fired, s.where, s.spared = path.encode(), 0, b"", spared
        s.trace = int(os.environ.get("DETRITUS_NTH_TRACE", "0"))
        s.counting = {"none": COUNT_FILES | COUNT_MALLOC, "malloc": COUNT_MALLOC}.get(function, COUNT_FILES)

    def disarm(self):
        self.shared.counting = 0

    @property
    def counts(self):
        assert self.shared.loaded == ctypes.sizeof(Layout), f"the daemon did not load {LIBRARY}"
        return dict(zip(FUNCTIONS, self.shared.counts))

    @property
    def fired(self):
        return bool(self.shared.fired)

    @property
    def where(self):
        """The path of the call, below the data directory's parent; "" for an allocation."""
        return self.shared.where.decode("utf-8", "replace")

    @property
    def blocks_at_exit(self):
        return self.shared.blocks_at_exit


class Victim(daemon.Daemon):
    """A daemon under nth.c. control outlives its processes. Armed at the start, it is disarmed when it is up."""

    def __init__(self, directory, config=None, **options):
        super().__init__(directory, daemon.merged({"network_threads": 1, "limits": {"disk_full_pause_secs": 0}}, config), **options)
        self.control = Control(self.directory / "control")
        self.environment = {"LD_PRELOAD": LIBRARY, "NTH_CONTROL": str(self.control.path), "NTH_DIR": str(self.data_dir)}
        self.mirrors_excused = False
        self.kept = None

    def try_start(self):
        """None when it listens, else its exit status; what it said is in log."""
        try:
            self.start()
        except (AssertionError, OSError):
            if not self.log.closed:
                self.kill()
                raise
            return self.wait_exit()
        return None

    def _baseline(self):
        self.control.disarm()
        return super()._baseline()

    def disorder(self):
        return [words for words in super().disorder() if not (self.mirrors_excused and "mirror files" in words)]

    def failure(self):
        """Why /healthz says that a store failed for good; "" when all is well. detritus_ready must agree. What passes, a
        disk that was found full or files that may not be used, is waited for."""
        def settled():
            found = self.request("1.1", "GET", "/healthz?detail")
            failed = any(trouble["kind"].endswith("_failed") for trouble in found.json()["troubles"])
            return found if failed or found.status == 200 else None

        found = daemon.wait_until(settled, "health, or a store that failed")
        assert self.metric("detritus_ready") == (found.status == 200), found
        return found.json()["reason"] if found.status != 200 else ""
