"""smtplib, imaplib and poplib against a running server; run by python.rs.

usage: standard_library.py ONE TWO PASSWORD SMTP SUBMISSION SUBMISSIONS IMAP IMAPS POP3 POP3S
"""

import imaplib
import poplib
import smtplib
import ssl
import sys
import time
from email.message import EmailMessage
from email.policy import SMTP

one, two, password = sys.argv[1:4]
smtp_port, submission, submissions, imap_port, imaps, pop3, pop3s = map(int, sys.argv[4:])
host = "127.0.0.1"
trusting = ssl.create_default_context()
trusting.check_hostname = False
trusting.verify_mode = ssl.CERT_NONE


def letter(subject, text="Grüße\n"):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = one, two, subject
    message["Bcc"] = "secret@example.test"
    message.set_content(text)
    return message


def submit():
    with smtplib.SMTP(host, submission) as client:
        client.starttls(context=trusting)
        client.login(one, password)
        client.send_message(letter("by STARTTLS"))
    with smtplib.SMTP_SSL(host, submissions, context=trusting) as client:
        client.login(one, password)
        message = letter("with a Bcc left in")
        client.sendmail(one, [two], message.as_bytes(policy=SMTP))
    with smtplib.SMTP(host, smtp_port) as client:
        client.ehlo("mx.elsewhere.test")
        assert client.has_extn("pipelining") and client.has_extn("chunking") and client.has_extn("smtputf8")
        code, reply = client.verify(two)
        assert code == 252, (code, reply)
        try:
            client.sendmail("carol@elsewhere.test", ["dave@other.test"], b"no\r\n")
            raise AssertionError("an open relay")
        except smtplib.SMTPRecipientsRefused:
            pass


def read_imap():
    with imaplib.IMAP4(host, imap_port) as client:
        client.starttls(trusting)
        client.login(two, password)
        status, [count] = client.select()
        assert (status, int(count)) == ("OK", 2), (status, count)
        status, data = client.fetch("1:*", "(FLAGS UID RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
        assert len(data) == 2 and b"by STARTTLS" in data[0], data
        status, data = client.fetch("2", "(BODY.PEEK[])")
        assert b"with a Bcc left in" in data[0][1] and b"Bcc:" not in data[0][1], data
        assert b"Message-ID:" in data[0][1] or b"Message-Id:" in data[0][1], data
        status, data = client.search("UTF-8", "TEXT", '"Grüße"'.encode())
        assert data == [b"1 2"], data
        status, data = client.store("1", "+FLAGS", r"(\Flagged $Forwarded)")
        assert status == "OK" and b"$Forwarded" in data[0], data
        assert client.create('"Projekte &AOQ-"')[0] == "OK"
        status, data = client.copy("1:2", '"Projekte &AOQ-"')
        assert status == "OK", data
        stamp = imaplib.Time2Internaldate(time.time())
        status, data = client.append("Drafts", r"(\Draft)", stamp, letter("a draft").as_bytes().replace(b"\n", b"\r\n"))
        assert status == "OK", data
        client.store("1", "+FLAGS", r"\Deleted")
        status, data = client.expunge()
        assert data == [b"1"], data
        assert client.select('"Projekte &AOQ-"', readonly=True)[1] == [b"2"]
        status, data = client.uid("SEARCH", "KEYWORD", "$Forwarded")
        assert data == [b"1"], data
        assert client.close()[0] == "OK"
    with imaplib.IMAP4_SSL(host, imaps, ssl_context=trusting) as client:
        client.authenticate("PLAIN", lambda _: f"\0{two}\0{password}".encode())
        assert client.status("INBOX", "(MESSAGES UIDNEXT)")[1] == [b"INBOX (MESSAGES 1 UIDNEXT 3)"]


def read_pop3():
    client = poplib.POP3(host, pop3)
    client.stls(trusting)
    client.utf8()
    client.user(two)
    client.pass_(password)
    assert client.stat()[0] == 1
    _, lines, _ = client.retr(1)
    assert any(line.startswith(b"Subject: with a Bcc left in") for line in lines), lines
    _, lines, _ = client.top(1, 0)
    assert lines[-1] == b"", lines
    name = client.uidl(1)
    client.dele(1)
    client.rset()
    client.quit()
    client = poplib.POP3_SSL(host, pop3s, context=trusting)
    assert "UIDL" in client.capa()
    client.user(two)
    client.pass_(password)
    assert client.uidl(1) == name
    client.dele(1)
    client.quit()
    client = poplib.POP3(host, pop3)
    client.user(two)
    client.pass_(password)
    assert client.stat() == (0, 0)
    client.quit()


submit()
read_imap()
read_pop3()
print("all good")
