"""What both clients do with their sockets."""

import socket
import struct


def dial(address, timeout, receive_buffer=None):
    """A connection; receive_buffer keeps the kernel from taking answers that the test does not read yet."""
    client = socket.socket()
    client.settimeout(timeout)
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.connect(address)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def reset(client):
    """Closes with RST in place of FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
