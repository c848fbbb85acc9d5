//! What is shown to the other server: from a file, from the environment, from a command, or asked for. Never from the
//! command line, where others see it.

use std::fmt::Display;
use std::io::{BufRead, IsTerminal};
use std::path::Path;

use anyhow::{Context, Result, bail};
use postroad_remote::Credential;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::cli::Remote;

/// What the command line or the environment say; `None`: nothing.
pub(super) fn said(remote: &Remote) -> Result<Option<Credential>> {
    if let Some(file) = &remote.oauth2_token_file {
        return Ok(Some(Credential::Token(first_line(file)?)));
    }
    if let Some(command) = &remote.oauth2_token_command {
        return Ok(Some(Credential::Command(command.clone())));
    }
    if let Some(file) = &remote.password_file {
        return Ok(Some(Credential::Password(first_line(file)?)));
    }
    Ok(std::env::var(VARIABLE).ok().map(Credential::Password))
}

/// A password from a file, the environment, or whoever is asked.
pub(in crate::commands) fn password(file: Option<&Path>, place: &impl Display) -> Result<String> {
    match (file, std::env::var(VARIABLE)) {
        (Some(file), _) => first_line(file),
        (None, Ok(password)) => Ok(password),
        (None, Err(_)) => ask(place),
    }
}

pub(in crate::commands) fn first_line(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        bail!("{} is empty", file.display());
    }
    Ok(line.to_owned())
}

/// Asks without showing what is typed.
pub(in crate::commands) fn ask(place: &impl Display) -> Result<String> {
    let stdin = std::io::stdin();
    let mut line = String::new();
    if !stdin.is_terminal() {
        stdin.lock().read_line(&mut line)?;
    } else {
        eprint!("password of {place}: ");
        let before = tcgetattr(&stdin)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
        let read = stdin.lock().read_line(&mut line);
        tcsetattr(&stdin, OptionalActions::Flush, &before)?;
        eprintln!();
        read?;
    }
    match line.trim_end_matches(['\r', '\n']) {
        "" => bail!("no password; give it with --password-file FILE or in {VARIABLE}"),
        password => Ok(password.to_owned()),
    }
}

const VARIABLE: &str = "POSTROAD_REMOTE_PASSWORD";
