"""Closed days of logs become seekable zstd files, and nothing of them is lost on the way."""

import struct

import pytest
import zstandard

from harness.crash import Source
from harness.daemon import ACME, Daemon, wait_until
from harness.grpc import export
from harness.otlp import export_lines

pytestmark = pytest.mark.ours

CLOSED = "2026-05-19"
COMPRESS = {"logs": {"ttl_days": 36500, "compress_after_days": 1}, "janitor": {"interval_secs": 1}}


def plant(daemon, source, text, name=f"{CLOSED}.ndjson"):
    directory = daemon.source_dir("logs", source)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(text)
    return directory / name


def lines(count, size=200):
    return b"".join(b'{"n":%d,"text":"%s"}\n' % (n, b"x" * (n % size)) for n in range(count))


def unpacked(path):
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as reader:
        return reader.read()


def compressed(path):
    return path.with_name(path.name + ".zst")


def row(daemon, source):
    return daemon.rows("SELECT day, log_file.bytes, compressed FROM log_file JOIN source ON source.id = source_id"
                       " WHERE install_id = ? AND day < '2026-09'", (source.install_id,))


def cycles(daemon, more):
    seen = daemon.metric("detritus_janitor_cycles_total")
    daemon.wait_metric("detritus_janitor_cycles_total", lambda n: n >= seen + more)


@pytest.fixture
def prepared(start_daemon, tmp_path):
    """prepare(plant...) plants files, then starts the daemon on them."""
    def prepare(prepare_files, config=COMPRESS):
        directory = tmp_path / "prepared"
        before = Daemon(directory, config)
        planted = prepare_files(before)
        return start_daemon(config, directory=directory), planted
    return prepare


def test_a_closed_day(prepared, source):
    text = lines(40000)
    daemon, path = prepared(lambda d: plant(d, source, text))
    wait_until(lambda: not path.exists(), "the plain file's end")
    assert unpacked(compressed(path)) == text
    size = compressed(path).stat().st_size
    assert size < len(text) / 5
    wait_until(lambda: row(daemon, source) == [{"day": CLOSED, "bytes": size, "compressed": 1}], "its row")
    # Today's lines are never touched.
    export(daemon, export_lines(source, 3), ACME).accepted()
    cycles(daemon, 2)
    assert len(daemon.log_lines(source, 3)) == 3


def test_it_is_seekable(prepared, source):
    """Zstandard Seekable Format: a table of sizes at the end; each frame can be read alone, and holds whole lines."""
    text = lines(60000)
    daemon, path = prepared(lambda d: plant(d, source, text))
    wait_until(lambda: not path.exists(), "the plain file's end")
    packed = compressed(path).read_bytes()
    frames, descriptor, magic = struct.unpack("<IBI", packed[-9:])
    assert magic == 0x8F92EAB1 and descriptor == 0 and frames > 3
    table = packed[-9 - 8 * frames:-9]
    assert struct.unpack("<II", packed[-9 - 8 * frames - 8:-9 - 8 * frames]) == (0x184D2A5E, 8 * frames + 9)
    at, read = 0, b""
    for size, plain_size in struct.iter_unpack("<II", table):
        one = zstandard.ZstdDecompressor().decompress(packed[at:at + size], max_output_size=plain_size)
        assert len(one) == plain_size <= 1 << 20 and one.endswith(b"\n")
        at, read = at + size, read + one
    assert read == text


ODD = {"empty": b"", "one line": b"{}\n", "no newline": b"x" * 3_000_000,
       "at the edge": b"x" * 1_048_575 + b"\n" + b"y" * 1_048_576 + b"\nz\n"}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_files(prepared, source, text):
    daemon, path = prepared(lambda d: plant(d, source, text))
    wait_until(lambda: not path.exists(), "the plain file's end")
    assert unpacked(compressed(path)) == text


def test_what_was_set_aside_stays_until_retention(prepared, start_daemon, source):
    daemon, paths = prepared(lambda d: (plant(d, source, b"{}\n"), plant(d, source, b"{", f"{CLOSED}.ndjson.torn")))
    wait_until(lambda: not paths[0].exists(), "the plain file's end")
    assert paths[1].read_bytes() == b"{"
    daemon.stop()
    daemon = start_daemon({"logs": {"ttl_days": 14}}, directory=daemon.directory)
    wait_until(lambda: not paths[1].exists() and not compressed(paths[0]).exists(), "the end of the day's files")
    wait_until(lambda: row(daemon, source) == [], "the end of its row")


def test_off_by_default_and_not_too_early(prepared, source):
    daemon, path = prepared(lambda d: plant(d, source, b"{}\n"), {"logs": {"ttl_days": 36500, "compress_after_days": 30000},
                                                                  "janitor": {"interval_secs": 1}})
    cycles(daemon, 2)
    assert path.exists() and not compressed(path).exists()


# -- what a stop in between leaves


def packed(text):
    return zstandard.ZstdCompressor(write_checksum=True).compress(text)


def test_both_files_with_the_same_lines(prepared, source):
    text = lines(100)
    daemon, path = prepared(lambda d: (plant(d, source, packed(text), f"{CLOSED}.ndjson.zst"), plant(d, source, text))[1])
    wait_until(lambda: not path.exists(), "the plain file's end")
    assert unpacked(compressed(path)) == text
    wait_until(lambda: row(daemon, source)[0]["compressed"] == 1, "its row")


OTHERS = {"other": packed(b"other\n"), "cut": packed(lines(100))[:-3], "more": packed(lines(101)), "fewer": packed(lines(99)),
          "no zstd": b"no zstd"}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_both_files_with_other_lines(prepared, source, other):
    """Nobody knows which is right: both stay, and the log says so."""
    text = lines(100)
    daemon, path = prepared(lambda d: (plant(d, source, other, f"{CLOSED}.ndjson.zst"), plant(d, source, text))[1])
    daemon.log.wait("cannot compress a day of logs.*the compressed file holds other lines")
    cycles(daemon, 1)
    assert path.read_bytes() == text and compressed(path).read_bytes() == other
    assert row(daemon, source)[0]["compressed"] == 0


def test_only_the_compressed_file(start_daemon, tmp_path, source):
    """The plain one went, the row did not follow: it does now. A file that was half written goes too."""
    text = lines(100)
    daemon = start_daemon({"logs": {"ttl_days": 36500}})
    path = plant(daemon, source, text)
    daemon.stop()
    daemon = start_daemon({"logs": {"ttl_days": 36500}}, directory=daemon.directory)
    assert row(daemon, source) == [{"day": CLOSED, "bytes": len(text), "compressed": 0}]
    daemon.kill()
    path.unlink()
    plant(daemon, source, packed(text), f"{CLOSED}.ndjson.zst")
    half = plant(daemon, source, b"half", f".new-{CLOSED}.ndjson.zst")
    daemon = start_daemon(COMPRESS, directory=daemon.directory)
    wait_until(lambda: row(daemon, source) == [{"day": CLOSED, "bytes": len(packed(text)), "compressed": 1}], "its row")
    assert unpacked(compressed(path)) == text and not half.exists()


def test_many_files(prepared):
    """More than a page of them."""
    sources = [Source(ACME.project, f"s{n:03}") for n in range(260)]
    daemon, paths = prepared(lambda d: [plant(d, source, b'{"n":1}\n') for source in sources])
    wait_until(lambda: not any(path.exists() for path in paths), "the plain files' end")
    assert all(unpacked(compressed(path)) == b'{"n":1}\n' for path in paths)
    wait_until(lambda: daemon.rows("SELECT count(*) AS n FROM log_file WHERE compressed = 1") == [{"n": 260}], "their rows")
