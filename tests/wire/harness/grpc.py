"""gRPC over the raw HTTP/2 client, for what grpcio would never send, and a generic grpcio call for the rest."""

import base64
import dataclasses
import re
import struct
import urllib.parse

from . import otlp
from .children import DEADLINE_SECS

EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
HEALTH = "/grpc.health.v1.Health/Check"

OK, INVALID_ARGUMENT, DEADLINE_EXCEEDED, PERMISSION_DENIED, RESOURCE_EXHAUSTED = 0, 3, 4, 7, 8
FAILED_PRECONDITION, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 9, 12, 13, 14, 16


@dataclasses.dataclass
class Outcome:
    code: int
    message: str = ""
    response: bytes = None
    retry_ms: int = None  # of google.rpc.RetryInfo
    raw: object = None    # the HTTP/2 answer behind it

    def refused(self, code, *words):
        assert self.code == code, self
        assert self.response is None, "a message in a refusal"
        for word in words:
            assert word.lower() in self.message.lower(), f"{word!r} is not in {self.message!r}"
        return self

    def accepted(self):
        """The answer of a successful export: one message, and no partial_success in it."""
        assert (self.code, self.response) == (OK, b""), self
        return self

    def partly(self, rejected, *words):
        """The answer of an export whose other records were stored: partial_success with a count and a reason."""
        assert self.code == OK, self
        [(number, partial)] = otlp.decode(self.response)
        fields = dict(otlp.decode(partial))
        assert (number, fields.get(1, 0)) == (1, rejected), (fields, self)
        for word in words:
            assert word in fields[2].decode(), f"{word!r} is not in {fields[2]!r}"
        return self


def frame(message, flag=0):
    return struct.pack(">BI", flag, len(message)) + message


def headers(token=None, version="1", content_type="application/grpc", extra=()):
    out = [("te", "trailers"), ("content-type", content_type)]
    if token:
        out.append(token.header)
    if version is not None:
        out.append(("x-protocol-version", version))
    return out + list(extra)


def outcome(response):
    """Reads a gRPC answer and checks its form: PROTOCOL-HTTP2.md "Responses"."""
    assert response.status == 200 and response.reset in (None, 0), response
    assert response.header("content-type", "").startswith("application/grpc"), response
    fields = response.trailers or response.headers
    statuses = [value for name, value in fields if name == "grpc-status"]
    assert len(statuses) == 1, response
    if response.trailers:
        assert not response.header("grpc-status"), "grpc-status both before and behind the message"
    else:
        assert response.body == b"", "a message without trailers"
    fields = dict(fields)
    escaped = fields.get("grpc-message", "")
    assert re.fullmatch(r"(?:[ -$&-~]|%[0-9A-Fa-f]{2})*", escaped), f"grpc-message is not percent-encoded: {escaped!r}"
    result = Outcome(int(statuses[0]), urllib.parse.unquote(escaped, errors="strict"), raw=response)
    if response.body:
        flag, size = struct.unpack(">BI", response.body[:5])
        assert flag == 0 and size == len(response.body) - 5, response.body
        result.response = response.body[5:]
    if "grpc-status-details-bin" in fields:
        result.retry_ms = retry_ms(fields["grpc-status-details-bin"], result)
    return result


def retry_ms(header, result):
    """google.rpc.Status > Any > google.rpc.RetryInfo > google.protobuf.Duration."""
    raw = header if isinstance(header, bytes) else base64.b64decode(header + "=" * (-len(header) % 4), validate=True)
    status = otlp.decode(raw)
    assert dict(status)[1] == result.code
    assert dict(status).get(2, b"").decode() == result.message
    details = [dict(otlp.decode(value)) for number, value in status if number == 3]
    found = [detail for detail in details if detail[1] == b"type.googleapis.com/google.rpc.RetryInfo"]
    assert len(found) == 1, details
    duration = dict(otlp.decode(dict(otlp.decode(found[0][2]))[1]))
    return duration.get(1, 0) * 1000 + duration.get(2, 0) // 1000000


def call(client, path, body, call_headers):
    """One call of framed bytes over a raw connection."""
    stream = client.open("POST", path, call_headers)
    client.data(stream, body)
    return outcome(client.answered(stream))


def export(daemon, message, token, version="1", encoding=None, flag=None, extra=()):
    """One Export on a connection of its own."""
    client = daemon.connect("2")
    try:
        extra = list(extra) + ([("grpc-encoding", encoding)] if encoding else [])
        flag = flag if flag is not None else int(encoding not in (None, "identity"))
        return call(client, EXPORT, frame(message, flag), headers(token, version, extra=extra))
    finally:
        client.close()


def export_grpcio(daemon, message, token, version="1", compression=None, path=EXPORT):
    """The same through grpcio, as any client would do it."""
    import grpc

    metadata = ([token.header] if token else []) + ([("x-protocol-version", version)] if version is not None else [])
    # A subchannel pool of its own, so that close() really closes the connection.
    with grpc.insecure_channel("%s:%d" % daemon.address, options=[("grpc.use_local_subchannel_pool", 1),
                                                                 ("grpc.enable_http_proxy", 0)]) as channel:
        method = channel.unary_unary(path, request_serializer=None, response_deserializer=None)
        try:
            response, call_ = method.with_call(message, metadata=metadata, timeout=DEADLINE_SECS,
                                               compression=getattr(grpc.Compression, compression or "NoCompression"))
            return Outcome(call_.code().value[0], call_.details() or "", response)
        except grpc.RpcError as error:
            result = Outcome(error.code().value[0], error.details() or "")
            for name, value in error.trailing_metadata() or ():
                if name == "grpc-status-details-bin":
                    result.retry_ms = retry_ms(value, result)
            return result
