"""HTTP/1.1 at its edges: RFC 9112, and the limits of our own."""

import resource

import pytest

from harness import crash, http1
from harness.crash import body, dump_part, headers, metadata_part
from harness.daemon import ACME, wait_until

pytestmark = pytest.mark.ours

GET = b"GET /healthz HTTP/1.1\r\nhost: x\r\n"
POST = (b"POST /v1/crashes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer acme-secret\r\n"
        b"content-type: multipart/form-data; boundary=x\r\n")


def refused_and_closed(daemon, sent, *statuses):
    client = daemon.connect()
    client.send(sent)
    response = client.read()
    assert response.status in statuses, response
    response.refused(response.status)
    client.at_end()


# -- limits


def head_of(size):
    start, end = GET + b"x-padding: ", b"\r\n\r\n"
    return start + b"p" * (size - len(start) - len(end)) + end


def test_a_head_of_16_KiB(daemon):
    assert len(head_of(16384)) == 16384
    client = daemon.connect()
    client.send(head_of(16384))
    assert client.read().status == 204
    client.send(head_of(16384))  # the second counts from zero
    assert client.read().status == 204


def test_a_head_of_16_KiB_and_a_byte(daemon):
    refused_and_closed(daemon, head_of(16385), 431, 400)


def test_a_head_that_never_ends(daemon):
    refused_and_closed(daemon, GET + b"x-padding: " + b"p" * 100000, 431, 400)


def test_a_request_line_that_never_ends(daemon):
    refused_and_closed(daemon, b"GET /" + b"p" * 100000, 414, 431, 400)


def test_64_fields(daemon):
    client = daemon.connect()
    client.send(GET + b"".join(b"x-%d: v\r\n" % n for n in range(63)) + b"\r\n")
    assert client.read().status == 204
    refused_and_closed(daemon, GET + b"".join(b"x-%d: v\r\n" % n for n in range(64)) + b"\r\n", 431, 400)


def test_a_connection_serves_1000_requests(daemon):
    client = daemon.connect()
    client.send((GET + b"\r\n") * 1000)
    answers = [client.read() for _ in range(1000)]
    assert {answer.status for answer in answers} == {204}
    assert all(answer.header("connection", "").lower() != "close" for answer in answers[:-1])
    assert answers[-1].header("connection", "").lower() == "close"
    client.at_end()


def test_requests_behind_the_last_are_not_answered(start_daemon):
    client = start_daemon({"limits": {"http1_requests": 3}}).connect()
    client.send((GET + b"\r\n") * 5)
    assert [client.read().status for _ in range(3)] == [204] * 3
    client.at_end()


def test_connections_have_a_limit_per_address(start_daemon):
    daemon = start_daemon({"limits": {"connections_per_address": 4}})
    first = daemon.connect()
    wait_until(lambda: daemon.metric("detritus_connections", client=first) == 1, "those of the start to be gone")
    clients = [first] + [daemon.connect() for _ in range(3)]
    assert [client.request("GET", "/healthz").status for client in clients] == [204] * 4
    beyond = daemon.connect()
    beyond.send(GET + b"\r\n")
    while beyond._receive():
        pass
    assert not beyond.buffer or beyond.buffer.startswith(b"HTTP/1.1 503 ")
    assert [client.request("GET", "/healthz").status for client in clients] == [204] * 4


def test_descriptors_that_run_out(start_daemon):
    """Who comes then is turned away, or waits until one is free again; the daemon does not spin over it."""
    daemon = start_daemon({"network_threads": 2, "limits": {"head_timeout_secs": 1}})
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (60, 60))
    spent = daemon.cpu_secs()
    clients = [daemon.connect() for _ in range(100)]
    for client in clients:
        client.at_end()
    assert daemon.cpu_secs() - spent < 0.5
    assert daemon.request("1.1", "GET", "/healthz").status == 204


@pytest.mark.parametrize("limit, sent", [
    ("head_timeout_secs", b""), ("head_timeout_secs", b"GET /heal"), ("head_timeout_secs", GET),
    ("body_idle_timeout_secs", POST + b"content-length: 100\r\n\r\n--x"),
    ("idle_timeout_secs", GET + b"\r\n"),
])
def test_who_says_nothing_is_cut_off(start_daemon, limit, sent):
    daemon = start_daemon({"limits": {limit: 1}})
    client = daemon.connect()
    client.send(sent)
    while client._receive():
        pass
    assert client.buffer[:13] in ((b"HTTP/1.1 204 ",) if limit == "idle_timeout_secs" else (b"", b"HTTP/1.1 408 "))


# -- two ways to read a request are one too many: RFC 9112 §6.3, §11.2


@pytest.mark.parametrize("fields", [
    b"content-length: 3\r\ntransfer-encoding: chunked\r\n",
    b"transfer-encoding: chunked\r\ncontent-length: 3\r\n",
    b"content-length: 3\r\ncontent-length: 3\r\n",
    b"content-length: 3\r\ncontent-length: 4\r\n",
    b"content-length: 3, 3\r\n",
    b"content-length: -1\r\n",
    b"content-length: +3\r\n",
    b"content-length: 0x3\r\n",
    b"content-length: 3 \x0b\r\n",
    b"content-length:\r\n",
    b"content-length: 18446744073709551616\r\n",
    b"content-length: 99999999999999999999999\r\n",
    b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
    b"transfer-encoding: chunked, identity\r\n",
    b"transfer-encoding: xchunked\r\n",
    b"transfer-encoding: gzip\r\n",
    b"transfer-encoding: chunked, chunked\r\n",
    b"transfer-encoding: chunked\t\r\n",
    b"transfer-encoding: \x0bchunked\r\n",
    b"transfer-encoding: chunked\r\ntransfer-encoding:\r\n",
    b"transfer-encoding:\r\n",
    b"transfer-encoding: \r\n",
    b"transfer-encoding:\r\ncontent-length: 3\r\n",
    b"transfer-encoding:\r\n chunked\r\n",
    b"transfer-encoding : chunked\r\n",
    b"content-length: 3\t\r\n",
    b"content-length: 0\r\ntransfer-encoding: chunked\r\n",
], ids=repr)
def test_ambiguous_lengths(daemon, fields):
    refused_and_closed(daemon, POST + fields + b"\r\n0\r\n\r\n", 400, 501)


@pytest.mark.parametrize("sent", [
    GET.replace(b"\r\n", b"\n") + b"\n",
    b"GET /healthz HTTP/1.1\nhost: x\r\n\r\n",
    GET + b"x-a: 1\nx-b: 2\r\n\r\n",
    GET + b"x-a: 1\r\n\n",
    GET + b"x-a: 1\rx-b: 2\r\n\r\n",
    GET + b"x-a: 1\r\n folded\r\n\r\n",
    GET + b"x-a: 1\r\n\tfolded\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n host: x\r\n\r\n",
    GET + b"x-a : 1\r\n\r\n",
    GET + b" x-a: 1\r\n\r\n",
    GET + b"x-a\r\n\r\n",
    GET + b": 1\r\n\r\n",
    GET + b"x(a): 1\r\n\r\n",
    GET + b"x-a: \x00\r\n\r\n",
    b"GET /healthz HTTP/1.1 \r\nhost: x\r\n\r\n",
    b"GET /heal\x00thz HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /heal\xe9thz HTTP/1.1\r\nhost: x\r\n\r\n",
    b"PRI * HTTP/1.1\r\nhost: x\r\n\r\n",
    b"SETUP /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    b"get /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    GET + b"x-a: \x0b\r\n\r\n",
    GET + b"x-a: \x7f\r\n\r\n",
    b"G\xc3\x89T /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
], ids=repr)
def test_what_is_not_http_1_1(daemon, sent):
    refused_and_closed(daemon, sent, 400)


@pytest.mark.parametrize("version", ["", "HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/3.0", "http/1.1", "HTTP/11"])
def test_other_versions(daemon, version):
    client = daemon.connect()
    client.send(b"GET /healthz%s\r\nhost: x\r\n\r\n" % (b" " + version.encode() if version else b""))
    # RFC 9110 §2.5: a higher minor version is answered as 1.1.
    assert client.read().status in ((204,) if version == "HTTP/1.2" else (400, 505))


@pytest.mark.parametrize("fields", [b"", b"host: a\r\nhost: b\r\n"])
def test_exactly_one_host(daemon, fields):
    refused_and_closed(daemon, b"GET /healthz HTTP/1.1\r\n" + fields + b"\r\n", 400)


@pytest.mark.parametrize("chunks", [
    b"zz\r\n", b"-1\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"3\nabc\r\n0\r\n\r\n", b"fffffffffffffffff\r\n",
    b"3\r\nabc0\r\n\r\n", b" 3\r\nabc\r\n0\r\n\r\n", b"\r\n", b"0x3\r\nabc\r\n0\r\n\r\n", b"3 \r\nabc\r\n0\r\n\r\n",
    # neither CR nor LF ends a line alone, nor do two other bytes end a chunk
    b"3\rabc\r\n0\r\n\r\n", b"3\r\r\nabc\r\n0\r\n\r\n", b"3\r\nabcXX0\r\n\r\n", b"3\r\nabc\n0\r\n\r\n",
    b"3\r\nabc\r0\r\n\r\n", b"0\n\n", b"0\r\n\n", b"0\r\nx: y\n\r\n", b"0\r\nx: y\r\n\n", b"0\r\nx:\ry: z\r\n\r\n",
    b"0\r\nx:\n\r\n", b"0\r\nx: y\r\rz", b"3;a\nabc\r\n0\r\n\r\n", b"3;a\rabc\r\n0\r\n\r\n",
    b"3;a=\"\n\"\r\nabc\r\n0\r\n\r\n",
    # trailers are fields, and none of them says how long the body was: RFC 9110 §6.5.1
    b"0\r\nx\r\n\r\n", b"0\r\nx : y\r\n\r\n", b"0\r\nx: \x00\r\n\r\n",
    b"0\r\ntransfer-encoding: chunked\r\n\r\n",
], ids=repr)
@pytest.mark.parametrize("pieces", [False, True], ids=["at_once", "byte_by_byte"])
def test_bad_chunks(daemon, chunks, pieces):
    client = daemon.connect()
    client.send(POST + b"transfer-encoding: chunked\r\n\r\n")
    for piece in [bytes([byte]) for byte in chunks] if pieces else [chunks]:
        client.send(piece)
    client.read().refused(400)
    client.at_end()


def chunked(client, sent):
    client.send(http1.head("POST", crash.PATH, headers(ACME, extra=[("transfer-encoding", "Chunked")])) + sent)
    return client.read().status


def test_chunk_extensions_and_trailers_are_ignored(daemon, source):
    whole = body(metadata_part(source), dump_part())
    client = daemon.connect()
    assert chunked(client, b"%x;name=\"value\"\r\n%s\r\n000\r\nx-trailer: 1\r\nauthorization: no\r\n\r\n"
                   % (len(whole), whole)) == 201
    assert client.request("GET", "/healthz").status == 204


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_body_in_small_chunks(daemon, source, size):
    client = daemon.connect()
    assert chunked(client, http1.chunks(body(metadata_part(source), dump_part()), size)) == 201
    assert client.request("GET", "/healthz").status == 204


def test_chunks_byte_by_byte(daemon, source):
    client = daemon.connect()
    sent = http1.head("POST", crash.PATH, headers(ACME, extra=[("transfer-encoding", "chunked")]))
    sent += http1.chunks(body(metadata_part(source), dump_part()), 5)
    sent = sent.replace(b"\r\n0\r\n", b"\r\n0;a=b\r\nx: y\r\n") + GET + b"\r\n"
    for byte in sent:
        client.send(bytes([byte]))
    assert [client.read().status, client.read().status] == [201, 204]


# What stands between two pieces of a body may have 4096 bytes.
@pytest.mark.parametrize("size, status", [(4096, 201), (4097, 431)])
@pytest.mark.parametrize("shape", ["extension", "zeros", "trailer"])
def test_framing_of_4_KiB(daemon, source, shape, size, status):
    whole = body(metadata_part(source), dump_part())
    first, last = b"%x" % len(whole), b"\r\n0\r\n\r\n"
    if shape == "extension":
        first += b";" + b"x" * (size - len(first) - len(b";\r\n"))
    elif shape == "zeros":
        first = first.rjust(size - len(b"\r\n"), b"0")
    else:
        last = b"\r\n0\r\nx: %s\r\n\r\n" % (b"y" * (size - len(b"\r\n0\r\nx: \r\n\r\n")))
    assert chunked(daemon.connect(), first + b"\r\n" + whole + last) == status


@pytest.mark.parametrize("sent", [b"3;" + b"x" * 1000000, b"3;a=\"" + b"x" * 1000000, b"0" * 1000000,
                                  b"0\r\n" + b"x-a: b\r\n" * 100000, b"0\r\n" + b"x" * 1000000],
                         ids=["extension", "quoted", "zeros", "trailers", "trailer"])
def test_framing_without_end(daemon, sent):
    refused_and_closed(daemon, POST + b"transfer-encoding: chunked\r\n\r\n" + sent, 431)


# -- manners


def test_400_answers_for_who_reads_slowly_and_sends_no_more(daemon):
    client = daemon.connect(receive_buffer=16384)
    client.socket.sendall(http1.head("GET", "/metrics") * 400)
    client.half_close()
    answers = [client.read() for _ in range(400)]
    assert {answer.status for answer in answers} == {200} and answers[-1].body.endswith(b"# EOF\n")
    client.at_end()


def test_an_upgrade_to_h2c_is_ignored(daemon):
    client = daemon.connect()
    upgrade = [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABkAARAAAAA")]
    assert client.request("GET", "/healthz", upgrade).status == 204
    assert client.request("GET", "/healthz").status == 204


def test_an_upgrade_with_a_body_is_ignored(daemon):
    client = daemon.connect()
    client.send(GET + b"connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 5\r\n\r\nhello" + GET + b"\r\n")
    assert [client.read().status, client.read().status] == [204, 204]


def test_empty_lines_before_a_request_are_ignored(daemon):
    client = daemon.connect()
    client.send(b"\r\n" + GET + b"\r\n" + b"\r\n" + GET + b"\r\n")
    assert [client.read().status, client.read().status] == [204, 204]


def test_a_head_byte_by_byte(daemon):
    client = daemon.connect()
    for byte in GET + b"\r\n":
        client.send(bytes([byte]))
    assert client.read().status == 204


def test_names_are_read_in_any_case(daemon, source):
    client = daemon.connect()
    sent = body(metadata_part(source), dump_part())
    client.send(b"POST /v1/crashes HTTP/1.1\r\nHOST: x\r\nAUTHORIZATION: Bearer acme-secret\r\nCoNtEnT-LeNgTh: %d\r\n"
                b"Content-TYPE: multipart/form-data; boundary=%s\r\n\r\n" % (len(sent), crash.BOUNDARY.encode()) + sent)
    assert client.read().status == 201


def test_the_absolute_form(daemon):
    client = daemon.connect()
    client.send(b"GET http://detritus.test/healthz HTTP/1.1\r\nhost: detritus.test\r\n\r\n")
    assert client.read().status in (204, 400)


@pytest.mark.parametrize("line", ["OPTIONS * HTTP/1.1", "CONNECT a.test:443 HTTP/1.1", "TRACE /healthz HTTP/1.1",
                                  "BREW /healthz HTTP/1.1", "GET healthz HTTP/1.1"])
def test_odd_requests_are_refused(daemon, line):
    client = daemon.connect()
    client.send(line.encode() + b"\r\nhost: x\r\nauthorization: Bearer acme-secret\r\n\r\n")
    assert client.read().status in (400, 404, 405, 501)


@pytest.mark.parametrize("connection, kept", [("", False), ("connection: keep-alive\r\n", True)])
def test_http_1_0_is_kept_only_when_asked(daemon, connection, kept):
    client = daemon.connect()
    client.send(b"GET /healthz HTTP/1.0\r\n" + connection.encode() + b"\r\n")
    response = client.read()
    assert response.status == 204
    if kept and response.header("connection", "").lower() == "keep-alive":
        client.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert client.read().status == 204
    client.at_end()


def test_a_body_where_none_is_wanted(daemon):
    client = daemon.connect()
    client.send(GET + b"content-length: 5\r\n\r\nhello" + GET + b"\r\n")
    assert [client.read().status, client.read().status] == [204, 204]


def test_a_refused_upload_does_not_poison_the_connection(daemon):
    """The body of a refused request is skipped, or the connection is closed: it is never read as a request."""
    client = daemon.connect()
    sent = GET + b"\r\n"
    client.send(http1.head("POST", crash.PATH, headers(None, extra=[("content-length", str(len(sent)))])) + sent)
    first = client.read()
    first.refused(401)
    client.send(b"GET /nowhere HTTP/1.1\r\nhost: x\r\nauthorization: Bearer acme-secret\r\n\r\n")
    if first.header("connection", "").lower() == "close":
        client.at_end()
    else:
        assert client.read().status == 404


def test_an_early_refusal_of_a_long_body_arrives(daemon):
    """The answer is readable although the client is still sending: RFC 9112 §9.6, a lingering close."""
    for _ in range(5):
        client = daemon.connect()
        client.send(http1.head("POST", crash.PATH, headers(None, extra=[("content-length", "10000000")])))
        client.send(b"x" * 10000000)
        client.read().refused(401)


def test_many_connections_at_once(daemon, source):
    clients = [daemon.connect() for _ in range(100)]
    for client in clients:
        client.send(GET)
    for client in clients:
        client.send(b"\r\n")
    assert {client.read().status for client in clients} == {204}
