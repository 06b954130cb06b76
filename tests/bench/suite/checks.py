"""Is everything on disk that was acknowledged, and once? Each check says in words what is wrong; empty: nothing."""

import contextlib
import hashlib
import mmap
import re

SEQ = re.compile(rb'"seq":"(\d{12})"')  # as detritus-load numbers records, in lines of detritusd and its reference
SEQ_TEXT = re.compile(rb"request finished, cart (\d{12})")  # in the text of a record, for who keeps nothing else
SEQ_OTLP_JSON = re.compile(rb'"key":"seq","value":\{"stringValue":"(\d{12})"')


@contextlib.contextmanager
def mapped(path):
    """A file's bytes, without reading them all into memory."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


def wrong_count(paths, pattern, expected):
    """For records that cannot be told from each other."""
    found = 0
    for path in paths:
        with mapped(path) as data:
            found += sum(1 for _ in re.finditer(pattern, data))
    return "" if found == expected else f"{found} records on disk, {expected} acknowledged"


def numbers(paths, pattern=SEQ):
    """The numbers that are there."""
    found = set()
    for path in paths:
        with mapped(path) as data:
            found.update(int(match[1]) for match in pattern.finditer(data))
    return found


def wrong_numbers(paths, expected, pattern=SEQ, copies=False):
    """Is each of the numbers 0 to expected - 1 there once, and no other? copies: the files hold pages that are no longer
    used, so that one more is nothing wrong."""
    seen = bytearray(expected)
    unwanted = 0
    for path in paths:
        with mapped(path) as data:
            for found in pattern.finditer(data):
                number = int(found[1])
                if number >= expected or seen[number]:
                    unwanted += 1
                else:
                    seen[number] = 1
    absent = expected - sum(seen)
    unwanted = 0 if copies else unwanted
    return f"{absent} of {expected} records are not on disk, {unwanted} are not wanted" if absent or unwanted else ""


def wrong_blobs(paths, size, expected):
    """Are so many dumps of that size there, each under the hash of its content?"""
    dumps = [path for path in paths if path.stat().st_size == size]
    broken = 0
    for path in dumps:
        with path.open("rb") as file:
            broken += hashlib.file_digest(file, "sha256").hexdigest() != path.stem
    if broken:
        return f"{broken} dumps are not what their name says"
    return "" if len(dumps) == expected else f"{len(dumps)} dumps on disk, {expected} acknowledged"
