"""The campaign of the disk that fails: at some moment of the load a recorded disk begins to say EIO, to flushes or to
everything, and does not stop. Once health has said so nothing is acknowledged any more, whichever store was the first, and
the daemon still ends well. Then the disk is back as it was at its last good flush, the rest of its cache lost: a daemon
starts on it, and everything that was ever acknowledged is there.
"""

import random
import shutil
import signal
import time

import aged
from device import RecordedDisk
from harness.daemon import Daemon, wait_until
from ledger import Ledger
from load import Load
from power_cut import CONFIG, DISK_BYTES, look
from recorder_log import FAIL_ALL, FAIL_FLUSHES, Replay
from result import Result
from verify import Findings

MOST_ANSWERS = 300
REFUSALS = 100  # of each kind after the failure, before the load ends


def health(daemon):
    return daemon.request("1.1", "GET", "/healthz")


def unhealthy_in_words(daemon):
    """Why /healthz says that the daemon is not ready; None while it says that it is."""
    answer = health(daemon)
    return answer.refused(503) if answer.status != 204 else None


def after_the_failure(daemon, ledger, seed, findings):
    """Health says it, and from then on all is refused: what was sent before is still being answered, so only what begins
    now counts."""
    reason = wait_until(lambda: unhealthy_in_words(daemon), "health to say it")
    if daemon.metric("detritus_ready") != 0:
        findings.disorder.append("health is bad and detritus_ready is not 0")
    exports, reports = len(ledger.exports), len(ledger.reports)
    Load(daemon, ledger, f"{seed}/after", REFUSALS, large=False).run()
    for sent in ledger.exports[exports:] + ledger.reports[reports:]:
        if sent.position is not None:
            findings.disorder.append(f"acknowledged after the failure of the disk: {sent}"[:200])
    if health(daemon).status == 204:
        findings.disorder.append("healthy again without a restart")
    return reason


def fail_under_load(disk, daemon, ledger, seed):
    """The disk fails at some answer; the load ends a while after the first refusal."""
    rng = random.Random(f"failure {seed}")
    moment, kind = rng.randrange(1, MOST_ANSWERS), rng.choice((FAIL_FLUSHES, FAIL_ALL))

    def on_answer(seen):
        if seen == moment:
            disk.state.fail(kind)
        if sum(ledger.refusals.values()) >= REFUSALS:
            load.stop()

    load = Load(daemon, ledger, seed, 1 << 30, on_answer=on_answer)
    load.run()
    return f"{'flushes' if kind == FAIL_FLUSHES else 'everything'} from answer {moment} on"


def case(directory, seed, say):
    findings = Findings()
    with RecordedDisk(directory, DISK_BYTES) as disk:
        def new_daemon():
            return Daemon(directory / "daemon", CONFIG, data_dir=disk.mount_point / "data").start()

        ledger = Ledger(disk.position)
        aged.age_reports(new_daemon(), seed)
        daemon = new_daemon()
        try:
            what = fail_under_load(disk, daemon, ledger, seed)
            reason = after_the_failure(daemon, ledger, seed, findings)
            daemon.signal(signal.SIGTERM)
            say(f"{seed}: {what}; {reason}; exit status {daemon.wait_exit()}")
        except AssertionError as error:
            findings.lost.append(f"no verdict: {error}")
        finally:
            daemon.kill()
        end = disk.position()
    recording = disk.recording()
    replay = Replay(recording, directory / "durable")
    replay.image(end, random.Random(f"rest {seed}"), directory / "rest")
    replay.close()
    recording.close()
    for sent in ledger.exports + ledger.reports:
        sent.refused = False  # after a failed sync nobody knows what became of those
    findings.add(look(directory / "rest", directory, ledger, None))
    return findings


def run(directory, seed, cases, say=lambda text: None):
    result, began = Result("failed disk"), time.monotonic()
    for number in range(cases):
        here, seed_here = directory / f"failed-{number}", f"{seed}-{number}"
        result.add(f"seed {seed_here}", case(here, seed_here, say))
        shutil.rmtree(here)
    result.seconds = time.monotonic() - began
    return result
