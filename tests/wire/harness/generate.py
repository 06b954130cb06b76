"""Data directories full of made-up crashes (tools/generate-crashes)."""

import os

from . import children
from .daemon import REPO

GENERATE = os.environ.get("DETRITUS_GENERATE", str(REPO / "build/tools/generate-crashes/generate-crashes"))


def generate(data_dir, *arguments, status=0):
    """Fills it; no daemon may run there. What it said."""
    done = children.run([GENERATE, "--data-dir", str(data_dir), *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == status, done
    return done.stdout + done.stderr
