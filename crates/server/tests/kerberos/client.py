# A client of AUTHENTICATE and AUTH by GSSAPI and GSS-SPNEGO that can do everything wrong. One argument, JSON; it prints what
# the server says, and "challenge" where it has more to hear.
import base64, json, socket, ssl, sys
import gssapi
from gssapi.raw import ChannelBindings

wish = json.loads(sys.argv[1])
KERBEROS = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")
SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
form = wish.get("form", "GSSAPI")
mechanism = SPNEGO if wish.get("spnego", form == "GSS-SPNEGO") else KERBEROS
imap = wish["service"] != "smtp"


class Line:
    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", wish["port"]), 30)
        if wish.get("tls"):
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.file = self.socket.makefile("rwb")
        self.heard()
        if not imap:
            self.say("EHLO client.example.test")
            while self.heard()[3:4] == "-":
                pass

    def say(self, text):
        self.file.write(text.encode() + b"\r\n")
        self.file.flush()

    def heard(self):
        line = self.file.readline().decode().rstrip("\r\n")
        print(line)
        return line

    # The challenge, or None at the end.
    def challenge(self):
        while True:
            line = self.heard()
            if line.startswith("+ ") or line.startswith("334 "):
                print("challenge")
                return base64.b64decode(line.split(" ", 1)[1])
            if not line.startswith("* "):
                return None

    def answer(self, octets):
        self.say(base64.b64encode(octets).decode())
        return self.challenge()

    def start(self, token=None):
        initial = "" if token is None else " " + base64.b64encode(token).decode()
        self.say(("a AUTHENTICATE " if imap else "AUTH ") + form + initial)
        return self.challenge()


def context(line):
    flags = gssapi.RequirementFlag.integrity
    if wish.get("mutual", True):
        flags |= gssapi.RequirementFlag.mutual_authentication
    binding = None
    if wish.get("binding") == "right":
        from hashlib import sha256
        binding = ChannelBindings(application_data=b"tls-server-end-point:" + sha256(line.socket.getpeercert(True)).digest())
    if wish.get("binding") == "wrong":
        binding = ChannelBindings(application_data=b"tls-server-end-point:" + bytes(32))
    name = gssapi.Name(wish.get("target", wish["service"] + "@localhost"), gssapi.NameType.hostbased_service)
    return gssapi.SecurityContext(name=name, mech=mechanism, usage="initiate", flags=flags, channel_bindings=binding)


def mangled(token):
    cut = wish.get("cut")
    if cut is not None:
        token = token[:cut]
    turn = wish.get("turn")
    if turn is not None:
        token = token[:turn] + bytes([token[turn] ^ 1]) + token[turn + 1:]
    return token + bytes(wish.get("pad", 0))


# The rest of GSSAPI, from the first token on.
def run(line, one, token):
    if wish.get("initial"):
        heard = line.start(mangled(token))
    else:
        line.start()
        heard = line.answer(mangled(token))
    while heard is not None and not one.complete:
        token = one.step(heard)
        # The server's last token is answered with nothing, or with what the negotiation still has to say.
        if one.complete and form == "GSS-SPNEGO" and not token:
            return line.answer(b"")
        heard = line.answer(token or b"")
    if heard is None or form == "GSS-SPNEGO":
        return heard
    offer = one.unwrap(heard).message
    print("offer", offer.hex())
    choice = bytes([wish.get("layer", 1), 0, 0, 0]) + wish.get("authzid", "").encode()
    wrapped = one.wrap(choice, False).message if wish.get("wrapped", True) else choice
    return line.answer(wrapped)


line = Line()
if wish.get("raw") is not None:
    if line.start() is not None:
        line.say(wish["raw"])
        line.challenge()
    sys.exit()
one = context(line)
token = one.step()
run(line, one, token)
while wish.get("wait") and line.heard():
    pass
if wish.get("twice"):
    again = Line()
    print("again")
    if again.start() is not None:
        again.answer(token)
