"""Crash uploads: every row of the outcome table, over both HTTP versions, and what is on disk afterwards."""

import gzip
import json
import re

import pytest
import zstandard

from conftest import both
from harness import crash, http1
from harness.crash import ABSENT, BOUNDARY, attachment_part, body, dump_part, headers, metadata, metadata_part, part, upload
from harness.daemon import ACME, NARROW, OTHER, sha256

ours = pytest.mark.ours


def fresh_dump(source, size=100):
    """A dump that no other test has sent."""
    return (b"MDMP" + source.install_id.encode() + b"\0\r\n--" * size)[:max(size, 40)]


# -- stored


@both
def test_a_report_is_stored_and_found_everywhere(daemon, http, source):
    dump, note = fresh_dump(source, 70000), b"a note of " + source.install_id.encode()
    response = upload(daemon, http, ACME,
                      metadata_part(source, panic_text="boom", timestamp="2026-05-19T03:04:05.120+02:00",
                                    context={"tick": 42, "seed": 18446744073709551615, "ratio": 0.1, "none": None},
                                    attachments=[{"key": "log", "filename": "a.txt", "content_type": "text/plain",
                                                  "len": len(note)}]),
                      dump_part(dump), attachment_part("log", note))
    assert response.status == 201, response
    assert response.json() == {"id": sha256(dump), "dedup": False}

    assert daemon.blob(sha256(dump)).read_bytes() == dump
    assert daemon.blob(sha256(note)).read_bytes() == note
    [mirror] = daemon.mirror_files(source)
    assert mirror.name == f"20260519T010405.120Z-{sha256(dump)}.json"
    index = json.loads(mirror.read_text())
    assert list(index) == ["metadata", "dump", "attachments"]
    assert index["metadata"] == {
        "schema_version": 1, "source": source.json(), "timestamp": "2026-05-19T01:04:05.120Z", "kind": "Minidump",
        "build": {"git_sha": "0123abcd", "profile": "release", "target_triple": "x86_64-unknown-linux-gnu"},
        "panic_text": "boom", "context": {"tick": 42, "seed": 18446744073709551615, "ratio": 0.1, "none": None},
        "attachments": [{"key": "log", "filename": "a.txt", "content_type": "text/plain", "len": len(note)}]}
    assert list(index["metadata"]) == ["schema_version", "source", "timestamp", "kind", "build", "panic_text",
                                       "context", "attachments"]

    def path(data):
        return f"crashes/by-hash/{sha256(data)[:2]}/{sha256(data)}.bin"

    assert index["dump"] == {"sha256": sha256(dump), "len": len(dump), "path": path(dump), "dedup": False}
    assert index["attachments"] == [{"key": "log", "content_type": "text/plain", "sha256": sha256(note),
                                     "len": len(note), "path": path(note), "dedup": False}]


FILENAMES = {
    "not UTF-8": (b'filename="na\xefve.log"', "na\ufffdve.log"),
    "quotes inside": (b'filename="my "own" file"', 'my "own" file'),
    "a tab": (b'filename="a\tb"', "a b"),
    "an escape sequence": (b'filename="\x1b[2Ja"', "\ufffd[2Ja"),
    "a bare name with spaces": (b"filename=my own file", "my own file"),
    "a Windows directory": (b'filename="C:\\logs\\"', "C:\\logs\\"),
    "filename*": (b"filename*=utf-8''na%C3%AFve.log", "na\u00efve.log"),
    "filename* wins": (b"filename=\"naive.log\"; filename*=UTF-8'en'na%C3%AFve.log", "na\u00efve.log"),
    "no path": (b'filename="../../../etc/passwd"', "../../../etc/passwd"),
}


@both
@ours
@pytest.mark.parametrize("case", FILENAMES)
def test_no_report_is_lost_over_a_file_name(daemon, http, source, case):
    sent, stored = FILENAMES[case]
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=".encode()
    parts = [head + b'"%s"; ' % name + sent + b"\r\n\r\n" + data + b"\r\n" for name, data in
             ((b"dump", b"MDMP"), (b"attach:log", source.install_id.encode()))]
    assert upload(daemon, http, ACME, metadata_part(source), *parts).status == 201
    [row] = daemon.crash_rows(source)
    [attachment] = daemon.rows("SELECT * FROM attachment WHERE crash_id = ?", (row["id"],))
    assert (attachment["filename"], attachment["len"]) == (stored, 36)


@both
@ours
def test_a_byte_order_mark_before_the_metadata(daemon, http, source):
    marked = b"\xef\xbb\xbf" + json.dumps(metadata(source)).encode()
    assert upload(daemon, http, ACME, part("metadata", marked), dump_part()).status == 201
    [row] = daemon.crash_rows(source)
    assert row["metadata"].startswith("{")


@both
@ours
def test_a_report_is_a_row(daemon, http, source):
    dump, note = fresh_dump(source), b"a note of " + source.install_id.encode()
    response = upload(daemon, http, ACME,
                      metadata_part(source, panic_text="boom", kind="PanicTarball", context={"tick": 42},
                                    timestamp="2026-05-19T03:04:05.120+02:00",
                                    attachments=[{"key": "log", "filename": "a.txt", "content_type": "text/plain",
                                                  "len": len(note)}]),
                      dump_part(dump), attachment_part("log", note))
    assert response.status == 201
    [row] = daemon.crash_rows(source)
    assert (row["dump_sha256"], row["dump_content_encoding"], row["kind"]) == (sha256(dump), None, "PanicTarball")
    assert re.fullmatch(r"2026-05-19T01:04:05\.120(000)*Z", row["crashed_at"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", row["received_at"])
    assert (row["platform"], row["version"], row["git_sha"]) == ("linux", "1.4.2", "0123abcd")
    assert (row["profile"], row["target_triple"]) == ("release", "x86_64-unknown-linux-gnu")
    assert (row["panic_text"], json.loads(row["context"])) == ("boom", {"tick": 42})
    assert json.loads(row["metadata"])["source"] == source.json()
    assert (row["dedup"], row["held"]) == (0, 0)
    [attachment] = daemon.rows("SELECT * FROM attachment WHERE crash_id = ?", (row["id"],))
    assert (attachment["position"], attachment["key"], attachment["filename"]) == (0, "log", "a.txt")
    assert (attachment["content_type"], attachment["content_encoding"]) == ("text/plain", None)
    assert (attachment["sha256"], attachment["len"], attachment["dedup"]) == (sha256(note), len(note), 0)
    [found] = daemon.rows("SELECT * FROM source WHERE install_id = ?", (source.install_id,))
    assert (found["project"], found["platform"], found["version"]) == ("acme", "linux", "1.4.2")
    [seen] = daemon.rows("SELECT * FROM crash_overview WHERE install_id = ?", (source.install_id,))
    assert (seen["project"], seen["dump_len"], seen["attachments"]) == ("acme", len(dump), 1)


@both
def test_unknown_keys_are_taken(daemon, http, source):
    response = upload(daemon, http, ACME, metadata_part(source, {"extra": {"a": [1]}, "source.shoe_size": 44}),
                      dump_part())
    assert response.status == 201


@ours
def test_unknown_keys_are_kept(daemon, source):
    crash.report(daemon, "1.1", ACME, source, changes={"extra": {"a": [1]}, "source.shoe_size": 44})
    [row] = daemon.crash_rows(source)
    kept = json.loads(row["metadata"])
    assert kept["extra"] == {"a": [1]} and kept["source"]["shoe_size"] == 44
    [mirror] = daemon.mirror_files(source)
    assert json.loads(mirror.read_text())["metadata"] == kept


@both
def test_panic_text_may_be_absent(daemon, http, source):
    assert upload(daemon, http, ACME, metadata_part(source, {"panic_text": ABSENT}), dump_part()).status == 201


@pytest.mark.parametrize("sent, stamp", [
    ("2026-05-19T00:00:00Z", "20260519T000000Z"),
    ("2026-05-19T00:00:00.000Z", "20260519T000000Z"),
    ("2026-05-19T00:00:00.5Z", "20260519T000000.500Z"),
    ("2026-05-19T00:00:00.000001Z", "20260519T000000.000001Z"),
    ("2026-05-19T00:00:00.123456789Z", "20260519T000000.123456789Z"),
    ("2026-05-18T23:30:00-00:30", "20260519T000000Z"),
    ("2024-02-29T12:00:00+14:00", "20240228T220000Z"),
])
def test_the_file_name_is_the_time_in_utc(daemon, source, sent, stamp):
    crash.report(daemon, "1.1", ACME, source, timestamp=sent)
    [mirror] = daemon.mirror_files(source)
    assert mirror.name.startswith(stamp + "-")


@both
def test_an_empty_dump_is_a_dump(daemon, http, source):
    response = upload(daemon, http, ACME, metadata_part(source), dump_part(b""))
    assert response.status == 201
    assert response.json()["id"] == sha256(b"")


@both
@pytest.mark.parametrize("kind", ["Minidump", "PanicTarball", "RustcIce"])
def test_every_kind(daemon, http, source, kind):
    crash.report(daemon, http, ACME, source, kind=kind)


@both
def test_a_large_dump(daemon, http, source):
    dump = fresh_dump(source, 5 * 1024 * 1024)
    response = upload(daemon, http, ACME, metadata_part(source), dump_part(dump))
    assert response.status == 201
    assert daemon.blob(sha256(dump)).read_bytes() == dump


def test_what_looks_like_a_boundary_is_data(daemon, source):
    almost = crash.BOUNDARY.encode()
    dump = b"\r\n--" + almost[:-1] + b"\r\n--" + almost[:-1] + b"X\r\n-\r\n--\r\n" + b"x--" + almost + b"\r\n\r\r\n"
    crash.report(daemon, "1.1", ACME, source, dump=dump)
    assert daemon.blob(sha256(dump)).read_bytes() == dump


@pytest.mark.parametrize("content_type", [
    f"multipart/form-data; boundary=\"{crash.BOUNDARY}\"",
    f"Multipart/Form-Data;boundary={crash.BOUNDARY}",
    f"multipart/form-data; charset=utf-8; boundary={crash.BOUNDARY}",
])
def test_the_boundary_may_be_quoted(daemon, source, content_type):
    response = daemon.request("1.1", "POST", crash.PATH, headers(ACME, content_type),
                              body(metadata_part(source), dump_part()))
    assert response.status == 201


@ours
def test_a_preamble_and_an_epilogue_are_ignored(daemon, source):
    sent = b"This is multipart.\r\n" + body(metadata_part(source), dump_part()) + b"That was it."
    assert daemon.request("1.1", "POST", crash.PATH, headers(ACME), sent).status == 201


# -- dedup


@both
def test_the_same_dump_from_another_source_is_dedup(daemon, http, source):
    dump, other = fresh_dump(source), crash.Source.fresh()
    assert crash.report(daemon, http, ACME, source, dump) == {"id": sha256(dump), "dedup": False}
    assert crash.report(daemon, http, ACME, other, dump) == {"id": sha256(dump), "dedup": True}
    index = json.loads(daemon.mirror_files(other)[0].read_text())
    assert index["dump"]["dedup"] is True
    if not daemon.reference:
        assert daemon.rows("SELECT refs FROM blob WHERE sha256 = ?", (sha256(dump),)) == [{"refs": 2}]
        assert [row["dedup"] for row in daemon.crash_rows(other)] == [1]


@both
def test_the_same_report_again_is_the_same_report(daemon, http, source):
    dump = fresh_dump(source)
    assert crash.report(daemon, http, ACME, source, dump)["dedup"] is False
    assert crash.report(daemon, http, ACME, source, dump) == {"id": sha256(dump), "dedup": True}
    assert len(daemon.mirror_files(source)) == 1
    if not daemon.reference:
        assert len(daemon.crash_rows(source)) == 1
        assert daemon.rows("SELECT refs FROM blob WHERE sha256 = ?", (sha256(dump),)) == [{"refs": 1}]


@ours
def test_the_same_moment_said_otherwise_is_the_same_report(daemon, source):
    crash.report(daemon, "1.1", ACME, source, timestamp="2026-05-19T00:00:00Z")
    again = crash.report(daemon, "2", ACME, source, timestamp="2026-05-19T02:00:00.000+02:00",
                         changes={"source.install_id": source.install_id.upper()})
    assert again["dedup"] is True
    assert len(daemon.crash_rows(source)) == 1


def test_another_time_is_another_report(daemon, source):
    crash.report(daemon, "1.1", ACME, source, timestamp="2026-05-19T00:00:00Z")
    crash.report(daemon, "1.1", ACME, source, timestamp="2026-05-19T00:00:01Z")
    assert len(daemon.mirror_files(source)) == 2


@both
def test_an_attachment_that_is_the_dump(daemon, http, source):
    dump = fresh_dump(source)
    response = upload(daemon, http, ACME, metadata_part(source), dump_part(dump), attachment_part("copy", dump))
    assert response.json() == {"id": sha256(dump), "dedup": False}
    index = json.loads(daemon.mirror_files(source)[0].read_text())
    assert index["attachments"][0]["sha256"] == sha256(dump)
    assert index["attachments"][0]["dedup"] is True


@both
def test_attachments_may_share_a_key(daemon, http, source):
    response = upload(daemon, http, ACME, metadata_part(source), dump_part(), attachment_part("a", b"x"),
                      attachment_part("a", b"y"))
    assert response.status == 201
    index = json.loads(daemon.mirror_files(source)[0].read_text())
    assert [(one["key"], one["sha256"]) for one in index["attachments"]] == [("a", sha256(b"x")), ("a", sha256(b"y"))]


# -- encodings


@both
@pytest.mark.parametrize("name, data", [("zstd", zstandard.compress(b"MDMP zstd")), ("gzip", gzip.compress(b"MDMP gz"))])
def test_a_part_is_stored_as_it_was_sent(daemon, http, source, name, data):
    response = upload(daemon, http, ACME, metadata_part(source), dump_part(data, name),
                      attachment_part("log", b"plain"), attachment_part("zlog", data, "text/x-log", name))
    assert response.json()["id"] == sha256(data)
    assert daemon.blob(sha256(data)).read_bytes() == data
    index = json.loads(daemon.mirror_files(source)[0].read_text())
    assert index["dump"]["content_encoding"] == name
    assert "content_encoding" not in index["attachments"][0]
    assert index["attachments"][1]["content_encoding"] == name
    if not daemon.reference:
        [row] = daemon.crash_rows(source)
        assert row["dump_content_encoding"] == name
        rows = daemon.rows("SELECT content_encoding, content_type FROM attachment WHERE crash_id = ? ORDER BY position",
                           (row["id"],))
        assert rows == [{"content_encoding": None, "content_type": "text/plain"},
                        {"content_encoding": name, "content_type": "text/x-log"}]


ENCODERS = {"gzip": gzip.compress, "zstd": zstandard.compress}


@both
@pytest.mark.parametrize("name", ["gzip", pytest.param("zstd", marks=ours)])
def test_a_whole_body_may_be_compressed(daemon, http, source, name):
    dump = fresh_dump(source, 300000)
    sent = ENCODERS[name](body(metadata_part(source), dump_part(dump)))
    response = daemon.request(http, "POST", crash.PATH, headers(ACME, extra=[("content-encoding", name)]), sent)
    assert response.status == 201, response
    assert daemon.blob(sha256(dump)).read_bytes() == dump


@both
@ours
@pytest.mark.parametrize("name", ["gzip", "zstd"])
@pytest.mark.parametrize("spoil", ["cut", "junk", "flipped"])
def test_a_spoiled_compressed_body_is_malformed(daemon, http, source, name, spoil):
    sent = ENCODERS[name](body(metadata_part(source), dump_part(fresh_dump(source, 10000))))
    sent = {"cut": sent[:-4], "junk": b"not compressed at all", "flipped": b"\0\0\0\0" + sent[4:]}[spoil]
    with daemon.unchanged():
        daemon.request(http, "POST", crash.PATH, headers(ACME, extra=[("content-encoding", name)]), sent).refused(400)


@both
@ours
@pytest.mark.parametrize("name", ["br", "deflate", "gzip, zstd"])
def test_another_encoding_is_not_read(daemon, http, source, name):
    with daemon.unchanged():
        response = daemon.request(http, "POST", crash.PATH, headers(ACME, extra=[("content-encoding", name)]),
                                  body(metadata_part(source), dump_part()))
        response.refused(415)


# -- malformed


@both
@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=",
                                          "multipart/form-data; charset=utf-8"])
def test_no_boundary(daemon, http, source, content_type):
    with daemon.unchanged():
        response = daemon.request(http, "POST", crash.PATH, headers(ACME, content_type),
                                  body(metadata_part(source), dump_part()))
        response.refused(400, "multipart" if daemon.reference else "boundary")


@ours
@pytest.mark.parametrize("boundary, status", [("b" * 70, 201), ("b" * 71, 400), ("a b", 400), ("a\"b", 400)])
def test_the_boundary_has_a_form(daemon, source, boundary, status):
    sent = body(metadata_part(source), dump_part()).replace(crash.BOUNDARY.encode(), boundary.encode())
    response = daemon.request("1.1", "POST", crash.PATH, headers(ACME, f"multipart/form-data; boundary={boundary}"),
                              sent)
    assert response.status == status, response


BAD_PARTS = {
    "nothing at all": (lambda s: [], "metadata"),
    "no metadata": (lambda s: [dump_part()], "metadata"),
    "no dump": (lambda s: [metadata_part(s)], "dump"),
    "attachment but no dump": (lambda s: [metadata_part(s), attachment_part("a", b"x")], "dump"),
    "dump before metadata": (lambda s: [dump_part(), metadata_part(s)], "metadata"),
    "attachment before metadata": (lambda s: [attachment_part("a", b"x"), metadata_part(s), dump_part()], "metadata"),
    "two dumps": (lambda s: [metadata_part(s), dump_part(), dump_part(b"another")], "dump"),
    "two metadata": (lambda s: [metadata_part(s), metadata_part(s), dump_part()], "metadata"),
    "metadata again at the end": (lambda s: [metadata_part(s), dump_part(), metadata_part(s)], "metadata"),
    "an unknown name": (lambda s: [metadata_part(s), dump_part(), part("extra", b"x")], "extra"),
    "an empty name": (lambda s: [metadata_part(s), dump_part(), part("", b"x")], ""),
    "no name": (lambda s: [metadata_part(s), dump_part(), part(None, b"x")], ""),
}
OURS_PARTS = {
    "attachment before dump": (lambda s: [metadata_part(s), attachment_part("a", b"x"), dump_part()], "dump"),
    "an attachment without key": (lambda s: [metadata_part(s), dump_part(), attachment_part("", b"x")], "attach"),
}


@both
@pytest.mark.parametrize("case", [*BAD_PARTS, *(pytest.param(case, marks=ours) for case in OURS_PARTS)])
def test_parts_missing_extra_or_out_of_order(daemon, http, source, case):
    make, word = {**BAD_PARTS, **OURS_PARTS}[case]
    parts = make(source)
    if daemon.reference:
        assert upload(daemon, http, ACME, *parts).status == 400  # there the blobs stay behind
        return
    with daemon.unchanged():
        upload(daemon, http, ACME, *parts).refused(400, word)


@both
@ours
@pytest.mark.parametrize("name", [b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\0", b"\x01", b"\x1b[2J", b"\t", b"\x7f"], ids=repr)
@pytest.mark.parametrize("prefix", [b"", b"attach:"])
def test_a_part_name_that_is_no_text(daemon, http, source, prefix, name):
    bad = part("NAME", b"x").replace(b"NAME", prefix + name)
    with daemon.unchanged():
        upload(daemon, http, ACME, metadata_part(source), dump_part(), bad).refused(400)


@both
@pytest.mark.parametrize("case", ["no closing boundary", "cut in a part", "cut in a part's header", "no boundary inside",
                                  "empty", "a header line without colon"])
def test_a_body_that_is_no_multipart(daemon, http, source, case):
    whole = body(metadata_part(source), dump_part())
    sent = {
        "no closing boundary": whole[:-len(crash.BOUNDARY) - 6],
        "cut in a part": whole[:-len(crash.BOUNDARY) - 10],
        "cut in a part's header": whole[:whole.index(b'name="dump"')],
        "no boundary inside": b"just text",
        "empty": b"",
        "a header line without colon": whole.replace(b"Content-Type: application/octet-stream", b"Content-Type"),
    }[case]
    if daemon.reference:
        assert daemon.request(http, "POST", crash.PATH, headers(ACME), sent).status == 400
        return
    with daemon.unchanged():
        daemon.request(http, "POST", crash.PATH, headers(ACME), sent).refused(400)


@both
@pytest.mark.parametrize("text", [b"", b"{", b"nonsense", b"[]", b"null", b'"x"', b"{}", b'{"a":1}x', b"\xff\xfe",
                                  b'{"schema_version": 1,}'])
def test_metadata_that_is_no_document(daemon, http, text):
    with daemon.unchanged():
        upload(daemon, http, ACME, part("metadata", text), dump_part()).refused(400)


WRONG_TYPES = [(path, value) for path, values in {
    "schema_version": [ABSENT, "1", None, 1.5, [], True],
    "source": [ABSENT, None, "x", []],
    "source.project": [ABSENT, None, 1, []],
    "source.platform": [ABSENT, None, 1],
    "source.version": [ABSENT, None, 1],
    "source.install_id": [ABSENT, None, 1, "", "not-a-uuid", "11111111-1111-1111-1111-11111111111",
                          "11111111-1111-1111-1111-11111111111g"],
    "timestamp": [ABSENT, None, 1, "", "yesterday", "2026-05-19", "2026-05-19T00:00:00", "2026-13-19T00:00:00Z",
                  "2026-02-29T00:00:00Z", "2026-05-19T25:00:00Z", "2026-05-19T00:00:00+99:00"],
    "kind": [ABSENT, None, 1, "", "minidump", "Coredump"],
    "build": [ABSENT, None, "x"],
    "build.git_sha": [ABSENT, None, 1],
    "build.profile": [ABSENT, None, 1],
    "build.target_triple": [ABSENT, None, {}],
    "panic_text": [1, [], {}],
    "context": [ABSENT],
    "attachments": [ABSENT, None, {}, "x", [1]],
    "attachments.0.key": [ABSENT, None, 1],
    "attachments.0.filename": [1],
    "attachments.0.content_type": [ABSENT, None, 1],
    "attachments.0.len": [ABSENT, None, -1, 1.5, "1"],
}.items() for value in values]


@pytest.mark.parametrize("path, value", WRONG_TYPES)
def test_wrong_types_field_by_field(daemon, source, path, value):
    http = "2" if len(repr(value)) % 2 else "1.1"
    manifest = [{"key": "log", "filename": None, "content_type": "text/plain", "len": 1}]
    metadata = metadata_part(source, {path: value}, attachments=manifest)
    with daemon.unchanged():
        field = path.split(".")[-1]
        upload(daemon, http, ACME, metadata, dump_part()).refused(400, *([] if daemon.reference else [field]))


@both
@pytest.mark.parametrize("project", ["", ".", "..", "a/b", "a\\b",
                                     *(pytest.param(bad, marks=ours) for bad in (".hidden", "a b", "ä", "a" * 129, "a\0b"))])
def test_a_project_that_is_no_path_component(daemon, http, source, project):
    with daemon.unchanged():
        response = upload(daemon, http, ACME, metadata_part(source, {"source.project": project}), dump_part())
        response.refused(400, "project")


@ours
def test_nesting_in_context_has_a_limit(daemon, source):
    def nested(levels):
        value = 1
        for _ in range(levels):
            value = [value]
        return value

    assert upload(daemon, "1.1", ACME, metadata_part(source, context=nested(20)), dump_part()).status == 201
    with daemon.unchanged():
        upload(daemon, "1.1", ACME, metadata_part(source, context=nested(200)), dump_part()).refused(400)


# -- versions, tokens, limits


@both
@pytest.mark.parametrize("version", [0, 2, 4294967295])
def test_another_schema_version(daemon, http, source, version):
    with daemon.unchanged():
        upload(daemon, http, ACME, metadata_part(source, schema_version=version), dump_part()).refused(
            412, "does not match")


@both
@ours
def test_another_protocol_version_in_the_header(daemon, http, source):
    parts = metadata_part(source), dump_part()
    with daemon.unchanged():
        upload(daemon, http, ACME, *parts, extra=[("x-protocol-version", "2")]).refused(412, "does not match")
        response = upload(daemon, http, ACME, *parts, extra=[("x-protocol-version", "one")])
        assert response.status in (400, 412)
        response.refused(response.status, "x-protocol-version")
    assert upload(daemon, http, ACME, *parts, extra=[("x-protocol-version", "1")]).status == 201


@both
@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer ", "Bearer wrong", "Basic YWNtZTphY21l",
                                           "acme-secret", "Bearer acme-secret x", "Bearer acme-secre"])
def test_no_or_a_bad_token(daemon, http, source, authorization):
    if http == "2" and authorization == "Bearer ":
        pytest.skip("RFC 9113 §8.2.1 allows no such value")
    extra = [("authorization", authorization)] if authorization is not None else []
    with daemon.unchanged():
        upload(daemon, http, None, metadata_part(source), dump_part(), extra=extra).refused(401)


@both
def test_a_token_of_another_project(daemon, http, source):
    with daemon.unchanged():
        upload(daemon, http, OTHER, metadata_part(source), dump_part()).refused(403, "not permitted")


@both
def test_a_source_outside_the_prefix(daemon, http, source):
    with daemon.unchanged():
        upload(daemon, http, NARROW, metadata_part(source), dump_part()).refused(403, "not permitted")
    inside = crash.Source("acme", "00000000" + source.install_id[8:])
    assert upload(daemon, http, NARROW, metadata_part(inside), dump_part()).status == 201


@both
def test_an_empty_bucket(start_daemon, http, source):
    daemon = start_daemon(rate_limit={"logs_per_minute": 1, "logs_burst": 1, "crashes_per_minute": 1,
                                      "crashes_burst": 2})
    for n in range(2):
        crash.report(daemon, http, ACME, source, timestamp=f"2026-05-19T00:00:0{n}Z")
    with daemon.unchanged():
        response = upload(daemon, http, ACME, metadata_part(source), dump_part())
        response.refused(429, "rate limit")
        if not daemon.reference:
            assert 1 <= int(response.header("retry-after")) <= 60
    # Another source has a bucket of its own.
    crash.report(daemon, http, ACME, crash.Source.fresh())


@ours
def test_the_bucket_is_charged_once_the_metadata_is_read(start_daemon, source):
    daemon = start_daemon(rate_limit={"logs_per_minute": 1, "logs_burst": 1, "crashes_per_minute": 1,
                                      "crashes_burst": 1})
    bad = metadata_part(source, kind="Coredump")
    upload(daemon, "1.1", ACME, bad, dump_part()).refused(400)
    crash.report(daemon, "1.1", ACME, source)
    # The answer comes while the dump is still on its way.
    client = daemon.connect()
    client.send(http1.head("POST", crash.PATH, headers(ACME, extra=[("content-length", "1000000")])))
    client.send(metadata_part(source) + dump_part(b"x" * 100)[:-2])
    client.read().refused(429)


@both
def test_a_part_too_large(start_daemon, http, source):
    daemon = start_daemon({"crashes": {"max_part_bytes": 1000}})
    whole, over = fresh_dump(source, 1000), fresh_dump(source, 1001)
    assert (len(whole), len(over)) == (1000, 1001)
    assert upload(daemon, http, ACME, metadata_part(source), dump_part(whole)).status == 201
    if daemon.reference:
        upload(daemon, http, ACME, metadata_part(source), dump_part(over)).refused(413)
        return
    with daemon.unchanged():
        upload(daemon, http, ACME, metadata_part(source), dump_part(over)).refused(413)
        upload(daemon, http, ACME, metadata_part(source), dump_part(), attachment_part("a", over)).refused(413)
    assert upload(daemon, http, ACME, metadata_part(source, timestamp="2026-05-20T00:00:00Z"), dump_part(b"small"),
                  attachment_part("a", whole)).status == 201


@both
@ours
def test_a_request_too_large(start_daemon, http, source):
    parts = metadata_part(source), dump_part(b"a" * 3000), attachment_part("a", b"b" * 3000)
    size = len(body(*parts))
    daemon = start_daemon({"crashes": {"max_request_bytes": size, "max_part_bytes": size}})
    assert upload(daemon, http, ACME, *parts).status == 201
    with daemon.unchanged():
        upload(daemon, http, ACME, *parts[:2], attachment_part("a", b"b" * 3001)).refused(413)


@ours
def test_a_request_too_large_says_so_by_its_length(start_daemon, source):
    daemon = start_daemon({"crashes": {"max_request_bytes": 100000, "max_part_bytes": 100000}})
    client = daemon.connect()
    client.send(http1.head("POST", crash.PATH, headers(ACME, extra=[("content-length", "100001")])))
    client.read().refused(413)


@ours
def test_chunks_too_large(start_daemon, source):
    daemon = start_daemon({"crashes": {"max_request_bytes": 10000, "max_part_bytes": 10000}})
    with daemon.unchanged():
        client = daemon.connect()
        response = client.request("POST", crash.PATH, headers(ACME),
                                  body(metadata_part(source), dump_part(b"x" * 10000)), chunk=700)
        response.refused(413)


@both
@ours
@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_bomb_costs_no_more_than_the_limit(start_daemon, http, source, name):
    daemon = start_daemon({"crashes": {"max_request_bytes": 200000, "max_part_bytes": 200000}})
    sent = ENCODERS[name](body(metadata_part(source), dump_part(b"\0" * 20000000)))
    assert len(sent) < 100000
    with daemon.unchanged():
        daemon.request(http, "POST", crash.PATH, headers(ACME, extra=[("content-encoding", name)]), sent).refused(413)


@both
def test_metadata_of_64_KiB(daemon, http, source):
    def padded(size):
        text = json.dumps(crash.metadata(source)).encode()
        return part("metadata", text[:-1] + b" " * (size - len(text)) + text[-1:])

    assert upload(daemon, http, ACME, padded(65536), dump_part()).status == 201
    with daemon.unchanged():
        upload(daemon, http, ACME, padded(65537), dump_part()).refused(413)


@both
@ours
def test_64_attachments(daemon, http, source):
    def attachments(count):
        return [attachment_part(f"a{n}", b"%d" % n) for n in range(count)]

    assert upload(daemon, http, ACME, metadata_part(source), dump_part(), *attachments(64)).status == 201
    assert len(daemon.rows("SELECT 1 FROM attachment WHERE crash_id = ?", (daemon.crash_rows(source)[0]["id"],))) == 64
    with daemon.unchanged():
        upload(daemon, http, ACME, metadata_part(source), dump_part(), *attachments(65)).refused(413)


@both
@ours
def test_a_part_head_of_8_KiB(daemon, http, source):
    def long_head(size):
        return dump_part().replace(b"\r\n\r\n", b"\r\nX-Padding: " + b"x" * size + b"\r\n\r\n", 1)

    assert upload(daemon, http, ACME, metadata_part(source), long_head(8000)).status == 201
    with daemon.unchanged():
        upload(daemon, http, ACME, metadata_part(source), long_head(8193)).refused(413)


# -- methods, paths, types


@both
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_wrong_method(daemon, http, method):
    response = daemon.request(http, method, crash.PATH, [ACME.header])
    assert response.status == 405
    assert response.header("allow") == "POST"
    if not daemon.reference:
        response.refused(405)


@both
@ours
def test_unknown_path(daemon, http):
    daemon.request(http, "POST", "/v1/crash", headers(ACME), b"x").refused(404)


@both
@ours
@pytest.mark.parametrize("content_type", ["application/json", "multipart/mixed; boundary=x", "text/plain", "nonsense",
                                          "multipart/form-datax; boundary=x"])
def test_wrong_content_type(daemon, http, content_type):
    daemon.request(http, "POST", crash.PATH, headers(ACME, content_type), b"x").refused(415)


@both
def test_no_content_type(daemon, http):
    response = daemon.request(http, "POST", crash.PATH, headers(ACME, None), b"x")
    assert response.status in (400, 415)
    response.refused(response.status)


# -- connections that end


def cut_points(head_size, whole):
    inside = [whole.index(mark) + 5 for mark in (b'name="metadata"', b'"schema_version"', b'name="dump"', b"MDMP",
                                                 b'name="attach:a"', b"attached")]
    return [head_size + at for at in (0, 1, *inside, len(whole) - 5, len(whole) - 1)]


@ours
def test_a_connection_cut_anywhere_leaves_nothing(daemon, source):
    whole = body(metadata_part(source), dump_part(), attachment_part("a", b"attached"))
    head = http1.head("POST", crash.PATH, headers(ACME, extra=[("content-length", str(len(whole)))]))
    with daemon.unchanged():
        for at in (1, len(head) // 2, len(head) - 1, *cut_points(len(head), whole)):
            client = daemon.connect()
            client.send((head + whole)[:at])
            client.close()


@ours
def test_a_chunked_connection_cut_anywhere_leaves_nothing(daemon, source):
    whole = http1.chunks(body(metadata_part(source), dump_part(), attachment_part("a", b"attached")), 1000)
    head = http1.head("POST", crash.PATH, headers(ACME, extra=[("transfer-encoding", "chunked")]))
    with daemon.unchanged():
        for at in cut_points(len(head), whole):
            client = daemon.connect()
            client.send((head + whole)[:at])
            client.close()


@ours
@pytest.mark.parametrize("end", ["reset", "close", "goaway"])
def test_a_stream_cut_anywhere_leaves_nothing(daemon, source, end):
    whole = body(metadata_part(source), dump_part(), attachment_part("a", b"attached"))
    with daemon.unchanged():
        for at in cut_points(0, whole):
            client = daemon.connect("2")
            stream = client.open("POST", crash.PATH, headers(ACME, extra=[("content-length", str(len(whole)))]))
            client.data(stream, whole[:at], end=False)
            if end == "reset":
                client.reset(stream)
                client.ping()
            elif end == "goaway":
                from hyperframe.frame import GoAwayFrame
                client.send_frame(GoAwayFrame(0, last_stream_id=0, error_code=0))
            client.close()


@ours
def test_half_a_body_and_a_half_closed_connection(daemon, source):
    whole = body(metadata_part(source), dump_part())
    with daemon.unchanged():
        client = daemon.connect()
        client.send(http1.head("POST", crash.PATH, headers(ACME, extra=[("content-length", str(len(whole)))])))
        client.send(whole[:-10])
        client.half_close()
        while client._receive():
            pass
        assert not client.buffer or client.buffer.startswith(b"HTTP/1.1 400 ")


# -- HTTP/1.1 manners


@ours
def test_100_continue_comes_before_the_body(daemon, source):
    whole = body(metadata_part(source), dump_part())
    client = daemon.connect()
    expecting = [("content-length", str(len(whole))), ("expect", "100-continue")]
    client.send(http1.head("POST", crash.PATH, headers(ACME, extra=expecting)))
    assert client.read().status == 100
    client.send(whole)
    assert client.read().status == 201


@ours
@pytest.mark.parametrize("token, status", [(None, 401), (ACME, 413)])
def test_a_refusal_comes_instead_of_100(daemon, token, status):
    client = daemon.connect()
    expecting = [("content-length", str(1 << 40)), ("expect", "100-continue")]
    client.send(http1.head("POST", crash.PATH, headers(token, extra=expecting)))
    client.read().refused(status)


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_chunked_upload(daemon, source, size):
    dump = fresh_dump(source, 3000)
    response = daemon.connect().request("POST", crash.PATH, headers(ACME), body(metadata_part(source), dump_part(dump)),
                                        chunk=size)
    assert response.status == 201
    assert daemon.blob(sha256(dump)).read_bytes() == dump


def test_an_upload_byte_by_byte(daemon, source):
    whole = body(metadata_part(source), dump_part(fresh_dump(source)))
    client = daemon.connect()
    head = http1.head("POST", crash.PATH, headers(ACME, extra=[("content-length", str(len(whole)))]))
    for at in range(len(head + whole)):
        client.send((head + whole)[at:at + 1])
    assert client.read().status == 201


@ours
def test_an_upload_in_small_frames(daemon, source):
    whole = body(metadata_part(source), dump_part(fresh_dump(source)))
    client = daemon.connect("2")
    stream = client.open("POST", crash.PATH, headers(ACME))
    for at in range(0, len(whole), 3):
        client.data(stream, whole[at:at + 3], end=False)
    client.data(stream, b"")
    assert client.answered(stream).status == 201


def test_http_1_0_gets_an_answer_and_a_close(daemon, source):
    client = daemon.connect()
    response = client.request("POST", crash.PATH, headers(ACME), body(metadata_part(source), dump_part()), version="1.0")
    assert response.status == 201
    client.at_end()


def test_a_connection_is_kept(daemon, source):
    client = daemon.connect()
    for n in range(3):
        sent = body(metadata_part(source, timestamp=f"2026-05-19T00:00:0{n}Z"), dump_part())
        assert client.request("POST", crash.PATH, headers(ACME), sent).status == 201
    client.request("POST", crash.PATH, headers(ACME), b"no parts").refused(400)
    assert client.request("GET", "/healthz").status == 204


def test_connection_close_is_obeyed(daemon, source):
    client = daemon.connect()
    response = client.request("POST", crash.PATH, headers(ACME, extra=[("connection", "close")]),
                              body(metadata_part(source), dump_part()))
    assert response.status == 201
    client.at_end()


def test_pipelined_requests_are_answered_in_order(daemon, source):
    packet, statuses = b"", []
    for n in range(4):
        sent = body(metadata_part(source, timestamp=f"2026-05-19T00:00:0{n}Z"), dump_part())
        packet += http1.head("POST", crash.PATH, headers(ACME, extra=[("content-length", str(len(sent)))])) + sent
        packet += http1.head("GET", "/healthz")
        packet += http1.head("POST", crash.PATH, headers(ACME, extra=[("content-length", "3")])) + b"bad"
        statuses += [201, 204, 400]
    client = daemon.connect()
    client.send(packet)
    assert [client.read().status for _ in statuses] == statuses
    assert len(daemon.mirror_files(source)) == 4


@ours
def test_streams_side_by_side(daemon, source):
    client = daemon.connect("2")
    wholes = [body(metadata_part(source, timestamp=f"2026-05-19T00:00:0{n}Z"), dump_part(fresh_dump(source, 40 + n)))
              for n in range(8)]
    streams = [client.open("POST", crash.PATH, headers(ACME)) for _ in wholes]
    for at in range(0, max(map(len, wholes)), 100):
        for stream, whole in zip(streams, wholes):
            if whole[at:at + 100]:
                client.data(stream, whole[at:at + 100], end=at + 100 >= len(whole))
    for n, stream in enumerate(streams):
        assert client.answered(stream).json()["id"] == sha256(fresh_dump(source, 40 + n))
    assert len(daemon.crash_rows(source)) == 8


@ours
def test_uploads_of_one_source_at_once_have_a_limit(start_daemon, source):
    daemon = start_daemon({"limits": {"uploads_per_source": 2}})
    waiting = []
    for n in range(2):
        client = daemon.connect()
        whole = body(metadata_part(source, timestamp=f"2026-05-19T00:00:0{n}Z"), dump_part())
        client.send(http1.head("POST", crash.PATH, headers(ACME, extra=[("content-length", str(len(whole)))])))
        client.send(whole[:-20])
        waiting.append((client, whole[-20:]))
    daemon.wait_metric("detritus_uploads_in_flight", lambda n: n == 2)
    response = upload(daemon, "1.1", ACME, metadata_part(source, timestamp="2026-05-19T00:01:00Z"), dump_part())
    response.refused(503)
    assert int(response.header("retry-after")) >= 1
    crash.report(daemon, "1.1", ACME, crash.Source.fresh())
    for client, rest in waiting:
        client.send(rest)
        assert client.read().status == 201
    crash.report(daemon, "1.1", ACME, source, timestamp="2026-05-19T00:01:00Z")
