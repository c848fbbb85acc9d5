//! Accounts: people and programs with mailboxes.

use postroad_identity::cuts;
use postroad_mail::accounts::{self, Account, NewAccount, State};
use postroad_mail::password::PasswordHash;
use postroad_mail::{audit, credentials};
use postroad_trust::sending;

use super::{Desk, Outcome, about, address, domain_name, limit, size};
use crate::admin::Answer;
use crate::admin::time::shown;

/// Accounts read at once.
const PAGE: usize = 500;

pub(super) fn add(desk: &Desk<'_>, text: &str, display_name: String, password: &str, quota: Option<u64>) -> Outcome {
    let new = NewAccount {
        address: address(text)?,
        display_name,
        password: Some(PasswordHash::of_password(password)?),
        quota_bytes: quota.unwrap_or(0),
        quota_messages: 0,
    };
    desk.directory(move |tx, by| accounts::create(tx, by, &new)).map_err(about(text))?;
    Ok(Answer::done(format!("{text} has an account")))
}

pub(super) fn list(desk: &Desk<'_>, domain: Option<&str>) -> Outcome {
    let wanted = domain.map(domain_name).transpose()?;
    let mut rows = Vec::new();
    for account in all(desk)? {
        if wanted.as_ref().is_none_or(|domain| domain == account.address.domain()) {
            rows.push(vec![
                account.address.to_string(),
                account.display_name,
                state(account.state).into(),
                account.used_messages.to_string(),
                size(account.used_bytes),
                limit(account.quota_bytes),
            ]);
        }
    }
    let columns = ["ADDRESS", "NAME", "STATE", "MESSAGES", "SIZE", "QUOTA"];
    Ok(Answer::table(&columns, rows, "no account yet; make one with `postroad account add ADDRESS`"))
}

pub(super) fn show(desk: &Desk<'_>, text: &str) -> Outcome {
    let account = desk.account(text)?;
    let id = account.id;
    let credentials = desk.read(move |tx| credentials::list(tx, id))?;
    let apps = credentials.iter().filter_map(|credential| credential.name.clone()).collect::<Vec<_>>();
    let facts = [
        ("address", account.address.to_string()),
        ("name", account.display_name.clone()),
        ("state", state(account.state).into()),
        ("messages", account.used_messages.to_string()),
        ("size", size(account.used_bytes)),
        ("quota", limit(account.quota_bytes)),
        (
            "quota in messages",
            if account.quota_messages == 0 { "no limit".into() } else { account.quota_messages.to_string() },
        ),
        ("changes so far", account.modseq.0.to_string()),
        ("app passwords", if apps.is_empty() { "none".into() } else { apps.join(", ") }),
        ("made", shown(account.created)),
    ];
    Ok(Answer::Facts { facts: facts.into_iter().map(|(name, value)| (name.into(), value)).collect() })
}

pub(super) fn password(desk: &Desk<'_>, text: &str, password: &str) -> Outcome {
    let account = desk.account(text)?;
    let id = account.id;
    let salts = desk.read(move |tx| credentials::salts(tx, id))?;
    let hash = PasswordHash::of_password_with(password, &salts)?;
    let id = account.id;
    desk.of_account(&account, move |tx, by| {
        // Whoever came in with the old one goes: it may be changed because somebody else knows it.
        let old = credentials::list(tx, id)?.into_iter().find(|credential| credential.name.is_none());
        credentials::set_password(tx, by, id, &hash)?;
        if let Some(old) = old {
            cuts::tell(tx, id, old.id, by.now)?;
        }
        postroad_identity::sessions::remove_all(tx, id, by.now)
    })?;
    Ok(Answer::done(format!("{text} has a new password; app passwords and programs stay as they are")))
}

pub(super) fn quota(desk: &Desk<'_>, text: &str, bytes: Option<u64>, messages: Option<u64>) -> Outcome {
    let account = desk.account(text)?;
    let (id, bytes, messages) = (account.id, bytes.unwrap_or(0), messages.unwrap_or(0));
    desk.of_account(&account, move |tx, by| accounts::set_quota(tx, by, id, bytes, messages))?;
    Ok(Answer::done(format!("{text} may hold {} and holds {}", limit(bytes), size(account.used_bytes))))
}

pub(super) fn set_state(desk: &Desk<'_>, text: &str, to: State) -> Outcome {
    let account = desk.account(text)?;
    let id = account.id;
    desk.of_account(&account, move |tx, by| {
        accounts::set_state(tx, by, id, to)?;
        if to == State::Suspended { cuts::suspend(tx, id, by.now) } else { Ok(()) }
    })?;
    Ok(Answer::done(format!("{text} is {}", state(to))))
}

pub(super) fn remove(desk: &Desk<'_>, text: &str) -> Outcome {
    let account = desk.account(text)?;
    let id = account.id;
    desk.of_account(&account, move |tx, by| {
        sending::set_own(tx, id, &sending::Own::default())?;
        cuts::tell_all(tx, id, by.now)?;
        crate::elsewhere::forget(tx, id)?;
        accounts::delete(tx, by, id)
    })?;
    Ok(Answer::done(format!("{text} is removed; its mail is cleared away in the background")))
}

pub(super) fn audit(desk: &Desk<'_>, one: Option<&str>) -> Outcome {
    let accounts = match one {
        Some(text) => vec![desk.account(text)?],
        None => all(desk)?,
    };
    let mut rows = Vec::new();
    let count = accounts.len();
    for account in accounts {
        let id = account.id;
        for fault in desk.read(move |tx| audit::audit(tx, id))? {
            rows.push(vec![account.address.to_string(), fault.what]);
        }
    }
    Ok(Answer::table(&["ACCOUNT", "FAULT"], rows, &format!("{count} accounts: all counters equal a recount")))
}

pub(super) fn all(desk: &Desk<'_>) -> Outcome<Vec<Account>> {
    let mut found: Vec<Account> = Vec::new();
    loop {
        let after = found.last().map(|account| account.id);
        let page = desk.read(move |tx| accounts::list(tx, after, PAGE))?;
        let is_last = page.len() < PAGE;
        found.extend(page.into_iter().filter(|account| account.state != State::Deleted));
        if is_last {
            return Ok(found);
        }
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Active => "active",
        State::Suspended => "suspended",
        State::Deleted => "removed",
    }
}
