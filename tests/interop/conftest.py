"""The fixtures of tests/wire, and where interop keeps what it builds and fetches: $DETRITUS_CACHE, or <repo>/build/interop."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

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


PYTHON_PACKAGES = ["opentelemetry-sdk==1.38.0", "opentelemetry-exporter-otlp-proto-grpc==1.38.0"]


def python_root():
    """Where the OpenTelemetry SDK for Python is: bin/python has it."""
    root = CACHE / "otel-python"
    if not (root / "complete").exists():
        wrong = (attempt(sys.executable, "-m", "venv", "--clear", root)
                 or attempt(root / "bin/pip", "install", "-q", "--disable-pip-version-check", *PYTHON_PACKAGES))
        if wrong:
            pytest.skip(f"the Python SDK cannot be installed here: {wrong}")
        (root / "complete").touch()
    return root


def javascript_root():
    """Where the OpenTelemetry SDK for JavaScript is, in node_modules/."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("npm is not installed")
    root = CACHE / "otel-js"
    root.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "client.js"):
        shutil.copy(HERE / "otel-js" / name, root / name)
    if not (root / "complete").exists():
        wrong = attempt("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=root)
        if wrong:
            pytest.skip(f"the JavaScript SDK cannot be installed here: {wrong}")
        (root / "complete").touch()
    return root


def cargo_build(program):
    """A program of the package in detritus-client/, built."""
    if not shutil.which("cargo"):
        pytest.skip("cargo is not installed")
    target = CACHE / "cargo-target"
    wrong = attempt("cargo", "build", "--locked", "--manifest-path", HERE / "detritus-client/Cargo.toml", "--target-dir",
                    target)
    if wrong:
        pytest.skip(f"{program} does not build here: {wrong}")
    return target / "debug" / program
