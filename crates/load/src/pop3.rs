//! The client side of POP3 (RFC 1939), as far as load needs it.

use anyhow::{Context, Result, bail};

use crate::users::Login;
use crate::wire::Wire;

/// A connection in the transaction state.
#[derive(Debug)]
pub(crate) struct Pop3 {
    wire: Wire,
}

impl Pop3 {
    /// Connects and logs in.
    pub(crate) async fn login(place: &str, login: &Login) -> Result<Pop3> {
        let mut pop3 = Pop3 { wire: Wire::connect(place).await? };
        pop3.answer().await?;
        pop3.command(&format!("USER {}", login.user)).await?;
        let password = format!("PASS {}", login.password);
        pop3.command(&password).await.with_context(|| format!("{} cannot log in", login.user))?;
        Ok(pop3)
    }

    /// How many messages there are.
    pub(crate) async fn count(&mut self) -> Result<u64> {
        let answer = self.command("STAT").await?;
        let count = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        count.with_context(|| format!("the server answers {answer:?} to STAT"))
    }

    /// Reads one message; its octets as transferred.
    pub(crate) async fn retrieve(&mut self, number: u64) -> Result<u64> {
        self.command(&format!("RETR {number}")).await?;
        let mut octets = 0;
        loop {
            let line = self.wire.line().await?;
            if line == b"." {
                return Ok(octets);
            }
            octets += line.len() as u64 + 2;
        }
    }

    /// Ends the session.
    pub(crate) async fn quit(mut self) -> Result<()> {
        self.command("QUIT").await.map(drop)
    }

    async fn command(&mut self, command: &str) -> Result<String> {
        self.wire.write(format!("{command}\r\n").as_bytes()).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<String> {
        let line = String::from_utf8_lossy(self.wire.line().await?).into_owned();
        if !line.starts_with("+OK") {
            bail!("the server answers {line}");
        }
        Ok(line)
    }
}
