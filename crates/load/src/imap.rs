//! The client side of IMAP (RFC 9051 and RFC 3501), as far as load needs it.

use anyhow::{Context, Result, bail};

use tokio_rustls::TlsConnector;

use crate::users::Login;
use crate::wire::Wire;

/// A connection after LOGIN.
#[derive(Debug)]
pub(crate) struct Imap {
    wire: Wire,
    tag: u32,
}

/// What a FETCH brought.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Fetched {
    pub(crate) messages: u64,
    pub(crate) octets: u64,
}

impl Imap {
    /// Connects and logs in. `buffer` is the size of the read buffer in octets.
    pub(crate) async fn login(place: &str, login: &Login, buffer: usize) -> Result<Imap> {
        Imap::begin(Wire::connect_with(place, buffer).await?, login).await
    }

    /// The same over TLS.
    pub(crate) async fn login_tls(place: &str, login: &Login, buffer: usize, tls: &TlsConnector) -> Result<Imap> {
        Imap::begin(Wire::connect_tls(place, buffer, tls).await?, login).await
    }

    async fn begin(wire: Wire, login: &Login) -> Result<Imap> {
        let mut imap = Imap { wire, tag: 0 };
        imap.wire.line().await?;
        let command = format!("LOGIN {} {}", quoted(&login.user), quoted(&login.password));
        imap.command(&command, |_| ()).await.with_context(|| format!("{} cannot log in", login.user))?;
        Ok(imap)
    }

    /// Messages in INBOX and the uid that the next one gets (RFC 9051 §6.3.11).
    pub(crate) async fn status(&mut self) -> Result<(u64, u64)> {
        let mut found = None;
        self.command("STATUS INBOX (MESSAGES UIDNEXT)", |line| {
            if let (Some(messages), Some(next)) = (number_after(line, "MESSAGES "), number_after(line, "UIDNEXT ")) {
                found = Some((messages, next));
            }
        })
        .await?;
        found.context("the server did not answer STATUS")
    }

    /// Selects INBOX; how many messages it has.
    pub(crate) async fn select(&mut self) -> Result<u64> {
        let mut exists = 0;
        self.command("SELECT INBOX", |line| {
            if line.ends_with(b" EXISTS") {
                exists = number_after(line, "* ").unwrap_or(0);
            }
        })
        .await?;
        Ok(exists)
    }

    /// Fetches and counts.
    pub(crate) async fn fetch(&mut self, set: &str, items: &str) -> Result<Fetched> {
        let mut fetched = Fetched::default();
        let octets = self
            .command(&format!("FETCH {set} ({items})"), |line| {
                fetched.messages += u64::from(is_fetch(line));
                fetched.octets += line.len() as u64;
            })
            .await?;
        fetched.octets += octets;
        Ok(fetched)
    }

    /// The lines of the header field Subject of all messages from this uid on.
    pub(crate) async fn subjects(&mut self, from_uid: u64, mut each: impl FnMut(&str)) -> Result<()> {
        let tag = self.send(&format!("UID FETCH {from_uid}:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")).await?;
        loop {
            let line = self.wire.line().await?;
            if line.starts_with(tag.as_bytes()) {
                return good(line);
            }
            // The literal's lines are read like any others: a short header field is all there is in them.
            if let Some(subject) = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix("Subject: ")) {
                each(subject);
            }
        }
    }

    /// Begins IDLE (RFC 2177).
    pub(crate) async fn idle(&mut self) -> Result<()> {
        let tag = self.send("IDLE").await?;
        loop {
            let line = self.wire.line().await?;
            if line.starts_with(b"+") {
                return Ok(());
            }
            if line.starts_with(tag.as_bytes()) {
                bail!("the server refuses IDLE: {}", String::from_utf8_lossy(line));
            }
        }
    }

    /// Ends IDLE, which shows that the connection lived.
    pub(crate) async fn done(&mut self) -> Result<()> {
        self.wire.write(b"DONE\r\n").await?;
        let tag = format!("a{} ", self.tag);
        loop {
            let line = self.wire.line().await?;
            if line.starts_with(tag.as_bytes()) {
                return good(line);
            }
        }
    }

    async fn send(&mut self, command: &str) -> Result<String> {
        self.tag += 1;
        self.wire.write(format!("a{} {command}\r\n", self.tag).as_bytes()).await?;
        Ok(format!("a{} ", self.tag))
    }

    /// Sends a command and reads up to its tagged answer, which must be OK. The octets of all literals, which
    /// are read past.
    async fn command(&mut self, command: &str, mut each: impl FnMut(&[u8])) -> Result<u64> {
        let tag = self.send(command).await?;
        let mut octets = 0;
        loop {
            let line = self.wire.line().await?;
            if line.starts_with(tag.as_bytes()) {
                good(line)?;
                return Ok(octets);
            }
            each(line);
            if let Some(length) = literal(line) {
                self.wire.skip(length).await?;
                octets += length;
            }
        }
    }
}

fn good(tagged: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(tagged);
    if text.split(' ').nth(1).is_some_and(|word| word.eq_ignore_ascii_case("OK")) {
        return Ok(());
    }
    bail!("the server answers {text}")
}

/// RFC 9051 §9: `literal = "{" number64 "}" CRLF *CHAR8`, at the end of a line.
fn literal(line: &[u8]) -> Option<u64> {
    let rest = line.strip_suffix(b"}")?;
    let open = rest.iter().rposition(|&octet| octet == b'{')?;
    std::str::from_utf8(&rest[open + 1..]).ok()?.parse().ok()
}

/// `* 12 FETCH (…`.
fn is_fetch(line: &[u8]) -> bool {
    let mut words = line.splitn(4, |&octet| octet == b' ');
    words.next() == Some(b"*") && words.next().is_some() && words.next() == Some(b"FETCH")
}

fn number_after(line: &[u8], word: &str) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    let rest = &text[text.find(word)? + word.len()..];
    let digits = rest.find(|octet: char| !octet.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood() {
        assert_eq!(literal(b"* 1 FETCH (BODY[] {310}"), Some(310));
        assert_eq!(literal(b"* 1 FETCH (FLAGS ())"), None);
        assert_eq!(literal(b"{x}"), None);
        assert!(is_fetch(b"* 12 FETCH (FLAGS ())"));
        assert!(!is_fetch(b"* OK FETCHed"));
        assert!(!is_fetch(b" FETCH"));
        assert_eq!(number_after(b"* STATUS INBOX (MESSAGES 17 UIDNEXT 20)", "UIDNEXT "), Some(20));
        assert_eq!(number_after(b"* STATUS INBOX (MESSAGES 17)", "UIDNEXT "), None);
        assert_eq!(quoted("a\"b\\"), "\"a\\\"b\\\\\"");
    }
}
