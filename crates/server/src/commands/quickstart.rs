//! `postroad quickstart`: a whole mail server in one step.
//!
//! Without a domain it serves example.test with Alice and Bob on loopback, to try; with a domain it makes that
//! domain and its first account and prints the DNS records that it needs. Started again on the same folder it
//! goes on with what is there.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use postroad_mail::accounts::{self, DIRECTORY_LOCK, NewAccount};
use postroad_mail::password::PasswordHash;
use postroad_mail::{Actor, Address, By, Domain, Error, domains};
use postroad_store::{Locks, Store, Timestamp};

use super::administer::choose_password;
use super::dns;
use crate::admin::{self, Operation};
use crate::cli::Quickstart;
use crate::serve::certificates;
use crate::serve::outbound::Names;
use crate::settings::{CleartextAuth, STANDARD, Service, Settings, TlsMode, listeners};
use crate::{place, print, serve, signing};

/// The domain of a trial (RFC 6761 §6.2: never a real one).
const TRIAL_DOMAIN: &str = "example.test";
/// Who is there in a trial.
const TRIAL_ACCOUNTS: &[(&str, &str)] = &[("alice", "Alice"), ("bob", "Bob")];
/// Port offsets tried when none is named, from the first.
const OFFSETS: std::ops::Range<u16> = 20..60;
const OFFSET_STEP: u16 = 500;
/// Accounts made in one transaction.
const ACCOUNTS_PER_WRITE: usize = 200;

pub(super) fn command(options: &Quickstart) -> Result<ExitCode> {
    let data = options.data.clone().unwrap_or_else(place::own_folder);
    let lock = place::lock(&data)?;
    let data = data.canonicalize().with_context(|| format!("{} cannot be opened", data.display()))?;
    let file = data.join(place::SETTINGS_FILE);
    let is_new = !file.is_file();
    let settings = if is_new { first_settings(options, &data)? } else { known_settings(options, &data, &file)? };
    serve::kerberos::prepare(&settings)?;
    // A name server that is none is told before anything is made.
    let names = Names::of(&settings)?;
    write_settings(&file, &settings)?;

    let made = {
        let store = place::open_store(&settings)?;
        let made = people(options, &store).and_then(|mut made| {
            signing::ensure_blocking(&store, &settings.hostname, Timestamp::now())?;
            if options.domain.is_some() {
                made.records = records(&store, &settings, made.domain.as_str())?;
            }
            Ok(made)
        });
        store.close();
        made?
    };
    print::text(&greeting(options, &settings, &made));
    if matches!(names, Names::Nobody(_)) {
        print::text("Mail for other domains waits in the queue: with --resolver HOST:PORT it is sent on.\n\n");
    }
    drop(names);
    serve::run(&settings, lock, || print::line("ready"))?;
    Ok(ExitCode::SUCCESS)
}

/// Who can log in, and with which password if it was set just now.
struct People {
    domain: Domain,
    accounts: Vec<Address>,
    password: Option<String>,
    more: u32,
    /// The DNS records that it needs, as `postroad dns` prints them.
    records: String,
}

fn first_settings(options: &Quickstart, data: &Path) -> Result<Settings> {
    let mut settings = Settings { data: data.to_path_buf(), ..Settings::default() };
    settings.database.url = options.database.clone();
    outward(options, &mut settings);
    authority(options, &mut settings);
    match &options.domain {
        None => {
            let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let offset = match options.port_offset {
                Some(offset) => offset,
                None => free_offset(address)?,
            };
            settings.hostname = "localhost".into();
            settings.cleartext_auth = CleartextAuth::Loopback;
            // Whoever tries it may put it under load.
            settings.limits.account_messages_per_hour = 0;
            settings.limits.account_messages_per_day = 0;
            settings.limits.account_recipients_per_hour = 0;
            settings.limits.account_recipients_per_day = 0;
            // A trial sends nothing to the world unless it is told whom to ask.
            settings.dns.system = false;
            settings.outbound.allow_loopback = true;
            settings.listener = checked_listeners(address, offset)?;
        }
        Some(domain) => {
            settings.hostname = format!("mail.{domain}");
            let address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            settings.listener = checked_listeners(address, options.port_offset.unwrap_or(0))?;
            // LMTP trusts its clients, and metrics in clear are nobody else's business: both for this machine alone.
            for listener in &mut settings.listener {
                if listener.service == Service::Lmtp || listener.name == "http" {
                    listener.address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
                }
            }
        }
    }
    Ok(settings)
}

fn known_settings(options: &Quickstart, data: &Path, file: &Path) -> Result<Settings> {
    let mut settings = Settings::read(file)?;
    settings.data = data.to_path_buf();
    if let Some(offset) = options.port_offset {
        let address = settings.listener.first().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |one| one.address.ip());
        settings.listener = checked_listeners(address, offset)?;
    }
    if options.database.is_some() {
        settings.database.url = options.database.clone();
    }
    outward(options, &mut settings);
    authority(options, &mut settings);
    Ok(settings)
}

/// Whom certificates come from, as far as the options say.
fn authority(options: &Quickstart, settings: &mut Settings) {
    if options.agree_terms {
        settings.acme.terms_agreed = true;
        if let (None, Some(domain)) = (&settings.acme.contact, &options.domain) {
            settings.acme.contact = Some(format!("postmaster@{domain}"));
        }
    }
    if let Some(directory) = &options.acme_directory {
        settings.acme.directory = directory.clone();
    }
}

/// How mail leaves, as far as the options say.
fn outward(options: &Quickstart, settings: &mut Settings) {
    if let Some(resolver) = &options.resolver {
        settings.dns.servers = vec![resolver.clone()];
    }
    if let Some(port) = options.outbound_port {
        settings.outbound.port = port;
    }
}

fn checked_listeners(address: IpAddr, offset: u16) -> Result<Vec<crate::settings::ListenerSettings>> {
    let highest = STANDARD.iter().map(|(_, _, port, _)| *port).max().unwrap_or(0);
    highest.checked_add(offset).with_context(|| {
        format!("a port offset of {offset} leads beyond the last port; at most {}", u16::MAX - highest)
    })?;
    Ok(listeners(address, offset))
}

/// The first offset at which all ports are free.
fn free_offset(address: IpAddr) -> Result<u16> {
    let is_free = |offset: &u16| {
        STANDARD.iter().all(|(_, _, port, _)| TcpListener::bind(SocketAddr::new(address, port + offset)).is_ok())
    };
    OFFSETS
        .map(|step| step * OFFSET_STEP)
        .find(is_free)
        .context("no free ports were found; name an offset with --port-offset N")
}

fn write_settings(file: &Path, settings: &Settings) -> Result<()> {
    let mut kept = settings.clone();
    // The folder may be moved with all in it.
    kept.data = PathBuf::from(".");
    let text = format!(
        "# Made by `postroad quickstart`; `postroad settings` explains every key.\n\n{}",
        toml::to_string_pretty(&kept)?
    );
    if std::fs::read_to_string(file).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let fresh = file.with_extension("toml.new");
    // A database's URL may hold its password.
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(&fresh).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.with_context(|| format!("{} cannot be written", fresh.display()))?;
    std::fs::rename(&fresh, file)?;
    Ok(())
}

/// Makes the domain and the accounts that are not there yet.
fn people(options: &Quickstart, store: &Store) -> Result<People> {
    let domain = Domain::parse(options.domain.as_deref().unwrap_or(TRIAL_DOMAIN))
        .map_err(|error| anyhow::anyhow!("{}: {error}", options.domain.as_deref().unwrap_or_default()))?;
    let by = By::new(Timestamp::now(), Actor::Admin);
    make_domain(store, &by, &domain)?;

    let names: Vec<(String, String)> = match options.domain {
        None => TRIAL_ACCOUNTS.iter().map(|(name, display)| ((*name).into(), (*display).into())).collect(),
        Some(_) => vec![("postmaster".into(), "Postmaster".into())],
    };
    let numbered = (1..=options.accounts).map(|number| (format!("u{number:04}"), format!("User {number}")));
    let mut accounts = Vec::new();
    let mut missing = Vec::new();
    for (index, (local, display)) in names.iter().cloned().chain(numbered).enumerate() {
        let address = Address::new(&local, domain.as_str()).map_err(|error| anyhow::anyhow!("{local}: {error}"))?;
        if index < names.len() {
            accounts.push(address.clone());
        }
        missing.push((address, display));
    }
    let wanted = missing.clone();
    let there = store.read_blocking(move |tx| -> Result<Vec<bool>, Error> {
        wanted.iter().map(|(address, _)| Ok(accounts::find(tx, address)?.is_some())).collect()
    })?;
    let mut there = there.into_iter();
    missing.retain(|_| !there.next().unwrap_or(false));
    if missing.is_empty() {
        return Ok(People {
            domain,
            accounts,
            password: options.password.clone(),
            more: options.accounts,
            records: String::new(),
        });
    }

    let password = match &options.password {
        Some(password) => password.clone(),
        None => choose_password()?,
    };
    // One hash serves all accounts of this step: they have one password anyway.
    let hash = PasswordHash::of_password(&password)?;
    for chunk in missing.chunks(ACCOUNTS_PER_WRITE) {
        make_accounts(store, &by, chunk, &hash)?;
    }
    Ok(People { domain, accounts, password: Some(password), more: options.accounts, records: String::new() })
}

fn make_domain(store: &Store, by: &By, domain: &Domain) -> Result<()> {
    let (by, name) = (by.clone(), domain.clone());
    store.write_blocking(Locks::named(DIRECTORY_LOCK), move |tx| match domains::ours(tx, &name)? {
        Some(_) => Ok(()),
        None => domains::create(tx, &by, &name),
    })?;
    Ok(())
}

fn make_accounts(store: &Store, by: &By, chunk: &[(Address, String)], hash: &PasswordHash) -> Result<()> {
    let new: Vec<NewAccount> = chunk
        .iter()
        .map(|(address, display)| NewAccount {
            address: address.clone(),
            display_name: display.clone(),
            password: Some(hash.clone()),
            quota_bytes: 0,
            quota_messages: 0,
        })
        .collect();
    let by = by.clone();
    store.write_blocking(Locks::named(DIRECTORY_LOCK), move |tx| -> Result<(), Error> {
        for account in &new {
            accounts::create(tx, &by, account)?;
        }
        Ok(())
    })?;
    Ok(())
}

/// What was made, and how to send and read a first mail.
fn greeting(options: &Quickstart, settings: &Settings, people: &People) -> String {
    let port = |name: &str| {
        settings.listener.iter().find(|listener| listener.name == name).map_or(0, |listener| listener.address.port())
    };
    let password = people.password.as_deref().unwrap_or("as before");
    let typed = people.password.as_deref().unwrap_or("PASSWORD");
    let mut text = format!("\nPostroad serves {} from {}\n\n", people.domain.unicode(), settings.data.display());
    for account in &people.accounts {
        text += &format!("  {account:<28} password {password}\n");
    }
    if people.more > 0 {
        text += &format!("  u0001 … u{:04}@{:<14} the same password\n", people.more, people.domain.unicode());
    }
    text += "\n  ";
    for listener in &settings.listener {
        let secured = if listener.tls == TlsMode::Implicit { " (TLS)" } else { "" };
        text += &format!("{} {}{secured}   ", listener.name, listener.address.port());
    }
    text.truncate(text.trim_end().len());
    if options.domain.is_none() {
        text += &format!(
            "\n\nSend a first mail and read it:\n\n  \
             printf 'From: bob@{domain}\\nTo: alice@{domain}\\nSubject: Hello\\n\\nIt works.\\n' |\n    \
             curl -s smtp://127.0.0.1:{submission} -u bob@{domain}:{typed} --mail-from bob@{domain} --mail-rcpt alice@{domain} -T - --crlf\n  \
             curl -s 'imap://127.0.0.1:{imap}/INBOX;MAILINDEX=1' -u alice@{domain}:{typed}\n  \
             {program} trace alice@{domain} --data {data}\n\n",
            program = program(),
            domain = people.domain,
            submission = port("submission"),
            imap = port("imap"),
            data = settings.data.display(),
        );
    } else {
        text += &publish(settings, &people.domain, &people.records);
    }
    text
}

/// What `postroad dns` prints for a domain.
fn records(store: &Store, settings: &Settings, domain: &str) -> Result<String> {
    if settings.certificate.is_empty() {
        // Its key stands in a record.
        certificates::self_made_files(settings)?;
    }
    let facts = Operation::DnsFacts { domain: domain.to_owned(), hostname: dns::host(settings) };
    dns::told(settings, &admin::perform(store, facts, Timestamp::now()))
}

/// What to do so that mail comes here.
fn publish(settings: &Settings, domain: &Domain, records: &str) -> String {
    let host = &settings.hostname;
    format!(
        "\n\nPublish these records, or let `{program} dns {domain} --publish --data {data}` do it:\n\n{records}\n\
         {certificate}\n\
         Add people with `{program} account add NAME@{domain} --data {data}`.\n\n",
        program = program(),
        certificate = match settings.acme.terms_agreed {
            true => format!(
                "Certificates come by themselves once {host} leads here and ports 80 and 443 are open; \
                 `{} certificate list` shows them.",
                program()
            ),
            false => format!(
                "The certificate is one of our own making: start once with --agree-terms to get real ones from Let's \
                 Encrypt, or put one into [[certificate]] of {}.",
                settings.data.join(place::SETTINGS_FILE).display()
            ),
        },
        data = settings.data.display(),
    )
}

/// How this program is called again: who has just built it has not installed it.
fn program() -> String {
    std::env::current_exe().map_or_else(|_| "postroad".into(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_beyond_the_ports_is_refused() {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert!(checked_listeners(address, 60_000).is_err());
        let all = checked_listeners(address, 2_000).expect("fits");
        assert!(all.iter().any(|listener| listener.name == "http" && listener.address.port() == 10_080));
    }

    #[test]
    fn settings_survive_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Quickstart {
            domain: None,
            data: None,
            port_offset: Some(3_000),
            password: None,
            database: Some("postgres://h/n".into()),
            resolver: Some("127.0.0.1:5353".into()),
            outbound_port: Some(2525),
            agree_terms: true,
            acme_directory: Some("https://ca.example.test/directory".into()),
            accounts: 0,
        };
        let settings = first_settings(&options, folder.path()).expect("settings");
        let file = folder.path().join(place::SETTINGS_FILE);
        write_settings(&file, &settings).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).expect("there").permissions());
        assert_eq!(mode & 0o777, 0o600);
        let again = Quickstart {
            port_offset: None,
            database: None,
            resolver: None,
            outbound_port: None,
            agree_terms: false,
            acme_directory: None,
            ..options
        };
        assert_eq!(known_settings(&again, folder.path(), &file).expect("read"), settings);
    }
}
