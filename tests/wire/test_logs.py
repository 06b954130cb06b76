"""Log exports over gRPC: every row of the outcome table, and the lines on disk."""

import gzip
import hashlib
import json
import math
import struct
import time
import zlib

import pytest
import zstandard

from conftest import both
from harness import grpc, otlp
from harness.crash import Source
from harness.daemon import ACME, DETRITUSD, IS_REFERENCE, NARROW, OTHER, Token
from harness.grpc import EXPORT, HEALTH, export, export_grpcio, frame
from harness.otlp import Double, Fixed64, export_lines, log_record, resource_logs

ours = pytest.mark.ours

REFERENCE_KEYS = ["time_unix_nano", "observed_time_unix_nano", "severity_number", "severity_text", "body",
                  "attributes", "dropped_attributes_count", "flags", "trace_id", "span_id", "event_name"]


def utc_day():
    return time.strftime("%Y-%m-%d", time.gmtime())


def exported_body(daemon, source, any_value):
    """The body of the one line that a record with this AnyValue (in wire form) becomes."""
    record = [(5, any_value)]
    export(daemon, otlp.export(resource_logs(source.attributes(), [record])), ACME).accepted()
    [line] = daemon.log_lines(source, 1)
    return line["body"]


# -- accepted


@pytest.mark.parametrize("compression", ["NoCompression", pytest.param("Gzip", marks=ours)])
def test_a_record_is_a_line(daemon, source, compression):
    record = log_record("hello", {"k": "v", "n": 7}, time=1700000000123456789, observed=1700000000123456790,
                        severity=17, severity_text="ERROR", dropped=3, flags=257,
                        trace_id=bytes(range(0xA0, 0xB0)), span_id=bytes(range(8)), event_name="boot")
    message = otlp.export(resource_logs(source.attributes(), [record]))
    before = utc_day()
    export_grpcio(daemon, message, ACME, compression=compression).accepted()
    [line] = daemon.log_lines(source, 1)
    [path] = daemon.log_files(source)
    assert path.name in (before + ".ndjson", utc_day() + ".ndjson")
    expected = {
        "time_unix_nano": 1700000000123456789, "observed_time_unix_nano": 1700000000123456790,
        "severity_number": 17, "severity_text": "ERROR", "body": "hello", "attributes": {"k": "v", "n": 7},
        "dropped_attributes_count": 3, "flags": 257, "trace_id": "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
        "span_id": "0001020304050607", "event_name": "boot"}
    if not daemon.reference:
        expected.update(platform="linux", version="1.4.2")
    assert line == expected


def test_an_empty_record_has_every_key(daemon, source):
    export(daemon, otlp.export(resource_logs(source.attributes(), [[]])), ACME).accepted()
    [line] = daemon.log_lines(source, 1)
    assert {key: line[key] for key in REFERENCE_KEYS} == {
        "time_unix_nano": 0, "observed_time_unix_nano": 0, "severity_number": 0, "severity_text": "", "body": None,
        "attributes": {}, "dropped_attributes_count": 0, "flags": 0, "trace_id": "", "span_id": "", "event_name": ""}


@ours
def test_a_line_also_has_scope_and_resource(daemon, source):
    attributes = {**source.attributes(), "service.name": "shop", "host": {"cores": 8}, "source.other": "x"}
    scope = otlp.scope("lib", "2.0", {"a": True})
    export(daemon, otlp.export(resource_logs(attributes, [log_record()], scope)), ACME).accepted()
    [line] = daemon.log_lines(source, 1)
    assert set(line) == {*REFERENCE_KEYS, "platform", "version", "scope", "resource"}
    assert line["scope"] == {"name": "lib", "version": "2.0", "attributes": {"a": True}}
    assert line["resource"] in ({"service.name": "shop", "host": {"cores": 8}},
                                {"service.name": "shop", "host": {"cores": 8}, "source.other": "x"})


@ours
def test_an_empty_scope_and_resource_are_left_out(daemon, source):
    export(daemon, otlp.export(resource_logs(source.attributes(), [log_record()], otlp.scope())), ACME).accepted()
    [line] = daemon.log_lines(source, 1)
    assert set(line) == {*REFERENCE_KEYS, "platform", "version"}


def test_records_keep_their_order(daemon, source):
    first = resource_logs(source.attributes(), [log_record(n) for n in range(50)])
    second = resource_logs(source.attributes(), [log_record(n) for n in range(50, 100)])
    export(daemon, otlp.export(first, second), ACME).accepted()
    export(daemon, otlp.export(resource_logs(source.attributes(), [log_record(100)])), ACME).accepted()
    assert [line["body"] for line in daemon.log_lines(source, 101)] == list(range(101))


def test_sources_have_files_of_their_own(daemon):
    sources = [Source.fresh() for _ in range(5)]
    export(daemon, otlp.export(*(resource_logs(one.attributes(), [log_record(one.install_id)]) for one in sources)),
           ACME).accepted()
    for one in sources:
        assert [line["body"] for line in daemon.log_lines(one, 1)] == [one.install_id]


def test_an_empty_request_is_fine(daemon):
    export(daemon, b"", ACME).accepted()


@ours
@pytest.mark.parametrize("empty", [[], [(1, [])], [(2, [])], [(1, []), (2, []), (2, [(1, otlp.scope("lib"))])],
                                   [(1, otlp.resource({"source.project": "globex", "source.install_id": "../x"}))]],
                         ids=["nothing", "a resource", "a scope", "scopes", "a source of others"])
def test_an_empty_resource_logs_is_nothing(start_daemon, source, empty):
    """Without a record there is nothing to complain about: no source is needed, and none is charged."""
    daemon = start_daemon({"derive_source": False}, rate_limit=ONE_A_MINUTE)
    for _ in range(3):
        with daemon.unchanged():
            export(daemon, otlp.export(empty), ACME).accepted()
    export(daemon, otlp.export(empty, resource_logs(source.attributes(), [log_record()]), empty), ACME).accepted()
    daemon.log_lines(source, 1)


def test_the_message_may_come_byte_by_byte(daemon, source):
    client = daemon.connect("2")
    stream = client.open("POST", EXPORT, grpc.headers(ACME))
    for byte in frame(export_lines(source)):
        client.data(stream, bytes([byte]), end=False)
    client.data(stream, b"")
    grpc.outcome(client.answered(stream)).accepted()
    daemon.log_lines(source, 1)


def test_many_exports_on_one_connection(daemon, source):
    client = daemon.connect("2")
    streams = [client.open("POST", EXPORT, grpc.headers(ACME)) for _ in range(50)]
    for stream in streams:
        client.data(stream, frame(export_lines(source)))
    for stream in streams:
        grpc.outcome(client.answered(stream)).accepted()
    daemon.log_lines(source, 50)


@ours
def test_platform_and_version_are_noted(daemon, source):
    export(daemon, export_lines(source, 3), ACME).accepted()
    daemon.stop()
    [row] = daemon.rows("SELECT s.platform, s.version, f.day, f.bytes, f.lines FROM source AS s"
                        " JOIN log_file AS f ON f.source_id = s.id WHERE s.install_id = ?", (source.install_id,))
    [path] = daemon.log_files(source)
    assert row == {"platform": "linux", "version": "1.4.2", "day": path.stem, "bytes": path.stat().st_size, "lines": 3}


# -- values


@pytest.mark.parametrize("value", [
    "", "text", "snowman \u2603, face \U0001F600, \u00e9", True, False, 0, -1, 2**63 - 1, -2**63, 0.5, -0.0, 1.0, 1e300,
    5e-324, 0.1, 1.7976931348623157e308, [], [1, "two", None, [True]], {}, {"a": {"b": [1.5, {}]}, "": "empty key"},
    None,
], ids=repr)
def test_any_value(daemon, source, value):
    got = exported_body(daemon, source, otlp.any_value(value))
    assert got == value and type(got) is type(value)
    if isinstance(value, float):
        assert math.copysign(1, got) == math.copysign(1, value)


def test_bytes_are_hex(daemon, source):
    assert exported_body(daemon, source, otlp.any_value(b"\x00\xff\xab")) == "00ffab"


@ours
@pytest.mark.parametrize("value, text", [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")])
def test_non_finite_doubles_are_strings(daemon, source, value, text):
    assert exported_body(daemon, source, otlp.any_value([value])) == [text]


@pytest.mark.parametrize("text", ["a\nb", "a\r\n\tb", "".join(map(chr, range(0x20))), "\x7f\x80\x9f", "\u2028\u2029",
                                  '"\\/', "nul\0inside", "\ufffe\uffff", "</script>"], ids=repr)
def test_control_characters_stay_inside_their_line(daemon, source, text):
    record = log_record(text, {text: text}, event_name=text, severity_text=text)
    export(daemon, otlp.export(resource_logs(source.attributes(), [record, log_record("after")])), ACME).accepted()
    first, second = daemon.log_lines(source, 2)
    assert (first["body"], first["attributes"]) == (text, {text: text})
    assert (first["event_name"], first["severity_text"]) == (text, text)
    assert second["body"] == "after"
    raw = daemon.log_text(source)
    assert not any(byte < 0x20 for byte in raw.replace(b"\n", b""))


def test_of_a_repeated_key_the_last_wins(daemon, source):
    pairs = [("a", 1), ("b", 2), ("a", "three"), ("a", [4])]
    nested = [(6, [(1, pair) for pair in otlp.key_values(pairs)])]
    record = [(5, nested)] + [(6, pair) for pair in otlp.key_values(pairs)]
    export(daemon, otlp.export(resource_logs(source.attributes(), [record])), ACME).accepted()
    [line] = daemon.log_lines(source, 1)
    assert line["attributes"] == line["body"] == {"a": [4], "b": 2}


def test_of_a_repeated_field_the_last_wins(daemon, source):
    record = [(3, "first"), (3, "last"), (1, Fixed64(1)), (1, Fixed64(2)), (5, [(1, "one"), (3, 2)])]
    export(daemon, otlp.export(resource_logs(source.attributes(), [record])), ACME).accepted()
    [line] = daemon.log_lines(source, 1)
    assert (line["severity_text"], line["time_unix_nano"], line["body"]) == ("last", 2, 2)


def test_a_repeated_message_is_merged_or_refused(daemon, source):
    """protobuf merges the two; no exporter sends them, so that refusing the record is right too."""
    record = [(5, [(1, "one")]), (5, [(3, 2)])]
    outcome = export(daemon, otlp.export(resource_logs(source.attributes(), [record])), ACME)
    merged = outcome.code == grpc.OK and outcome.response == b""
    if not merged and outcome.code == grpc.OK:
        outcome.partly(1, "given more than once")
    assert outcome.code in (grpc.OK, grpc.INVALID_ARGUMENT)
    assert [line["body"] for line in daemon.log_lines(source, int(merged))] == [2][:merged]


def test_unknown_fields_are_skipped(daemon, source):
    record = log_record() + [(100, 1), (101, "x"), (102, Double(1.0)), (103, [(1, 1)])]
    message = otlp.export(resource_logs(source.attributes(), [record]) + [(99, "x")]) + otlp.encode([(50, b"y")])
    export(daemon, message, ACME).accepted()
    daemon.log_lines(source, 1)


def test_the_largest_numbers(daemon, source):
    record = log_record(time=2**64 - 1, observed=2**64 - 1, severity=2**31 - 1, dropped=2**32 - 1, flags=2**32 - 1)
    export(daemon, otlp.export(resource_logs(source.attributes(), [record])), ACME).accepted()
    [line] = daemon.log_lines(source, 1)
    assert (line["time_unix_nano"], line["observed_time_unix_nano"]) == (2**64 - 1, 2**64 - 1)
    assert (line["severity_number"], line["dropped_attributes_count"], line["flags"]) == (2**31 - 1, 2**32 - 1, 2**32 - 1)


# -- tokens and versions


@pytest.mark.parametrize("call", [export, export_grpcio])
def test_no_token(daemon, source, call):
    if daemon.reference and call is export:
        pytest.skip("there a gRPC call is refused in HTTP")
    with daemon.unchanged():
        call(daemon, export_lines(source), None).refused(grpc.UNAUTHENTICATED)


def test_an_unknown_token(daemon, source):
    with daemon.unchanged():
        stranger = Token("no such secret", "", "", "", "")
        export_grpcio(daemon, export_lines(source), stranger).refused(grpc.UNAUTHENTICATED)


@ours
@pytest.mark.parametrize("authorization", ["", "Bearer", "Basic YTpi", "acme-secret", "Bearer acme-secret2"])
def test_a_malformed_token(daemon, source, authorization):
    with daemon.unchanged():
        export(daemon, export_lines(source), None, extra=[("authorization", authorization)]).refused(
            grpc.UNAUTHENTICATED)


@ours
def test_an_unauthenticated_call_ends_with_its_headers(daemon, source):
    raw = export(daemon, export_lines(source), None).raw
    assert raw.trailers == [] and raw.header("grpc-status") == "16"
    assert raw.header("x-request-id")


@pytest.mark.parametrize("token", [OTHER, NARROW])
def test_a_source_that_is_not_permitted(daemon, source, token):
    with daemon.unchanged():
        export_grpcio(daemon, export_lines(source), token).refused(grpc.PERMISSION_DENIED, "not permitted")


@pytest.mark.parametrize("version", ["0", "2", "4294967295"])
def test_another_version(daemon, source, version):
    with daemon.unchanged():
        export_grpcio(daemon, export_lines(source), ACME, version=version).refused(
            grpc.FAILED_PRECONDITION, "does not match")


@pytest.mark.parametrize("version", ["", "one", "1.0", "-1", "99999999999999999999"])
def test_a_version_that_is_no_number(daemon, source, version):
    with daemon.unchanged():
        export(daemon, export_lines(source), ACME, version=version).refused(
            grpc.FAILED_PRECONDITION, "x-protocol-version")


@ours
def test_no_version_is_version_1(daemon, source):
    export_grpcio(daemon, export_lines(source), ACME, version=None).accepted()
    daemon.log_lines(source, 1)


@ours
def test_no_version_is_refused_where_it_is_strict(start_daemon, source):
    daemon = start_daemon({"strict_protocol_version": True})
    with daemon.unchanged():
        export(daemon, export_lines(source), ACME, version=None).refused(
            grpc.FAILED_PRECONDITION, "x-protocol-version")
    export(daemon, export_lines(source), ACME).accepted()


# -- sources


SOURCE_KEYS = ["source.project", "source.platform", "source.version", "source.install_id"]


@pytest.mark.parametrize("key", SOURCE_KEYS)
@pytest.mark.parametrize("how", ["absent", "not a string", "unset"])
def test_a_missing_attribute_is_named(start_daemon, source, key, how):
    daemon = start_daemon(None if IS_REFERENCE else {"derive_source": False})
    attributes = source.attributes()
    del attributes[key]
    if how != "absent":
        attributes[key] = 7 if how == "not a string" else None
    with daemon.unchanged():
        export(daemon, otlp.export(resource_logs(attributes, [log_record()])), ACME).refused(
            grpc.INVALID_ARGUMENT, f"missing resource attribute `{key}`")


@ours
def test_no_resource_at_all(start_daemon):
    daemon = start_daemon({"derive_source": False})
    message = otlp.export([(2, otlp.scope_logs([log_record()]))])
    with daemon.unchanged():
        export(daemon, message, ACME).refused(grpc.INVALID_ARGUMENT, "resource")


EVERYTHING = {"os.type": "windows", "service.version": "9.9", "service.instance.id": "i-1", "host.id": "h-1",
              "host.name": "n-1", "service.name": "s-1", "device.id": "d-1", "app.installation.id": "a-1"}


def everything_but(*keys):
    return {key: value for key, value in EVERYTHING.items() if key not in keys}


APP, DEVICE = "app.installation.id", "device.id"
DERIVED = {
    "everything": (EVERYTHING, ("a-1", "windows", "9.9")),
    "device.id": (everything_but(APP), ("d-1", "windows", "9.9")),
    "service.name@host.name": (everything_but(APP, DEVICE), ("s-1@n-1", "windows", "9.9")),
    "service.name@host.id": (everything_but(APP, DEVICE, "host.name"), ("s-1@h-1", "windows", "9.9")),
    "host.name": ({"host.id": "h-1", "host.name": "n-1", "service.instance.id": "i"}, ("n-1", "", "")),
    "host.id": ({"host.id": "h-1", "service.instance.id": "i"}, ("h-1", "", "")),
    "service.instance.id": ({"service.instance.id": "i", "service.name": "s"}, ("i", "", "")),
    "service.name": ({"service.name": "s-1"}, ("s-1", "", "")),
    "nothing": ({}, (ACME.id, "", "")),
    "empty": ({key: "" for key in EVERYTHING}, (ACME.id, "", "")),
    "an empty one beside a good one": ({"service.instance.id": "", "host.name": "n-1"}, ("n-1", "", "")),
    "a service without a name": ({"service.name": "unknown_service:node", "host.name": "n-1"}, ("n-1", "", "")),
    "Node under systemd": ({"service.name": "unknown_service:/usr/bin/node", "telemetry.sdk.language": "nodejs"},
                           ("unknown_service:~2Fusr~2Fbin~2Fnode", "", "")),
    "a space": ({"service.name": "Checkout Service"}, ("Checkout~20Service", "", "")),
    "a slash": ({"service.name": "shop/checkout"}, ("shop~2Fcheckout", "", "")),
    "an umlaut": ({"service.name": "Zürich-API"}, ("Z~C3~BCrich-API", "", "")),
    "a database": ({"service.instance.id": "db1:1521/ORCL"}, ("db1:1521~2FORCL", "", "")),
    "a domain": ({"host.name": "DOMAIN\\host"}, ("DOMAIN~5Chost", "", "")),
    "a GUID": ({"host.id": "{0-1}"}, ("~7B0-1~7D", "", "")),
    "an ARN": ({"host.id": "arn:aws:ecs:eu-west-1:1:task/c/2"}, ("arn:aws:ecs:eu-west-1:1:task~2Fc~2F2", "", "")),
    "dots": ({"host.name": ".."}, ("~2E.", "", "")),
    "its own escapes": ({"host.name": "a~2Fb"}, ("a~7E2Fb", "", "")),
    "U+0000": ({"host.name": "a\0b"}, ("a~00b", "", "")),
    "a long one": ({"host.name": "x" * 5000}, ("x" * 110 + "~~" + hashlib.sha256(b"x" * 5000).hexdigest()[:16], "", "")),
    "source.* first": ({"source.install_id": "mine", "source.platform": "linux", "service.instance.id": "i-1",
                        "os.type": "windows"}, ("mine", "linux", "")),
    "not a string": ({"source.install_id": 5, "service.instance.id": 6, "host.id": "h-1"}, ("h-1", "", "")),
}


@ours
@pytest.mark.parametrize("case", DERIVED)
def test_a_stock_exporter_has_a_source_derived(start_daemon, case):
    attributes, (install_id, platform, version) = DERIVED[case]
    daemon = start_daemon()
    export_grpcio(daemon, otlp.export(resource_logs(attributes, [log_record()])), ACME, version=None).accepted()
    [line] = daemon.log_lines(Source(ACME.project, install_id), 1)
    assert (line["platform"], line["version"]) == (platform, version)
    expected = {key: value for key, value in attributes.items() if not key.startswith("source.")}
    assert line.get("resource", {}) == expected


@ours
def test_records_without_a_resource(start_daemon):
    daemon = start_daemon()
    export(daemon, otlp.export([(2, otlp.scope_logs([log_record()]))]), ACME).accepted()
    daemon.log_lines(Source(ACME.project, ACME.id), 1)


@ours
def test_the_rules_are_configurable(start_daemon):
    daemon = start_daemon({"derive_install_id": ["k8s.pod.name@k8s.node.name", "os.type"]})
    for attributes, name in [({"k8s.pod.name": "p", "k8s.node.name": "n", "host.name": "h"}, "p@n"),
                             ({"k8s.pod.name": "p", "host.name": "h", "os.type": "linux"}, "linux"),
                             ({"host.name": "h"}, ACME.id)]:
        export(daemon, otlp.export(resource_logs(attributes, [log_record()])), ACME).accepted()
        daemon.log_lines(Source(ACME.project, name), 1)


@ours
def test_a_derived_source_must_be_permitted_too(daemon):
    message = otlp.export(resource_logs({"service.name": "shop"}, [log_record()]))
    with daemon.unchanged():
        export(daemon, message, NARROW, version=None).refused(grpc.PERMISSION_DENIED)


BAD_COMPONENTS = ["", ".", "..", "a/b", "a\\b"]
BAD_HERE = [".hidden", "a b", "a\0b", "\u00e4", "a" * 129, "a%2fb", "a\nb", "*"]


@pytest.mark.parametrize("bad", [*BAD_COMPONENTS, *(pytest.param(bad, marks=ours) for bad in BAD_HERE)], ids=repr)
@pytest.mark.parametrize("key", ["project", "install_id"])
def test_a_bad_path_component(daemon, source, key, bad):
    attributes = {**source.attributes(), "source." + key: bad}
    with daemon.unchanged():
        outcome = export(daemon, otlp.export(resource_logs(attributes, [log_record()])), ACME)
        outcome.refused(grpc.INVALID_ARGUMENT, *([] if daemon.reference else ["source." + key]))


@pytest.mark.parametrize("good", ["a", "A-Z_a.z0", "x@y+z:1~", "a..b", "-", pytest.param("a" * 128, marks=ours)])
def test_a_good_path_component(start_daemon, good):
    daemon = start_daemon()
    source = Source("acme", good)
    export(daemon, export_lines(source), ACME).accepted()
    daemon.log_lines(source, 1)


# -- limits


def test_an_empty_bucket(start_daemon, source):
    daemon = start_daemon(rate_limit={"logs_per_minute": 1, "logs_burst": 2, "crashes_per_minute": 1,
                                      "crashes_burst": 1})
    for _ in range(2):
        export_grpcio(daemon, export_lines(source), ACME).accepted()
    daemon.log_lines(source, 2)
    with daemon.unchanged():
        refused = export_grpcio(daemon, export_lines(source), ACME).refused(grpc.RESOURCE_EXHAUSTED, "rate limit")
    if not daemon.reference:
        assert 1 <= refused.retry_ms <= 60000
    export_grpcio(daemon, export_lines(Source.fresh()), ACME).accepted()


ONE_A_MINUTE = {"logs_per_minute": 1, "logs_burst": 1, "crashes_per_minute": 1, "crashes_burst": 1}


@ours
def test_the_buckets_are_charged_all_or_none(start_daemon, source):
    daemon = start_daemon(rate_limit=ONE_A_MINUTE)
    one, other = (resource_logs(which.attributes(), [log_record()]) for which in (source, Source.fresh()))
    export(daemon, otlp.export(one), ACME).accepted()
    with daemon.unchanged():
        for _ in range(3):
            assert export(daemon, otlp.export(other, one), ACME).refused(grpc.RESOURCE_EXHAUSTED).retry_ms >= 1
    export(daemon, otlp.export(other), ACME).accepted()


@ours
def test_a_source_costs_one_unit_however_often_it_is_named(start_daemon, source):
    daemon = start_daemon(rate_limit=ONE_A_MINUTE)
    batch = otlp.export(*[resource_logs(source.attributes(), [log_record()])] * 201)
    export(daemon, batch, ACME).accepted()
    daemon.log_lines(source, 201)
    assert export(daemon, batch, ACME).refused(grpc.RESOURCE_EXHAUSTED, "rate limit").retry_ms >= 1


@ours
def test_a_batch_of_16384_sources(start_daemon):
    daemon = start_daemon(rate_limit=ONE_A_MINUTE)
    sources = [Source(ACME.project, f"s{n:05}") for n in range(16384)]
    export(daemon, otlp.export(*(resource_logs(one.attributes(), [log_record()]) for one in sources)), ACME).accepted()
    for one in sources[::1000]:
        daemon.log_lines(one, 1)
    beyond = otlp.export(*[resource_logs(sources[0].attributes(), [log_record()])] * 16385)
    assert export(daemon, beyond, ACME).refused(grpc.RESOURCE_EXHAUSTED, "16384 resource_logs").retry_ms is None


@ours
@pytest.mark.parametrize("compression", ["NoCompression", "Gzip"])
def test_a_message_of_60_mib(start_daemon, source, compression):
    """Ordinary records, as a Collector puts into a batch: nothing in the defaults is in their way."""
    daemon = start_daemon()
    record = log_record("GET /checkout 200", {"http.method": "GET", "http.target": "/checkout", "user": "u-17", "n": 3})
    records = (60 << 20) // len(otlp.encode([(2, record)]))
    one = otlp.encode([(2, record)])
    message = otlp.export([(1, otlp.resource(source.attributes())), (2, one * records)])
    assert 59 << 20 < len(message) < 61 << 20
    export_grpcio(daemon, message, ACME, compression=compression).accepted()
    assert daemon.log_text(source).count(b"\n") == records


@ours
def test_what_is_refused_for_another_reason_costs_no_unit(start_daemon, source):
    daemon = start_daemon({"strict": True, "limits": {"otlp_line_bytes": "4KiB"}},
                          rate_limit={"logs_per_minute": 1, "logs_burst": 1, "crashes_per_minute": 1,
                                      "crashes_burst": 1})
    too_long = export_lines(source, body="x" * 5000)
    with daemon.unchanged():
        for _ in range(3):
            assert export(daemon, too_long, ACME).refused(grpc.RESOURCE_EXHAUSTED, "line is longer").retry_ms is None
    export(daemon, export_lines(source), ACME).accepted()
    with daemon.unchanged():  # the limit comes first now: lines are not rendered only to be refused
        assert export(daemon, too_long, ACME).refused(grpc.RESOURCE_EXHAUSTED, "rate limit").retry_ms >= 1


def padded(source, size):
    """A request of exactly `size` bytes."""
    for length in range(size, 0, -1):
        message = export_lines(source, body="x" * length)
        if len(message) == size:
            return message
    raise AssertionError(size)


@ours
@pytest.mark.parametrize("encoding, pack", [(None, bytes), ("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_a_message_too_large(start_daemon, source, encoding, pack):
    daemon = start_daemon({"logs": {"max_message_bytes": 2000}})
    export(daemon, pack(padded(source, 2000)), ACME, encoding=encoding).accepted()
    with daemon.unchanged():
        refused = export(daemon, pack(padded(source, 2001)), ACME, encoding=encoding)
        assert refused.refused(grpc.RESOURCE_EXHAUSTED).retry_ms is None
        bomb = export(daemon, pack(export_lines(source, body="x" * 1000000)), ACME, encoding=encoding)
        assert bomb.refused(grpc.RESOURCE_EXHAUSTED).retry_ms is None


@ours
def test_a_message_too_large_says_so_by_its_prefix(daemon):
    client = daemon.connect("2")
    stream = client.open("POST", EXPORT, grpc.headers(ACME))
    client.data(stream, struct.pack(">BI", 0, 64 * 1024 * 1024 + 1) + b"x", end=False)
    grpc.outcome(client.answered(stream)).refused(grpc.RESOURCE_EXHAUSTED)


def test_a_message_of_3_MiB(daemon, source):
    export(daemon, export_lines(source, 3, body="x" * (1024 * 1024 - 1000)), ACME).accepted()
    daemon.log_lines(source, 3)


@ours
def test_a_message_of_15_MiB(daemon, source):
    export(daemon, export_lines(source, 15, body="x" * (1024 * 1024 - 1000)), ACME).accepted()
    daemon.log_lines(source, 15)


def deep(levels):
    """`levels` AnyValues, one in the other."""
    value = otlp.encode(otlp.any_value(1))
    for _ in range(levels - 1):
        value = otlp.encode([(5, [(1, value)])])
    return value


@ours
@pytest.mark.parametrize("where", ["body", "attribute", "resource", "scope"])
def test_depth_32(start_daemon, source, where):
    daemon, strict = start_daemon(), start_daemon({"strict": True})

    def message(levels):
        pair = [(1, "deep"), (2, deep(levels))]
        record = {"body": [(5, deep(levels))], "attribute": [(6, pair)]}.get(where, log_record())
        scope = [(1, "lib"), (3, pair)] if where == "scope" else None
        one = resource_logs(source.attributes(), [record], scope)
        if where == "resource":
            one[0] = (1, one[0][1] + [(1, pair)])
        return otlp.export(one)

    export(daemon, message(32), ACME).accepted()
    daemon.log_lines(source, 1)
    with daemon.unchanged(), strict.unchanged():
        for levels in (33, 5000):
            export(daemon, message(levels), ACME).partly(1, "value is nested too deep")
            export(strict, message(levels), ACME).refused(grpc.INVALID_ARGUMENT, "value is nested too deep")


@ours
def test_counts_have_limits(start_daemon, source):
    daemon = start_daemon({"strict": True,
                           "limits": {"otlp_records": 10, "otlp_attributes": 5, "otlp_line_bytes": 2000}})
    export(daemon, export_lines(source, 10), ACME).accepted()
    export(daemon, export_lines(source, attributes={f"k{n}": n for n in range(5)}), ACME).accepted()
    export(daemon, export_lines(source, body="x" * 1000), ACME).accepted()
    with daemon.unchanged():
        for message in (export_lines(source, 11), export_lines(source, attributes={f"k{n}": n for n in range(6)}),
                        export_lines(source, body="x" * 2000)):
            assert export(daemon, message, ACME).refused(grpc.RESOURCE_EXHAUSTED).retry_ms is None


# -- whole or nothing


@ours
@pytest.mark.parametrize("second", ["bad component", "not permitted", "line too long"])
def test_strict_is_whole_or_nothing(start_daemon, source, second):
    daemon = start_daemon({"strict": True})
    bad = {"bad component": {**source.attributes(), "source.install_id": "../x"},
           "not permitted": {**source.attributes(), "source.project": "other"},
           "line too long": source.attributes()}[second]
    record = log_record("x" * 1100000) if second == "line too long" else log_record()
    message = otlp.export(resource_logs(source.attributes(), [log_record()] * 3), resource_logs(bad, [record]))
    with daemon.unchanged():
        assert export(daemon, message, ACME).code in (grpc.INVALID_ARGUMENT, grpc.PERMISSION_DENIED,
                                                      grpc.RESOURCE_EXHAUSTED)
    assert daemon.log_files(source) == []


# -- encodings


@ours
@pytest.mark.parametrize("encoding, pack", [("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_compressed_messages(daemon, source, encoding, pack):
    export(daemon, pack(export_lines(source, 20)), ACME, encoding=encoding).accepted()
    daemon.log_lines(source, 20)


def test_identity_is_said_aloud(daemon, source):
    export(daemon, export_lines(source), ACME, encoding="identity").accepted()
    daemon.log_lines(source, 1)


@ours
@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_an_encoding_that_is_not_used(daemon, source, encoding):
    export(daemon, export_lines(source), ACME, encoding=encoding, flag=0).accepted()
    daemon.log_lines(source, 1)


def bare_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@ours
@pytest.mark.parametrize("pack", [zlib.compress, bare_deflate])
def test_deflate(daemon, source, pack):
    """The zlib format, which the name means, and what some senders take it for."""
    packed = pack(export_lines(source, 3))
    export(daemon, packed, ACME, encoding="deflate").accepted()
    daemon.log_lines(source, 3)
    with daemon.unchanged():
        for bad in (packed[:-1], packed + b"x", b"", b"x", bytes(100)):
            export(daemon, bad, ACME, encoding="deflate").refused(grpc.INVALID_ARGUMENT, "not valid deflate")


@ours
@pytest.mark.parametrize("pack", [zlib.compress, bare_deflate])
def test_a_deflate_bomb(daemon, source, pack):
    with daemon.unchanged():
        export(daemon, pack(bytes(65 << 20)), ACME, encoding="deflate").refused(
            grpc.RESOURCE_EXHAUSTED, "after decompression")


@ours
@pytest.mark.parametrize("content_type", ["application/grpc;charset=utf-8", "application/grpc+proto; charset=utf-8",
                                          "application/grpc ;x=y", "Application/gRPC"])
def test_a_content_type_with_parameters(daemon, source, content_type):
    client = daemon.connect("2")
    grpc.call(client, EXPORT, frame(export_lines(source)), grpc.headers(ACME, content_type=content_type)).accepted()
    daemon.log_lines(source, 1)


@ours
@pytest.mark.parametrize("encoding", ["br", "snappy"])
def test_an_unknown_encoding(daemon, source, encoding):
    with daemon.unchanged():
        refused = export(daemon, export_lines(source), ACME, encoding=encoding).refused(grpc.UNIMPLEMENTED)
        accepted = dict(refused.raw.headers + refused.raw.trailers)["grpc-accept-encoding"]
        assert {name.strip() for name in accepted.split(",")} == {"identity", "gzip", "zstd", "deflate"}


@ours
def test_accepted_encodings_are_told_in_every_answer(daemon, source):
    raw = export(daemon, export_lines(source), ACME).raw
    assert {name.strip() for name in raw.header("grpc-accept-encoding").split(",")} == {"identity", "gzip", "zstd", "deflate"}


@ours
@pytest.mark.parametrize("encoding, pack", [("gzip", gzip.compress), ("zstd", zstandard.compress)])
@pytest.mark.parametrize("spoil", ["junk", "cut", "behind"])
def test_corrupt_compression(daemon, source, encoding, pack, spoil):
    good = pack(export_lines(source, 20))
    bad = {"junk": b"junk", "cut": good[:-5], "behind": good + b"junk"}[spoil]
    with daemon.unchanged():
        assert export(daemon, bad, ACME, encoding=encoding).code in (grpc.INVALID_ARGUMENT, grpc.INTERNAL)


# -- malformed


MALFORMED = {
    "a tag alone": b"\x0a",
    "a length beyond the end": b"\x0a\x05ab",
    "a varint without end": b"\x0a" + b"\x80" * 11,
    "field number 0": b"\x02\x00",
    "wire type 6": b"\x0e",
    "wire type 7": b"\x0f",
    "resource_logs as varint": b"\x08\x01",
    "an end of group": b"\x0c",
    "a group without end": b"\x13\x08\x01",
    "a record cut short": otlp.encode([(1, [(2, [(2, b"\x0a\x7fx")])])]),
    "a fixed64 cut short": otlp.encode([(1, [(2, [(2, b"\x09\x00\x00")])])]),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_not_protobuf(daemon, case):
    with daemon.unchanged():
        refused = export(daemon, MALFORMED[case], ACME)
        if daemon.reference:
            assert refused.code in (grpc.INTERNAL, grpc.INVALID_ARGUMENT)
        else:
            refused.refused(grpc.INVALID_ARGUMENT)


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_message_cut_short(daemon, source, cut):
    with daemon.unchanged():
        refused = export(daemon, export_lines(source)[:-cut], ACME)
        assert refused.code in ((grpc.INTERNAL, grpc.INVALID_ARGUMENT) if daemon.reference else (grpc.INVALID_ARGUMENT,))


BAD_UTF8 = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"abc\xe2\x98", b"\x80"]


def with_bad_text(source, bad):
    """Requests of a record each, with these bytes where text belongs."""
    for record in ([(3, bad)], [(5, [(1, bad)])], [(6, [(1, bad), (2, otlp.any_value(1))])], [(12, bad)],
                   [(6, [(1, "k"), (2, [(1, bad)])])], [(5, [(5, [(1, [(1, bad)])])])]):
        yield otlp.export(resource_logs(source.attributes(), [record]))
    yield otlp.export(resource_logs(source.attributes(), [log_record()], [(1, bad)]))
    yield otlp.export([(1, otlp.resource(source.attributes()) + [(1, [(1, bad), (2, otlp.any_value(1))])]),
                       (2, otlp.scope_logs([log_record()]))])


@ours
@pytest.mark.parametrize("bad", BAD_UTF8, ids=repr)
def test_what_is_not_utf8_is_refused_where_it_is_strict(start_daemon, source, bad):
    daemon = start_daemon({"strict": True})
    with daemon.unchanged():
        for message in with_bad_text(source, bad):
            export(daemon, message, ACME).refused(grpc.INVALID_ARGUMENT, "utf-8")


# -- what is wrong with one


@ours
@pytest.mark.parametrize("bad", [*BAD_UTF8, b"\xe2\x98a\xf0\x9f\x98", b"\xf0\x9fa", b"\xe0\x80\x80"], ids=repr)
def test_what_is_not_utf8_is_replaced(daemon, source, bad):
    """As Python does it: one U+FFFD for each maximal part."""
    for number, message in enumerate(with_bad_text(source, bad)):
        export(daemon, message, ACME).partly(0, "1 log records have text that is not UTF-8")
        line = daemon.log_lines(source, number + 1)[-1]
        text = bad.decode(errors="replace")
        assert line["replaced_utf8"] is True and list(line)[-1] == "replaced_utf8"
        assert text in json.dumps([line[key] for key in ("severity_text", "body", "attributes", "event_name")]
                                  + [line.get("scope"), line.get("resource")], ensure_ascii=False)


@ours
def test_text_that_is_not_utf8_costs_the_others_nothing(daemon, source):
    records = [log_record(n) for n in range(99)] + [[(5, [(1, b"a\xffb")])]]
    export(daemon, otlp.export(resource_logs(source.attributes(), records)), ACME).partly(0)
    lines = daemon.log_lines(source, 100)
    assert [line["body"] for line in lines] == [*range(99), "a\ufffdb"]
    assert [line for line in lines if "replaced_utf8" in line] == lines[99:]


def wide():
    return log_record(attributes={f"k{n}": n for n in range(129)})


WRONG_RECORDS = {
    "attributes": (wide(), "log_records[1].attributes[128]: more than 128 attributes"),
    "a long line": (log_record("x" * 1100000), "log_records[1]: line is longer than 1048576 bytes"),
    "depth": ([(5, deep(33))], "log_records[1].body"),
    "a body given twice": (log_record() + [(5, otlp.any_value(1))], "log_records[1].body: given more than once"),
}


@ours
@pytest.mark.parametrize("case", WRONG_RECORDS)
def test_one_wrong_record_is_rejected_by_itself(daemon, source, case):
    record, reason = WRONG_RECORDS[case]
    one = resource_logs(source.attributes(), [log_record("before"), record, log_record("after")])
    counted = daemon.metric("detritus_log_records_rejected_total", 0)
    export(daemon, otlp.export(one), ACME).partly(1, "resource_logs[0].scope_logs[0]." + reason)
    assert [line["body"] for line in daemon.log_lines(source, 2)] == ["before", "after"]
    assert daemon.metric("detritus_log_records_rejected_total") == counted + 1


@ours
def test_the_first_line_of_a_scope_may_be_the_wrong_one(daemon, source):
    scope = otlp.scope("lib", "1", {"a": 1})
    one = resource_logs({**source.attributes(), "k": "v"}, [log_record("x" * 1100000), log_record("after")], scope)
    export(daemon, otlp.export(one), ACME).partly(1)
    [line] = daemon.log_lines(source, 1)
    assert (line["body"], line["scope"]["name"], line["resource"]) == ("after", "lib", {"k": "v"})


@ours
@pytest.mark.parametrize("what", ["attributes", "too long for any line", "given twice"])
def test_a_wrong_scope_is_rejected_with_its_records(daemon, source, what):
    attributes = {f"k{n}": n for n in range(129)} if what == "attributes" else {"k": "x" * 1100000}
    bad = otlp.scope_logs([log_record()] * 3, otlp.scope("bad", "1", {} if what == "given twice" else attributes))
    bad += [(1, otlp.scope("again"))] if what == "given twice" else []
    one = [(1, otlp.resource(source.attributes())), (2, otlp.scope_logs([log_record(1)])), (2, bad),
           (2, otlp.scope_logs([log_record(2)]))]
    export(daemon, otlp.export(one), ACME).partly(3, "resource_logs[0].scope_logs[1]")
    assert [line["body"] for line in daemon.log_lines(source, 2)] == [1, 2]


@ours
@pytest.mark.parametrize("what", ["attributes", "too long for any line", "a bad component", "a missing source"])
def test_a_wrong_resource_is_rejected_with_its_records(start_daemon, source, what):
    daemon = start_daemon({"derive_source": False})
    other = Source.fresh()
    attributes = {"attributes": {**other.attributes(), **{f"k{n}": n for n in range(129)}},
                  "too long for any line": {**other.attributes(), "k": "x" * 1100000},
                  "a bad component": {**other.attributes(), "source.install_id": "../x"},
                  "a missing source": {"source.project": ACME.project}}[what]
    message = otlp.export(resource_logs(source.attributes(), [log_record(1)]), resource_logs(attributes, [log_record()] * 3),
                          resource_logs(source.attributes(), [log_record(2)]))
    export(daemon, message, ACME).partly(3, "resource_logs[1]")
    assert [line["body"] for line in daemon.log_lines(source, 2)] == [1, 2]
    assert daemon.log_files(other) == []


@ours
def test_a_resource_behind_its_records_may_be_wrong(daemon, source):
    """The order of fields in a message is free: what was noted of the records first must not hide it."""
    records = otlp.scope_logs([[(5, [(1, b"\xff")])], wide()])
    attributes = otlp.resource({**source.attributes(), **{f"k{n}": n for n in range(129)}})
    other = resource_logs(source.attributes(), [log_record("kept")])
    export(daemon, otlp.export([(2, records), (1, attributes)], other), ACME).partly(2)
    assert [line["body"] for line in daemon.log_lines(source, 1)] == ["kept"]


@ours
def test_records_may_all_be_rejected(daemon, source):
    with daemon.unchanged():
        export(daemon, otlp.export(resource_logs(source.attributes(), [wide()] * 5)), ACME).partly(5)


@ours
def test_what_is_wrong_with_the_request_refuses_all(daemon, source):
    one = resource_logs(source.attributes(), [log_record(), wide()])
    foreign = {**source.attributes(), "source.project": "other"}
    with daemon.unchanged():
        export(daemon, otlp.export(one) + b"\x0a\x05", ACME).refused(grpc.INVALID_ARGUMENT, "malformed")
        export(daemon, otlp.export(one, resource_logs(foreign, [log_record()])), ACME).refused(grpc.PERMISSION_DENIED)


@ours
def test_what_is_cut_off_counts_as_output(start_daemon, source):
    """Otherwise a small request could have GiBs rendered in vain."""
    daemon = start_daemon({"limits": {"otlp_line_bytes": "100KiB", "otlp_rendered_bytes": "1MiB"}})
    attributes = {**source.attributes(), "k": "x" * 90000}
    scopes = [(2, otlp.scope_logs([log_record("y" * 20000)]))] * 100
    with daemon.unchanged():
        export(daemon, otlp.export([(1, otlp.resource(attributes)), *scopes]), ACME).refused(
            grpc.RESOURCE_EXHAUSTED, "renders to more than")
    export(daemon, otlp.export([(1, otlp.resource(attributes)), *scopes[:5]]), ACME).partly(5)


@ours
@pytest.mark.parametrize("case, codes", [
    ("flag 2", {3, 12, 13}), ("flag 255", {3, 12, 13}), ("short message", {3, 13}), ("short prefix", {3, 13}),
    ("no message", {3, 12, 13}), ("trailing bytes", {3, 12, 13}), ("two messages", {3, 12, 13}),
    ("compressed without encoding", {3, 12, 13})])
def test_bad_frames(daemon, source, case, codes):
    good = frame(export_lines(source))
    sent = {"flag 2": b"\2" + good[1:], "flag 255": b"\xff" + good[1:], "short message": good[:-1],
            "short prefix": good[:3], "no message": b"", "trailing bytes": good + b"x", "two messages": good + good,
            "compressed without encoding": b"\1" + good[1:]}[case]
    with daemon.unchanged():
        outcome = grpc.call(daemon.connect("2"), EXPORT, sent, grpc.headers(ACME))
        assert outcome.code in codes and outcome.response is None, outcome


# -- other methods, other types


@pytest.mark.parametrize("path", ["/opentelemetry.proto.collector.logs.v1.LogsService/Nope",
                                  "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                                  "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
                                  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"])
def test_unknown_methods(daemon, path):
    export_grpcio(daemon, b"", ACME, path=path).refused(grpc.UNIMPLEMENTED)


@ours
@pytest.mark.parametrize("request_", [b"", otlp.encode([(1, "")])])
def test_health(daemon, request_):
    outcome = export_grpcio(daemon, request_, ACME, version=None, path=HEALTH)
    assert (outcome.code, otlp.decode(outcome.response)) == (grpc.OK, [(1, 1)])


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto"])
def test_content_types_that_are_grpc(daemon, source, content_type):
    grpc.call(daemon.connect("2"), EXPORT, frame(export_lines(source)),
              grpc.headers(ACME, content_type=content_type)).accepted()
    daemon.log_lines(source, 1)


@ours
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-protobuf",
                                          "application/grpc-web", "application/grpcx"])
def test_content_types_that_are_not(daemon, source, content_type):
    with daemon.unchanged():
        response = daemon.request("2", "POST", EXPORT, grpc.headers(ACME, content_type=content_type),
                                  frame(export_lines(source)))
        assert response.status == 415


@ours
def test_grpc_over_http_1_is_refused(daemon, source):
    with daemon.unchanged():
        response = daemon.request("1.1", "POST", EXPORT, grpc.headers(ACME), frame(export_lines(source)))
        assert 400 <= response.status < 600 and response.status not in (401, 404, 500), response


@ours
def test_health_over_http_1_is_refused(daemon):
    client = daemon.connect()
    response = client.request("POST", HEALTH, grpc.headers(ACME), frame(b""))
    assert response.status == 415
    assert response.header("content-length") == str(len(response.body))
    response.refused(415)
    assert client.request("GET", "/healthz").status == 204


@both
@ours
@pytest.mark.parametrize("path", [EXPORT, HEALTH])
def test_grpc_is_posted(daemon, http, path):
    response = daemon.request(http, "GET", path, grpc.headers(ACME))
    response.refused(405)
    assert response.header("allow") == "POST"


@ours
def test_a_deadline_that_has_passed(daemon, source):
    outcome = export(daemon, export_lines(source), ACME, extra=[("grpc-timeout", "1n")])
    assert outcome.code == grpc.DEADLINE_EXCEEDED


@pytest.mark.parametrize("timeout", ["10S", "20000m", "99999999u", "1H"])
def test_a_deadline_that_is_far(daemon, source, timeout):
    export(daemon, export_lines(source), ACME, extra=[("grpc-timeout", timeout)]).accepted()


@ours
@pytest.mark.parametrize("at", [0, 1, 5, 6, 50, -1])
@pytest.mark.parametrize("end", ["reset", "close"])
def test_a_call_that_is_cut_leaves_nothing(daemon, source, at, end):
    whole = frame(export_lines(source, 10))
    with daemon.unchanged():
        client = daemon.connect("2")
        stream = client.open("POST", EXPORT, grpc.headers(ACME))
        client.data(stream, whole[:at], end=False)
        if end == "reset":
            client.reset(stream)
            client.ping()
        client.close()


@ours
def test_the_request_id_comes_back(daemon, source):
    raw = export(daemon, export_lines(source), ACME, extra=[("x-request-id", "my-call-7")]).raw
    assert dict(raw.headers)["x-request-id"] == "my-call-7"


@ours
def test_a_line_is_there_when_the_answer_is(daemon, source):
    client = daemon.connect("2")
    for n in range(20):
        grpc.call(client, EXPORT, frame(export_lines(source, body=n)), grpc.headers(ACME)).accepted()
        assert json.loads(daemon.log_text(source).splitlines()[n])["body"] == n


@ours
def test_ten_thousand_sources_on_1024_descriptors(start_daemon, tmp_path):
    limited = tmp_path / "limited"
    limited.write_text(f'#!/bin/sh\nulimit -n 1024\nexec "{DETRITUSD}" "$@"\n')
    limited.chmod(0o755)
    daemon = start_daemon(binary=str(limited))
    sources = [Source(ACME.project, f"s{n:05}") for n in range(10000)]
    for turn in range(2):
        for first in range(0, len(sources), 500):
            export(daemon, otlp.export(*(resource_logs(source.attributes(), [log_record(f"{turn} {source.install_id}")])
                                         for source in sources[first:first + 500])), ACME).accepted()
    assert daemon.metric("detritus_log_files_open") == 256  # a quarter
    for source in sources[::97]:
        assert [line["body"] for line in daemon.log_lines(source)] == [f"{turn} {source.install_id}" for turn in (0, 1)]
    daemon.stop()
    files = list((daemon.data_dir / "logs").glob("*/*/*.ndjson"))
    assert len(files) == 10000 and sum(path.read_bytes().count(b"\n") for path in files) == 20000
    assert daemon.rows("SELECT count(*) AS files, sum(lines) AS lines FROM log_file") == [{"files": 10000, "lines": 20000}]
