"""Child processes of the tests: how long anything may take, and that no child stays behind, however a test ends.

DETRITUS_TEST_DEADLINE is the one limit of every wait, in seconds. Only a hang reaches it: a slow machine is no failure. A
small one makes a test that hangs fail sooner."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time

DEADLINE_SECS = float(os.environ.get("DETRITUS_TEST_DEADLINE", "300"))

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
_started = []


def die_with_us(number=signal.SIGKILL):
    """In a child before exec: a session of its own, out of the terminal's reach, so that Ctrl-C leaves the order of the
    end to us; and a signal when we are gone, even if we were killed."""
    os.setsid()
    LIBC.prctl(PR_SET_PDEATHSIG, number)


def start(command, **options):
    """subprocess.Popen() for a child that end_all() ends."""
    process = subprocess.Popen(command, preexec_fn=die_with_us, **options)
    _started.append(process)
    return process


def run(command, **options):
    """subprocess.run() with our limit."""
    return subprocess.run(command, preexec_fn=die_with_us, timeout=DEADLINE_SECS, **options)


def end(process):
    """Kills a child of start() with all that it started; nothing when it has ended."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end_all():
    while _started:
        end(_started.pop())


def wait_until(check, what):
    """Asks until check() is true and returns what it said. The pause only keeps the asking cheap."""
    deadline = time.monotonic() + DEADLINE_SECS
    while True:
        outcome = check()
        if outcome:
            return outcome
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what() if callable(what) else what}")
        time.sleep(0.003)


def joined(*threads):
    """Waits for threads, and fails where one does not end."""
    wait_until(lambda: not any(thread.is_alive() for thread in threads), "the end of a thread")
