"""detritusctl as people call it."""

import contextlib
import json
import os
import subprocess

from . import children
from .daemon import COMPLAINTS, DETRITUSCTL


def run(data_dir, *arguments, status=0):
    """detritusctl --data-dir data_dir arguments, which must end with that status."""
    done = children.run([DETRITUSCTL, "--data-dir", str(data_dir), *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == status, done
    assert not COMPLAINTS.search(done.stderr), done.stderr
    return done


def objects(data_dir, *arguments, status=0):
    """What it prints with --json, one object a line."""
    return [json.loads(line) for line in run(data_dir, *arguments, "--json", status=status).stdout.splitlines()]


def call(*arguments, data_dir=None, stdin="", environment=None, status=0):
    """detritusctl as a shell without any of its variables calls it; --data-dir only when it is given."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("DETRITUS_")}
    command = [DETRITUSCTL, *(["--data-dir", str(data_dir)] if data_dir else []), *map(str, arguments)]
    done = children.run(command, input=stdin, capture_output=True, text=True, env={**clean, **(environment or {})})
    assert done.returncode == status, done
    return done


@contextlib.contextmanager
def started(data_dir, *arguments):
    """The process, which the caller kills; it is gone afterwards."""
    process = children.start([DETRITUSCTL, "--data-dir", str(data_dir), *map(str, arguments)], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        children.end(process)
