//! The client side of SMTP (RFC 5321) and LMTP (RFC 2033), as far as load needs it.
//!
//! It uses PIPELINING (RFC 2920) where the server has it, one recipient per message, and never TLS.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::wire::Wire;

/// Which of the two is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Smtp,
    Lmtp,
}

/// Answers are short lines.
const BUFFER: usize = 4 * 1024;

/// A connection after its greeting.
#[derive(Debug)]
pub(crate) struct Smtp {
    wire: Wire,
    pipelining: bool,
    out: Vec<u8>,
}

/// The server's answer: its code and its last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) text: String,
}

impl Reply {
    fn is_good(&self) -> bool {
        self.code / 100 == 2
    }
}

/// What became of a message.
#[derive(Debug)]
pub(crate) enum Handed {
    /// Accepted; how long the answer took after the last octet.
    Accepted(Duration),
    /// Refused for now or for good, in the server's words.
    Refused(Reply),
}

impl Smtp {
    /// Connects and says EHLO or LHLO; first, by the PROXY protocol, who the client is.
    pub(crate) async fn connect(place: &str, dialect: Dialect, proxy: Option<IpAddr>) -> Result<Smtp> {
        let mut wire = Wire::connect_with(place, BUFFER).await?;
        if let Some(client) = proxy {
            let (family, us) = if client.is_ipv4() { ("TCP4", "127.0.0.1") } else { ("TCP6", "::1") };
            wire.write(format!("PROXY {family} {client} {us} 40000 25\r\n").as_bytes()).await?;
        }
        let mut smtp = Smtp { wire, pipelining: false, out: Vec::new() };
        let greeting = smtp.reply().await?;
        if !greeting.is_good() {
            bail!("the server greets with {} {}", greeting.code, greeting.text);
        }
        let hello = match dialect {
            Dialect::Smtp => "EHLO load.elsewhere.test\r\n",
            Dialect::Lmtp => "LHLO load.elsewhere.test\r\n",
        };
        smtp.wire.write(hello.as_bytes()).await?;
        let mut pipelining = false;
        let reply = smtp.reply_with(|line| pipelining |= line.eq_ignore_ascii_case(b"PIPELINING")).await?;
        if !reply.is_good() {
            bail!("the server answers {} {} to the hello", reply.code, reply.text);
        }
        smtp.pipelining = pipelining;
        Ok(smtp)
    }

    /// Hands one message in. `text` is dot-stuffed and ends with the final dot and its line end.
    pub(crate) async fn send(&mut self, from: &str, to: &str, text: &[u8]) -> Result<Handed> {
        let lines = [format!("MAIL FROM:<{from}>\r\n"), format!("RCPT TO:<{to}>\r\n"), "DATA\r\n".to_string()];
        if let Some(refusal) = self.envelope(&lines).await? {
            return Ok(Handed::Refused(refusal));
        }
        self.wire.write(text).await?;
        let sent = Instant::now();
        let reply = self.reply().await?;
        Ok(if reply.is_good() { Handed::Accepted(sent.elapsed()) } else { Handed::Refused(reply) })
    }

    /// MAIL, RCPT and DATA, up to 354. The first refusal, after which the connection is ready for the next message.
    async fn envelope(&mut self, lines: &[String]) -> Result<Option<Reply>> {
        let mut refusal = None;
        let mut data = None;
        if self.pipelining {
            self.out.clear();
            lines.iter().for_each(|line| self.out.extend_from_slice(line.as_bytes()));
            self.wire.write(&self.out).await?;
        }
        for (index, line) in lines.iter().enumerate() {
            if !self.pipelining {
                self.wire.write(line.as_bytes()).await?;
            }
            let reply = self.reply().await?;
            let is_data = index + 1 == lines.len();
            if is_data {
                data = Some(reply.code);
            }
            let goes_on = is_data && reply.code == 354;
            if !reply.is_good() && !goes_on {
                refusal = refusal.or(Some(reply));
                if !self.pipelining {
                    break;
                }
            }
        }
        if refusal.is_some() && data == Some(354) {
            // RFC 2920 §3.1: a server may say 354 without any recipient; an empty message ends it.
            self.wire.write(b".\r\n").await?;
            self.reply().await?;
        }
        if refusal.is_some() {
            self.wire.write(b"RSET\r\n").await?;
            self.reply().await?;
        }
        Ok(refusal)
    }

    /// Says good-bye; the server's answer does not matter any more.
    pub(crate) async fn quit(mut self) {
        if self.wire.write(b"QUIT\r\n").await.is_ok() {
            drop(self.reply().await);
        }
    }

    async fn reply(&mut self) -> Result<Reply> {
        self.reply_with(|_| ()).await
    }

    async fn reply_with(&mut self, mut each: impl FnMut(&[u8])) -> Result<Reply> {
        loop {
            let line = self.wire.line().await?;
            let Some((code, is_last, text)) = split_reply(line) else {
                bail!("the server said {:?}, which is no reply", String::from_utf8_lossy(line));
            };
            each(text);
            if is_last {
                return Ok(Reply { code, text: String::from_utf8_lossy(text).into_owned() });
            }
        }
    }
}

/// RFC 5321 §4.2: `Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF`.
fn split_reply(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let code = std::str::from_utf8(line.get(..3)?).ok()?.parse().ok()?;
    match line.get(3) {
        None => Some((code, true, b"")),
        Some(b' ') => Some((code, true, &line[4..])),
        Some(b'-') => Some((code, false, &line[4..])),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_split() {
        let check = |line: &str, expect: Option<(u16, bool, &str)>| {
            let split = split_reply(line.as_bytes());
            assert_eq!(split, expect.map(|(code, last, text)| (code, last, text.as_bytes())), "{line:?}");
        };
        check("250 2.0.0 Ok", Some((250, true, "2.0.0 Ok")));
        check("250-PIPELINING", Some((250, false, "PIPELINING")));
        check("354", Some((354, true, "")));
        check("25x no", None);
        check("2500 no", None);
        check("", None);
    }
}
