"""A client of COMPRESS=DEFLATE (RFC 4978): imaplib on a socket that zlib stands before."""

import imaplib
import io
import random
import ssl
import sys
import zlib

clear, secure, one, two, password = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
trusting = ssl.create_default_context()
trusting.check_hostname = False
trusting.verify_mode = ssl.CERT_NONE


class Squeezed(io.RawIOBase):
    """The read side of a compressed connection; what it read is counted."""

    def __init__(self, sock):
        self.sock = sock
        self.expand = zlib.decompressobj(-15)
        self.ready = b""
        self.wire = 0

    def readable(self):
        return True

    def readinto(self, space):
        while not self.ready:
            data = self.sock.recv(65536)
            if not data:
                return 0
            self.wire += len(data)
            self.ready = self.expand.decompress(data)
        count = min(len(space), len(self.ready))
        space[:count] = self.ready[:count]
        self.ready = self.ready[count:]
        return count


def compress(client):
    status, data = client._simple_command("COMPRESS", "DEFLATE")
    assert status == "OK", data
    squeeze = zlib.compressobj(6, zlib.DEFLATED, -15)
    client.squeezed = Squeezed(client.sock)
    client.plain_file = getattr(client, "_file", None) or client.file
    reader = io.BufferedReader(client.squeezed)
    client.readline = reader.readline
    client.read = reader.read
    client.send = lambda data: client.sock.sendall(squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH))


def work(client, one, two, there):
    for name in ("COMPRESS", "UNAUTHENTICATE"):
        imaplib.Commands[name] = ("AUTH", "SELECTED")
    client.login(one, password)
    assert "COMPRESS=DEFLATE" in client.capability()[1][0].decode().split()
    compress(client)
    assert "COMPRESS=DEFLATE" not in client.capability()[1][0].decode().split()
    status, data = client._simple_command("COMPRESS", "DEFLATE")
    assert status == "NO" and b"COMPRESSIONACTIVE" in data[0], data
    words = ["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dogs"]
    body = "\r\n".join(" ".join(random.choices(words, k=12)) for _ in range(40_000))
    noise = random.randbytes(300_000).hex()
    lines = "\r\n".join(noise[at : at + 76] for at in range(0, len(noise), 76))
    for text in (body, lines):
        message = f"Subject: large\r\n\r\n{text}\r\n".encode()
        assert client.append("INBOX", None, None, message)[0] == "OK"
    assert client.select("INBOX")[0] == "OK"
    before = client.squeezed.wire
    status, data = client.fetch("1:2", "(BODY.PEEK[TEXT])")
    assert data[0][1] == f"{body}\r\n".encode() and data[2][1] == f"{lines}\r\n".encode()
    came, wire = len(data[0][1]) + len(data[2][1]), client.squeezed.wire - before
    assert wire < came * 0.6, (wire, came)
    # IDLE hears of what another connection does.
    tag = client._new_tag()
    client.send(tag + b" IDLE\r\n")
    assert client.readline().startswith(b"+")
    with imaplib.IMAP4("127.0.0.1", clear) as other:
        other.login(one, password)
        assert other.append("INBOX", None, None, b"Subject: news\r\n\r\nnews\r\n")[0] == "OK"
    assert client.readline() == b"* 3 EXISTS\r\n"
    client.readline()
    client.send(b"DONE\r\n")
    while not client.readline().startswith(tag):
        pass
    # Many commands in one piece.
    tags = [client._new_tag() for _ in range(300)]
    client.send(b"".join(tag + b" UID FETCH 1 (FLAGS)\r\n" for tag in tags))
    answered = 0
    while answered < len(tags):
        answered += client.readline().startswith(tags[answered] + b" OK")
    # RFC 8437 §4.1: the answer is the last of the compression.
    status, data = client._simple_command("UNAUTHENTICATE")
    assert status == "OK", data
    for name in ("readline", "read", "send"):
        delattr(client, name)
    client.state = "NONAUTH"
    client.login(two, password)
    assert client.select("INBOX")[1] == [there]
    client.logout()


work(imaplib.IMAP4("127.0.0.1", clear), one, two, b"0")
work(imaplib.IMAP4_SSL("127.0.0.1", secure, ssl_context=trusting), two, one, b"3")
print("all good")
