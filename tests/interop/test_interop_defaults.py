"""SDKs of OpenTelemetry as their documentation begins, with no resource and no option, run as a service manager runs a
service: by absolute paths, in an environment that has nothing but endpoint and token. Both ends have their defaults: the
daemon its rate limits too. Every record arrives, and the source has the name that docs/protocol.md derives.

Not here: .NET, whose SDK Debian does not have."""

import collections
import os
import shutil
import urllib.parse

import pytest

from conftest import CACHE, HERE, attempt, cargo_build, javascript_root, python_root
from harness import children
from harness.crash import Source
from harness.daemon import ACME

pytestmark = [pytest.mark.slow, pytest.mark.interop, pytest.mark.ours]

RECORDS = 1500  # three batches of most SDKs
HOME = HERE / "defaults"


def absolute(program):
    """As ExecStart= wants it."""
    path = shutil.which(program)
    if not path:
        pytest.skip(f"{program} is not installed")
    return os.path.abspath(path)


def copied(root, path):
    root.mkdir(parents=True, exist_ok=True)
    shutil.copy(HOME / path, root)
    return root


def javascript():
    return copied(javascript_root(), "app.js"), [absolute("node"), "app.js"]


def python():
    root = copied(python_root(), "app.py")
    return root, [root / "bin/python", "app.py"]


def go():
    root = copied(copied(copied(CACHE / "otel-go", "go/main.go"), "go/go.mod"), "go/go.sum")
    wrong = attempt(absolute("go"), "build", "-o", "app", ".", cwd=root)
    if wrong:
        pytest.skip(f"the Go SDK does not build here: {wrong}")
    return root, [root / "app"]


def java():
    root = copied(copied(CACHE / "otel-java", "java/pom.xml"), "java/App.java")
    absolute("javac")
    if not (root / "complete").exists():
        wrong = attempt(absolute("mvn"), "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars", cwd=root)
        if wrong:
            pytest.skip(f"the Java SDK cannot be installed here: {wrong}")
        (root / "complete").touch()
    wrong = attempt("javac", "-cp", "jars/*", "App.java", cwd=root)
    assert not wrong, wrong
    return root, [absolute("java"), "-cp", "jars/*:.", "App"]


def rust():
    return HOME, [cargo_build("otel-defaults")]


# The source's name, of the command and the resource of a line. Every SDK names the service, whose slashes are escaped (Node
# puts its argv[0] there); Java's draws a service.instance.id besides, which goes before a service that nobody has named.
APPS = {javascript: lambda command, _: "unknown_service:" + command[0].replace("/", "~2F"),
        python: lambda *_: "unknown_service",
        go: lambda *_: "unknown_service:app",
        java: lambda _, resource: resource["service.instance.id"],
        rust: lambda *_: "unknown_service"}


def environment(daemon):
    """What systemd gives a system service, and the two settings that no exporter can do without."""
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8", "SYSTEMD_EXEC_PID": "4711",
            "INVOCATION_ID": "5e1cf1d7e8d24dd0b8d4c0e8b4e5a1f3", "JOURNAL_STREAM": "8:15162",
            "OTEL_EXPORTER_OTLP_ENDPOINT": daemon.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=" + urllib.parse.quote("Bearer " + ACME.secret)}


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.__name__)
def test_every_record_of_a_default_configuration_arrives(app, start_daemon):
    directory, command = app()
    daemon = start_daemon(rate_limit=None)
    done = children.run([*map(str, command), str(RECORDS)], cwd=directory, env=environment(daemon), capture_output=True,
                        text=True)
    assert done.returncode == 0, done
    logs = daemon.data_dir / "logs/acme"
    sources = sorted(path.name for path in logs.iterdir()) if logs.exists() else []
    assert len(sources) == 1, done
    lines = daemon.log_lines(Source("acme", sources[0]))
    assert collections.Counter(line["body"] for line in lines) == {f"record {number}": 1 for number in range(RECORDS)}
    assert sources == [APPS[app](command, lines[0]["resource"])]
