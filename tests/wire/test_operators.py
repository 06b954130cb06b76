"""What operators ask: /healthz and /metrics."""

import gzip
import json
import re
import uuid

import pytest
from prometheus_client.openmetrics import parser

from conftest import both
from harness import crash, grpc, otlp
from harness.daemon import ACME

FAMILIES = {
    "detritus_requests": "counter",
    "detritus_request_duration_seconds": "histogram",
    "detritus_bytes_ingested": "counter",
    "detritus_dedup_hits": "counter",
    "detritus_writer_queue_depth": "gauge",
    "detritus_janitor_cycles": "counter",
    "detritus_janitor_blobs_freed": "counter",
    "detritus_janitor_bytes_freed": "counter",
    "detritus_janitor_cycle_duration_seconds": "histogram",
    "detritus_janitor_last_logs_deleted": "gauge",
    "detritus_janitor_last_indexes_deleted": "gauge",
    "detritus_janitor_last_blobs_deleted": "gauge",
    "detritus_validation_failures": "counter",
    "detritus_connections": "gauge",
    "detritus_requests_in_flight": "gauge",
    "detritus_body_bytes": "gauge",
    "detritus_uploads_in_flight": "gauge",
    "detritus_temporary_files": "gauge",
    "detritus_index_queue_depth": "gauge",
    "detritus_verifier_queue_depth": "gauge",
    "detritus_log_files_open": "gauge",
    "detritus_ready": "gauge",
    "detritus_trouble": "gauge",
    "detritus_log_records": "counter",
    "detritus_log_records_rejected": "counter",
    "detritus_log_commits": "counter",
    "detritus_index_commits": "counter",
    "detritus_verifications": "counter",
    "detritus_connections_accepted": "counter",
    "detritus_disk_free_bytes": "gauge",
    "detritus_disk_size_bytes": "gauge",
    "detritus_disk_reserved_in_flight_bytes": "gauge",
    "detritus_disk_refusing": "gauge",
    "detritus_disk_refusals": "counter",
    "detritus_disk_forecast_days": "gauge",
}
LABELS = {
    "detritus_build": {"version"},
    "detritus_requests": {"endpoint", "status"},
    "detritus_request_duration_seconds": {"endpoint", "le"},
    "detritus_bytes_ingested": {"endpoint"},
    "detritus_validation_failures": {"endpoint"},
    "detritus_disk_refusing": {"kind"},
    "detritus_disk_refusals": {"kind"},
    "detritus_trouble": {"kind"},
    "detritus_janitor_cycle_duration_seconds": {"result", "le"},
}
ENDPOINTS = {"logs", "crashes", "metrics", "healthz", "other"}


def families(daemon):
    return {family.name: family for family in parser.text_string_to_metric_families(daemon.metrics_text())}


@both
def test_healthz_needs_no_token_and_says_nothing(daemon, http):
    response = daemon.request(http, "GET", "/healthz")
    assert (response.status, response.body) == (204, b"")


@both
@pytest.mark.ours
@pytest.mark.parametrize("query", ["detail", "x=1&detail=1"])
def test_health_in_detail_is_json(daemon, http, query):
    response = daemon.request(http, "GET", f"/healthz?{query}")
    assert (response.status, response.header("content-type")) == (200, "application/json")
    assert json.loads(response.body) == {"ready": True, "takes_logs": True, "takes_crashes": True, "reason": None,
                                         "troubles": []}


@both
@pytest.mark.ours
@pytest.mark.parametrize("query", ["", "details", "x=detail"])
def test_another_query_asks_for_no_detail(daemon, http, query):
    assert daemon.request(http, "GET", f"/healthz?{query}").status == 204


@both
@pytest.mark.ours
def test_metrics_needs_no_token_and_is_openmetrics(daemon, http):
    response = daemon.request(http, "GET", "/metrics")
    assert response.status == 200
    assert response.header("content-type") == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert response.body.endswith(b"\n# EOF\n")
    list(parser.text_string_to_metric_families(response.body.decode()))


def test_metrics_ends_with_eof(daemon):
    assert daemon.metrics_text().endswith("# EOF\n")


@pytest.mark.ours
def test_every_family_is_there_with_its_type_and_help(daemon):
    found = families(daemon)
    assert {name: found[name].type for name in FAMILIES if name in found} == FAMILIES
    assert all(found[name].documentation for name in FAMILIES)


@pytest.mark.ours
def test_no_label_but_the_known_ones(daemon, source):
    crash.report(daemon, "1.1", ACME, source)
    grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
    assert daemon.request("1.1", "GET", "/no/such/path", [ACME.header]).status == 404
    for name, family in families(daemon).items():
        for sample in family.samples:
            assert set(sample.labels) <= LABELS.get(name, set()), sample
            assert sample.labels.get("endpoint", "other") in ENDPOINTS
            assert source.install_id not in str(sample)


@both
@pytest.mark.ours
def test_metrics_is_gzipped_when_asked(daemon, http):
    plain = daemon.request(http, "GET", "/metrics")
    assert plain.header("content-encoding") is None
    zipped = daemon.request(http, "GET", "/metrics", [("accept-encoding", "br;q=0.5, gzip")])
    assert zipped.header("content-encoding") == "gzip"
    assert gzip.decompress(zipped.body).endswith(b"# EOF\n")


@both
@pytest.mark.ours
@pytest.mark.parametrize("accept", ["identity", "gzip;q=0", "br"])
def test_metrics_is_plain_when_gzip_is_not_wanted(daemon, http, accept):
    response = daemon.request(http, "GET", "/metrics", [("accept-encoding", accept)])
    assert response.header("content-encoding") is None
    assert response.body.endswith(b"# EOF\n")


@both
@pytest.mark.ours
@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_only_get(daemon, http, path, method):
    response = daemon.request(http, method, path, [ACME.header])
    response.refused(405)
    assert "GET" in response.header("allow", "").replace(" ", "").split(",")  # RFC 9110 §15.5.6


@both
@pytest.mark.parametrize("path, status", [("/healthz", 204), ("/metrics", 200)])
def test_head_is_get_without_a_body(daemon, http, path, status):
    response = daemon.request(http, "HEAD", path)
    assert (response.status, response.body) == (status, b"")


@both
@pytest.mark.ours
@pytest.mark.parametrize("path", ["/healthz?probe=1", "/metrics?x=%20"])
def test_a_query_does_not_matter(daemon, http, path):
    assert daemon.request(http, "GET", path).status in (200, 204)


@both
@pytest.mark.ours
def test_unknown_paths_are_not_found(daemon, http):
    for path in ("/", "/v1", "/v1/crashes/", "/healthz/", "/metricsx", "/v1/crashes/x"):
        assert daemon.request(http, "GET", path, [ACME.header]).status == 404


@both
@pytest.mark.ours
def test_a_sane_request_id_is_echoed(daemon, http):
    for sent in ("x", "abc-123", "a" * 128, "!#$%&'*+-.^_`|~(x)"):
        assert daemon.request(http, "GET", "/healthz", [("x-request-id", sent)]).header("x-request-id") == sent


@both
@pytest.mark.ours
def test_any_other_request_gets_a_fresh_id(daemon, http):
    seen = set()
    for headers in ([], [("x-request-id", "a" * 129)], [("x-request-id", "")], [("x-request-id", "tab\there")]):
        got = daemon.request(http, "GET", "/healthz", headers).header("x-request-id")
        assert str(uuid.UUID(got)) == got
        seen.add(got)
    assert len(seen) == 4


@both
@pytest.mark.ours
def test_refusals_carry_a_request_id_too(daemon, http):
    for method, path, headers in (("GET", "/nowhere", [ACME.header]), ("POST", crash.PATH, []),
                                  ("GET", crash.PATH, [ACME.header])):
        assert daemon.request(http, method, path, headers).header("x-request-id")


def test_request_counters_move(daemon, source):
    def counted(endpoint, status):
        return daemon.metric("detritus_requests_total", 0, endpoint=endpoint, status=status)

    steps = [
        ("crashes", "201", lambda: crash.report(daemon, "1.1", ACME, source)),
        ("crashes", "400", lambda: crash.upload(daemon, "1.1", ACME, crash.dump_part())),
        ("crashes", "401", lambda: crash.upload(daemon, "1.1", None, crash.dump_part())),
        ("logs", "200", lambda: grpc.export(daemon, otlp.export_lines(source), ACME).accepted()),
        ("logs", "412", lambda: grpc.export(daemon, otlp.export_lines(source), ACME, version="2")),
        ("logs", "400", lambda: grpc.export(daemon, otlp.export([(1, [])]) + b"\xff", ACME)),
    ]
    for endpoint, status, act in steps:
        if daemon.reference and (endpoint, status) == ("logs", "400"):
            continue  # there the decoder answers before anything counts
        before = counted(endpoint, status)
        act()
        assert counted(endpoint, status) == before + 1, (endpoint, status)


@pytest.mark.ours
def test_operators_and_unknown_paths_are_counted(daemon):
    def counted(endpoint, status):
        return daemon.metric("detritus_requests_total", 0, endpoint=endpoint, status=status)

    before = [counted("healthz", "204"), counted("metrics", "200"), counted("other", "404")]
    daemon.request("1.1", "GET", "/healthz")
    daemon.request("2", "GET", "/nowhere", [ACME.header])
    after = [counted("healthz", "204"), counted("metrics", "200"), counted("other", "404")]
    assert after[0] == before[0] + 1
    assert after[1] > before[1]
    assert after[2] == before[2] + 1


@pytest.mark.ours
def test_durations_bytes_and_records_are_counted(daemon, source):
    def read():
        return [daemon.metric("detritus_request_duration_seconds_count", 0, endpoint="crashes"),
                daemon.metric("detritus_request_duration_seconds_bucket", 0, endpoint="crashes", le="+Inf"),
                daemon.metric("detritus_bytes_ingested_total", 0, endpoint="crashes"),
                daemon.metric("detritus_bytes_ingested_total", 0, endpoint="logs"),
                daemon.metric("detritus_log_records_total", 0),
                daemon.metric("detritus_log_commits_total", 0),
                daemon.metric("detritus_index_commits_total", 0)]

    before = read()
    crash.report(daemon, "1.1", ACME, source, dump=b"x" * 1000)
    grpc.export(daemon, otlp.export_lines(source, 7), ACME).accepted()
    moved = [new - old for new, old in zip(read(), before)]
    assert moved[:2] == [1, 1]
    assert moved[2] >= 1000 and moved[3] > 7
    assert moved[4] == 7
    assert moved[5] >= 1 and moved[6] >= 1


def test_dedup_hits_are_counted(daemon, source):
    dump = source.install_id.encode()
    crash.report(daemon, "1.1", ACME, source, dump=dump)
    before = daemon.metric("detritus_dedup_hits_total")
    crash.report(daemon, "1.1", ACME, source, dump=dump, timestamp="2026-05-20T00:00:00Z")
    assert daemon.metric("detritus_dedup_hits_total") == before + 1


@pytest.mark.ours
def test_ready(daemon):
    assert daemon.metric("detritus_ready") == 1


@pytest.mark.ours
@pytest.mark.parametrize("log_format", ["pretty", "json"])
def test_the_log_knows_the_request_id(start_daemon, log_format):
    daemon = start_daemon({"log_format": log_format})
    since = daemon.log.mark()
    daemon.request("1.1", "POST", crash.PATH, crash.headers(ACME, extra=[("x-request-id", "find-me-42")]), b"no parts")
    line = daemon.log.wait("find-me-42", since).string
    assert re.match(r"\{.*\}$" if log_format == "json" else r"\d{4}-\d\d-\d\dT", line)
    assert ACME.secret not in daemon.log.text()
