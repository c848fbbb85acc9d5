//! `postroad check`: each line a fact, and a next step where something is wrong.

use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use postroad_mail::accounts;
use postroad_net::Certificates;
use postroad_queue::shaping;
use postroad_store::{Store, Timestamp};
use postroad_trust::keys::{self, State};
use postroad_trust::sending::{self, Level};

use super::administer::show;
use super::backup::many;
use crate::admin::certificate::{self, Grade};
use crate::admin::time::shown;
use crate::admin::{self, Answer, Operation, socket};
use crate::cli::{Output, Place};
use crate::place;
use crate::serve::certificates::{self, load};
use crate::serve::outbound::Names;
use crate::settings::{CleartextAuth, Settings};
use crate::signing;

/// A certificate with fewer days left is a warning.
const DAYS_LEFT_MIN: i64 = 14;
/// How long a listener may take to accept.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// The lines so far.
#[derive(Default)]
struct Report {
    rows: Vec<Vec<String>>,
    failed: bool,
    /// The database has certificates that clients are shown.
    has_certificates: bool,
}

impl Report {
    fn good(&mut self, what: &str, fact: impl Into<String>) {
        self.rows.push(vec!["ok".into(), what.into(), fact.into(), String::new()]);
    }

    fn note(&mut self, what: &str, fact: impl Into<String>, next: impl Into<String>) {
        self.rows.push(vec!["note".into(), what.into(), fact.into(), next.into()]);
    }

    fn bad(&mut self, what: &str, fact: impl Into<String>, next: impl Into<String>) {
        self.failed = true;
        self.rows.push(vec!["BAD".into(), what.into(), fact.into(), next.into()]);
    }
}

pub(super) fn command(at: &Place, output: Output) -> Result<ExitCode> {
    let settings = place::settings(at)?;
    let mut report = Report::default();
    report.good("settings", format!("data in {}, host name {}", settings.data.display(), settings.hostname));
    if settings.cleartext_auth == CleartextAuth::Loopback {
        report.note(
            "settings",
            "passwords are taken without TLS from this machine",
            "for a trial; else cleartext-auth = \"never\"",
        );
    }
    let is_running = socket::ask(&settings.data, &Operation::DomainList)?.is_some();
    if is_running {
        report.good("server", "is running and answers");
    } else {
        report.note("server", "is not running", "start it with `postroad serve` or `postroad quickstart`");
    }
    database(&settings, &mut report);
    shown_certificates(&settings, &mut report);
    match crate::serve::kerberos::principals(&settings) {
        Ok(None) => {}
        Ok(Some(principals)) => report.good("keytab", principals.join(" ")),
        Err(error) => {
            report.bad("keytab", format!("{error:#}"), "correct login.keytab, or take it out of the settings")
        }
    }
    if is_running {
        listeners(&settings, &mut report);
    }
    outbound(&settings, &mut report);
    let table = Answer::table(&["IS", "WHAT", "FACT", "NEXT STEP"], report.rows, "");
    show(&table, output);
    Ok(if report.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn database(settings: &Settings, report: &mut Report) {
    let store = match place::open_store(settings) {
        Ok(store) => store,
        Err(error) => {
            report.bad("database", format!("{error:#}"), "see the first words of the fact");
            return;
        }
    };
    match store.health() {
        Ok(health) => {
            report.good("database", format!("{} {} at {}", health.database, health.version, health.place));
            report.good("messages", format!("large ones in {}", health.blobs));
            if !health.writable {
                report.bad("database", "cannot be written", "check the disk and the folder's owner");
            }
        }
        Err(error) => report.bad("database", error.to_string(), error.next_step()),
    }
    for (operation, what) in [(Operation::DomainList, "domains"), (Operation::AccountList { domain: None }, "accounts")]
    {
        match admin::perform(&store, operation, Timestamp::now()) {
            Answer::Table { rows, empty, .. } if rows.is_empty() => report.note(what, "none", empty),
            Answer::Table { rows, .. } => report.good(what, rows.len().to_string()),
            other => report.bad(what, other.text().trim_end(), ""),
        }
    }
    match admin::perform(&store, Operation::AccountAudit { address: None }, Timestamp::now()) {
        Answer::Table { rows, empty, .. } if rows.is_empty() => report.good("counters", empty),
        Answer::Table { rows, .. } => {
            for row in rows {
                report.bad("counters", row.join(": "), "please report this");
            }
        }
        other => report.bad("counters", other.text().trim_end(), ""),
    }
    signing_keys(&store, report);
    queue(&store, report);
    egress(&store, report);
    senders(&store, report);
    kept_certificates(settings, &store, report);
    store.close();
}

/// Certificates that the database holds, and those that are wanted.
fn kept_certificates(settings: &Settings, store: &Store, report: &mut Report) {
    if settings.acme.terms_agreed
        && let Err(error) = crate::serve::certificates::acme(settings)
    {
        report.bad("certificate", format!("{error:#}"), "correct [acme] in the settings");
    }
    match certificate::states(store, Timestamp::now()) {
        Ok(states) => {
            for state in states {
                report.has_certificates |= state.current.is_some();
                match state.grade {
                    Grade::Good => report.good("certificate", state.fact),
                    Grade::Note => report.note("certificate", state.fact, state.next_step),
                    Grade::Bad => report.bad("certificate", state.fact, state.next_step),
                }
            }
        }
        Err(error) => report.bad("certificate", error.to_string(), "see the server's log"),
    }
    let shown = certificates::shown(settings, store);
    match shown.and_then(|shown| tlsa_records(settings, &shown)) {
        Ok(Some(true)) => report.good("TLSA", format!("the records for {} name its certificate", settings.hostname)),
        Ok(Some(false)) => report.bad(
            "TLSA",
            format!(
                "the records for {} do not name its certificate: senders that go by DANE cannot deliver",
                settings.hostname
            ),
            "publish the records that `postroad certificate show` names, or remove them",
        ),
        Ok(None) => {}
        Err(error) => report.note("TLSA", format!("{error:#}"), "it is not known whether the records are right"),
    }
}

/// Whether the TLSA records of the host name its certificate; `None`: there are no records, or nobody to ask.
fn tlsa_records(settings: &Settings, shown: &Certificates) -> Result<Option<bool>> {
    let Some(dns) = Names::of(settings)?.asked() else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let records = match runtime.block_on(dns.tlsa(&format!("_25._tcp.{}", settings.hostname))) {
        Ok(answer) => answer.records,
        Err(error) if error.is_denial() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let chain = shown.chain_of(&settings.hostname).unwrap_or_default();
    Ok(Some(records.iter().any(|record| postroad_web::acme::tlsa_matches(record, &chain))))
}

fn shown_certificates(settings: &Settings, report: &mut Report) {
    let loaded = match load(settings) {
        Ok(loaded) => loaded,
        Err(error) => {
            report.bad("certificate", format!("{error:#}"), "correct [[certificate]] in the settings");
            return;
        }
    };
    for facts in loaded.facts(SystemTime::now()) {
        // What stands in until there is a real one is of no interest once there is.
        if facts.self_signed && report.has_certificates && settings.certificate.is_empty() {
            continue;
        }
        let fact = format!("for {}, {} days left", facts.names.join(" "), facts.days_left);
        if facts.days_left < 0 {
            report.bad("certificate", fact, "it has expired: put a new one in place; it is read by itself");
        } else if facts.self_signed {
            report.note(
                "certificate",
                format!("{fact}, of our own making"),
                "for a trial, and until there is a real one: acme.terms-agreed = true gets it, or put one into [[certificate]]",
            );
        } else if facts.days_left < DAYS_LEFT_MIN {
            report.note("certificate", fact, "renew it soon");
        } else {
            report.good("certificate", fact);
        }
    }
}

fn listeners(settings: &Settings, report: &mut Report) {
    for listener in &settings.listener {
        let mut address = listener.address;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() {
                [127, 0, 0, 1].into()
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        match TcpStream::connect_timeout(&address, CONNECT_WITHIN) {
            Ok(_) => report.good("listener", format!("{} accepts on {}", listener.name, listener.address)),
            Err(error) => report.bad(
                "listener",
                format!("{} on {}: {error}", listener.name, listener.address),
                "see the server's log",
            ),
        }
    }
}

/// Whether mail for others can leave: names have to be looked up, and what waits is told.
fn outbound(settings: &Settings, report: &mut Report) {
    if !settings.outbound.enabled {
        report.note("outbound", "off: mail for others waits in the queue", "outbound.enabled = true");
    }
    let asked = Names::of(settings).map_err(|error| error.to_string()).and_then(|names| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(async { Ok((names.answers().await?.to_owned(), names.has_dnssec().await)) })
    });
    match asked {
        Ok((servers, has_dnssec)) => {
            report.good("DNS", format!("answers: {servers}"));
            match has_dnssec {
                true => report.good("DNSSEC", "answers are verified: DANE is followed".to_owned()),
                false => report.note(
                    "DNSSEC",
                    "no answers are verified: DANE is not followed",
                    "run a validating resolver on this machine, such as unbound, and name it in dns.servers",
                ),
            }
        }
        Err(why) => report.note(
            "DNS",
            why,
            "mail for others waits in the queue; mail within this server and by routes needs none",
        ),
    }
}

/// Whether what is signed can be verified, as the DNS was last seen.
fn signing_keys(store: &Store, report: &mut Report) {
    let keys = match store.read_blocking(|tx| keys::list(tx, None)) {
        Ok(keys) => keys,
        Err(error) => return report.bad("signing", error.to_string(), error.next_step()),
    };
    let active = keys.iter().filter(|key| key.state == State::Active);
    let good = active.clone().filter(|key| !key.is_alarming()).count();
    if good > 0 {
        report.good("signing", format!("{} in use", many(good as u64, "key")));
    }
    for key in active.filter(|key| key.is_alarming()) {
        let fact = format!("mail is signed with {}, in the DNS: {}", key.name(), signing::found_words(&key.found));
        report.bad("signing", fact, format!("publish what `postroad dkim show {}` prints", key.domain));
    }
    let mut waiting: Vec<&str> =
        keys.iter().filter(|key| key.state == State::Made).map(|key| key.domain.as_str()).collect();
    waiting.dedup();
    for domain in waiting {
        let next = format!("publish them: postroad dkim show {domain}");
        report.note("signing", format!("keys of {domain} wait for their records"), next);
    }
}

fn queue(store: &Store, report: &mut Report) {
    match store.read_blocking(postroad_queue::depth) {
        Ok(depth) if depth.recipients == 0 => report.good("queue", "empty"),
        Ok(depth) => {
            let age = depth.oldest.map_or(0, |oldest| (Timestamp::now().0 - oldest.0).max(0) / 1_000_000);
            let (recipients, messages) = (many(depth.recipients, "recipient"), many(depth.messages, "message"));
            report.good("queue", format!("{recipients} of {messages}, the oldest {} old", long(age)));
        }
        Err(error) => report.bad("queue", error.to_string(), "see the server's log"),
    }
}

/// Addresses of ours that are refused somewhere for their name.
fn egress(store: &Store, report: &mut Report) {
    let now = Timestamp::now();
    let noted = match store.read_blocking(shaping::noted) {
        Ok(noted) => noted,
        Err(error) => return report.bad("egress", error.to_string(), "see the server's log"),
    };
    for one in noted.iter().filter(|one| one.rest_until > now) {
        let until = shown(one.rest_until);
        let why = one.why.as_deref().unwrap_or("it did not say why").replace(char::is_control, " ");
        match one.egress.as_str() {
            shaping::ANY_EGRESS => report.note(
                "egress",
                format!("mail to {} waits until {until}: {why}", one.hosts),
                "it goes by itself; `postroad limit set` sends less at once",
            ),
            address => report.bad(
                "egress",
                format!("{address} is refused for its name at {}, and rests there until {until}: {why}", one.hosts),
                "look it up at the list that the words name, find what was sent from it, ask to be taken off; \
                 `postroad egress list` shows all",
            ),
        }
    }
}

/// Accounts that came near what they may send within a day, or were refused.
fn senders(store: &Store, report: &mut Report) {
    let now = Timestamp::now();
    let told = store.read_blocking(move |tx| {
        let told = sending::told(tx, TOLD_HOURS, now)?;
        let named = told.into_iter().take(TOLD_SHOWN).map(|(account, level)| {
            let found = accounts::by_id(tx, account)?;
            Ok((found.map_or_else(|| format!("account {}", account.0), |found| found.address.to_string()), level))
        });
        named.collect::<postroad_mail::Result<Vec<_>>>()
    });
    let next = |name: &str| {
        format!(
            "ask its owner; if they do not know of it, somebody has the password: `postroad account suspend {name}`"
        )
    };
    match told {
        Ok(told) => told.iter().for_each(|(name, level)| match level {
            Level::Over => report.bad("sending", format!("{name} sent all it may, and was refused"), next(name)),
            Level::Near => report.note("sending", format!("{name} came near what it may send"), next(name)),
        }),
        Err(error) => report.bad("sending", error.to_string(), "see the server's log"),
    }
}

/// So long it is told that an account was refused.
const TOLD_HOURS: u32 = 24;
/// Accounts that are named.
const TOLD_SHOWN: usize = 20;

/// Seconds in the largest unit that is there at least twice.
fn long(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        172_800.. => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_rests_is_an_alarm_and_a_host_that_wants_less_is_none() {
        let store = Store::open(postroad_store::Settings::memory()).expect("a store");
        store.migrate(&place::migrations()).expect("tables");
        let now = Timestamp::now();
        let later = now.plus(Duration::from_secs(3_600));
        let one = |egress: &str, hosts: &str, rest_until| shaping::Noted {
            egress: egress.into(),
            hosts: hosts.into(),
            day: 0,
            sent: 7,
            rest_until,
            why: Some("550 5.7.1 on a list".into()),
        };
        let noted = [
            one("192.0.2.7", ".mx.test", later),
            one("192.0.2.8", ".mx.test", now),
            one(shaping::ANY_EGRESS, "mx.busy.test", later),
        ];
        let written = store.write_blocking(postroad_store::Locks::none(), move |tx| shaping::note(tx, &noted, now));
        written.expect("written");
        let mut report = Report::default();
        egress(&store, &mut report);
        assert!(report.failed);
        let said: Vec<_> = report.rows.iter().map(|row| (row[0].as_str(), row[2].as_str())).collect();
        let [("note", busy), ("BAD", rests)] = said.as_slice() else { panic!("{said:?}") };
        assert!(busy.starts_with("mail to mx.busy.test waits until "), "{busy}");
        assert!(
            rests.starts_with("192.0.2.7 is refused for its name at .mx.test") && rests.contains("on a list"),
            "{rests}"
        );
        store.close();
    }

    #[test]
    fn what_waits_reads_well() {
        assert_eq!([0, 119, 7_199, 90_000, 432_000].map(long), ["0 s", "119 s", "119 min", "25 h", "5 days"]);
    }
}
