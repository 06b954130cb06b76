"""OTLP messages as protobuf wire bytes, written by hand so that a test can also say what no library would.

A message is a list of (field number, value): an int is a varint, bytes and str are length-delimited, a list is a nested
message, and Fixed32, Fixed64 and Double say their kind. bytes in place of a message are taken as they are.
"""

import struct


class Fixed32(int):
    pass


class Fixed64(int):
    pass


class Double(float):
    pass


def varint(value):
    value &= (1 << 64) - 1  # negative numbers are ten bytes, as protobuf wants them
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def tag(number, wire_type):
    return varint(number << 3 | wire_type)


def encode(message):
    if isinstance(message, bytes):
        return message
    return b"".join(_field(number, value) for number, value in message)


def _field(number, value):
    if isinstance(value, Fixed32):
        return tag(number, 5) + struct.pack("<I", value)
    if isinstance(value, Fixed64):
        return tag(number, 1) + struct.pack("<Q", value)
    if isinstance(value, Double):
        return tag(number, 1) + struct.pack("<d", value)
    if isinstance(value, (bool, int)):
        return tag(number, 0) + varint(int(value))
    data = value.encode() if isinstance(value, str) else encode(value)
    return tag(number, 2) + varint(len(data)) + data


def decode(data):
    """[(field number, value)]: ints, or bytes for length-delimited fields."""
    fields, at = [], 0

    def read_varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = read_varint()
        number, wire_type = key >> 3, key & 7
        if wire_type == 0:
            value = read_varint()
        else:
            size = {1: 8, 5: 4}.get(wire_type) or read_varint()
            assert wire_type in (1, 2, 5) and at + size <= len(data)
            value = data[at:at + size]
            at += size
            if wire_type != 2:
                value = int.from_bytes(value, "little")
        fields.append((number, value))
    return fields


def any_value(value):
    """AnyValue of a Python value; None is one that is not set."""
    if value is None:
        return []
    if isinstance(value, bool):
        return [(2, value)]
    if isinstance(value, int):
        return [(3, value)]
    if isinstance(value, float):
        return [(4, Double(value))]
    if isinstance(value, str):
        return [(1, value)]
    if isinstance(value, bytes):
        return [(7, value)]
    if isinstance(value, list):
        return [(5, [(1, any_value(item)) for item in value])]
    if isinstance(value, dict):
        return [(6, [(1, pair) for pair in key_values(value)])]
    raise TypeError(value)


def key_values(pairs):
    """KeyValues of a dict or of (key, value) pairs, which may repeat a key."""
    pairs = pairs.items() if isinstance(pairs, dict) else pairs
    return [[(1, key), (2, any_value(value))] for key, value in pairs]


def log_record(body="hello", attributes=(), time=1, observed=2, severity=9, severity_text="INFO", dropped=0, flags=0,
               trace_id=b"", span_id=b"", event_name=""):
    message = [(1, Fixed64(time)), (11, Fixed64(observed)), (2, severity), (3, severity_text), (5, any_value(body))]
    message += [(6, pair) for pair in key_values(attributes)]
    return message + [(7, dropped), (8, Fixed32(flags)), (9, trace_id), (10, span_id), (12, event_name)]


def resource(attributes):
    return [(1, pair) for pair in key_values(attributes)]


def scope_logs(records, scope=None):
    return ([(1, scope)] if scope is not None else []) + [(2, record) for record in records]


def scope(name="", version="", attributes=()):
    return [(1, name), (2, version)] + [(3, pair) for pair in key_values(attributes)]


def resource_logs(attributes, records, scope=None):
    return [(1, resource(attributes)), (2, scope_logs(records, scope))]


def export(*all_resource_logs):
    return encode([(1, one) for one in all_resource_logs])


def export_lines(source, count=1, **record):
    """A plain good request: `count` records of one source."""
    return export(resource_logs(source.attributes(), [log_record(**record)] * count))
