"""Log files that somebody moves while they are written: nothing acknowledged is lost, by a power cut or by a kill."""

import os

import pytest
from campaign import needs_disks, scratch  # noqa: F401

from device import RecordedDisk
from harness.children import LIBC
from harness.daemon import Daemon
from ledger import Ledger
from load import Load, sources_of
from moves import ACTIONS, MARK, Moves, log_files
from power_cut import DISK_BYTES, look
from recorder_log import FATES, Fate, Replay
from verify import verify

EXPORTS = 12  # of each phase, to few sources, so that most files get some in each


def export_some(daemon, ledger, phase):
    load = Load(daemon, ledger, f"moved/{phase}", EXPORTS, clients=(1, 0), large=False)
    load.sources = sources_of("moved")[:9]
    load.run()


def start_with_old_lines(ledger, directory, **where):
    """A daemon whose files have lines that the journal no longer holds."""
    daemon = Daemon(directory, **where).start()
    try:
        export_some(daemon, ledger, "earlier")
        daemon.stop()
    finally:
        daemon.kill()
    return Daemon(directory, **where).start()


def move_under(daemon, ledger, action, after):
    """Exports, moves every log file, while more is exported, and syncs the disk. `after`: exports again, so that the daemon
    notices."""
    moves = Moves(ledger)
    export_some(daemon, ledger, "before")
    paths = log_files(daemon.data_dir / "logs")
    assert len(paths) > 4
    if action == "rename_project":
        paths = paths[:1]
    under_way = [getattr(moves, action)(path, MARK + "1") for path in paths]
    for move in under_way:
        next(move)
    export_some(daemon, ledger, "meanwhile")
    for move in under_way:
        assert next(move, None) is None
    fd = os.open(daemon.data_dir, os.O_RDONLY)
    assert LIBC.syncfs(fd) == 0  # a power cut would undo the move itself
    os.close(fd)
    if after:
        export_some(daemon, ledger, "after")
    # Before the first checkpoint the journal has all lines, and what a copy lacks comes back. After it, that is gone
    # which the person deleted, as are whole files.
    checkpoints = daemon.metric("detritus_log_checkpoints_total")
    moves.finish()
    # The journal does not say to where a directory went: lines come back although they are still there (docs/durability.md).
    ledger.copies = not after and action in ("rename_source", "rename_project")
    if action in ("truncate", "remove") or checkpoints > 0:
        ledger.deleted = moves.deleted


@needs_disks
@pytest.mark.parametrize("after", [True, False], ids=["noticed", "unnoticed"])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_power_cut(scratch, action, after):
    with RecordedDisk(scratch / "disk", DISK_BYTES) as disk:
        ledger = Ledger(disk.position)
        daemon = start_with_old_lines(ledger, scratch / "daemon", data_dir=disk.mount_point / "data")
        try:
            move_under(daemon, ledger, action, after)
            cut = disk.position()
        finally:
            daemon.kill()
        recording = disk.recording()
    replay = Replay(recording, scratch / "durable")
    try:
        for fate, what in FATES.items():
            replay.image(cut, Fate(*what), scratch / "cut")
            findings = look(scratch / "cut", scratch, ledger, cut, {})
            assert findings.records and not findings, f"unflushed writes {fate}: {findings}"
    finally:
        replay.close()
        recording.close()


@pytest.mark.parametrize("after", [True, False], ids=["noticed", "unnoticed"])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_kill(scratch, action, after):
    ledger = Ledger()
    daemon = start_with_old_lines(ledger, scratch)
    try:
        move_under(daemon, ledger, action, after)
        daemon.process.kill()
        daemon.kill()
        daemon = Daemon(scratch).start()
        findings = verify(daemon, ledger)
        assert findings.records and not findings, findings
    finally:
        daemon.kill()
