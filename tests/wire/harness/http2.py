"""HTTP/2 with prior knowledge, frame by frame: obeys the peer's flow control, and can also misbehave."""

import select
import socket

import hpack
from hyperframe import frame as frames

from . import tcp
from .children import DEADLINE_SECS
from .response import ConnectionEnded, Response

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED = 0, 1, 2, 3, 5
REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 7, 8, 11


class Stream:
    def __init__(self, send_window):
        self.response = None
        self.interim = []
        self.ended = False
        self.reset = None
        self.send_window = send_window
        self.window_updates = 0


class Http2:
    """settings: sent in our first SETTINGS. ack: whether the peer's SETTINGS are acknowledged."""

    def __init__(self, address, timeout=DEADLINE_SECS, settings=None, ack=True, start=True, receive_buffer=None):
        self.socket = tcp.dial(address, timeout, receive_buffer)
        self.timeout = timeout
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.buffer = b""
        self.ack = ack
        self.ended = False
        self.streams = {}
        self.next_stream = 1
        self.peer_settings = None  # None until the peer's first SETTINGS
        self.acked = False         # the peer has acknowledged ours
        self.pongs = []
        self.goaway = None         # (last stream, code)
        self.send_window = 65535
        self.initial_window = 65535
        self.max_frame = 16384
        self.connection_updates = 0
        self.headers_of = None     # a header block whose CONTINUATION is due: (stream, end of stream, bytes)
        if start:
            first = frames.SettingsFrame(0, settings=settings or {})
            self.send_raw(PREFACE + first.serialize())

    def close(self):
        self.socket.close()

    def abort(self):
        tcp.reset(self.socket)

    # -- sending

    def send_raw(self, data):
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

    def send_frame(self, frame, *flags):
        for flag in flags:
            frame.flags.add(flag)
        self.send_raw(frame.serialize())

    def header_block(self, method, path, headers, scheme="http", authority="detritus.test"):
        pseudo = [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]
        return self.encoder.encode(pseudo + [(name.lower(), value) for name, value in headers])

    def open(self, method, path, headers=(), end=False, block=None):
        """HEADERS, with CONTINUATION where they do not fit. Returns the stream's id."""
        stream_id, self.next_stream = self.next_stream, self.next_stream + 2
        self.streams[stream_id] = Stream(self.initial_window)
        block = self.header_block(method, path, headers) if block is None else block
        pieces = [block[at:at + self.max_frame] for at in range(0, len(block), self.max_frame)] or [b""]
        out = b""
        for i, piece in enumerate(pieces):
            frame = frames.ContinuationFrame(stream_id, piece) if i else frames.HeadersFrame(stream_id, piece)
            if not i and end:
                frame.flags.add("END_STREAM")
            if i == len(pieces) - 1:
                frame.flags.add("END_HEADERS")
            out += frame.serialize()
        self.send_raw(out)
        return stream_id

    def data(self, stream_id, data, end=True):
        """DATA as the windows allow; waits for WINDOW_UPDATE. Stops early when the stream is answered or reset."""
        stream = self.streams[stream_id]
        self.pump()
        while True:
            if stream.ended or stream.reset is not None or self.ended:
                return
            room = min(len(data), self.max_frame, self.send_window, stream.send_window)
            if room > 0 or not data:
                piece, data = data[:room], data[room:]
                self.send_window -= len(piece)
                stream.send_window -= len(piece)
                frame = frames.DataFrame(stream_id, piece)
                if end and not data:
                    frame.flags.add("END_STREAM")
                self.send_raw(frame.serialize())
                if not data:
                    return
            else:
                self.pump(wait=True)

    def reset(self, stream_id, code=CANCEL):
        self.send_frame(frames.RstStreamFrame(stream_id, error_code=code))

    # -- receiving

    def _receive(self):
        try:
            data = self.socket.recv(262144)
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        except socket.timeout:
            raise AssertionError("the peer is silent")
        if not data:
            self.ended = True
        self.buffer += data
        return bool(data)

    def pump(self, wait=False):
        """Takes what has come. wait: takes at least one frame more, or the end of the connection."""
        while not self.ended and select.select([self.socket], [], [], 0)[0]:
            self._receive()
        while self._take_next():
            wait = False
        while wait and not self.ended:
            self._receive()
            while self._take_next():
                wait = False

    def _take_next(self):
        if len(self.buffer) < 9:
            return False
        frame, size = frames.Frame.parse_frame_header(memoryview(self.buffer[:9]))
        assert size <= 16384, "a frame larger than we allowed"
        if len(self.buffer) < 9 + size:
            return False
        frame.parse_body(memoryview(self.buffer[9:9 + size]))
        self.buffer = self.buffer[9 + size:]
        self._take(frame)
        return True

    def until(self, check, what):
        """Reads until check() is true."""
        self.pump()
        while not check():
            if self.ended:
                raise ConnectionEnded(f"the connection ended (GOAWAY {self.goaway}) before {what}")
            self.pump(wait=True)

    def _take(self, frame):
        if self.headers_of is not None:
            assert isinstance(frame, frames.ContinuationFrame), "something between HEADERS and CONTINUATION"
        stream = self.streams.get(frame.stream_id)
        if isinstance(frame, frames.SettingsFrame):
            self._take_settings(frame)
        elif isinstance(frame, frames.PingFrame):
            if "ACK" in frame.flags:
                self.pongs.append(bytes(frame.opaque_data))
            else:
                self.send_frame(frames.PingFrame(0, frame.opaque_data), "ACK")
        elif isinstance(frame, frames.GoAwayFrame):
            self.goaway = (frame.last_stream_id, frame.error_code)
        elif isinstance(frame, frames.WindowUpdateFrame):
            if frame.stream_id == 0:
                self.send_window += frame.window_increment
                self.connection_updates += 1
            elif stream:
                stream.send_window += frame.window_increment
                stream.window_updates += 1
        elif isinstance(frame, frames.HeadersFrame):
            self._take_headers(stream, frame, bytes(frame.data), "END_STREAM" in frame.flags)
        elif isinstance(frame, frames.ContinuationFrame):
            stream_id, end, block = self.headers_of
            assert stream_id == frame.stream_id
            self._take_headers(stream, frame, block + bytes(frame.data), end)
        elif isinstance(frame, frames.DataFrame):
            assert stream and stream.response, "DATA before HEADERS"
            stream.response.body += bytes(frame.data)
            if frame.flow_controlled_length:
                update = frames.WindowUpdateFrame(0, window_increment=frame.flow_controlled_length).serialize()
                if "END_STREAM" not in frame.flags:
                    update += frames.WindowUpdateFrame(frame.stream_id,
                                                       window_increment=frame.flow_controlled_length).serialize()
                self.send_raw(update)
            stream.ended = "END_STREAM" in frame.flags
        elif isinstance(frame, frames.RstStreamFrame) and stream:
            stream.reset = frame.error_code

    def _take_settings(self, frame):
        if "ACK" in frame.flags:
            self.acked = True
            return
        self.peer_settings = {**(self.peer_settings or {}), **frame.settings}
        window = frame.settings.get(frames.SettingsFrame.INITIAL_WINDOW_SIZE, self.initial_window)
        for stream in self.streams.values():
            stream.send_window += window - self.initial_window
        self.initial_window = window
        self.max_frame = frame.settings.get(frames.SettingsFrame.MAX_FRAME_SIZE, self.max_frame)
        if frames.SettingsFrame.HEADER_TABLE_SIZE in frame.settings:
            self.encoder.header_table_size = min(4096, frame.settings[frames.SettingsFrame.HEADER_TABLE_SIZE])
        if self.ack:
            self.send_frame(frames.SettingsFrame(0), "ACK")

    def _take_headers(self, stream, frame, block, end):
        if "END_HEADERS" not in frame.flags:
            self.headers_of = (frame.stream_id, end, block)
            return
        self.headers_of = None
        fields = [(str(name), str(value)) for name, value in self.decoder.decode(block)]
        assert all(name == name.lower() for name, _ in fields), fields
        assert stream, f"HEADERS on stream {frame.stream_id}, which we did not open"
        if stream.response and stream.response.status >= 200:
            assert end, "trailers do not end the stream"
            stream.response.trailers = fields
        else:
            assert fields[0][0] == ":status" and [name for name, _ in fields].count(":status") == 1, fields
            response = Response(int(fields[0][1]), fields[1:], version="2")
            if response.status < 200:
                stream.interim.append(response)
                return
            stream.response = response
        stream.ended = end

    def answered(self, stream_id):
        """The answer, whole; a reset stream's has reset set (and status 0 when nothing came before)."""
        stream = self.streams[stream_id]
        self.until(lambda: stream.ended or stream.reset is not None, f"stream {stream_id} was answered")
        response = stream.response or Response(0, [], version="2")
        response.reset = None if stream.ended else stream.reset
        return response

    def request(self, method, path, headers=(), body=None):
        headers = list(headers)
        if body is not None:
            headers.append(("content-length", str(len(body))))
        stream_id = self.open(method, path, headers, end=not body)
        if body:
            self.data(stream_id, body)
        return self.answered(stream_id)

    def ping(self, data=b"detritus"):
        """A round trip: everything sent before has been read by the peer."""
        self.send_frame(frames.PingFrame(0, data))
        self.until(lambda: data in self.pongs, "the PING was answered")
        self.pongs.remove(data)

    def at_end(self):
        """Asserts that the peer closes; then closes too, as any client would."""
        while not self.ended:
            self.pump(wait=True)
        self.close()
