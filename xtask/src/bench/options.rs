//! The options of `cargo xtask bench`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

pub(super) const USAGE: &str = "\
usage: cargo xtask bench [options]

  --quick               one short round with messages of 10 KB: a look, not a result
  --rounds N            rounds of all cases (3)
  --seconds S           how long each case hands mail in or reads (4)
  --only A,B            of deliver, fetch, retr, idle, verify; or mailbox, alone (below)
  --connections A,B     connections that deliver (1,20,100)
  --sizes A,B           octets of a message; 10k is 10000 (1k,10k,100k)
  --idle N              idle IMAP connections (1000)
  --at-most MINUTES     begin no round that would not end in time (15)
  --folder DIR          where the servers keep their mail: a file system that is to be measured
  --programs DIR        take postroad and postroad-load from there instead of building them
  --name NAME           the name of the results in benchmarks/ (the commit)
  --no-keep             only print; leave benchmarks/ as it is

  --only mailbox        command by command on large mailboxes, beside Dovecot alone; with it
  --messages A,B        messages of a mailbox (10k)
  --letter N            octets of a message (2500)
  --cases A,B           cases whose name has one of these in it; idle and active are cases too
  --postgres            Postroad on PostgreSQL as well
  --no-maildir          leave out Dovecot with Maildir

To load any other server, use the generator alone:
  cargo run --release -p postroad-load -- deliver --smtp HOST:25 --imap HOST:143 \\
    --user 'u[0001-0100]@example.test' --password PW --connections 20 --size 10000
";

/// Mailboxes that get mail in the delivery cases.
pub(super) const RECIPIENTS: u32 = 50;
/// Further mailboxes with the same mail on both servers, for the reading cases.
pub(super) const READERS: u32 = 10;

#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) rounds: u32,
    pub(super) seconds: f64,
    pub(super) only: Vec<String>,
    pub(super) connections: Vec<usize>,
    pub(super) sizes: Vec<usize>,
    pub(super) idle: usize,
    pub(super) at_most: Duration,
    pub(super) folder: Option<PathBuf>,
    pub(super) programs: Option<PathBuf>,
    pub(super) name: Option<String>,
    pub(super) keep: bool,
    pub(super) messages: Vec<u32>,
    pub(super) letter: usize,
    pub(super) cases: Vec<String>,
    pub(super) postgres: bool,
    pub(super) maildir: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            rounds: 3,
            seconds: 4.0,
            only: KINDS.iter().map(|kind| (*kind).to_string()).collect(),
            connections: vec![1, 20, 100],
            sizes: vec![1_000, 10_000, 100_000],
            idle: 1_000,
            at_most: Duration::from_secs(15 * 60),
            folder: None,
            programs: None,
            name: None,
            keep: true,
            messages: vec![10_000],
            letter: 2_500,
            cases: Vec::new(),
            postgres: false,
            maildir: true,
        }
    }
}

const KINDS: &[&str] = &["deliver", "fetch", "retr", "idle", "verify"];

impl Options {
    /// Nothing when help was asked for.
    pub(super) fn parse(arguments: &[String]) -> Result<Option<Options>> {
        let mut options = Options::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--help" || argument == "-h" {
                return Ok(None);
            }
            match argument.as_str() {
                "--quick" => {
                    options.rounds = 1;
                    options.seconds = 2.0;
                    options.sizes = vec![10_000];
                    options.at_most = Duration::from_secs(3 * 60);
                    continue;
                }
                "--no-keep" => {
                    options.keep = false;
                    continue;
                }
                "--postgres" => {
                    options.postgres = true;
                    continue;
                }
                "--no-maildir" => {
                    options.maildir = false;
                    continue;
                }
                _ => {}
            }
            let value = rest.next().with_context(|| format!("{argument} needs a value, or is no option\n\n{USAGE}"))?;
            options.set(argument, value).with_context(|| format!("{argument} {value}"))?;
        }
        Ok(Some(options))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "--rounds" => self.rounds = value.parse()?,
            "--seconds" => self.seconds = value.parse()?,
            "--only" => {
                self.only = value.split(',').map(str::to_string).collect();
                if self.only == ["mailbox"] {
                    return Ok(());
                }
                if let Some(other) = self.only.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
                    bail!("{other} is none of {}, or mailbox alone", KINDS.join(", "));
                }
            }
            "--connections" => self.connections = list(value)?,
            "--sizes" => self.sizes = list(value)?,
            "--messages" => {
                let all = list(value)?.into_iter().map(u32::try_from);
                self.messages = all.collect::<Result<_, _>>().context("too many messages")?;
            }
            "--letter" => self.letter = value.parse()?,
            "--cases" => self.cases = value.split(',').map(str::to_string).collect(),
            "--idle" => self.idle = value.parse()?,
            "--at-most" => self.at_most = Duration::from_secs_f64(value.parse::<f64>()?.clamp(0.1, 1_000.0) * 60.0),
            "--folder" => self.folder = Some(value.into()),
            "--programs" => self.programs = Some(value.into()),
            "--name" => self.name = Some(value.into()),
            _ => bail!("there is no such option\n\n{USAGE}"),
        }
        Ok(())
    }

    /// Accounts that both servers need.
    pub(super) fn accounts(&self) -> u32 {
        RECIPIENTS + READERS
    }

    pub(super) fn wants(&self, kind: &str) -> bool {
        self.only.iter().any(|wanted| wanted == kind)
    }
}

/// `1,20` or `1k,10k`.
fn list(text: &str) -> Result<Vec<usize>> {
    text.split(',')
        .map(|one| {
            let (digits, unit) = match one.strip_suffix('k') {
                Some(digits) => (digits, 1_000),
                None => (one, 1),
            };
            let number: usize = digits.parse().with_context(|| format!("{one:?} is no number"))?;
            if number == 0 {
                bail!("0 measures nothing");
            }
            Ok(number * unit)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let parse = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
            Options::parse(&words)
        };
        let options = parse("--quick --sizes 1k,500 --only idle").expect("good").expect("no help");
        assert_eq!((options.rounds, options.sizes), (1, vec![1_000, 500]));
        assert_eq!(options.only, ["idle"]);
        assert!(parse("--help").expect("good").is_none());
        for wrong in ["--only smtp", "--sizes 1m", "--rounds", "--connections 0", "--what 1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
