"""Holds a running daemon and its data directory against a ledger."""

import collections
import dataclasses
import json
import re

from harness.daemon import sha256, strict_object
from ledger import text_of
from moves import MARK

# What only a torn or damaged store makes the daemon say; a full disk is another matter.
# After a file was moved and a new one begun, the index does not know yet how little of that was synced.
OF_A_MOVED_FILE = "a log file holds bytes that are not lines; they are left as they are"
COMPLAINT = re.compile(r"^(?!.*No space left on device).*(\bERROR\b|cannot check a log file)")


@dataclasses.dataclass
class Findings:
    """In words, what is wrong; and how much was looked at."""
    lost: list = dataclasses.field(default_factory=list)
    doubled: list = dataclasses.field(default_factory=list)
    torn: list = dataclasses.field(default_factory=list)
    disorder: list = dataclasses.field(default_factory=list)
    records: int = 0  # acknowledged, and so expected
    blobs: int = 0

    KINDS = ("lost", "doubled", "torn", "disorder")

    def __bool__(self):
        return any(getattr(self, kind) for kind in self.KINDS)

    def __str__(self):
        return "\n".join(f"{kind}: {len(found)}: " + "; ".join(found[:5])
                         for kind in self.KINDS if (found := getattr(self, kind))) or "nothing wrong"

    def add(self, other):
        for kind in self.KINDS:
            getattr(self, kind).extend(getattr(other, kind))
        self.records += other.records
        self.blobs += other.blobs


def verify(daemon, ledger, cut=None, full=False):
    """Everything acknowledged up to the cut (None: at all) is there once and whole, nothing is there twice, nothing is
    torn, and index and disk agree. No request and no deletion may be under way. full: the disk was full, so that JSON files
    of reports may be missing.

    Log records count in whatever file of logs/ or recovered/ they are. Those that somebody deleted (Ledger.deleted) may be
    missing after that. Where the daemon may have been interrupted in the middle of a move (Ledger.copies), a copy or a
    renamed directory may have lines of the original, at the same offsets."""
    findings = Findings()
    findings.records, findings.blobs = ledger.acknowledged(cut)
    _verify_logs(daemon, ledger, cut, findings)
    _verify_reports(daemon, ledger, cut, findings)
    _verify_order(daemon, findings)
    if full:
        findings.lost = [found for found in findings.lost if "its mirror: FileNotFound" not in found]
        findings.disorder = [found for found in findings.disorder if " mirror files for " not in found]
    findings.disorder += [line for line in daemon.log.text().split("\n")
                          if COMPLAINT.search(line) and not (ledger.copies and OF_A_MOVED_FILE in line)]
    return findings


# -- logs

def _verify_logs(daemon, ledger, cut, findings):
    there = collections.defaultdict(list)
    for path in sorted([*daemon.data_dir.glob("logs/*/*/*"), *daemon.data_dir.glob("recovered/*/*/*")]):
        if path.suffix == ".ndjson" or MARK in path.name:
            _read_lines(path, there, findings)
        elif path.suffix != ".torn":  # what a crash left of a last line, which nobody was told is there
            findings.disorder.append(f"unexpected {path}")
    for export in ledger.exports:
        expected = export.acknowledged(cut)
        for part in export.parts:
            for name in part.names:
                places = there.pop((name, part.source.install_id), [])
                if not places and expected and not _is_deleted(ledger, name, cut):
                    findings.lost.append(f"log record {name}, acknowledged at {export.position}")
                elif len(places) > 1 and not (ledger.copies and _are_copies(places)):
                    findings.doubled.append(f"log record {name}, {len(places)} times: "
                                            + ", ".join(f"{path.relative_to(daemon.data_dir)}@{at}" for path, at in places))
                elif places and export.refused:
                    findings.doubled.append(f"log record {name} was refused and is there")
    findings.torn += [f"log record {name} of {install_id} was never sent" for name, install_id in there]


def _is_deleted(ledger, name, cut):
    return name in ledger.deleted and (cut is None or ledger.deleted[name] <= cut)


def _are_copies(places):
    """In different files, of which all but one were made by a move. A copy has the offsets of its original; what is in a
    renamed directory may be anywhere in the new file."""
    paths = {path for path, _ in places}
    originals = [path for path in paths if MARK not in str(path)]
    in_renamed_directory = any(MARK in str(path.parent) for path in paths)
    return (len(originals) <= 1 and len(paths) == len(places)
            and (in_renamed_directory or len({at for _, at in places}) == 1))


def _read_lines(path, there, findings):
    data, at = path.read_bytes(), 0
    if data and not data.endswith(b"\n") and MARK not in path.name:  # a copy may have been cut short while it was made
        findings.torn.append(f"{path}: the last line has no end")
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            body = json.loads(line, object_pairs_hook=strict_object)["body"]
            name, length, _ = body.split(" ", 2)
            if body != text_of(name, int(length)):
                raise ValueError("not the text that was sent")
            there[name, path.parent.name.split(MARK)[0]].append((path, at))
        except (ValueError, AssertionError, KeyError, AttributeError, TypeError) as error:
            findings.torn.append(f"{path}:{number}: {error}: {line[:60]!r}")
        at += len(line) + 1


# -- crashes

ROWS = ("SELECT crash.id, project, install_id, crashed_at, dump_sha256, dump_content_encoding"
        " FROM crash JOIN source ON source.id = crash.source_id")


def _verify_reports(daemon, ledger, cut, findings):
    rows = collections.defaultdict(list)
    for row in daemon.rows(ROWS):
        rows[row["project"], row["install_id"], row["crashed_at"][:19] + "Z", row["dump_sha256"]].append(row)
    attachments = collections.defaultdict(list)
    for row in daemon.rows("SELECT crash_id, key, sha256, len FROM attachment ORDER BY crash_id, position"):
        attachments[row["crash_id"]].append((row["key"], row["sha256"], row["len"]))
    whole = {}
    for report in ledger.reports:
        found = rows[report.source.project, report.source.install_id, report.timestamp, report.dump.sha256]
        what = f"report {report.timestamp} {report.dump.sha256[:8]}"
        if len(found) > 1:
            findings.doubled.append(f"{what}: {len(found)} rows")
        elif found and report.refused:
            findings.doubled.append(f"{what} was refused and is there")
        elif report.acknowledged(cut):
            if not found:
                findings.lost.append(f"{what}, acknowledged at {report.position}")
            else:
                _verify_report(daemon, report, what, found[0], attachments[found[0]["id"]], whole, findings)


def _verify_report(daemon, report, what, row, attachments, whole, findings):
    if row["dump_content_encoding"] != report.dump.encoding:
        findings.disorder.append(f"{what}: encoding {row['dump_content_encoding']}")
    if attachments != [(key, stored.sha256, stored.length) for key, stored in report.attachments]:
        findings.lost.append(f"{what}: attachments {attachments}")
    for stored in report.blobs:
        if not _is_whole(daemon, stored.sha256, whole):
            findings.lost.append(f"{what}: its blob {stored.sha256[:8]} is not there, or not whole")
    try:
        mirror = json.loads((daemon.data_dir / report.mirror).read_bytes())
        hashes = [mirror["dump"]["sha256"], *(entry["sha256"] for entry in mirror["attachments"])]
        if hashes != [stored.sha256 for stored in report.blobs]:
            findings.torn.append(f"{what}: its mirror names other blobs")
    except (OSError, ValueError, KeyError) as error:
        findings.lost.append(f"{what}: its mirror: {error!r}")


def _is_whole(daemon, digest, whole):
    if digest not in whole:
        try:
            whole[digest] = sha256(daemon.blob(digest).read_bytes()) == digest
        except OSError:
            whole[digest] = False
    return whole[digest]


def _verify_order(daemon, findings):
    integrity = daemon.rows("PRAGMA integrity_check")
    if [list(row.values()) for row in integrity] != [["ok"]]:
        findings.disorder.append(f"integrity_check: {integrity[:3]}")
    if daemon.rows("PRAGMA foreign_key_check"):
        findings.disorder.append("foreign_key_check")
    findings.disorder += daemon.disorder()
    journal = daemon.data_dir / "journal"
    strange = [path.name for path in journal.glob("*") if not re.fullmatch(r"\d+\.wal|clock|tokens\.seen", path.name)]
    findings.disorder += [f"unexpected journal/{name}" for name in strange]
