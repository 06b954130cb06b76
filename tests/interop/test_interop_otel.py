"""Stock OpenTelemetry SDKs, Python and JavaScript, exporting over gRPC. They are fetched by pip and npm into the cache."""

import json
import uuid

import pytest

from conftest import HERE, javascript_root, python_root
from harness import children, grpc, otlp
from harness.crash import Source
from harness.daemon import ACME

pytestmark = [pytest.mark.slow, pytest.mark.interop]


@pytest.fixture(scope="module")
def python_client():
    return [python_root() / "bin/python", HERE / "otel_client.py"]


@pytest.fixture(scope="module")
def javascript_client():
    return ["node", javascript_root() / "client.js"]


@pytest.fixture(params=["python", "javascript"])
def sdk(request):
    return request.getfixturevalue(request.param + "_client")


def run(sdk, daemon, resource, compression, *metadata):
    command = [*sdk, daemon.url, ACME.secret, json.dumps(resource), compression, *metadata]
    done = children.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0 and "Failed to export" not in done.stderr, done
    return done


def check_lines(lines):
    assert [line["severity_text"] for line in lines] == ["DEBUG", "INFO", "ERROR"]
    assert [line["severity_number"] for line in lines] == [5, 9, 17]
    fine, paid, broken = lines
    assert (fine["body"], broken["body"]) == ("fine", "broken")
    assert {key: paid["attributes"][key] for key in ("amount", "items", "express", "tags")} == {
        "amount": 12.5, "items": 3, "express": True, "tags": ["a", "b"]}
    assert paid["body"] in ("paid \u2603", {"text": "paid \u2603", "nested": [1, 2.5, None, True]})


@pytest.mark.ours
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_stock_exporter_needs_a_token_only(sdk, start_daemon, compression):
    instance = str(uuid.uuid4())
    daemon = start_daemon()
    run(sdk, daemon, {"service.name": "shop", "service.version": "9.9", "service.instance.id": instance,
                      "os.type": "linux"}, compression)
    lines = daemon.log_lines(Source("acme", instance), 3)
    check_lines(lines)
    for line in lines:
        assert (line["platform"], line["version"], line["scope"]["name"]) == ("linux", "9.9", "checkout")
        assert line["resource"]["service.name"] == "shop" and line["resource"]["service.instance.id"] == instance


def test_an_exporter_that_names_its_source(sdk, start_daemon, source):
    daemon = start_daemon()
    run(sdk, daemon, source.attributes(), "none", "x-protocol-version=1")
    check_lines(daemon.log_lines(source, 3))


@pytest.mark.ours
def test_an_exporter_tries_again_when_it_is_told_to(python_client, start_daemon, source):
    """RESOURCE_EXHAUSTED with RetryInfo is retryable, so nothing is lost. (The JavaScript SDK never retries gRPC.)"""
    daemon = start_daemon(rate_limit={"logs_per_minute": 12, "logs_burst": 1, "crashes_per_minute": 1,
                                      "crashes_burst": 1})
    grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
    run(python_client, daemon, source.attributes(), "none")
    assert daemon.metric("detritus_requests_total", 0, endpoint="logs", status="429") >= 1
    check_lines(daemon.log_lines(source, 4)[1:])
