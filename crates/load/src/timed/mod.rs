//! Commands timed one by one, as whoever started this orders them.
//!
//! An order is a line on standard input, its report a line of JSON on standard output, so that several servers can be
//! measured in turn, each by a generator of its own whose connection stays open in between. Reading blocks, on one
//! thread, with as little work per line as counting needs: what is timed is the server.

mod client;
mod letters;

use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use self::client::{Client, Counted};
use self::letters::Letters;
use crate::users::Login;

/// Messages in one MULTIAPPEND, or in flight at once, while a mailbox is filled.
const FILL_AT_ONCE: u32 = 500;

/// What an order came to.
#[derive(Debug, Serialize)]
struct Report {
    ms: f64,
    /// What the server sent.
    octets: u64,
    lines: u64,
    /// The line that ended it.
    said: String,
}

/// What went wrong; the connection is gone.
#[derive(Debug, Serialize)]
struct Trouble {
    error: String,
}

/// Carries out orders until standard input ends.
pub(crate) fn run(options: &crate::Timed) -> Result<()> {
    let logins = options.accounts.logins();
    let login = logins.first().context("an account must be named")?;
    let mut state = State { options, login, imap: None, pop3: None, letters: Letters::new(options.size) };
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let told = match state.order(&line) {
            Ok(report) => serde_json::to_string(&report)?,
            Err(error) => serde_json::to_string(&Trouble { error: format!("{line}: {error:#}") })?,
        };
        writeln!(out, "{told}")?;
        out.flush()?;
    }
    Ok(())
}

struct State<'a> {
    options: &'a crate::Timed,
    login: &'a Login,
    imap: Option<Client>,
    pop3: Option<Client>,
    letters: Letters,
}

impl State<'_> {
    fn order(&mut self, line: &str) -> Result<Report> {
        let (order, rest) = line.split_once(' ').unwrap_or((line, ""));
        let began = Instant::now();
        let counted = match order {
            // An IMAP connection, logged in, instead of the one before.
            "connect" => {
                self.imap = None;
                self.imap = Some(Client::imap(&self.options.imap, self.login)?);
                Counted::default()
            }
            "run" => self.imap()?.run(rest)?,
            "repeat" => {
                let (times, command) = rest.split_once(' ').context("repeat TIMES COMMAND")?;
                self.imap()?.run_all((0..times.parse::<u32>()?).map(|_| command.to_owned()))?
            }
            "each" => {
                let (first, count, items) = three(rest)?;
                self.imap()?.run_all((first..first + count).map(|number| format!("FETCH {number} {items}")))?
            }
            "append" => self.append(rest)?,
            "pop3" => {
                self.pop3 = None;
                let place = self.options.pop3.as_deref().context("no POP3 server is named")?;
                self.pop3 = Some(Client::pop3(place, self.login)?);
                Counted::default()
            }
            "retr" => {
                let (first, count, how) = three(rest)?;
                let pop3 = self.pop3.as_mut().context("not connected")?;
                pop3.retrieve(first, count, how == "pipelined")?
            }
            "capabilities" => Counted { said: self.imap()?.capabilities().to_owned(), ..Counted::default() },
            "leave" => {
                self.imap = None;
                Counted::default()
            }
            "leave-pop3" => {
                self.pop3 = None;
                Counted::default()
            }
            other => bail!("there is no order {other:?}"),
        };
        let ms = began.elapsed().as_secs_f64() * 1e3;
        Ok(Report { ms, octets: counted.octets, lines: counted.lines, said: counted.said })
    }

    /// `append FIRST COUNT HOW MAILBOX`.
    fn append(&mut self, rest: &str) -> Result<Counted> {
        let (first, count, how) = three(rest)?;
        let (how, mailbox) = how.split_once(' ').context("append FIRST COUNT HOW MAILBOX")?;
        let imap = self.imap.as_mut().context("not connected")?;
        let multi = imap.has("MULTIAPPEND");
        match how {
            "single" => imap.append_one_by_one(&self.letters, first, count, mailbox),
            "pipelined" => imap.append_pipelined(&self.letters, first, count, mailbox),
            "multi" if !multi => bail!("the server has no MULTIAPPEND"),
            "multi" => imap.append_multi(&self.letters, first, count, mailbox),
            "fill" => {
                let mut all = Counted::default();
                for at in (first..first + count).step_by(FILL_AT_ONCE as usize) {
                    let some = FILL_AT_ONCE.min(first + count - at);
                    let counted = match multi {
                        true => imap.append_multi(&self.letters, at, some, mailbox)?,
                        false => imap.append_pipelined(&self.letters, at, some, mailbox)?,
                    };
                    all = Counted { octets: all.octets + counted.octets, lines: all.lines + counted.lines, ..counted };
                }
                Ok(all)
            }
            other => bail!("messages are appended single, pipelined, multi or fill, not {other:?}"),
        }
    }

    fn imap(&mut self) -> Result<&mut Client> {
        self.imap.as_mut().context("not connected")
    }
}

/// `FIRST COUNT REST`.
fn three(text: &str) -> Result<(u32, u32, &str)> {
    let mut words = text.splitn(3, ' ');
    let mut number =
        || words.next().and_then(|word| word.parse().ok()).with_context(|| format!("{text:?}: FIRST COUNT HOW"));
    let (first, count) = (number()?, number()?);
    Ok((first, count, words.next().unwrap_or("")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read() {
        assert_eq!(three("1 500 multi INBOX").expect("good"), (1, 500, "multi INBOX"));
        assert!(three("1").is_err());
        assert!(three("x 1 single").is_err());
    }
}
