"""HTTP/2 at its edges: RFC 9113, and the limits of our own."""

import select
import signal

import hpack
import pytest
from hyperframe import frame as frames

from harness import crash, grpc, http1, http2, otlp
from harness.crash import body, dump_part, headers, metadata_part
from harness.daemon import ACME, sha256, slow_tokens, stranger, wait_until
from harness.grpc import EXPORT, frame
from harness.response import ConnectionEnded

pytestmark = pytest.mark.ours


def refused_stream(client, stream_id):
    """A request that is malformed or too large: an error answer, a reset stream, or the end of the connection."""
    try:
        response = client.answered(stream_id)
    except ConnectionEnded:
        return "connection"
    assert response.reset is not None or 400 <= response.status < 500, response
    return response.reset if response.reset is not None else response.status


def connection_error(client, *codes):
    client.at_end()
    assert client.goaway and client.goaway[1] in codes, client.goaway


# -- settings, pings, windows


def test_settings_come_first_and_ours_are_acknowledged(daemon):
    client = daemon.connect("2")
    client.until(lambda: client.peer_settings is not None and client.acked, "SETTINGS")
    settings = client.peer_settings
    assert settings[frames.SettingsFrame.MAX_CONCURRENT_STREAMS] == 100
    assert settings.get(frames.SettingsFrame.INITIAL_WINDOW_SIZE, 65535) in (65535, 65536)
    assert settings[frames.SettingsFrame.MAX_HEADER_LIST_SIZE] == 16384
    assert settings.get(frames.SettingsFrame.MAX_FRAME_SIZE, 16384) == 16384


def test_a_ping_is_answered(daemon):
    client = daemon.connect("2")
    for data in (b"12345678", b"\0" * 8, b"\xff" * 8):
        client.ping(data)


def test_the_preface_may_come_byte_by_byte(daemon):
    client = daemon.connect("2", start=False)
    for byte in http2.PREFACE + frames.SettingsFrame(0).serialize():
        client.send_raw(bytes([byte]))
    assert client.request("GET", "/healthz").status == 204


def test_everything_in_one_packet(daemon):
    client = daemon.connect("2", start=False)
    block = client.header_block("GET", "/healthz", [])
    headers_frame = frames.HeadersFrame(1, block)
    headers_frame.flags.add("END_STREAM")
    headers_frame.flags.add("END_HEADERS")
    client.streams[1], client.next_stream = http2.Stream(65535), 3
    client.send_raw(http2.PREFACE + frames.SettingsFrame(0).serialize() + headers_frame.serialize())
    assert client.answered(1).status == 204


def test_1_MiB_goes_through_a_64_KiB_window(daemon, source):
    dump = bytes(range(256)) * 4096
    client = daemon.connect("2")
    client.until(lambda: client.peer_settings is not None, "SETTINGS")
    assert client.initial_window <= 65536
    stream = client.open("POST", crash.PATH, headers(ACME))
    client.data(stream, body(metadata_part(source), dump_part(dump)))
    assert client.answered(stream).json()["id"] == sha256(dump)
    assert client.streams[stream].window_updates > 0 and client.connection_updates > 0


def test_the_connection_window_is_opened_again(daemon, source):
    """Ten times the connection's window over one connection, some of it in streams that are refused or reset."""
    client = daemon.connect("2")
    piece = b"x" * 60000
    for n in range(180):
        stream = client.open("POST", crash.PATH, headers(None if n % 3 == 0 else ACME))
        client.data(stream, piece, end=n % 3 != 2)
        if n % 3 == 2:
            client.reset(stream)
        else:
            assert client.answered(stream).status in (400, 401)
    client.ping()
    sent = body(metadata_part(source), dump_part(b"y" * 200000))
    assert client.request("POST", crash.PATH, headers(ACME), sent).status == 201


def test_uploads_reset_during_verification_give_the_window_back(start_daemon, source):
    daemon = start_daemon({"limits": {"verifier_queue": 64}}, tokens=(ACME, *slow_tokens(2)))
    client = daemon.connect("2")
    assert client.request("GET", "/nowhere", [ACME.header]).status == 404
    client.until(lambda: client.send_window == 1 << 20, "the window of the connection")
    for n in range(20):
        stream = client.open("POST", crash.PATH, headers(stranger(f"nobody-{n}")))
        client.data(stream, b"x" * 60000, end=False)
        client.reset(stream)
    client.ping()
    assert client.send_window >= 1 << 19
    sent = body(metadata_part(source), dump_part(b"y" * 300000))
    assert client.request("POST", crash.PATH, headers(ACME), sent).status == 201


def test_more_than_the_window_is_a_flow_control_error(daemon):
    client = daemon.connect("2")
    client.until(lambda: client.peer_settings is not None, "SETTINGS")
    stream = client.open("POST", crash.PATH, headers(ACME))
    for _ in range(200):
        client.send_frame(frames.DataFrame(stream, b"x" * 16384))
    client.pump()
    if client.streams[stream].reset is None:
        try:
            client.until(lambda: client.streams[stream].reset is not None or client.goaway, "an error")
        except ConnectionEnded:
            pass
    code = client.streams[stream].reset if client.streams[stream].reset is not None else client.goaway[1]
    # The malformed body may have been refused before the window was full.
    assert code in (http2.FLOW_CONTROL_ERROR, http2.NO_ERROR, http2.STREAM_CLOSED)


def test_our_own_window_is_obeyed(daemon):
    """An answer waits until there is room for it."""
    client = daemon.connect("2", settings={frames.SettingsFrame.INITIAL_WINDOW_SIZE: 10})
    client.until(lambda: client.acked, "SETTINGS")
    stream = client.open("GET", "/metrics", end=True)
    answer = client.answered(stream)
    assert answer.status == 200 and answer.body.endswith(b"# EOF\n")


def test_an_answer_that_is_never_read_does_not_stop_the_others(daemon):
    client = daemon.connect("2", settings={frames.SettingsFrame.INITIAL_WINDOW_SIZE: 0})
    client.until(lambda: client.acked, "SETTINGS")
    stuck = client.open("GET", "/metrics", end=True)
    for _ in range(10):
        assert client.request("GET", "/healthz").status == 204
    assert not client.streams[stuck].ended
    client.reset(stuck)
    client.ping()


# -- streams


def test_100_streams_and_one(daemon):
    client = daemon.connect("2")
    client.until(lambda: client.peer_settings is not None, "SETTINGS")
    client.ping()
    streams = [client.open("POST", EXPORT, grpc.headers(ACME)) for _ in range(100)]
    client.ping()
    assert all(client.streams[stream].reset is None and client.streams[stream].response is None for stream in streams)
    extra = client.open("POST", EXPORT, grpc.headers(ACME))
    # RFC 9113 §5.1.2 wants a stream error; nghttp2 ends the connection once its SETTINGS are acknowledged.
    assert refused_stream(client, extra) in (http2.REFUSED_STREAM, http2.PROTOCOL_ERROR, "connection")


def test_a_stream_beyond_100_is_refused_before_settings_are_acknowledged(daemon, source):
    client = daemon.connect("2", ack=False)
    client.until(lambda: client.peer_settings is not None, "SETTINGS")
    streams = [client.open("POST", EXPORT, grpc.headers(ACME)) for _ in range(100)]
    extra = client.open("POST", EXPORT, grpc.headers(ACME))
    assert refused_stream(client, extra) == http2.REFUSED_STREAM
    for stream in streams:
        client.data(stream, frame(otlp.export_lines(source)))
    for stream in streams:
        grpc.outcome(client.answered(stream)).accepted()
    daemon.log_lines(source, 100)
    assert client.request("GET", "/healthz").status == 204


def test_many_streams_one_after_another(daemon):
    client = daemon.connect("2")
    for _ in range(50):
        streams = [client.open("GET", "/healthz", end=True) for _ in range(20)]
        assert {client.answered(stream).status for stream in streams} == {204}


def test_a_stream_remembers_nothing_of_the_one_before(daemon, source):
    """Streams and log exports are used again, with their buffers."""
    client = daemon.connect("2")
    said = otlp.export(otlp.resource_logs(source.attributes(), [otlp.log_record("x" * 100)] * 5))
    first = client.request("POST", EXPORT, grpc.headers(ACME, extra=[("x-request-id", "the-first")]), frame(said))
    grpc.outcome(first).accepted()
    assert first.header("x-request-id") == "the-first"
    second = client.request("POST", EXPORT, grpc.headers(), frame(said))
    grpc.outcome(second).refused(grpc.UNAUTHENTICATED, "missing bearer token")
    assert second.header("x-request-id") != "the-first"
    empty = client.request("POST", EXPORT, grpc.headers(ACME), frame(b""))
    grpc.outcome(empty).accepted()
    short = otlp.export(otlp.resource_logs(source.attributes(), [otlp.log_record("y")]))
    grpc.outcome(client.request("POST", EXPORT, grpc.headers(ACME), frame(short))).accepted()
    bodies = [line["body"] for line in daemon.log_lines(source)]
    assert bodies == ["x" * 100] * 5 + ["y"]


def test_trailers_of_a_request_are_ignored(daemon, source):
    client = daemon.connect("2")
    stream = client.open("POST", crash.PATH, headers(ACME))
    client.data(stream, body(metadata_part(source), dump_part()), end=False)
    trailers = frames.HeadersFrame(stream, client.encoder.encode([("x-checksum", "1"), ("authorization", "no")]))
    client.send_frame(trailers, "END_STREAM", "END_HEADERS")
    assert client.answered(stream).status == 201


def test_padding_and_priority_are_read_over(daemon, source):
    client = daemon.connect("2")
    stream = client.open("POST", crash.PATH, headers(ACME))
    client.send_frame(frames.PriorityFrame(stream, depends_on=0, stream_weight=7))
    sent = body(metadata_part(source), dump_part())
    for at in range(0, len(sent), 100):
        client.send_frame(frames.DataFrame(stream, sent[at:at + 100], pad_length=at % 256), "PADDED")
    client.send_frame(frames.DataFrame(stream, b""), "END_STREAM")
    assert client.answered(stream).status == 201


def test_unknown_frames_and_settings_are_ignored(daemon):
    client = daemon.connect("2", settings={0xBEEF: 7})
    client.send_raw(b"\0\0\4\xfa\0\0\0\0\0abcd")
    assert client.request("GET", "/healthz").status == 204


# -- header limits


def test_60_fields_and_65(daemon):
    client = daemon.connect("2")
    assert client.request("GET", "/healthz", [(f"x-{n}", "v") for n in range(60)]).status == 204
    stream = client.open("GET", "/healthz", [(f"x-{n}", "v") for n in range(65)], end=True)
    refused_stream(client, stream)
    assert daemon.request("2", "GET", "/healthz").status == 204


def test_a_header_list_of_16_KiB(daemon):
    # RFC 9113 §6.5.2: name, value and 32 bytes a field.
    def list_size(fields):
        return sum(len(name) + len(value) + 32 for name, value in fields)

    pseudo = [(":method", "GET"), (":scheme", "http"), (":authority", "detritus.test"), (":path", "/healthz")]
    room = 16384 - list_size(pseudo + [("x-a", ""), ("x-b", "")])
    client = daemon.connect("2")
    assert client.request("GET", "/healthz", [("x-a", "a" * 8000), ("x-b", "b" * (room - 8000))]).status == 204
    stream = client.open("GET", "/healthz", [("x-a", "a" * 8000), ("x-b", "b" * 8500)], end=True)
    refused_stream(client, stream)


def test_an_hpack_bomb_is_defused(daemon):
    """One large entry in the dynamic table, named a thousand times by one byte each."""
    client = daemon.connect("2")
    block = client.header_block("GET", "/healthz", []) + b"\x40\x03x-a\x7f" + b"\xa1\x1e" + b"a" * 4000 + b"\xbe" * 1000
    stream = client.open("GET", "/healthz", block=block, end=True)
    refused_stream(client, stream)


def test_a_block_that_never_ends(daemon):
    client = daemon.connect("2")
    client.send_frame(frames.HeadersFrame(1, client.header_block("GET", "/healthz", [])))
    for _ in range(5000):
        if client.ended:
            break
        client.send_frame(frames.ContinuationFrame(1, b"\x00\x03x-a\x01b" * 100))
        client.pump()
    client.at_end()


@pytest.mark.parametrize("end", ["in a frame", "between frames"])
def test_a_block_that_stops(start_daemon, end):
    daemon = start_daemon({"limits": {"head_timeout_secs": 1}})
    client = daemon.connect("2")
    whole = frames.HeadersFrame(1, client.header_block("GET", "/healthz", [])).serialize()
    client.send_raw(whole[:9 + 5] if end == "in a frame" else whole)
    client.at_end()


def test_an_illegal_block_is_a_compression_error(daemon):
    client = daemon.connect("2")
    client.open("GET", "/healthz", block=b"\xff\xff\xff\xff\xff\xff", end=True)
    connection_error(client, 9)


# -- malformed requests: RFC 9113 §8.1.1


PSEUDO = [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", "/healthz")]
MALFORMED = {
    "no method": PSEUDO[1:],
    "no path": PSEUDO[:3],
    "no scheme": [PSEUDO[0], *PSEUDO[2:]],
    "empty path": [*PSEUDO[:3], (":path", "")],
    "two paths": [*PSEUDO, (":path", "/x")],
    "unknown pseudo": [*PSEUDO, (":nope", "x")],
    "pseudo behind a field": [*PSEUDO[:3], ("x-a", "b"), PSEUDO[3]],
    "status in a request": [*PSEUDO, (":status", "200")],
    "upper case": [*PSEUDO, ("X-Upper", "b")],
    "connection": [*PSEUDO, ("connection", "close")],
    "te": [*PSEUDO, ("te", "gzip")],
    "transfer-encoding": [*PSEUDO, ("transfer-encoding", "chunked")],
    "line feed": [*PSEUDO, ("x-a", "b\nc")],
    "nul": [*PSEUDO, ("x-a", "b\0c")],
    "two lengths": [*PSEUDO, ("content-length", "0"), ("content-length", "0")],
    "bad length": [*PSEUDO, ("content-length", "x")],
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_requests_are_stream_errors(daemon, case):
    client = daemon.connect("2")
    stream = client.open("GET", "/healthz", block=hpack.Encoder().encode(MALFORMED[case]), end=True)
    assert refused_stream(client, stream) in (http2.PROTOCOL_ERROR, 400, 404, "connection")
    assert daemon.request("2", "GET", "/healthz").status == 204


@pytest.mark.parametrize("said", [-1, 1])
def test_a_length_that_lies(daemon, source, said):
    client = daemon.connect("2")
    sent = body(metadata_part(source), dump_part())
    with daemon.unchanged():
        client = daemon.connect("2")
        stream = client.open("POST", crash.PATH, headers(ACME, extra=[("content-length", str(len(sent) + said))]))
        client.data(stream, sent)
        assert refused_stream(client, stream) in (http2.PROTOCOL_ERROR, 400)


def test_cookies_and_repeated_fields_may_be_split(daemon):
    client = daemon.connect("2")
    assert client.request("GET", "/healthz", [("cookie", "a=b"), ("cookie", "c=d"), ("x-a", "1"), ("x-a", "2")]
                          ).status == 204


# -- connection errors


ODD_FRAMES = {
    "data on stream 0": frames.DataFrame(1, b"x"),
    "a window update of 0": b"\0\0\4\x08\0\0\0\0\0\0\0\0\0",
    "a short ping": b"\0\0\4\x06\0\0\0\0\0abcd",
    "settings of 5 bytes": b"\0\0\5\x04\0\0\0\0\0abcde",
    "an acknowledgement with a payload": b"\0\0\6\x04\1\0\0\0\0abcdef",
    "a frame too large": b"\0\x40\1\x06\0\0\0\0\0",
    "a continuation from nowhere": b"\0\0\0\x09\4\0\0\0\1",
    "headers on an even stream": b"\0\0\1\x01\5\0\0\0\2\x82",
    "push promise": b"\0\0\5\x05\4\0\0\0\1\0\0\0\2\x82",
    "window over 2^31": b"\0\0\4\x08\0\0\0\0\0\x7f\xff\xff\xff" * 2,
    "reset of an idle stream": b"\0\0\4\x03\0\0\0\0\x63\0\0\0\0",
}


@pytest.mark.parametrize("case", ODD_FRAMES)
def test_connection_errors(daemon, case):
    odd = ODD_FRAMES[case]
    client = daemon.connect("2")
    client.until(lambda: client.peer_settings is not None, "SETTINGS")
    client.send_raw(odd if isinstance(odd, bytes) else odd.serialize()[:5] + b"\0\0\0\0" + odd.serialize()[9:])
    client.at_end()
    assert client.goaway and client.goaway[1] != 0


def test_a_wrong_preface_gets_no_http2(daemon):
    client = daemon.connect("2", start=False)
    client.send_raw(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + frames.SettingsFrame(0).serialize())
    client.socket.settimeout(client.timeout)
    while client._receive():
        pass


# -- floods


def test_rapid_reset_is_ended(daemon):
    client = daemon.connect("2")
    client.until(lambda: client.peer_settings is not None, "SETTINGS")
    for _ in range(5000):
        if client.ended or client.goaway:
            break
        stream = client.open("GET", "/healthz", block=hpack.Encoder().encode(PSEUDO), end=True)
        client.reset(stream)
        client.pump()
    # nghttp2's own limiter says INTERNAL_ERROR.
    assert client.goaway and client.goaway[1] in (http2.ENHANCE_YOUR_CALM, http2.INTERNAL_ERROR)
    assert daemon.request("2", "GET", "/healthz").status == 204


def window_too_large(client):
    stream = client.open("POST", EXPORT, grpc.headers(ACME))
    client.send_frame(frames.WindowUpdateFrame(stream, window_increment=2**31 - 1))
    return stream


def more_than_announced(client):
    stream = client.open("POST", EXPORT, grpc.headers(ACME, extra=[("content-length", "1")]))
    client.send_frame(frames.DataFrame(stream, b"two"))
    return stream


def no_path(client):
    return client.open("GET", "", end=True, block=NO_PATH)


NO_PATH = b"\x82\x86"  # RFC 7541 Appendix A: ":method: GET" and ":scheme: http"


@pytest.mark.parametrize("provoke", [window_too_large, more_than_announced, no_path])
def test_resets_that_a_client_provokes_are_counted(daemon, provoke):
    """CVE-2025-8671."""
    client = daemon.connect("2")
    for _ in range(1000):
        stream = client.streams[provoke(client)]
        client.until(lambda: stream.reset is not None or client.goaway, "a reset")
        if client.goaway:
            break
    connection_error(client, http2.ENHANCE_YOUR_CALM)
    assert daemon.request("2", "GET", "/healthz").status == 204


def test_resets_that_nobody_reads_are_bounded(start_daemon):
    daemon = start_daemon({"network_threads": 1})
    client = daemon.connect("2", receive_buffer=4096)
    client.until(lambda: client.peer_settings is not None and client.acked, "SETTINGS")
    flood = b"".join(b"\0\0\2\x01\5" + (2 * n + 1).to_bytes(4, "big") + NO_PATH for n in range(20000))
    last = frames.HeadersFrame(40001, client.header_block("GET", "/healthz", []), flags=["END_STREAM", "END_HEADERS"])
    gone = select.poll()
    gone.register(client.socket, select.POLLRDHUP)

    def served():
        return daemon.metric("detritus_requests_total", 0, endpoint="healthz", status="204")

    before, rss = served(), daemon.rss_bytes()
    try:
        client.socket.sendall(flood + last.serialize())
    except OSError:
        pass
    wait_until(lambda: gone.poll(0) or served() > before, "the end of the flood")
    assert daemon.rss_bytes() - rss < 8 << 20


@pytest.mark.parametrize("kind", ["ping", "settings"])
def test_acknowledgements_nobody_reads_are_bounded(start_daemon, kind):
    daemon = start_daemon({"network_threads": 1})
    client = daemon.connect("2")
    one = {"ping": frames.PingFrame(0, b"12345678"), "settings": frames.SettingsFrame(0)}[kind].serialize()
    before = int(open(f"/proc/{daemon.process.pid}/statm").read().split()[1])
    client.socket.setblocking(False)
    flood, refused = memoryview(one * 30000), 0
    while flood and refused < 10:  # else it has stopped reading
        try:
            flood, refused = flood[client.socket.send(flood[:100 * len(one)]):], 0
        except BlockingIOError:  # its one thread looks at this connection before it answers another
            assert daemon.request("1.1", "GET", "/healthz").status == 204
            refused += 1
        except OSError:
            break  # it has hung up, which bounds what it keeps as well
    client.close()
    assert daemon.request("2", "GET", "/healthz").status == 204
    after = int(open(f"/proc/{daemon.process.pid}/statm").read().split()[1])
    assert (after - before) * 4096 < 16 << 20


# -- the end


def test_sigterm_says_goaway_and_finishes_what_is_under_way(start_daemon, source):
    daemon = start_daemon()
    dump = b"MDMP under way"
    whole = body(metadata_part(source), dump_part(dump))
    client = daemon.connect("2")
    upload = client.open("POST", crash.PATH, headers(ACME))
    export = client.open("POST", EXPORT, grpc.headers(ACME))
    client.data(upload, whole[:-20], end=False)
    message = frame(otlp.export_lines(source))
    client.data(export, message[:-3], end=False)
    client.ping()
    daemon.signal(signal.SIGTERM)
    client.until(lambda: client.goaway, "GOAWAY")
    assert client.goaway[1] == http2.NO_ERROR
    client.data(upload, whole[-20:])
    client.data(export, message[-3:])
    assert client.answered(upload).json() == {"id": sha256(dump), "dedup": False}
    grpc.outcome(client.answered(export)).accepted()
    client.at_end()
    assert daemon.wait_exit() == 0
    assert daemon.blob(sha256(dump)).read_bytes() == dump
    daemon.log_lines(source, 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_finishes_an_upload_over_http_1_too(start_daemon, source, number):
    daemon = start_daemon()
    whole = body(metadata_part(source), dump_part())
    client, idle = daemon.connect(), daemon.connect()
    assert idle.request("GET", "/healthz").status == 204
    client.send(http1.head("POST", crash.PATH, headers(ACME, extra=[("content-length", str(len(whole)))])))
    client.send(whole[:-20])
    daemon.wait_metric("detritus_uploads_in_flight", lambda n: n == 1)
    daemon.signal(number)
    idle.at_end()
    client.send(whole[-20:])
    response = client.read()
    assert response.status == 201
    assert response.header("connection", "").lower() == "close"
    client.at_end()
    assert daemon.wait_exit() == 0


def test_a_connection_of_the_last_moment_is_served(start_daemon):
    """It was accepted before SIGTERM; its request, or the rest of it, comes after."""
    daemon = start_daemon()
    clients = [(daemon.connect("1.1"), said) for said in (b"", b"P", b"POST /v1/cr")]
    clients += [(daemon.connect("2", start=False), said) for said in (b"", b"P", http2.PREFACE[:20])]
    for client, said in clients:
        client.socket.sendall(said)
    daemon.signal(signal.SIGTERM)
    daemon.log.wait("draining")
    for client, said in clients:
        whole = body(metadata_part(crash.Source.fresh()), dump_part())
        if isinstance(client, http2.Http2):
            client.send_raw((http2.PREFACE + frames.SettingsFrame(0).serialize())[len(said):])
            response = client.request("POST", crash.PATH, headers(ACME), whole)
        else:
            length = [("content-length", str(len(whole)))]
            client.send((http1.head("POST", crash.PATH, headers(ACME, extra=length)) + whole)[len(said):])
            response = client.read()
        assert response.status == 201, (said, response)
        client.at_end()
    assert daemon.wait_exit() == 0


def test_sighup_means_nothing_while_draining(start_daemon, source):
    daemon = start_daemon()
    whole = body(metadata_part(source), dump_part())
    client = daemon.connect()
    client.send(http1.head("POST", crash.PATH, headers(ACME, extra=[("content-length", str(len(whole)))])))
    client.send(whole[:-20])
    daemon.wait_metric("detritus_uploads_in_flight", lambda n: n == 1)
    daemon.signal(signal.SIGTERM)
    daemon.log.wait("draining")
    daemon.signal(signal.SIGHUP)
    client.send(whole[-20:])
    assert client.read().status == 201
    client.at_end()
    assert daemon.wait_exit() == 0


def test_draining_has_an_end(start_daemon, source):
    daemon = start_daemon({"limits": {"drain_timeout_secs": 1}})
    client = daemon.connect()
    client.send(http1.head("POST", crash.PATH, headers(ACME, extra=[("content-length", "1000")])))
    client.send(metadata_part(source)[:100])
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert list((daemon.data_dir / "crashes/by-source").rglob("*.json")) == []
