"""Crash reports: the metadata document, and multipart bodies byte by byte."""

import copy
import dataclasses
import json
import uuid

PATH = "/v1/crashes"
BOUNDARY = "detritus-boundary-v1"
TIMESTAMP = "2026-05-19T00:00:00Z"
ABSENT = object()


@dataclasses.dataclass(frozen=True)
class Source:
    project: str
    install_id: str
    platform: str = "linux"
    version: str = "1.4.2"

    @staticmethod
    def fresh(project="acme"):
        return Source(project, str(uuid.uuid4()))

    def attributes(self):
        return {"source.project": self.project, "source.platform": self.platform, "source.version": self.version,
                "source.install_id": self.install_id}

    def json(self):
        return {"project": self.project, "platform": self.platform, "version": self.version,
                "install_id": self.install_id}


def metadata(source, changes=None, **top):
    """A good document; changes are {"dotted.path": value or ABSENT}, top are keys of the document itself."""
    document = {
        "schema_version": 1,
        "source": source.json(),
        "timestamp": TIMESTAMP,
        "kind": "Minidump",
        "build": {"git_sha": "0123abcd", "profile": "release", "target_triple": "x86_64-unknown-linux-gnu"},
        "panic_text": None,
        "context": {},
        "attachments": [],
        **copy.deepcopy(top),
    }
    for path, value in (changes or {}).items():
        *parents, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        at = document
        for step in parents:
            at = at[step]
        if value is ABSENT:
            del at[last]
        else:
            at[last] = value
    return document


def part(name, data, content_type=None, encoding=None, filename=None):
    """One part: its delimiter, its header lines, its bytes."""
    disposition = "form-data" + (f'; name="{name}"' if name is not None else "")
    disposition += f'; filename="{filename}"' if filename is not None else ""
    lines = [f"Content-Disposition: {disposition}"]
    lines += [f"Content-Type: {content_type}"] if content_type else []
    lines += [f"Content-Encoding: {encoding}"] if encoding else []
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return f"--{BOUNDARY}\r\n".encode() + "\r\n".join(lines).encode() + b"\r\n\r\n" + data + b"\r\n"


def metadata_part(source, changes=None, **top):
    return part("metadata", metadata(source, changes, **top), "application/json")


def dump_part(data=b"MDMP a dump", encoding=None):
    return part("dump", data, "application/octet-stream", encoding)


def attachment_part(key, data, content_type="text/plain", encoding=None):
    return part("attach:" + key, data, content_type, encoding)


def body(*parts):
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def headers(token=None, content_type=f"multipart/form-data; boundary={BOUNDARY}", extra=()):
    out = [("content-type", content_type)] if content_type else []
    return out + ([token.header] if token else []) + list(extra)


def upload(daemon, http, token, *parts, extra=()):
    """One upload of parts on a connection of its own."""
    return daemon.request(http, "POST", PATH, headers(token, extra=extra), body(*parts))


def report(daemon, http, token, source, dump=b"MDMP a dump", changes=None, **top):
    """One plain report, stored. Returns its answer."""
    response = upload(daemon, http, token, metadata_part(source, changes, **top), dump_part(dump))
    assert response.status == 201, response
    return response.json()
