"""An answer, whichever HTTP version brought it."""

import dataclasses
import json


@dataclasses.dataclass
class Response:
    status: int
    headers: list
    body: bytes = b""
    trailers: list = dataclasses.field(default_factory=list)
    version: str = "1.1"
    reset: int = None  # HTTP/2: the code of a RST_STREAM; status is 0 when no headers came before it

    def all(self, name):
        return [value for key, value in self.headers if key == name]

    def header(self, name, default=None):
        values = self.all(name)
        assert len(values) <= 1, f"{name} twice: {values}"
        return values[0] if values else default

    def json(self):
        assert self.header("content-type", "").split(";")[0] == "application/json", self
        return json.loads(self.body)

    def refused(self, status, *words):
        """Asserts the one shape of every refusal, and that its message says the words. Returns the message."""
        assert self.status == status, self
        error = self.json()
        assert set(error) == {"error"} and set(error["error"]) == {"code", "message"}, error
        assert error["error"]["code"] == status
        message = error["error"]["message"]
        assert isinstance(message, str) and message
        for word in words:
            assert word.lower() in message.lower(), f"{word!r} is not in {message!r}"
        return message


class ConnectionEnded(AssertionError):
    """The peer closed where an answer was due."""
