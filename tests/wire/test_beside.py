"""What stands beside the daemon: systemd, and people with sqlite3 and detritusctl while uploads run."""

import os
import shutil
import signal
import socket
import threading

import pytest

from harness import children, crash
from harness.children import DEADLINE_SECS, joined
from harness.daemon import ACME

pytestmark = pytest.mark.ours

DETRITUSCTL = os.environ.get("DETRITUSCTL", "build/src/detritusctl/detritusctl")
VIEWS = ("crash_overview", "crash_by_version", "top_crashes", "source_overview", "orphan_blob")


def test_systemd_is_told(start_daemon, tmp_path, monkeypatch):
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(tmp_path / "notify"))
    told.settimeout(DEADLINE_SECS)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with told:
        daemon = start_daemon()
        assert told.recv(4096) == b"READY=1"  # libsystemd is among what tools/install-deps installs
        daemon.signal(signal.SIGHUP)
        assert [told.recv(4096), told.recv(4096)] == [b"RELOADING=1", b"READY=1"]
        daemon.stop()
        assert told.recv(4096) == b"STOPPING=1"


class Uploads:
    """Distinct reports, one after the other, until told to stop."""

    def __init__(self, daemon, source):
        self.daemon, self.source = daemon, source
        self.answers, self.over, self.first = [], threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)

    def _work(self):
        while not self.over.is_set():
            n = len(self.answers)
            parts = crash.metadata_part(self.source, timestamp=f"2026-05-19T00:00:00.{n:09d}Z", panic_text="boom\x1b[31m")
            dump = crash.dump_part(b"MDMP %d" % n)
            self.answers.append(crash.upload(self.daemon, "1.1", ACME, parts, dump).status)
            self.first.set()

    def __enter__(self):
        self.thread.start()
        assert self.first.wait(DEADLINE_SECS)
        return self

    def __exit__(self, *_):
        self.over.set()
        joined(self.thread)


@pytest.mark.skipif(not shutil.which("sqlite3"), reason="no sqlite3")
def test_sqlite3_answers_while_uploads_run(daemon, source):
    def ask(sql):
        done = children.run(["sqlite3", "-readonly", f"{daemon.data_dir}/detritus.db", sql], capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == "", done
        return done.stdout

    with Uploads(daemon, source) as uploads:
        for view in VIEWS * 4:
            ask(f"SELECT * FROM {view}")
        refused = children.run(["sqlite3", "-readonly", f"{daemon.data_dir}/detritus.db", "DELETE FROM crash"],
                               capture_output=True, text=True)
        assert refused.returncode != 0 and "readonly" in refused.stderr
    assert set(uploads.answers) == {201}
    count = ask(f"SELECT count(*) FROM crash_overview WHERE install_id = '{source.install_id}'")
    assert int(count) == len(uploads.answers)


def test_detritusctl_answers_while_uploads_run(daemon, source):
    def ask(*arguments):
        done = children.run([DETRITUSCTL, "--data-dir", str(daemon.data_dir), *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done
        return done.stdout

    with Uploads(daemon, source) as uploads:
        for _ in range(10):
            listed = ask("crashes", "list", "--limit", "5")
            assert source.install_id in listed and "\x1b" not in listed
        assert source.install_id in ask("crashes", "show", "1") or source.install_id in ask("crashes", "list")
    assert set(uploads.answers) == {201}
