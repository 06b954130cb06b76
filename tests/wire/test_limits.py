"""Every limit of docs/configuration.md at N and at N + 1: here with a small N, or in the test that LIMITS names."""

import pathlib
import re
import select

import pytest
from hyperframe import frame as frames

from conftest import both
from harness import crash, grpc, http1, http2, otlp
from harness.crash import body, dump_part, headers, metadata_part, upload
from harness.daemon import ACME, ENDLESS_TOKENS, OTHER, RATE_UNLIMITED, REPO, stranger, wait_until
from harness.grpc import EXPORT, export, frame
from harness.otlp import export_lines, log_record, resource_logs

pytestmark = pytest.mark.ours

LIMITS = {
    "logs.max_message_bytes": ["wire/test_logs.py::test_a_message_too_large"],
    "crashes.max_part_bytes": ["wire/test_crashes.py::test_a_part_too_large"],
    "crashes.max_request_bytes": ["wire/test_crashes.py::test_a_request_too_large"],
    "logs.max_bytes": ["wire/test_disk.py::test_the_oldest_logs_go_and_todays_stay",
                       "unit/test_janitor.c::test_log_files_at_their_cap_stay"],
    "crashes.max_bytes": ["wire/test_disk.py::test_the_oldest_crashes_go",
                          "unit/test_janitor.c::test_crashes_at_their_cap_stay"],
    "limits.connections": ["test_connections"],
    "limits.connections_per_address": ["wire/test_http1.py::test_connections_have_a_limit_per_address"],
    "limits.head_bytes": ["test_head_bytes", "wire/test_http1.py::test_a_head_of_16_KiB_and_a_byte"],
    "limits.head_fields": ["test_head_fields", "wire/test_http1.py::test_64_fields"],
    "limits.http1_requests": ["wire/test_http1.py::test_requests_behind_the_last_are_not_answered",
                              "wire/test_http1.py::test_a_connection_serves_1000_requests"],
    "limits.http2_streams": ["test_http2_streams"],
    "limits.http2_stream_window": ["test_http2_stream_window"],
    "limits.http2_upload_window": ["test_http2_upload_window"],
    "limits.http2_connection_window": ["test_http2_connection_window"],
    "limits.http2_outbound_acks": ["test_http2_outbound_acks"],
    "limits.head_timeout_secs": ["wire/test_http1.py::test_who_says_nothing_is_cut_off",
                                 "wire/test_http2.py::test_a_block_that_stops"],
    "limits.body_idle_timeout_secs": ["wire/test_http1.py::test_who_says_nothing_is_cut_off"],
    "limits.body_min_rate": ["test_body_min_rate"],
    "limits.write_timeout_secs": ["test_write_timeout_secs"],
    "limits.idle_timeout_secs": ["wire/test_http1.py::test_who_says_nothing_is_cut_off", "test_idle_timeout_secs"],
    "limits.drain_timeout_secs": ["wire/test_http2.py::test_draining_has_an_end"],
    "limits.control_idle_timeout_secs": ["wire/test_ctl_control.py::test_who_asks_nothing_is_cut_off",
                                         "wire/test_ctl_control.py::test_a_request_must_come_whole_in_time"],
    "limits.control_write_timeout_secs": ["wire/test_ctl_control.py::test_who_takes_no_answer_is_cut_off"],
    "limits.inflight_body_bytes": ["test_inflight_body_bytes"],
    "limits.otlp_depth": ["wire/test_logs.py::test_depth_32"],
    "limits.otlp_resources": ["test_counts_of_an_export"],
    "limits.otlp_records": ["test_counts_of_an_export"],
    "limits.otlp_submessages": ["test_counts_of_an_export", "unit/test_otlp.c::bounds_submessages"],
    "limits.otlp_attributes": ["test_counts_of_an_export"],
    "limits.otlp_line_bytes": ["test_bytes_of_lines"],
    "limits.otlp_rendered_bytes": ["test_bytes_of_lines"],
    "limits.otlp_arena_bytes": ["test_otlp_arena_bytes", "test_otlp_arena_bytes_of_resources",
                                "unit/test_otlp.c::full_arena_is_too_large",
                                "unit/test_otlp_render.c::bounds_the_members_under_way"],
    # No request can hold a disk up: these queues are filled where one can.
    "limits.log_queue_batches": ["unit/test_committer.c::test_queue_full", "test_log_queue_batches"],
    "limits.log_queue_bytes": ["unit/test_committer.c::test_queue_full"],
    "limits.index_queue_reports": ["unit/test_index_writer.c::test_queue_is_bounded_and_jobs_pass"],
    "limits.log_files_open": ["test_log_files_open", "unit/test_committer.c::test_more_sources_than_descriptors"],
    "limits.log_journal_bytes": ["test_log_journal_bytes",
                                 "unit/test_recovery.c::test_commits_wait_for_a_free_segment"],
    "limits.multipart_parts": ["test_multipart_parts", "wire/test_crashes.py::test_64_attachments",
                               "unit/test_crash_metadata.c::test_limit_of_manifest"],
    "limits.multipart_head_bytes": ["test_multipart_head_bytes", "unit/test_multipart.c::test_limit_of_head"],
    "limits.uploads": ["test_uploads"],
    "limits.uploads_per_source": ["wire/test_crashes.py::test_uploads_of_one_source_at_once_have_a_limit"],
    "limits.disk_reserve_uploads_bytes": ["wire/test_disk.py::test_the_reserves_are_what_is_configured",
                                          "unit/test_space.c::test_hysteresis"],
    "limits.disk_full_pause_secs": ["unit/test_space.c::test_full_is_full_for_a_while"],
    "limits.disk_reserve_logs_bytes": ["wire/test_disk.py::test_the_reserves_are_what_is_configured",
                                       "unit/test_space.c::test_hysteresis"],
    "limits.verifier_threads": ["test_verifier_threads"],
    "limits.verifier_queue": ["unit/test_verifier.c::full_queue_is_busy",
                              "wire/test_auth.py::test_a_busy_verifier_is_not_a_bad_token"],
    "limits.token_cache_entries": ["test_token_cache_entries", "unit/test_verifier.c::cache_ages_and_bounds"],
    "limits.token_cache_secs": ["unit/test_verifier.c::good_tokens_stay"],
    "limits.token_cache_bad_secs": ["test_token_cache_bad_secs", "unit/test_verifier.c::cache_ages_and_bounds"],
    "limits.rate_limit_sources": ["test_rate_limit_sources", "unit/test_rate_limit.c::table_is_bounded"],
}


def documented():
    text = (REPO / "docs/configuration.md").read_text()
    return set(re.findall(r"^\| `(limits\.\w+|(?:logs|crashes)\.max_\w+)` \|", text, re.MULTILINE))


def test_every_documented_limit_has_a_test():
    assert len(documented()) > 40
    assert documented() == set(LIMITS)


@pytest.mark.parametrize("limit", LIMITS)
def test_the_tests_exist(limit):
    for where in LIMITS[limit]:
        path, _, name = where.rpartition("::")
        if path.startswith("unit/"): # in whichever room of tests/unit/
            [file] = (REPO / "tests/unit").rglob(path.removeprefix("unit/"))
        else:
            file = REPO / "tests" / path if path else pathlib.Path(__file__)
        text = file.read_text()
        assert re.search(rf"^(?:def|static void) {name}\(", text, re.MULTILINE), where


def limited(start_daemon, **limits):
    return start_daemon({"limits": limits})


def ready(daemon, **options):
    """An HTTP/2 connection whose SETTINGS and windows have been exchanged."""
    client = daemon.connect("2", **options)
    client.until(lambda: client.peer_settings is not None and client.acked, "SETTINGS")
    client.ping()
    return client


def begun_upload(daemon, source, timestamp="2026-05-19T00:00:00Z"):
    """(client, what is missing of its upload) once the daemon counts it as under way."""
    whole = body(metadata_part(source, timestamp=timestamp), dump_part())
    under_way = daemon.metric("detritus_uploads_in_flight")
    client = daemon.connect()
    client.send(http1.head("POST", crash.PATH, headers(ACME, extra=[("content-length", str(len(whole)))])))
    client.send(whole[:-20])
    daemon.wait_metric("detritus_uploads_in_flight", lambda n: n == under_way + 1)
    return client, whole[-20:]


# -- connections and requests


def test_connections(start_daemon):
    daemon = limited(start_daemon, connections=3)
    first = daemon.connect()
    wait_until(lambda: daemon.metric("detritus_connections", client=first) == 1, "those of the start to be gone")
    clients = [first] + [daemon.connect() for _ in range(2)]
    assert [client.request("GET", "/healthz").status for client in clients] == [204] * 3
    daemon.connect().at_end()
    assert [client.request("GET", "/healthz").status for client in clients] == [204] * 3


def h1_head(size):
    start, end = b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-padding: ", b"\r\n\r\n"
    return start + b"p" * (size - len(start) - len(end)) + end


def test_head_bytes(start_daemon):
    daemon = limited(start_daemon, head_bytes=1024)
    for size, status in ((1024, 204), (1025, 431)):
        client = daemon.connect()
        client.send(h1_head(size))
        assert client.read().status == status
        fields = [(":method", "GET"), (":scheme", "http"), (":authority", "detritus.test"), (":path", "/healthz")]
        rest = size - sum(len(name) + len(value) + 32 for name, value in fields) - len("x-padding") - 32
        assert daemon.request("2", "GET", "/healthz", [("x-padding", "p" * rest)]).status == status


def test_head_fields(start_daemon):
    daemon = limited(start_daemon, head_fields=16)
    for count, status in ((16, 204), (17, 431)):
        fields = [(f"x-{n}", "v") for n in range(count)]
        assert daemon.request("1.1", "GET", "/healthz", fields[1:]).status == status  # and the host
        assert daemon.request("2", "GET", "/healthz", fields).status == status


def test_http2_streams(start_daemon):
    client = limited(start_daemon, http2_streams=3).connect("2", ack=False)
    client.until(lambda: client.peer_settings is not None, "SETTINGS")
    assert client.peer_settings[frames.SettingsFrame.MAX_CONCURRENT_STREAMS] == 3
    streams = [client.open("POST", EXPORT, grpc.headers(ACME)) for _ in range(4)]
    client.ping()
    assert [client.streams[stream].reset for stream in streams] == [None] * 3 + [http2.REFUSED_STREAM]


def test_http2_stream_window(start_daemon):
    """While the token is being verified nothing is read out of the window."""
    daemon = start_daemon({"limits": {"http2_stream_window": 16384}}, tokens=ENDLESS_TOKENS)
    client = ready(daemon)
    assert client.initial_window == 16384
    stream = client.open("POST", EXPORT, grpc.headers(stranger("nobody")))
    client.send_frame(frames.DataFrame(stream, b"x" * 16384))
    client.ping()
    assert client.streams[stream].reset is None and client.goaway is None
    client.send_frame(frames.DataFrame(stream, b"x"))
    client.until(lambda: client.streams[stream].reset is not None or client.goaway, "an error")
    assert http2.FLOW_CONTROL_ERROR in (client.streams[stream].reset, (client.goaway or (0, None))[1])
    daemon.stop()  # does not wait for the rest of the verification


def test_http2_connection_window(start_daemon):
    daemon = start_daemon({"limits": {"http2_connection_window": 100000}}, tokens=ENDLESS_TOKENS)
    client = ready(daemon)
    assert client.send_window == 100000
    for size in (60000, 40000):
        stream = client.open("POST", EXPORT, grpc.headers(stranger("nobody")))
        client.data(stream, b"x" * size, end=False)
    client.ping()
    assert client.send_window == 0 and client.goaway is None
    client.send_frame(frames.DataFrame(stream, b"x"))
    client.at_end()
    assert client.goaway[1] == http2.FLOW_CONTROL_ERROR
    daemon.stop()


def test_http2_upload_window(start_daemon):
    daemon = limited(start_daemon, http2_stream_window=20000, http2_upload_window=50000)
    client = ready(daemon)
    for path, sent, first in ((EXPORT, grpc.headers(ACME), grpc.frame(bytes(10001))[:5]), (crash.PATH, headers(ACME), b"")):
        stream = client.open("POST", path, sent)
        if first:
            client.data(stream, first, end=False)
        client.until(lambda: client.streams[stream].window_updates > 0, "the window of an upload")
        assert client.streams[stream].send_window == 50000 - len(first)


def test_small_message_widens_no_window(start_daemon):
    """Up to half a window costs no frame."""
    client = ready(limited(start_daemon, http2_stream_window=20000, http2_upload_window=50000))
    client.request("POST", EXPORT, grpc.headers(ACME), grpc.frame(b""))  # so that the token is known at once
    stream = client.open("POST", EXPORT, grpc.headers(ACME))
    client.data(stream, grpc.frame(bytes(10000))[:5], end=False)
    client.ping()
    assert client.streams[stream].window_updates == 0


@pytest.mark.parametrize("one", [frames.PingFrame(0, b"12345678"), frames.SettingsFrame(0)], ids=["ping", "settings"])
def test_http2_outbound_acks(start_daemon, one):
    """All of them in one read, so that none can be answered before the last is there."""
    daemon = limited(start_daemon, http2_outbound_acks=10)
    client = ready(daemon)
    client.send_raw(one.serialize() * 9)
    client.ping()  # the tenth, should it come in the same read
    client.send_raw(one.serialize() * 11)
    client.at_end()


# -- time


def body_under(start_daemon, source, idle_secs, rate):
    """A connection whose body has begun, and what is missing of it."""
    daemon = limited(start_daemon, body_idle_timeout_secs=idle_secs, body_min_rate=rate)
    whole = body(metadata_part(source), dump_part(b"x" * 2000))
    client = daemon.connect()
    client.send(http1.head("POST", crash.PATH, headers(ACME, extra=[("content-length", str(len(whole)))])))
    client.send(whole[:-1900])
    return client, whole[-1900:]


def test_body_min_rate(start_daemon, source):
    """Ten bytes a second are enough for one daemon and not for the other. Where this machine is so slow that a byte comes
    too late, both wait longer for it."""
    for idle_secs in (1, 4, 16, 64):
        enough, rest = body_under(start_daemon, source, idle_secs, rate=1)
        too_slow, _ = body_under(start_daemon, source, idle_secs, rate=1 << 20)
        at = 0
        while at < len(rest) - 1 and not select.select([too_slow.socket, enough.socket], [], [], 0.1)[0]:
            too_slow.send(rest[at:at + 1])
            enough.send(rest[at:at + 1])
            at += 1
        too_slow.read().refused(408)
        enough.send(rest[at:])
        if enough.read().status == 201:
            return
    pytest.fail("no body was fast enough")


def test_write_timeout_secs(start_daemon):
    daemon = limited(start_daemon, write_timeout_secs=1)
    deaf = daemon.connect(receive_buffer=4096)
    deaf.socket.sendall(http1.head("GET", "/metrics") * 900)
    shut = ready(daemon, settings={frames.SettingsFrame.INITIAL_WINDOW_SIZE: 0})
    stream = shut.open("GET", "/metrics", end=True)
    assert shut.answered(stream).reset == http2.CANCEL
    assert shut.request("GET", "/healthz").status == 204
    wait_until(lambda: daemon.metric("detritus_connections") == 2, "the end of who does not read")


def test_idle_timeout_secs(start_daemon):
    client = limited(start_daemon, idle_timeout_secs=1).connect("2")
    assert client.request("GET", "/healthz").status == 204
    client.at_end()
    assert client.goaway[1] == http2.NO_ERROR


# -- log exports


def exports_in_one_write(client, source, count):
    """The ids of their streams."""
    sent, send_raw = bytearray(), client.send_raw
    client.send_raw = sent.extend
    streams = [client.open("POST", EXPORT, grpc.headers(ACME)) for _ in range(count)]
    for stream in streams:
        client.data(stream, frame(export_lines(source)))
    client.send_raw = send_raw
    client.send_raw(bytes(sent))
    return streams


def test_log_queue_batches(start_daemon, source):
    """Each export is taken or refused by itself, whoever else came with it; also when a client has gone meanwhile."""
    daemon = start_daemon({"limits": {"log_queue_batches": 1}})
    clients = [daemon.connect("2") for _ in range(4)]
    exports_in_one_write(clients[3], crash.Source.fresh(), 40)
    streams = [(client, stream) for client in clients[:3] for stream in exports_in_one_write(client, source, 40)]
    clients[3].abort()
    outcomes = [grpc.outcome(client.answered(stream)) for client, stream in streams]
    assert {outcome.code for outcome in outcomes} == {grpc.OK, grpc.UNAVAILABLE}
    for outcome in outcomes:
        if outcome.code != grpc.OK:
            outcome.refused(grpc.UNAVAILABLE, "too many log batches are waiting for the disk")
    daemon.log_lines(source, sum(outcome.code == grpc.OK for outcome in outcomes))


def test_inflight_body_bytes(start_daemon, source):
    daemon = start_daemon({"logs": {"max_message_bytes": "1MiB"}, "limits": {"inflight_body_bytes": "1MiB"}})
    whole = frame(export_lines(source, body="x" * 700000))
    first, second = ready(daemon), ready(daemon)
    one, other = (client.open("POST", EXPORT, grpc.headers(ACME)) for client in (first, second))
    first.data(one, whole[:600000], end=False)
    second.data(other, frame(bytes(600000))[:(1 << 20) - 600000], end=False)
    daemon.wait_metric("detritus_body_bytes", lambda n: n == 1 << 20)
    assert second.streams[other].response is None
    second.data(other, b"x", end=False)
    assert grpc.outcome(second.answered(other)).refused(grpc.UNAVAILABLE).retry_ms >= 1
    first.data(one, whole[600000:])
    grpc.outcome(first.answered(one)).accepted()


def of_resources(source, count):
    return otlp.export(*[resource_logs(source.attributes(), [log_record()])] * count)


def of_submessages(source, count):
    """ResourceLogs, Resource, four attributes of two, ScopeLogs; LogRecords of two: themselves and their body."""
    assert count % 2 == 1
    return export_lines(source, (count - 11) // 2)


COUNTS = {
    "otlp_resources": (3, 4, of_resources),
    "otlp_records": (3, 4, export_lines),
    "otlp_attributes": (5, 6, lambda source, n: export_lines(source, attributes={f"k{i}": i for i in range(n)})),
    "otlp_submessages": (21, 23, of_submessages),
}


@pytest.mark.parametrize("limit", COUNTS)
def test_counts_of_an_export(start_daemon, source, limit):
    most, beyond, make = COUNTS[limit]
    daemon = start_daemon({"strict": True, "limits": {limit: most}})
    export(daemon, make(source, most), ACME).accepted()
    with daemon.unchanged():
        assert export(daemon, make(source, beyond), ACME).refused(grpc.RESOURCE_EXHAUSTED).retry_ms is None


@pytest.mark.parametrize("limit, lines", [("otlp_line_bytes", 1), ("otlp_rendered_bytes", 2)])
def test_bytes_of_lines(start_daemon, source, limit, lines):
    daemon = start_daemon({"strict": True, "limits": {limit: 2000}})
    export(daemon, otlp.export(resource_logs(source.attributes(), [log_record("x")])), ACME).accepted()
    around = len(daemon.log_text(source)) - 1

    def message(total):
        texts = ["x" * (total // lines - around)] * (lines - 1) + ["x" * (total - total // lines * (lines - 1) - around)]
        return otlp.export(*(resource_logs(source.attributes(), [log_record(text)]) for text in texts))

    export(daemon, message(2000), ACME).accepted()
    assert len(daemon.log_text(source)) == around + 1 + 2000
    with daemon.unchanged():
        assert export(daemon, message(2001), ACME).refused(grpc.RESOURCE_EXHAUSTED).retry_ms is None


def of_members(source, count):
    """One record with an object of so many entries, which are 32 bytes each, though only the last of a key is shown."""
    pair = otlp.encode([(1, "k"), (2, otlp.any_value(7))])
    body = otlp.encode([(6, [(1, pair)] * count)])
    return otlp.export(resource_logs(source.attributes(), [[(5, body)]]))


def test_otlp_arena_bytes(start_daemon, source):
    daemon = start_daemon({"strict": True, "limits": {"otlp_arena_bytes": "1MiB"}})
    for _ in range(3):  # what one request used is free for the next
        export(daemon, of_members(source, 32768), ACME).accepted()
    assert daemon.log_text(source).count(b'"body":{"k":7}') == 3
    with daemon.unchanged():
        assert export(daemon, of_members(source, 32769), ACME).refused(grpc.RESOURCE_EXHAUSTED).retry_ms is None
    export(daemon, of_members(source, 32768), ACME).accepted()


def test_otlp_arena_bytes_of_resources(start_daemon, source):
    """A few hundred bytes for each, exactly how many is the daemon's affair."""
    daemon = limited(start_daemon, otlp_arena_bytes="1MiB", otlp_resources=100000)
    for _ in range(20):
        export(daemon, of_resources(source, 1000), ACME).accepted()
    with daemon.unchanged():
        assert export(daemon, of_resources(source, 20000), ACME).refused(grpc.RESOURCE_EXHAUSTED).retry_ms is None
    export(daemon, of_resources(source, 1000), ACME).accepted()


def test_log_files_open(start_daemon):
    daemon = limited(start_daemon, log_files_open=2)
    for opened in (1, 2, 2, 2):
        export(daemon, export_lines(crash.Source.fresh()), ACME).accepted()
        daemon.wait_metric("detritus_log_files_open", lambda n: n == opened)


def test_log_journal_bytes(start_daemon):
    daemon = limited(start_daemon, log_journal_bytes="1MiB")

    def over_sources(count, size):
        return otlp.export(*(resource_logs(crash.Source.fresh().attributes(), [log_record("x" * size)])
                             for _ in range(count)))

    for _ in range(20):
        export(daemon, over_sources(5, 40000), ACME).accepted()
    segments = list((daemon.data_dir / "journal").glob("*.wal"))
    assert 1 <= len(segments) <= 4
    assert 256 * 1024 < sum(path.stat().st_size for path in segments) <= 1024 * 1024
    assert daemon.metric("detritus_log_checkpoints_total") > 1
    assert daemon.metric("detritus_log_direct_syncs_total") == 0
    # What no segment holds is made durable without the journal.
    export(daemon, over_sources(5, 60000), ACME).accepted()
    assert daemon.metric("detritus_log_direct_syncs_total") == 1


# -- crash uploads


@both
def test_multipart_parts(start_daemon, http, source):
    daemon = limited(start_daemon, multipart_parts=2)

    def sent(count):
        return [crash.attachment_part(f"a{n}", b"x") for n in range(count)]

    def declared(count):
        manifest = [{"key": f"a{n}", "filename": None, "content_type": "text/plain", "len": 1} for n in range(count)]
        return metadata_part(source, attachments=manifest)

    assert upload(daemon, http, ACME, declared(2), dump_part(), *sent(2)).status == 201
    with daemon.unchanged():
        upload(daemon, http, ACME, declared(2), dump_part(), *sent(3)).refused(413)
        upload(daemon, http, ACME, declared(3), dump_part(), *sent(2)).refused(400)


def test_multipart_head_bytes(start_daemon, source):
    daemon = limited(start_daemon, multipart_head_bytes=300)

    def with_head(size):
        padding = size - dump_part().index(b"\r\n\r\n") - 2 + dump_part().index(b"\r\n") + 2 - len("X: \r\n")
        return dump_part().replace(b"\r\n\r\n", b"\r\nX: " + b"x" * padding + b"\r\n\r\n", 1)

    assert upload(daemon, "1.1", ACME, metadata_part(source), with_head(300)).status == 201
    with daemon.unchanged():
        upload(daemon, "1.1", ACME, metadata_part(source), with_head(301)).refused(413)


def test_uploads(start_daemon):
    daemon = limited(start_daemon, uploads=2)
    waiting = [begun_upload(daemon, crash.Source.fresh()) for _ in range(2)]
    response = upload(daemon, "1.1", ACME, metadata_part(crash.Source.fresh()), dump_part())
    response.refused(503)
    assert int(response.header("retry-after")) >= 1
    for client, rest in waiting:
        client.send(rest)
        assert client.read().status == 201
    crash.report(daemon, "1.1", ACME, crash.Source.fresh())


# -- tokens


def attempt(daemon, token):
    return daemon.request("1.1", "GET", "/nowhere", [token.header]).status


def paid(daemon):
    return daemon.metric("detritus_verifications_total")


def test_verifier_threads(start_daemon):
    daemon = limited(start_daemon, verifier_threads=3)
    names = [(task / "comm").read_text().strip() for task in pathlib.Path(f"/proc/{daemon.process.pid}/task").iterdir()]
    assert names.count("verifier") == 3


@pytest.mark.parametrize("entries, costs", [(2, 0), (1, 1)])
def test_token_cache_entries(start_daemon, entries, costs):
    daemon = start_daemon({"limits": {"token_cache_entries": entries}}, tokens=(ACME, OTHER))
    bad, worse = stranger("bad"), stranger("worse")
    assert (attempt(daemon, ACME), attempt(daemon, bad), attempt(daemon, worse)) == (404, 401, 401)
    before = paid(daemon)
    assert attempt(daemon, bad) == 401  # compared with OTHER, which nobody has used yet
    assert paid(daemon) - before == costs
    assert attempt(daemon, ACME) == 404  # never leaves for bad ones
    assert paid(daemon) - before == costs


def test_token_cache_bad_secs(start_daemon):
    daemon = start_daemon({"limits": {"token_cache_secs": 1, "token_cache_bad_secs": 1}}, tokens=(ACME, OTHER))
    bad = stranger("nobody")
    assert attempt(daemon, ACME) == 404
    attempt(daemon, bad)
    before = paid(daemon)

    def verified_again():
        assert attempt(daemon, bad) == 401
        return paid(daemon) - before == 1

    wait_until(verified_again, "a bad token that is not remembered any more")
    before = paid(daemon)
    assert attempt(daemon, ACME) == 404  # a good one stays, also beyond token_cache_secs
    assert paid(daemon) == before


def test_rate_limit_sources(start_daemon, source):
    limits = {**RATE_UNLIMITED, "logs_per_minute": 1, "logs_burst": 1}
    daemon = start_daemon({"limits": {"rate_limit_sources": 2}}, rate_limit=limits)
    second, third = crash.Source.fresh(), crash.Source.fresh()

    def outcomes(*sources):
        return [export(daemon, export_lines(one), ACME).code for one in sources]

    assert outcomes(source, second, source, second) == [grpc.OK] * 2 + [grpc.RESOURCE_EXHAUSTED] * 2
    assert outcomes(third, second, source) == [grpc.OK, grpc.RESOURCE_EXHAUSTED, grpc.OK]  # the first had to go
