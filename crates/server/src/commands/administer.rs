//! `domain`, `account`, `alias`, `forward`, `queue`, `route`, `app-password`, `mailbox`, `trace`: from the command line to an operation, through
//! the running server when there is one, else on the store itself.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use postroad_store::Timestamp;

use super::moving::secret;
use crate::admin::{
    self, Answer, BanOrder, GreylistOrder, Keyed, KeyedOrder, ListWish, MtaStsOrder, OauthOrder, Operation, Order,
    PasskeysOrder, PolicyOrder, RouteWish, SecondStepOrder, SeenPassword, Selection, SendingWish, socket,
};
use crate::cli::{
    Account, Alias, AppPassword, Ban, ClientCertificate, Delegate, Domain, Forward, Greylist, Index, KeyedSwitch,
    Mailbox, MtaSts, MtaStsMode, Oauth, OauthClient, Output, Passkeys, Place, Policy, Queue, QueueWhich, Route,
    SecondStep, Trusted, TrustedKind,
};
use crate::settings::Settings;
use crate::{place, print};

pub(super) fn domain(action: Domain, at: &Place, output: Output) -> Result<ExitCode> {
    let operation = match action {
        Domain::Add { name } => Operation::DomainAdd { name },
        Domain::List => Operation::DomainList,
        Domain::Remove { name } => Operation::DomainRemove { name },
        Domain::Alias { alias, domain } => Operation::DomainAlias { alias, domain },
        Domain::Unalias { alias } => Operation::DomainUnalias { alias },
        Domain::Policy { action } => Operation::Policy {
            order: match action {
                Policy::Show { domain } => PolicyOrder::Show { domain },
                Policy::Set { domain, choices } => PolicyOrder::Set { domain, choices },
            },
        },
        Domain::CatchAll { name, target } => Operation::DomainCatchAll { name, target },
    };
    act(operation, at, output)
}

pub(super) fn mta_sts(action: MtaSts, at: &Place, output: Output) -> Result<ExitCode> {
    let hostname = || Ok::<_, anyhow::Error>(place::settings(at)?.hostname);
    let order = match action {
        MtaSts::Show { domain } => MtaStsOrder::Show { domain, hostname: hostname()? },
        MtaSts::Set { domain, mode, days, mx } => {
            let mode = match mode {
                MtaStsMode::Enforce => "enforce",
                MtaStsMode::Testing => "testing",
                MtaStsMode::None => "none",
            };
            MtaStsOrder::Set { domain, mode: mode.to_owned(), days, mx, hostname: hostname()? }
        }
        MtaSts::Reset { domain } => MtaStsOrder::Reset { domain },
        MtaSts::Others => MtaStsOrder::Others,
        MtaSts::Forget { domain } => MtaStsOrder::Forget { domain },
    };
    act(Operation::MtaSts { order }, at, output)
}

pub(super) fn trusted(action: Trusted, at: &Place, output: Output) -> Result<ExitCode> {
    let kind = |kind| match kind {
        TrustedKind::ArcSealer => "arc-sealer".to_owned(),
        TrustedKind::Forwarder => "forwarder".to_owned(),
        TrustedKind::List => "list".to_owned(),
    };
    let order = match action {
        Trusted::List => PolicyOrder::Trusted,
        Trusted::Add { kind: one, name, note } => PolicyOrder::Trust { kind: kind(one), name, note },
        Trusted::Remove { kind: one, name } => PolicyOrder::Distrust { kind: kind(one), name },
    };
    act(Operation::Policy { order }, at, output)
}

pub(super) fn index(action: Index, at: &Place, output: Output) -> Result<ExitCode> {
    let operation = match action {
        Index::Status { address } => Operation::IndexStatus { address },
        Index::Rebuild { address } => Operation::IndexRebuild { address },
    };
    act(operation, at, output)
}

pub(super) fn ban(action: Ban, at: &Place, output: Output) -> Result<ExitCode> {
    let order = match action {
        Ban::List => BanOrder::List,
        Ban::Add { network, length, reason } => {
            BanOrder::Add { network, seconds: length.as_deref().map(age).transpose()?, reason }
        }
        Ban::Remove { network } => BanOrder::Remove { network },
    };
    act(Operation::Ban { order }, at, output)
}

pub(super) fn greylist(action: Greylist, at: &Place, output: Output) -> Result<ExitCode> {
    let terms = || Ok::<_, anyhow::Error>(place::settings(at)?.gate.greylist.terms());
    let order = match action {
        Greylist::List { waiting: false, limit } => {
            let terms = terms()?;
            GreylistOrder::Known { limit, remember_seconds: terms.remember.as_secs(), enough: terms.enough }
        }
        Greylist::List { waiting: true, limit } => {
            let terms = terms()?;
            let (wait_seconds, come_back_seconds) = (terms.wait.as_secs(), terms.come_back.as_secs());
            GreylistOrder::Waiting { limit, wait_seconds, come_back_seconds }
        }
        Greylist::Forgive { source } => GreylistOrder::Forgive { source },
        Greylist::Forget { source } => GreylistOrder::Forget { source },
    };
    act(Operation::Greylist { order }, at, output)
}

pub(super) fn account(action: Account, at: &Place, output: Output) -> Result<ExitCode> {
    let operation = match action {
        Account::Add { address, name, quota, shared: true, password: _ } => {
            let quota = quota.as_deref().map(size).transpose()?.flatten();
            Operation::AccountAddShared { address, name, quota }
        }
        Account::Add { address, name, password, quota, shared: false } => {
            let quota = quota.as_deref().map(size).transpose()?.flatten();
            let (password, chosen) = password_or_chosen(password)?;
            let code = act(Operation::AccountAdd { address, name, password, quota }, at, output)?;
            return Ok(tell(code, chosen));
        }
        Account::List { domain } => Operation::AccountList { domain },
        Account::Show { address } => Operation::AccountShow { address },
        Account::Password { address, password } => {
            let (password, chosen) = password_or_chosen(password)?;
            let code = act(Operation::AccountPassword { address, password }, at, output)?;
            return Ok(tell(code, chosen));
        }
        Account::Quota { address, size: text, messages } => {
            Operation::AccountQuota { address, size: size(&text)?, messages }
        }
        Account::Limit {
            address,
            messages_per_hour,
            messages_per_day,
            recipients_per_hour,
            recipients_per_day,
            usual: reset,
        } => {
            let wish =
                SendingWish { messages_per_hour, messages_per_day, recipients_per_hour, recipients_per_day, reset };
            let of = place::settings(at)?.limits;
            let usual = SendingWish {
                messages_per_hour: Some(of.account_messages_per_hour),
                messages_per_day: Some(of.account_messages_per_day),
                recipients_per_hour: Some(of.account_recipients_per_hour),
                recipients_per_day: Some(of.account_recipients_per_day),
                reset: false,
            };
            Operation::AccountLimit { address, wish, usual }
        }
        Account::Gmail { action } => return super::labels::gmail(action, at, output),
        Account::Delegate { action } => match action {
            Delegate::Add { address, delegate } => Operation::AccountDelegate { address, delegate, granted: true },
            Delegate::Remove { address, delegate } => Operation::AccountDelegate { address, delegate, granted: false },
            Delegate::List { address } => Operation::AccountDelegates { address },
        },
        Account::Ntlm { action } => keyed(Keyed::Ntlm, action, at)?,
        Account::CramMd5 { action } => keyed(Keyed::CramMd5, action, at)?,
        Account::Apop { action } => keyed(Keyed::Apop, action, at)?,
        Account::Passkeys { action } => {
            let (address, order) = match action {
                Passkeys::List { address } => (address, PasskeysOrder::List),
                Passkeys::Remove { address, id } => (address, PasskeysOrder::Remove(id)),
            };
            Operation::AccountPasskeys { address, order }
        }
        Account::SecondStep { action } => {
            let (address, order) = match action {
                SecondStep::Show { address } => (address, SecondStepOrder::Show),
                SecondStep::Reset { address } => (address, SecondStepOrder::Reset),
                SecondStep::Programs { address, password } => (address, SecondStepOrder::Programs(password == "allow")),
            };
            Operation::AccountSecondStep { address, order }
        }
        Account::Sessions { address } => Operation::AccountSessions { address },
        Account::CutOff { address, id } => Operation::AccountCutOff { address, id },
        Account::Suspend { address } => Operation::AccountSuspend { address },
        Account::Resume { address } => Operation::AccountResume { address },
        Account::Remove { address, yes } => {
            if !yes {
                bail!("this removes {address} with all its mail and cannot be undone; add --yes if you mean it");
            }
            Operation::AccountRemove { address }
        }
        Account::Audit { address } => Operation::AccountAudit { address },
    };
    act(operation, at, output)
}

pub(super) fn alias(action: Alias, at: &Place, output: Output) -> Result<ExitCode> {
    let operation = match action {
        Alias::Add { address, targets } => Operation::AliasAdd { address, targets },
        Alias::List { domain } => Operation::AliasList { domain },
        Alias::Remove { address } => Operation::AliasRemove { address },
    };
    act(operation, at, output)
}

pub(super) fn forward(action: Forward, at: &Place, output: Output) -> Result<ExitCode> {
    let operation = match action {
        Forward::Set { address, targets, keep } => Operation::ForwardSet { address, targets, keep },
        Forward::Show { address } => Operation::ForwardShow { address },
        Forward::Remove { address } => Operation::ForwardRemove { address },
    };
    act(operation, at, output)
}

pub(super) fn queue(action: Queue, at: &Place, output: Output) -> Result<ExitCode> {
    let order = |order, which: QueueWhich, sure| Operation::QueueOrder { order, selection: selection(which), sure };
    let operation = match action {
        Queue::List { domain, sender, state, limit, after } => {
            Operation::QueueList { wish: ListWish { domain, sender, state, limit, after } }
        }
        Queue::Show { id } => Operation::QueueShow { id },
        Queue::Retry(which) => order(Order::Retry, which, true),
        Queue::Hold(which) => order(Order::Hold, which, true),
        Queue::Release(which) => order(Order::Release, which, true),
        Queue::Cancel { which, yes } => order(Order::Cancel, which, yes),
    };
    act(operation, at, output)
}

/// The command line lets exactly one of them through.
fn selection(which: QueueWhich) -> Selection {
    match which {
        QueueWhich { id: Some(id), .. } => Selection::Id(id),
        QueueWhich { domain: Some(domain), .. } => Selection::Domain(domain),
        QueueWhich { sender: Some(sender), .. } => Selection::Sender(sender),
        QueueWhich { .. } => Selection::All,
    }
}

pub(super) fn route(action: Route, at: &Place, output: Output) -> Result<ExitCode> {
    let operation = match action {
        Route::Add(route) => {
            let ca = match &route.ca {
                Some(file) => {
                    Some(std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?)
                }
                None => None,
            };
            let login = match (route.user, route.password) {
                (Some(user), Some(password)) => Some((user, password_or_chosen(Some(password))?.0)),
                (Some(_) | None, _) => None,
            };
            let host = route.host;
            let (domain, port, tls) = (route.domain, route.port, route.tls);
            Operation::RouteAdd { route: RouteWish { domain, host, port, tls, ca, login } }
        }
        Route::Login(login) => return super::route_login::login(&login, at, output),
        Route::List => Operation::RouteList,
        Route::Remove { domain } => Operation::RouteRemove { domain },
    };
    act(operation, at, output)
}

pub(super) fn oauth(action: Oauth, at: &Place, output: Output) -> Result<ExitCode> {
    let Oauth::Client { action } = action;
    let order = match action {
        OauthClient::Add { name, id, redirects, scope, confidential } => {
            OauthOrder::Add { name, id, redirects, scope, confidential }
        }
        OauthClient::List => OauthOrder::List,
        OauthClient::Remove { id } => OauthOrder::Remove { id },
    };
    act(Operation::Oauth { order }, at, output)
}

pub(super) fn app_password(action: AppPassword, at: &Place, output: Output) -> Result<ExitCode> {
    let operation = match action {
        AppPassword::Add { address, name, scope, expires } => {
            Operation::AppPasswordAdd { address, name, scope, expires_days: expires }
        }
        AppPassword::List { address } => Operation::AppPasswordList { address },
        AppPassword::Remove { address, name } => Operation::AppPasswordRemove { address, name },
    };
    act(operation, at, output)
}

pub(super) fn client_certificate(action: ClientCertificate, at: &Place, output: Output) -> Result<ExitCode> {
    let operation = match action {
        ClientCertificate::Add { address, name, file } => {
            let pem = std::fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
            let Some(fingerprint) = postroad_net::fingerprint_of_pem(&pem) else {
                bail!("{} holds no certificate in PEM form", file.display());
            };
            let fingerprint = fingerprint.iter().map(|octet| format!("{octet:02x}")).collect();
            Operation::ClientCertificateAdd { address, name, fingerprint }
        }
        ClientCertificate::List { address } => Operation::ClientCertificateList { address },
        ClientCertificate::Remove { address, name } => Operation::ClientCertificateRemove { address, name },
    };
    act(operation, at, output)
}

pub(super) fn mailbox(action: Mailbox, at: &Place, output: Output) -> Result<ExitCode> {
    let operation = match action {
        Mailbox::List { address } => Operation::MailboxList { address },
        Mailbox::Create { address, name } => Operation::MailboxCreate { address, name },
        Mailbox::Rename { address, from, to } => Operation::MailboxRename { address, from, to },
        Mailbox::Delete { address, name } => Operation::MailboxDelete { address, name },
        Mailbox::Share { address, name, who, rights } => Operation::MailboxShare { address, name, who, rights },
        Mailbox::Unshare { address, name, who } => Operation::MailboxUnshare { address, name, who },
        Mailbox::Shares { address } => Operation::MailboxShares { address },
        Mailbox::Deleted { address, mailbox } => Operation::MailboxDeleted { address, mailbox },
        Mailbox::Restore { address, mailbox, numbers, into } => {
            Operation::MailboxRestore { address, mailbox, numbers, into }
        }
    };
    act(operation, at, output)
}

pub(super) fn trace(key: &str, since: &str, limit: u32, at: &Place, output: Output) -> Result<ExitCode> {
    act(Operation::Trace { key: key.into(), since_seconds: age(since)?, limit }, at, output)
}

/// Performs an operation where it belongs and prints the answer.
pub(super) fn act(operation: Operation, at: &Place, output: Output) -> Result<ExitCode> {
    let settings = place::settings(at)?;
    Ok(show(&ask(operation, &settings)?, output))
}

/// Performs an operation where it belongs.
pub(super) fn ask(operation: Operation, settings: &Settings) -> Result<Answer> {
    Ok(match socket::ask(&settings.data, &operation)? {
        Some(answer) => answer,
        None => {
            let store = place::open_store(settings)?;
            let answer = admin::perform(&store, operation, Timestamp::now());
            store.close();
            answer
        }
    })
}

/// Prints an answer; a refusal goes to standard error unless JSON was asked for.
pub(super) fn show(answer: &Answer, output: Output) -> ExitCode {
    if output.json {
        print::json(&answer.json());
    } else if answer.is_refused() {
        print::complaint(&format!("error: {}", answer.text().trim_end()));
    } else {
        print::text(&answer.text());
    }
    if answer.is_refused() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// A password that is to be seen comes from a file, or whoever is asked: never from the command line.
fn keyed(mechanism: Keyed, action: KeyedSwitch, at: &Place) -> Result<Operation> {
    let settings = place::settings(at)?;
    let offered = settings.offers(mechanism.name());
    let (address, order) = match action {
        KeyedSwitch::On { address, password_file, ask } => {
            let password = match (password_file, ask) {
                (Some(file), _) => Some(secret::first_line(&file)?),
                (None, true) => Some(secret::ask(&address)?),
                (None, false) => None,
            };
            let seen = password.map(|password| SeenPassword { password, key: place::secret_key(&settings) });
            (address, KeyedOrder::On { seen })
        }
        KeyedSwitch::Off { address } => (address, KeyedOrder::Off),
        KeyedSwitch::Show { address } => (address, KeyedOrder::Show),
    };
    Ok(Operation::AccountKeyed { address, mechanism, order, offered })
}

/// The password given, read from standard input for `-`, or a chosen one, which is then told.
fn password_or_chosen(given: Option<String>) -> Result<(String, Option<String>)> {
    match given.as_deref() {
        Some("-") => {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).context("no password on standard input")?;
            Ok((line.trim_end_matches(['\r', '\n']).to_string(), None))
        }
        Some(password) => Ok((password.to_string(), None)),
        None => {
            let chosen = choose_password()?;
            Ok((chosen.clone(), Some(chosen)))
        }
    }
}

fn tell(code: ExitCode, chosen: Option<String>) -> ExitCode {
    if let (true, Some(password)) = (code == ExitCode::SUCCESS, chosen) {
        print::line(&format!("its password is {password}  (shown this once)"));
    }
    code
}

/// A random password that is easy to type: 20 letters and digits, about 99 bits.
pub(super) fn choose_password() -> Result<String> {
    // 31 signs without those that look alike; 256 mod 31 leaves a bias of under one percent.
    const SIGNS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let mut random = [0; 20];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    Ok(random.iter().map(|byte| char::from(SIGNS[usize::from(*byte) % SIGNS.len()])).collect())
}

/// `500M`, `2G`, `1048576`, or `none`.
fn size(text: &str) -> Result<Option<u64>> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let (digits, unit) = match text.char_indices().find(|(_, letter)| !letter.is_ascii_digit()) {
        Some((at, _)) => text.split_at(at),
        None => (text, ""),
    };
    let shift = match unit.to_ascii_uppercase().trim_end_matches(['B', 'I']) {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        other => bail!("{text} is no size: after the number comes K, M, G or T, not {other:?}"),
    };
    let number: u64 = digits.parse().with_context(|| format!("{text} is no size; write 500M, 2G or none"))?;
    let bytes = number.checked_mul(1 << shift).with_context(|| format!("{text} is too much"))?;
    Ok(Some(bytes))
}

/// `90m`, `12h`, `7d` in seconds.
pub(super) fn age(text: &str) -> Result<u64> {
    let unit = text.chars().last().unwrap_or(' ');
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => bail!("{text} is no age; write 90m, 12h or 7d"),
    };
    let number: u64 =
        text[..text.len() - 1].parse().with_context(|| format!("{text} is no age; write 90m, 12h or 7d"))?;
    Ok(number.saturating_mul(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_read() {
        assert_eq!(size("none").ok(), Some(None));
        assert_eq!(size("500M").ok(), Some(Some(500 << 20)));
        assert_eq!(size("2gb").ok(), Some(Some(2 << 30)));
        assert_eq!(size("7").ok(), Some(Some(7)));
        for wrong in ["", "M", "5X", "99999999999T", "5µ"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(age("90m").ok(), Some(5_400));
        assert_eq!(age("7d").ok(), Some(604_800));
        for wrong in ["", "d", "5", "5y", "5µ"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn chosen_passwords_differ() {
        let (one, two) = (choose_password().expect("random"), choose_password().expect("random"));
        assert_eq!(one.len(), 20);
        assert_ne!(one, two);
    }
}
