"""detritusctl as people call it."""

import contextlib
import json
import subprocess

from .daemon import COMPLAINTS, DEADLINE_SECS, DETRITUSCTL


def run(data_dir, *arguments, status=0):
    """detritusctl --data-dir data_dir arguments, which must end with that status."""
    done = subprocess.run([DETRITUSCTL, "--data-dir", str(data_dir), *map(str, arguments)], capture_output=True, text=True,
                          timeout=DEADLINE_SECS * 3)
    assert done.returncode == status, done
    assert not COMPLAINTS.search(done.stderr), done.stderr
    return done


def objects(data_dir, *arguments, status=0):
    """What it prints with --json, one object a line."""
    return [json.loads(line) for line in run(data_dir, *arguments, "--json", status=status).stdout.splitlines()]


@contextlib.contextmanager
def started(data_dir, *arguments):
    """The process, which the caller kills; it is gone afterwards."""
    process = subprocess.Popen([DETRITUSCTL, "--data-dir", str(data_dir), *map(str, arguments)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
