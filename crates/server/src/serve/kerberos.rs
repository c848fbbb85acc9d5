//! Tickets of Kerberos: the keytab in the process's environment, and who accepts them.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use postroad_kerberos::keytab::Keytab;
use postroad_kerberos::{Acceptor, BUILT, Error, KEYTAB};
use postroad_login::Logins;

use crate::settings::{Service, Settings};

/// Sees to it that the environment names the keytab of the settings, where there is one. MIT's library looks nowhere else, and a
/// program cannot safely change its own environment: it starts itself anew, once, as the same process. To be called before
/// anything is opened. Errors: what is wrong with the keytab, or with this program, and what to do.
pub(crate) fn prepare(settings: &Settings) -> Result<()> {
    let Some(keytab) = keytab(settings)? else { return Ok(()) };
    if !BUILT {
        return Err(Error::NotBuilt).context("the setting login.keytab");
    }
    Keytab::read(&keytab).context("the setting login.keytab")?;
    if std::env::var_os(KEYTAB).is_some_and(|named| named == keytab.as_os_str()) {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let mut command = Command::new(std::env::current_exe().context("this program does not know its own file")?);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let error = command.args(arguments).env(KEYTAB, &keytab).exec();
    Err(error).context("this program cannot be started anew with a keytab")
}

/// With Kerberos, where there is a keytab.
pub(super) fn with_kerberos(settings: &Settings, logins: Logins) -> Result<Logins> {
    let Some(keytab) = keytab(settings)? else { return Ok(logins) };
    let names = Keytab::read(&keytab).context("the setting login.keytab")?;
    for (service, principals) in
        [(Service::Submission, &["smtp", "smtpsvc"][..]), (Service::Imap, &["imap"]), (Service::Pop3, &["pop", "pop3"])]
    {
        let listens = settings.listener.iter().any(|one| one.service == service);
        if listens && !names.serves(principals) {
            let key = principals[0];
            tracing::warn!(
                key,
                next_step = "add it with ktadd",
                "the keytab has no key of this service: its tickets are refused"
            );
        }
    }
    let acceptor = Acceptor::open(&keytab).context("the setting login.keytab")?;
    let realms: BTreeMap<_, _> = settings.login.realms.iter().cloned().collect();
    tracing::info!(keytab = %keytab.display(), principals = names.principals.join(" "), "tickets of Kerberos are taken");
    Ok(logins.with_kerberos(Arc::new(acceptor), realms))
}

/// Whose keys there are, for `postroad check`; without a keytab nothing.
pub(crate) fn principals(settings: &Settings) -> Result<Option<Vec<String>>> {
    let Some(keytab) = keytab(settings)? else { return Ok(None) };
    if !BUILT {
        return Err(Error::NotBuilt.into());
    }
    Ok(Some(Keytab::read(&keytab)?.principals))
}

fn keytab(settings: &Settings) -> Result<Option<PathBuf>> {
    let absolute = settings.login.keytab.as_deref().map(std::path::absolute).transpose();
    absolute.context("the setting login.keytab")
}
