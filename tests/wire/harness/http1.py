"""HTTP/1.1 as bytes on a socket: what is sent is exactly what the test says."""

import select
import socket

from . import tcp
from .children import DEADLINE_SECS
from .response import ConnectionEnded, Response


def head(method, path, headers=(), version="1.1"):
    lines = [f"{method} {path} HTTP/{version}"]
    if not any(name.lower() == "host" for name, _ in headers):
        lines.append("host: detritus.test")
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunks(body, size):
    out = b""
    for at in range(0, len(body), size):
        piece = body[at:at + size]
        out += b"%x\r\n%s\r\n" % (len(piece), piece)
    return out + b"0\r\n\r\n"


class Http1:
    def __init__(self, address, timeout=DEADLINE_SECS, receive_buffer=None):
        self.socket = tcp.dial(address, timeout, receive_buffer)
        self.timeout = timeout
        self.buffer = b""
        self.ended = False

    def close(self):
        self.socket.close()

    def abort(self):
        tcp.reset(self.socket)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    # -- bytes

    def _receive(self):
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        if not data:
            self.ended = True
        self.buffer += data
        return bool(data)

    def send(self, data):
        """Sends everything while it reads along, so that an answer which comes before the end is not lost. Stops when
        the peer is gone."""
        view = memoryview(data)
        while view and not self.ended:
            readable, writable, _ = select.select([self.socket], [self.socket], [], self.timeout)
            if not readable and not writable:
                raise AssertionError("the peer neither reads nor answers")
            if readable:
                self._receive()
            elif writable:
                try:
                    view = view[self.socket.send(view[:262144]):]
                except (ConnectionResetError, BrokenPipeError):
                    while self._receive():
                        pass

    def _line(self):
        while b"\r\n" not in self.buffer:
            if not self._receive():
                raise ConnectionEnded(f"in the middle of a line: {self.buffer!r}")
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        assert b"\n" not in line and b"\r" not in line, line
        return line.decode("latin-1")

    def _exactly(self, size):
        while len(self.buffer) < size:
            if not self._receive():
                raise ConnectionEnded(f"{len(self.buffer)} of {size} body bytes")
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def _fields(self):
        fields = []
        while True:
            line = self._line()
            if line == "":
                return fields
            name, colon, value = line.partition(":")
            assert colon and name and name == name.strip(), f"not a field: {line!r}"
            fields.append((name.lower(), value.strip(" \t")))

    # -- messages

    def read(self, method="GET"):
        """The next answer, an interim one included."""
        status_line = self._line()
        version, status, *_ = status_line.split(" ", 2)
        assert version in ("HTTP/1.1", "HTTP/1.0") and len(status) == 3, status_line
        response = Response(int(status), self._fields(), version=version[5:])
        length, encoding = response.header("content-length"), response.header("transfer-encoding")
        assert length is None or encoding is None, "both lengths"
        if response.status < 200 or response.status in (204, 304) or method == "HEAD":
            return response
        if encoding is not None:
            assert encoding == "chunked"
            while True:
                size = int(self._line().split(";")[0], 16)
                if size == 0:
                    break
                response.body += self._exactly(size)
                assert self._exactly(2) == b"\r\n"
            response.trailers = self._fields()
        elif length is not None:
            response.body = self._exactly(int(length))
        else:
            while self._receive():
                pass
            response.body, self.buffer = self.buffer, b""
        return response

    def request(self, method, path, headers=(), body=None, chunk=None, version="1.1"):
        """Sends a request, its body with a length or, with `chunk`, in chunks of that size; skips interim answers."""
        headers = list(headers)
        if body is not None and chunk:
            headers.append(("transfer-encoding", "chunked"))
            body = chunks(body, chunk)
        elif body is not None:
            headers.append(("content-length", str(len(body))))
        self.send(head(method, path, headers, version) + (body or b""))
        while True:
            response = self.read(method)
            if response.status >= 200:
                return response

    def at_end(self):
        """Asserts that the peer says nothing more and closes; then closes too, as any client would."""
        while not self.ended:
            self._receive()
        assert self.buffer == b"", self.buffer
        self.close()
