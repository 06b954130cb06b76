"""A data directory as the reference leaves it is taken over as it is."""

import json
import os

import pytest

from harness import crash, grpc, otlp
from harness.crash import attachment_part, body, dump_part, headers, metadata_part, upload
from harness.daemon import ACME, Daemon, sha256

ours = pytest.mark.ours

LOG_LINE = {"time_unix_nano": 1, "observed_time_unix_nano": 2, "severity_number": 9, "severity_text": "INFO",
            "body": "hello", "attributes": {}, "dropped_attributes_count": 0, "flags": 0, "trace_id": "",
            "span_id": "", "event_name": ""}


def blob_pointer(data, encoding=None, dedup=False, **first):
    path = f"crashes/by-hash/{sha256(data)[:2]}/{sha256(data)}.bin"
    pointer = {**first, "sha256": sha256(data), "len": len(data), "path": path, "dedup": dedup}
    return {**pointer, "content_encoding": encoding} if encoding else pointer


def index_text(metadata, dump, attachments):
    """The JSON index as serde_json::to_vec_pretty writes it."""
    return json.dumps({"metadata": metadata, "dump": dump, "attachments": attachments}, indent=2, ensure_ascii=False)


class Directory:
    """Writes files where the reference writes them."""

    def __init__(self, root):
        self.root = root
        for name in ("logs", "crashes/by-hash", "crashes/by-source", "tmp"):
            (root / name).mkdir(parents=True, exist_ok=True)

    def blob(self, data):
        path = self.root / "crashes/by-hash" / sha256(data)[:2] / (sha256(data) + ".bin")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)

    def index(self, source, stamp, dump, text, mtime=None):
        path = self.root / "crashes/by-source" / source.project / source.install_id / f"{stamp}-{sha256(dump)}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if mtime:
            os.utime(path, (mtime, mtime))
        return path

    def logs(self, source, day, lines):
        path = self.root / "logs" / source.project / source.install_id / f"{day}.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line, separators=(",", ":"), sort_keys=True) + "\n" for line in lines))
        return path


def test_these_files_are_what_the_reference_writes(daemon, source):
    """Guards the rest of this file: run against the reference, its bytes are the bytes written here."""
    dump, note = b"MDMP a dump", b"a note"
    document = crash.metadata(source, timestamp="2026-05-19T00:00:00.500Z", panic_text="boom\n\u2603",
                              attachments=[{"key": "note", "filename": None, "content_type": "text/plain", "len": 6}])
    sent = body(metadata_part(source, timestamp="2026-05-19T00:00:00.500Z", panic_text="boom\n\u2603",
                              attachments=document["attachments"]),
                dump_part(dump, "zstd"), attachment_part("note", note), attachment_part("again", note))
    assert daemon.request("1.1", "POST", crash.PATH, headers(ACME), sent).status == 201
    [mirror] = daemon.mirror_files(source)
    expected = index_text(document, blob_pointer(dump, "zstd"), [
        blob_pointer(note, key="note", content_type="text/plain"),
        blob_pointer(note, key="again", content_type="text/plain", dedup=True)])
    assert json.loads(mirror.read_text()) == json.loads(expected)
    assert mirror.name == f"20260519T000000.500Z-{sha256(dump)}.json"
    grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
    [line] = daemon.log_lines(source, 1)
    assert {key: line[key] for key in LOG_LINE} == LOG_LINE
    if daemon.reference:
        assert mirror.read_text() == expected
        assert daemon.log_text(source).decode() == json.dumps(LOG_LINE, separators=(",", ":"), sort_keys=True) + "\n"


DUMP, NOTE = b"\x28\xb5\x2f\xfd a dump sent as zstd", b"a note"
RECEIVED = 1779177600  # 2026-05-19T08:00:00Z


@pytest.fixture
def taken_over(tmp_path, source):
    """A daemon, not started, upon the reference's files: two crashes that share a dump, logs, and leftovers."""
    daemon = Daemon(tmp_path / "daemon", {"logs": {"ttl_days": 36500}, "crashes": {"ttl_days": 36500}})
    files = Directory(daemon.data_dir)
    manifest = [{"key": "note", "filename": "note.txt", "content_type": "text/plain", "len": len(NOTE)}]
    first = crash.metadata(source, timestamp="2026-05-19T00:00:00.500Z", panic_text="boom", attachments=manifest,
                           context={"seed": 18446744073709551615, "nested": {"a": [1, None]}})
    second = crash.metadata(source, timestamp="2026-05-19T01:00:00Z", kind="PanicTarball")
    files.blob(DUMP)
    files.blob(NOTE)
    daemon.paths = [
        files.index(source, "20260519T000000.500Z", DUMP,
                    index_text(first, blob_pointer(DUMP, "zstd"),
                               [blob_pointer(NOTE, key="note", content_type="text/plain")]), RECEIVED),
        files.index(source, "20260519T010000Z", DUMP, index_text(second, blob_pointer(DUMP, "zstd", True), [])),
        files.logs(source, "2026-05-18", [LOG_LINE] * 3),
        files.logs(source, "2026-05-19", [LOG_LINE]),
    ]
    (daemon.data_dir / "tmp/1b4e28ba-2fa1-11d2-883f-0016d3cca427.tmp").write_bytes(b"half a dump")
    daemon.files = files
    yield daemon
    if daemon.running:
        daemon.nothing_left()
        daemon.stop()


def check_index(daemon, source):
    first, second = sorted(daemon.crash_rows(source), key=lambda row: row["crashed_at"])
    assert first["crashed_at"].startswith("2026-05-19T00:00:00.5")
    assert first["received_at"].startswith("2026-05-19T08:00:00")
    assert (first["kind"], first["panic_text"], first["platform"]) == ("Minidump", "boom", "linux")
    assert (first["dump_sha256"], first["dump_content_encoding"]) == (sha256(DUMP), "zstd")
    assert json.loads(first["context"])["seed"] == 18446744073709551615
    assert (first["dedup"], second["dedup"]) == (0, 1)
    assert (second["kind"], second["panic_text"]) == ("PanicTarball", None)
    [attachment] = daemon.rows("SELECT * FROM attachment")
    assert (attachment["crash_id"], attachment["key"], attachment["filename"]) == (first["id"], "note", "note.txt")
    assert {row["sha256"]: (row["len"], row["refs"]) for row in daemon.rows("SELECT * FROM blob")} == {
        sha256(DUMP): (len(DUMP), 2), sha256(NOTE): (len(NOTE), 1)}
    days = {row["day"]: row["bytes"] for row in daemon.rows("SELECT day, bytes FROM log_file")}
    assert {day: days[day] for day in ("2026-05-18", "2026-05-19")} == {
        path.stem: path.stat().st_size for path in daemon.paths[2:]}


@ours
def test_it_is_indexed_at_first_start(taken_over, source):
    before = {path: path.read_bytes() for path in taken_over.paths}
    daemon = taken_over.start()
    check_index(daemon, source)
    assert os.listdir(daemon.data_dir / "tmp") == []
    assert {path: path.read_bytes() for path in taken_over.paths} == before


@ours
def test_it_is_indexed_once(taken_over, source):
    daemon = taken_over.start()
    daemon.stop()
    daemon.start()
    check_index(daemon, source)


@ours
def test_it_goes_on_from_there(taken_over, source):
    daemon = taken_over.start()
    known = upload(daemon, "1.1", ACME, metadata_part(source, timestamp="2026-05-19T01:00:00Z"), dump_part(DUMP, "zstd"))
    assert known.json() == {"id": sha256(DUMP), "dedup": True}
    assert len(daemon.crash_rows(source)) == 2
    new = upload(daemon, "1.1", ACME, metadata_part(source, timestamp="2026-05-19T02:00:00Z"), dump_part(NOTE))
    assert new.json() == {"id": sha256(NOTE), "dedup": True}
    assert len(daemon.crash_rows(source)) == 3
    grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
    assert sum(len(path.read_text().splitlines()) for path in daemon.log_files(source)) == 5


@ours
@pytest.mark.parametrize("case", ["not JSON", "not an index", "empty", "blob missing"])
def test_what_cannot_be_read_is_reported_and_left_alone(taken_over, source, case):
    other = crash.Source.fresh()
    dump = b"nowhere to be found"
    text = {"not JSON": "{", "not an index": "{}", "empty": "",
            "blob missing": index_text(crash.metadata(other), blob_pointer(dump), [])}[case]
    path = taken_over.files.index(other, "20260519T000000Z", dump, text)
    daemon = taken_over.start()
    daemon.log.wait(r"(WARN|ERROR).*" + path.name)
    check_index(daemon, source)
    assert path.read_text() == text
    assert daemon.crash_rows(other) == []
    daemon.stop()  # the stray file is no disorder of ours


@ours
def test_strangers_are_left_alone(taken_over, source):
    strangers = [taken_over.data_dir / name for name in (
        "logs/acme/README", "logs/acme/x/notes.txt", "logs/stray.ndjson", "crashes/by-source/acme/stray.txt",
        "crashes/by-hash/zz/readme", "backup/old.tar")]
    for path in strangers:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    daemon = taken_over.start()
    check_index(daemon, source)
    assert all(path.read_text() == "mine" for path in strangers)
    daemon.stop()
