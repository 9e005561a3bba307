"""Proxies that keep what a client and a broker say to each other: of each API and version the first request and its
response, as one line of JSON in tests/golden/clients (tests/golden/README.md).

A proxy stands before each broker. Brokers name each other by 127.0.0.1 and a port; in what they answer the port is
changed into the proxy's, so that a client never goes round it.
"""

import json
import os
import socket
import struct
import threading

BYTES_MAX = 3000  # of a request or response that is kept

_lock = threading.Lock()


def proxies(ports, path):
    """One for each port, all writing to the same file."""
    made = [Proxy(port, path) for port in ports]
    moved = {port_bytes(p.target): port_bytes(p.port) for p in made}
    for proxy in made:
        proxy.moved = moved
        threading.Thread(target=proxy.accept, daemon=True).start()
    return made


def port_bytes(port):
    return b'127.0.0.1' + struct.pack('>i', port)


def keep(path, key, version, request, response):
    """Adds a row unless the file has one for this key and version."""
    if max(len(request), len(response or b'')) > BYTES_MAX:
        return
    with _lock:
        rows = {}
        if os.path.exists(path):
            with open(path, encoding='utf-8') as file:
                rows = {(row['key'], row['version']): row for row in map(json.loads, file)}
        known = rows.get((key, version))
        if known is not None and (known['response'] is not None or response is None):
            return
        rows[key, version] = {'key': key, 'version': version, 'request': request.hex(),
                              'response': None if response is None else response.hex()}
        with open(path, 'w', encoding='utf-8') as file:
            for _, row in sorted(rows.items()):
                file.write(json.dumps(row, separators=(',', ':')) + '\n')


class Proxy:
    def __init__(self, target, path):
        self.target, self.path, self.moved = target, path, {}
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]

    def close(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(('127.0.0.1', self.target))
            except OSError:
                client.close()
                continue
            asked = {}
            threading.Thread(target=self.requests, args=(client, server, asked), daemon=True).start()
            threading.Thread(target=self.responses, args=(server, client, asked), daemon=True).start()

    def requests(self, client, server, asked):
        for frame in frames(client, server):
            key, version, correlation = struct.unpack('>hhi', frame[:8])
            if key == 0 and acks_of(frame, version) == 0:
                keep(self.path, key, version, frame, None)
            else:
                asked[correlation] = (key, version, frame)
            if not send(server, frame):
                return

    def responses(self, server, client, asked):
        for frame in frames(server, client):
            for old, new in self.moved.items():
                frame = frame.replace(old, new)
            request = asked.pop(struct.unpack('>i', frame[:4])[0], None)
            if request is not None:
                keep(self.path, request[0], request[1], request[2], frame)
            if not send(client, frame):
                return


def acks_of(frame, version):
    """The acks of a Produce request."""
    size = struct.unpack('>h', frame[8:10])[0]
    at = 10 + max(size, 0)
    if version >= 9:  # tagged fields, then a compact transactional id
        at += 1
        at += max(frame[at], 1)
    elif version >= 3:
        at += 2 + max(struct.unpack('>h', frame[at:at + 2])[0], 0)
    return struct.unpack('>h', frame[at:at + 2])[0]


def frames(source, other):
    """The frames that come from `source`, until either side closes."""
    buffer = b''
    while True:
        while len(buffer) >= 4 and len(buffer) >= 4 + struct.unpack('>i', buffer[:4])[0]:
            size = struct.unpack('>i', buffer[:4])[0]
            yield buffer[4:4 + size]
            buffer = buffer[4 + size:]
        try:
            part = source.recv(1 << 16)
        except OSError:
            part = b''
        if not part:
            for one in (source, other):
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            return
        buffer += part


def send(to, frame):
    try:
        to.sendall(struct.pack('>i', len(frame)) + frame)
        return True
    except OSError:
        return False
