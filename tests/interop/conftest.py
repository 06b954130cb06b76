"""The fixtures of tests/wire, and where interop keeps what it builds and fetches: $DETRITUS_CACHE, or <repo>/build/interop."""

import importlib.util
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "wire"))

from harness.daemon import REPO  # noqa: E402

_spec = importlib.util.spec_from_file_location("wire_conftest", HERE.parent / "wire/conftest.py")
_wire = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_wire)
pytest_configure = _wire.pytest_configure
pytest_collection_modifyitems = _wire.pytest_collection_modifyitems
pytest_runtest_makereport = _wire.pytest_runtest_makereport
pytest_runtest_teardown, pytest_sessionfinish = _wire.pytest_runtest_teardown, _wire.pytest_sessionfinish
shared_daemon, daemon, start_daemon, source = _wire.shared_daemon, _wire.daemon, _wire.start_daemon, _wire.source

CACHE = pathlib.Path(os.environ.get("DETRITUS_CACHE", REPO / "build/interop"))


def attempt(*command, **options):
    """Runs a command that may have to fetch packages. None when it worked, else the last of what it said."""
    CACHE.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    return None if done.returncode == 0 else f"{command[0]}: {(done.stdout + done.stderr).strip()[-300:]}"
