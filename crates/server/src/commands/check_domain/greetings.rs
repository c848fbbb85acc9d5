//! What the ports for people's programs say to a stranger: the greeting, whether STARTTLS is offered, and the certificate that is
//! shown then.
//!
//! Blocking, as all of [`super::wire`]. It never logs in.
//!
//! Standards: RFC 6409 and RFC 3207 (submission), RFC 9051 §6.2.1 (IMAP), RFC 1939 and RFC 2595 §4 (POP3), RFC 9112 (HTTP).

use std::net::SocketAddr;

use super::wire::{Smtp, Talk, connect, shown_chain};
use crate::settings::{Service, TlsMode};

/// What a port turned out to be.
pub(super) enum Shown {
    /// In TLS, with this chain, the certificate first.
    Chain(Vec<Vec<u8>>),
    /// It should have TLS, and has not.
    NoTls(String),
    /// In clear, as it should be.
    Clear,
    /// It is no such service.
    Other(String),
}

/// Connects and hears. The error: nobody is there.
pub(super) fn hear(at: SocketAddr, service: Service, tls: TlsMode, host: &str, helo: &str) -> Result<Shown, String> {
    let stream = connect(at)?;
    if tls == TlsMode::Implicit {
        return Ok(shown_chain(stream, host).map_or_else(Shown::NoTls, Shown::Chain));
    }
    let heard = match service {
        Service::Smtp | Service::Submission | Service::Lmtp => submission(Smtp::over(stream), helo),
        Service::Imap => imap(Talk::over(stream)),
        Service::Pop3 => pop3(Talk::over(stream)),
        Service::Http => http(Talk::over(stream), host),
    };
    Ok(match heard {
        Ok(Offer::Ready(stream)) => shown_chain(stream, host)
            .map_or_else(|why| Shown::NoTls(format!("TLS cannot be agreed on: {why}")), Shown::Chain),
        Ok(Offer::None) if tls == TlsMode::None => Shown::Clear,
        Ok(Offer::None) => Shown::NoTls("it is not offered".into()),
        Ok(Offer::Refused(why)) => Shown::NoTls(format!("it is answered with {why}")),
        Err(why) => Shown::Other(why),
    })
}

/// What became of STARTTLS.
enum Offer {
    /// The handshake may begin.
    Ready(std::net::TcpStream),
    None,
    Refused(String),
}

fn submission(mut smtp: Smtp, helo: &str) -> Result<Offer, String> {
    let (_, ehlo) = smtp.begin(helo)?;
    if !ehlo.lines.iter().any(|line| line.eq_ignore_ascii_case("STARTTLS")) {
        return Ok(Offer::None);
    }
    let reply = smtp.ask("STARTTLS")?;
    Ok(if reply.code == 220 { Offer::Ready(smtp.into_stream()) } else { Offer::Refused(reply.first()) })
}

fn imap(mut talk: Talk) -> Result<Offer, String> {
    let greeting = talk.line()?;
    if !begins(&greeting, "* OK") && !begins(&greeting, "* PREAUTH") {
        return Err(format!("it greets with {}", shortened(&greeting)));
    }
    talk.say("a CAPABILITY")?;
    let lines = talk.until(|line| line.starts_with("a "))?;
    let offers = |line: &String| begins(line, "* CAPABILITY ") && has_word(line, "STARTTLS");
    if !lines.iter().any(offers) {
        return Ok(Offer::None);
    }
    talk.say("b STARTTLS")?;
    let said = talk.until(|line| line.starts_with("b "))?.pop().unwrap_or_default();
    Ok(if begins(&said, "b OK") { Offer::Ready(talk.into_stream()) } else { Offer::Refused(shortened(&said)) })
}

fn pop3(mut talk: Talk) -> Result<Offer, String> {
    let greeting = talk.line()?;
    if !begins(&greeting, "+OK") {
        return Err(format!("it greets with {}", shortened(&greeting)));
    }
    talk.say("CAPA")?;
    let first = talk.line()?;
    if !begins(&first, "+OK") {
        return Ok(Offer::None);
    }
    if !talk.until(|line| line == ".")?.iter().any(|line| line.trim().eq_ignore_ascii_case("STLS")) {
        return Ok(Offer::None);
    }
    talk.say("STLS")?;
    let said = talk.line()?;
    Ok(if begins(&said, "+OK") { Offer::Ready(talk.into_stream()) } else { Offer::Refused(shortened(&said)) })
}

/// Where authorities look for their files. Any answer in HTTP will do.
fn http(mut talk: Talk, host: &str) -> Result<Offer, String> {
    talk.say(&format!("GET /.well-known/acme-challenge/check HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"))?;
    let status = talk.line()?;
    match begins(&status, "HTTP/1.") {
        true => Ok(Offer::None),
        false => Err(format!("it answers with {}", shortened(&status))),
    }
}

fn begins(line: &str, words: &str) -> bool {
    line.get(..words.len()).is_some_and(|head| head.eq_ignore_ascii_case(words))
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(' ').any(|one| one.eq_ignore_ascii_case(word))
}

/// For people.
fn shortened(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(120).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    /// A server that says these lines: first one, then one after each line that it hears.
    fn heard(service: Service, tls: TlsMode, says: &'static [&'static str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("an address");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
            for (number, one) in says.iter().enumerate() {
                let is_asked = number == 0 && service != Service::Http;
                if (is_asked || lines.next().is_some()) && stream.write_all(one.as_bytes()).is_err() {
                    return;
                }
            }
        });
        let shown = hear(at, service, tls, "mail.example.test", "me.test");
        server.join().expect("it ends");
        match shown.expect("somebody is there") {
            Shown::Chain(_) => "chain".to_owned(),
            Shown::Clear => "clear".to_owned(),
            Shown::NoTls(why) => format!("no TLS: {why}"),
            Shown::Other(why) => format!("other: {why}"),
        }
    }

    #[test]
    fn each_service_is_known_by_what_it_says() {
        use Service::{Http, Imap, Pop3, Submission};
        for (service, tls, says, expect) in [
            (Submission, TlsMode::Starttls, &["554 go\r\n"][..], "other: it greets with 554 go"),
            (
                Submission,
                TlsMode::Starttls,
                &["220 hi\r\n", "250-hi\r\n250 PIPELINING\r\n"],
                "no TLS: it is not offered",
            ),
            (
                Submission,
                TlsMode::Starttls,
                &["220 hi\r\n", "250-hi\r\n250 STARTTLS\r\n", "454 later\r\n"],
                "no TLS: it is answered with 454 later",
            ),
            (Imap, TlsMode::Starttls, &["* BYE full\r\n"], "other: it greets with * BYE full"),
            (Imap, TlsMode::Starttls, &["220 mail\r\n"], "other: it greets with 220 mail"),
            (
                Imap,
                TlsMode::Starttls,
                &["* OK hi\r\n", "* CAPABILITY IMAP4rev1 LOGINDISABLED\r\na OK done\r\n"],
                "no TLS: it is not offered",
            ),
            (
                Imap,
                TlsMode::Starttls,
                &["* OK hi\r\n", "* CAPABILITY IMAP4rev1 STARTTLS\r\na OK done\r\n", "b NO no\r\n"],
                "no TLS: it is answered with b NO no",
            ),
            (Pop3, TlsMode::Starttls, &["-ERR full\r\n"], "other: it greets with -ERR full"),
            (Pop3, TlsMode::Starttls, &["+OK\r\n", "+OK\r\nUIDL\r\n.\r\n"], "no TLS: it is not offered"),
            (Pop3, TlsMode::Starttls, &["+OK\r\n", "-ERR what\r\n"], "no TLS: it is not offered"),
            (Http, TlsMode::None, &["HTTP/1.1 404 Not Found\r\n\r\n"], "clear"),
            (Http, TlsMode::None, &["SSH-2.0-x\r\n"], "other: it answers with SSH-2.0-x"),
        ] {
            assert_eq!(heard(service, tls, says), expect, "{says:?}");
        }
    }
}
