"""Real minidumps go in and come out byte for byte. $DETRITUS_MINIDUMPS is a folder of *.dmp files."""

import os
import pathlib

import pytest
import zstandard

from conftest import both
from harness.crash import dump_part, metadata_part, upload
from harness.daemon import ACME, REPO, sha256

FOLDERS = [os.environ.get("DETRITUS_MINIDUMPS"), REPO.parent / "shared/data/minidumps",
           REPO.parent.parent / "shared/data/minidumps"]
DUMPS = next((found for folder in FOLDERS if folder for found in [sorted(pathlib.Path(folder).glob("*.dmp"))] if found),
             [])

pytestmark = pytest.mark.skipif(not DUMPS, reason="no minidumps: set DETRITUS_MINIDUMPS")
each = pytest.mark.parametrize("path", DUMPS, ids=lambda path: path.name)


@both
@each
def test_a_minidump_comes_out_as_it_went_in(daemon, source, http, path):
    dump = path.read_bytes()
    assert dump[:4] == b"MDMP"
    response = upload(daemon, http, ACME, metadata_part(source), dump_part(dump))
    assert response.status == 201 and response.json()["id"] == sha256(dump)
    assert daemon.blob(sha256(dump)).read_bytes() == dump


@each
def test_a_compressed_minidump_comes_out_as_it_was_sent(daemon, source, path):
    packed = zstandard.compress(path.read_bytes(), 19)
    response = upload(daemon, "1.1", ACME, metadata_part(source), dump_part(packed, "zstd"))
    assert response.status == 201 and response.json()["id"] == sha256(packed)
    assert zstandard.decompress(daemon.blob(sha256(packed)).read_bytes()) == path.read_bytes()
