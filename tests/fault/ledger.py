"""What a campaign sent, and what came of it: the word against which a data directory is held (verify.py).

Every log record carries a name of its own and a text that follows from it; every report has a timestamp of its own.
"""

import dataclasses
import hashlib
import re
import threading

from harness.crash import Source


def text_of(name, length):
    """The body of a log record: its name, its length, and as many bytes that follow from both."""
    head = f"{name} {length} "
    pattern = hashlib.sha256(head.encode()).hexdigest()
    return head + (pattern * (length // len(pattern) + 1))[:length]


@dataclasses.dataclass
class Sent:
    """position: of the disk's log when the acknowledgement had been read; None: there was none. refused: the daemon said
    that it did not keep it."""
    position: int = None
    refused: bool = False

    def acknowledged(self, cut):
        return self.position is not None and (cut is None or self.position <= cut)


@dataclasses.dataclass
class Part:
    source: Source
    names: list
    length: int


@dataclasses.dataclass
class Export(Sent):
    parts: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Stored:
    """A dump or an attachment: bytes as sent."""
    sha256: str
    length: int
    encoding: str = None


@dataclasses.dataclass
class Report(Sent):
    source: Source = None
    timestamp: str = None  # RFC 3339, whole seconds
    dump: Stored = None
    attachments: list = dataclasses.field(default_factory=list)  # (key, Stored)

    @property
    def mirror(self):
        stamp = self.timestamp.replace("-", "").replace(":", "")
        return (f"crashes/by-source/{self.source.project}/{self.source.install_id}/"
                f"{stamp}-{self.dump.sha256}.json")

    @property
    def blobs(self):
        return [self.dump, *(stored for _, stored in self.attachments)]


class Ledger:
    """position(): that of the disk's log. Any thread."""

    def __init__(self, position=lambda: 0):
        self.position = position
        self.lock = threading.Lock()
        self.exports, self.reports = [], []
        self.deleted = {}   # names of log records that somebody deleted behind the daemon's back: position (moves.py)
        self.copies = False  # whether copies made by somebody else may be there, too
        self.refusals = {}  # what the daemon said: how often
        self.answers = 0    # acknowledgements and refusals

    def send(self, sent):
        """Before it is sent: from now on it may be there."""
        with self.lock:
            (self.exports if isinstance(sent, Export) else self.reports).append(sent)

    def acknowledge(self, sent):
        position = self.position()
        with self.lock:
            if sent.position is None:
                sent.position = position
            self.answers += 1

    def refuse(self, sent, why):
        why = re.sub(r"\d{3,} bytes", "N bytes", why)  # else every refusal would be one of its own
        with self.lock:
            sent.refused = True
            self.refusals[why] = self.refusals.get(why, 0) + 1
            self.answers += 1

    def unanswered(self, install_id, first):
        """Log records of a source that may be on their way into its file, and all in exports from number `first` on."""
        with self.lock:
            return [name for n, export in enumerate(self.exports)
                    if n >= first or not export.refused and export.position is None
                    for part in export.parts if part.source.install_id == install_id for name in part.names]

    def acknowledged(self, cut=None):
        """How many log records, and how many blobs of reports (a shared one once a report)."""
        records = sum(len(part.names) for export in self.exports if export.acknowledged(cut) for part in export.parts)
        return records, sum(len(report.blobs) for report in self.reports if report.acknowledged(cut))
