//! Waiting for whoever started the load, at the moments where a measurement begins and ends.

use anyhow::{Result, bail};

use crate::report;

/// Says where it is and waits for a line, or does neither.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    paced: bool,
}

impl Pace {
    pub(crate) fn new(paced: bool) -> Pace {
        Pace { paced }
    }

    /// Everything is prepared, the load has not begun.
    pub(crate) async fn ready(self) -> Result<()> {
        self.wait("ready").await
    }

    /// One of several stretches of load is about to begin.
    pub(crate) async fn begin(self) -> Result<()> {
        self.wait("begin").await
    }

    /// It is over.
    pub(crate) async fn end(self) -> Result<()> {
        self.wait("end").await
    }

    /// The load is over, and what it led to is visible.
    pub(crate) async fn done(self) -> Result<()> {
        self.wait("done").await
    }

    /// Says that the connections are held, and waits for a line or the end of standard input, paced or not.
    pub(crate) async fn hold(self) -> Result<()> {
        if self.paced {
            report::say("held");
        } else {
            report::complain("held until standard input ends");
        }
        line().await.map(drop)
    }

    async fn wait(self, word: &str) -> Result<()> {
        if !self.paced {
            return Ok(());
        }
        report::say(word);
        if line().await?.is_empty() {
            bail!("whoever started the load has gone");
        }
        Ok(())
    }
}

/// A line of standard input; empty at its end.
async fn line() -> Result<String> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    Ok(read.await??)
}
