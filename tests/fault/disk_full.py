"""The disk-full campaign, on a small file system. In turn the load itself fills the disk, and somebody else takes the last
byte at some moment of it. Each time: load until nothing is accepted, a kill, a start on the full disk, space again.

Refusals are such that a client may retry (load.py complains of others), what was refused is not there, what was
acknowledged is, the daemon goes on by itself when there is space, and on the full disk it starts or says why not. JSON
files of reports may be missing as long as the disk is full; the next start brings them back, also after an orderly stop.
"""

import errno
import itertools
import os
import random
import time

from device import make_image, mounted_image
from harness.daemon import Daemon, wait_until
from kill import AT_REST
from ledger import Ledger
from load import Load
from result import Result
from verify import Findings, verify

DISK_BYTES = 64 << 20
BALLAST_BYTES = 12 << 20
REFUSALS_EACH = 100  # of exports and of reports: then the disk counts as full


def take(path, size_bytes=DISK_BYTES):
    """Writes a file of so many bytes, or of all that are left."""
    with open(path, "wb", buffering=0) as file:
        try:
            for _ in range(size_bytes // 4096):
                file.write(bytes(4096))
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def fill(daemon, ledger, seed, at_answer):
    """Load until both kinds are refused. at_answer(n): called after the n-th."""
    exports, reports = len(ledger.exports), len(ledger.reports)

    def on_answer(seen):
        at_answer(seen)
        with ledger.lock:
            refused = [sum(sent.refused for sent in sents)
                       for sents in (ledger.exports[exports:], ledger.reports[reports:])]
        if min(refused) >= REFUSALS_EACH:
            load.stop()

    load = Load(daemon, ledger, seed, 1 << 30, on_answer=on_answer)
    load.run()


def accepts(daemon, ledger, seed):
    """Whether all of a little load is taken. It counts like everything else."""
    before = sum(ledger.refusals.values())
    Load(daemon, ledger, seed, 30, clients=(2, 2), large=False).run()
    return sum(ledger.refusals.values()) == before


def start(directory, point):
    return Daemon(directory, AT_REST, data_dir=point / "data").start()


def starts_or_says_why(directory, point):
    """A daemon on the full disk, or None when it would rather not and said so."""
    daemon = Daemon(directory, AT_REST, data_dir=point / "data")
    try:
        return daemon.start()
    except AssertionError:
        if not daemon.log.closed or daemon.wait_exit() != 1 or "\ndetritusd: " not in daemon.log.text():
            daemon.kill()
            raise
        return None


def case(directory, point, ledger, seed, by_somebody_else, say):
    """One filling. Findings."""
    rng = random.Random(seed)
    moment = rng.randrange(1, 400) if by_somebody_else else 0
    ballast, taken = point / "ballast", point / "taken"
    findings = Findings()
    daemon = start(directory, point)
    try:
        take(ballast, BALLAST_BYTES)
        fill(daemon, ledger, f"{seed}/fill", lambda seen: take(taken) if seen == moment else None)
        findings.add(verify(daemon, ledger, full=True))
        daemon.kill()
        on_full = starts_or_says_why(directory, point)
        say(f"{seed}: on the full disk the daemon " + ("starts" if on_full else "does not start"))
        if on_full:
            daemon = on_full
            findings.add(verify(daemon, ledger, full=True))
        ballast.unlink()
        taken.unlink(missing_ok=True)
        if not on_full:
            daemon = start(directory, point)
        tries = itertools.count()
        wait_until(lambda: accepts(daemon, ledger, f"{seed}/again{next(tries)}"), "work to be taken up again")
        daemon.stop() if rng.random() < 0.5 else daemon.kill()
        daemon = start(directory, point)
        findings.add(verify(daemon, ledger))
        daemon.stop()
    except AssertionError as error:
        findings.lost.append(f"no verdict: {error}")
    finally:
        daemon.kill()
    return findings


def run(directory, seed, cases, say=lambda text: None):
    result, began = Result("disk full"), time.monotonic()
    for number in range(cases):
        here, seed_here = directory / f"full-{number}", f"{seed}-{number}"
        here.mkdir(parents=True)
        make_image(here / "image", DISK_BYTES)
        ledger = Ledger()
        with mounted_image(here / "image", here / "mount"):
            findings = case(here / "daemon", here / "mount", ledger, seed_here, number % 2 == 1, say)
        say(f"{seed_here}: {ledger.refusals}")
        if not ledger.refusals:
            findings.lost.append("no verdict: the disk was never full")
        result.add(f"seed {seed_here}", findings)
        (here / "image").unlink()
    result.seconds = time.monotonic() - began
    return result
