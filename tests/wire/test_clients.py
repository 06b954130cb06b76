"""Stock command-line clients: curl, nghttp, h2load."""

import gzip
import json
import re
import shutil

import pytest

from harness import children, crash, grpc, otlp
from harness.crash import body, dump_part, metadata_part
from harness.daemon import ACME, IS_REFERENCE, sha256


def tool(name):
    return pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed")


def run(*command):
    done = children.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done
    return done.stdout


def curl(*arguments):
    """(status, HTTP version, body)."""
    out = run("curl", "-sS", "--noproxy", "*", "-w", "\n%{http_code} %{http_version}", *arguments)
    text, _, last = out.rpartition("\n")
    status, version = last.split()
    return int(status), version, text


curl_versions = pytest.mark.parametrize("flag, version", [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")])


@tool("curl")
@curl_versions
def test_curl_uploads_a_form(daemon, source, tmp_path, flag, version):
    document, dump = tmp_path / "metadata.json", tmp_path / "core.dmp"
    document.write_text(json.dumps(crash.metadata(source)))
    dump.write_bytes(b"MDMP" + bytes(2000000))  # large enough that curl expects 100-continue
    got = curl(flag, "-H", "Authorization: Bearer " + ACME.secret,
               "-F", f"metadata=@{document};type=application/json", "-F", f"dump=@{dump}", "-F", f"attach:doc=@{document}",
               daemon.url + crash.PATH)
    assert got[:2] == (201, version)
    assert json.loads(got[2])["id"] == sha256(dump.read_bytes())
    assert daemon.blob(sha256(dump.read_bytes())).read_bytes() == dump.read_bytes()


@tool("curl")
@curl_versions
@pytest.mark.parametrize("extra", [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]])
def test_curl_uploads_a_compressed_body(daemon, source, tmp_path, flag, version, extra):
    if version == "2" and extra[1:] == ["Transfer-Encoding: chunked"]:
        pytest.skip("HTTP/2 has no chunks")
    path = tmp_path / "body.gz"
    path.write_bytes(gzip.compress(body(metadata_part(source), dump_part(source.install_id.encode()))))
    got = curl(flag, "-H", "Authorization: Bearer " + ACME.secret, "-H", "Content-Encoding: gzip",
               "-H", f"Content-Type: multipart/form-data; boundary={crash.BOUNDARY}", *extra,
               "--data-binary", f"@{path}", daemon.url + crash.PATH)
    assert got[:2] == (201, version)


@tool("curl")
def test_curl_is_refused_while_it_sends(daemon, tmp_path):
    """Over HTTP/1.1: an answer before the end of the body, in HTTP/2 followed by RST_STREAM(NO_ERROR) as RFC 9113 §8.1
    has it, is error 92 to curl 7.88, with the reference as with us."""
    path = tmp_path / "large"
    path.write_bytes(bytes(20000000))
    got = curl("--http1.1", "-F", f"metadata=@{path}", daemon.url + crash.PATH)
    assert got[:2] == (401, "1.1")
    assert json.loads(got[2])["error"]["code"] == 401


EARLY = {
    "no such path": (404, "/nowhere", []),
    "another version": (412, crash.PATH, [f"content-type: multipart/form-data; boundary={crash.BOUNDARY}",
                                          "x-protocol-version: 2"]),
}  # Not an answer without a body (gRPC's trailers-only): that one can leave curl 7.88 waiting for ever.


@tool("curl")
@pytest.mark.parametrize("case", EARLY)
def test_curl_gets_an_answer_that_does_not_wait_for_the_body(daemon, case):
    """Curl 7.88 fails with error 92 when RST_STREAM(NO_ERROR) overtakes the end of its own short body."""
    status, path, fields = EARLY[case]
    fields = [argument for field in ("authorization: Bearer " + ACME.secret, *fields) for argument in ("-H", field)]
    for _ in range(10):
        got = curl("--http2-prior-knowledge", "-i", *fields, "-d", "x", daemon.url + path)
        assert got[:2] == (status, "2")


@tool("curl")
@curl_versions
def test_curl_asks_operators(daemon, flag, version):
    assert curl(flag, daemon.url + "/healthz") == (204, version, "")
    status, got, text = curl(flag, "--compressed", daemon.url + "/metrics")
    assert (status, got) == (200, version) and text.endswith("# EOF\n")


@tool("nghttp")
@pytest.mark.parametrize("options", [[], ["-m", "5"], ["-w", "14", "-W", "14"], ["--expect-continue"],
                                     ["--no-dep", "--padding=100"]])
def test_nghttp_uploads(daemon, source, tmp_path, options):
    path = tmp_path / "body"
    path.write_bytes(body(metadata_part(source), dump_part(source.install_id.encode() * 10000)))
    said = run("nghttp", "-v", *options, "-d", str(path), "-H", "authorization: Bearer " + ACME.secret,
               "-H", f"content-type: multipart/form-data; boundary={crash.BOUNDARY}", daemon.url + crash.PATH)
    statuses = re.findall(r":status: (\d+)", re.sub(r"\x1b\[[0-9;]*m", "", said))
    assert [status for status in statuses if status != "100"] == ["201"] * (5 if options[:1] == ["-m"] else 1)


@tool("nghttp")
def test_nghttp_upgrades_to_nothing(daemon):
    """`-u` asks for h2c by Upgrade, which is ignored: nghttp then says so and fails."""
    done = children.run(["nghttp", "-u", "-v", daemon.url + "/healthz"], capture_output=True, text=True)
    assert "101 Switching" not in done.stdout


def h2load_statuses(said):
    found = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said)
    assert found, said
    return [int(count) for count in found.groups()]


@tool("h2load")
@pytest.mark.parametrize("options", [[], ["--h1"]])
def test_h2load_on_crashes(start_daemon, source, tmp_path, options):
    daemon = start_daemon(None if IS_REFERENCE else {"limits": {"uploads_per_source": 16}})
    path = tmp_path / "body"
    path.write_bytes(body(metadata_part(source), dump_part(source.install_id.encode() * 100)))
    said = run("h2load", "-n200", "-c4", *(options or ["-m4"]), "-d", str(path), "-H",
               "authorization: Bearer " + ACME.secret, "-H",
               f"content-type: multipart/form-data; boundary={crash.BOUNDARY}", daemon.url + crash.PATH)
    assert h2load_statuses(said) == [200, 0, 0, 0]
    assert len(daemon.mirror_files(source)) == 1


@tool("h2load")
def test_h2load_on_logs(daemon, source, tmp_path):
    path = tmp_path / "message"
    path.write_bytes(grpc.frame(otlp.export_lines(source, 5)))
    said = run("h2load", "-n200", "-c4", "-m4", "-d", str(path), "-H", "authorization: Bearer " + ACME.secret,
               "-H", "te: trailers", "-H", "content-type: application/grpc", "-H", "x-protocol-version: 1",
               daemon.url + grpc.EXPORT)
    assert h2load_statuses(said) == [200, 0, 0, 0]
    assert len(daemon.log_lines(source, 1000)) == 1000


@tool("h2load")
@pytest.mark.parametrize("options", [["-m4"], ["--h1"]])
@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
def test_h2load_on_operators(daemon, options, path):
    assert h2load_statuses(run("h2load", "-n200", "-c4", *options, daemon.url + path)) == [200, 0, 0, 0]
