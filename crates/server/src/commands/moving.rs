//! `migrate` and `mirror`: the connection to the other server is made here, with the rights and the network of whoever
//! runs the command, and its password stays here; the mail goes through the running server when there is one, else straight to
//! the store.

mod many;
pub(super) mod secret;
mod told;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use postroad_remote::connection::Manners;
use postroad_remote::desk::{Answer, Desk, Opening, Request};
use postroad_remote::migrate::{self, Report, Wish};
use postroad_remote::tls::Trust;
use postroad_remote::{Access, Credential, Place as Elsewhere, Security, mirror};
use tokio::runtime::Runtime;

use super::carry::{self, Connection};
use super::consent::{self, Scopes};
use crate::admin::stream::Stream;
use crate::cli::{Import, ImportFormat, MboxQuoting, Migrate, Mirror, Moving};
use crate::elsewhere::Secrets;
use crate::settings::Settings;
use crate::{place, print};

use told::Shown;

/// Not all of it was proved.
const PARTLY: u8 = 3;

pub(super) fn migrate(asked: &Migrate) -> Result<ExitCode> {
    if let Some(file) = &asked.many {
        return many::migrate(asked, file);
    }
    let (Some(address), Some(from)) = (&asked.address, &asked.from) else { bail!("say whose mail, and --from where") };
    for (scheme, format, quoting) in FILES {
        if let Some(path) = from.strip_prefix(scheme) {
            return carry::import_and_prove(&of_files(asked, address, path, format, quoting)?);
        }
    }
    let access = access(from, &asked.moving)?;
    let mut shown = Shown::new(None, asked.moving.progress_every);
    let report = one(asked, address, &access, &mut shown)?;
    let took = shown.end();
    if asked.moving.output.json {
        print::json(&told::json(address, &access.place, &report));
    } else {
        told::text(address, &access.place, &report, took);
    }
    Ok(code(&report))
}

/// One account's run.
fn one(asked: &Migrate, address: &str, access: &Access, shown: &mut Shown) -> Result<Report> {
    let wish = wish(asked)?;
    let opening =
        Opening { outwards: false, place: access.place.key(), ignore_quota: asked.ignore_quota, dry: asked.dry_run };
    with_desk(&asked.moving, address, opening, access, |runtime, access, desk, opened| {
        runtime.block_on(migrate::migrate(access, desk, opened, &wish, shown))
    })
}

pub(super) fn mirror(asked: &Mirror) -> Result<ExitCode> {
    let access = access(&asked.to, &asked.moving)?;
    let wish = mirror::Wish {
        only: asked.moving.folder.clone(),
        except: asked.moving.exclude.clone(),
        into: asked.into.clone(),
        keep_deleted: asked.moving.keep_deleted,
        tries: asked.moving.remote.tries,
        pause: PAUSE,
    };
    let opening = Opening { outwards: true, place: access.place.key(), ignore_quota: false, dry: false };
    let mut shown = Shown::new(None, asked.moving.progress_every);
    let report = with_desk(&asked.moving, &asked.address, opening, &access, |runtime, access, desk, _| {
        runtime.block_on(mirror::mirror(access, desk, &wish, &mut shown))
    })?;
    let took = shown.end();
    if asked.moving.output.json {
        print::json(&told::json(&asked.address, &access.place, &report));
    } else {
        told::text_outwards(&asked.address, &access.place, &report, took);
    }
    Ok(code(&report))
}

/// Opens the way to the store, works, and closes it. Without a password the place is shown what a provider has granted for it.
fn with_desk<R>(
    moving: &Moving,
    address: &str,
    opening: Opening,
    access: &Access,
    work: impl FnOnce(&Runtime, &Access, &Desk, &Answer) -> R,
) -> Result<R> {
    let settings = place::settings(&moving.place)?;
    let secrets = Secrets { key: place::secret_key(&settings), authorities: settings.outbound.authorities.clone() };
    let request = Stream::Remote { address: address.to_owned(), opening, secrets };
    let line = Connection::open(&moving.place, request)?;
    let (desk, opened) = Desk::connect(line.stream.try_clone()?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let access = signed_in(moving, access, &desk, &runtime, &settings)?;
    let result = work(&runtime, &access, &desk, &opened);
    drop((access, desk));
    line.close();
    Ok(result)
}

/// The access with what it shows: what is said on the command line, else what was granted before, else a password that is asked for.
fn signed_in(moving: &Moving, access: &Access, desk: &Desk, runtime: &Runtime, settings: &Settings) -> Result<Access> {
    let mut access = access.clone();
    if let Some(granting) = consent::of(&moving.remote.consent, &SCOPES, settings)? {
        let octets = serde_json::to_vec(&granting)?;
        runtime.block_on(desk.begin(Request::Granted, octets)?.answer())?;
        access.credential = Credential::Granted(desk.clone());
    } else if matches!(&access.credential, Credential::Password(password) if password.is_empty()) {
        let (_, token) = runtime.block_on(desk.begin(Request::Token, Vec::new())?.octets())?;
        access.credential = match token.is_empty() {
            true => Credential::Password(secret::ask(&access.place)?),
            false => Credential::Granted(desk.clone()),
        };
    }
    Ok(access)
}

fn wish(asked: &Migrate) -> Result<Wish> {
    let map = asked.map.iter().map(|text| {
        let (old, new) = text.split_once('=').with_context(|| format!("{text}: write OLD=NEW"))?;
        Ok((old.to_owned(), new.to_owned()))
    });
    Ok(Wish {
        only: asked.moving.folder.clone(),
        except: asked.moving.exclude.clone(),
        map: map.collect::<Result<_>>()?,
        dry: asked.dry_run,
        keep_deleted: asked.moving.keep_deleted,
        cut_over: asked.cut_over,
        prove: asked.prove,
        tries: asked.moving.remote.tries,
        pause: PAUSE,
    })
}

fn access(url: &str, moving: &Moving) -> Result<Access> {
    let remote = &moving.remote;
    let place = Elsewhere::parse(url)?;
    let trust = match (&remote.ca, remote.insecure_any_certificate) {
        (Some(file), _) => Trust::File(file.clone()),
        (None, false) => Trust::System,
        (None, true) => {
            print::complaint(&format!(
                "WARNING: any certificate of {} is taken. Whoever is in between reads the password and the mail.",
                place.host
            ));
            Trust::Anybody
        }
    };
    if place.security == Security::None {
        print::complaint(&format!(
            "WARNING: no TLS with {}. Whoever is in between reads the password and the mail.",
            place.host
        ));
    }
    // Nothing is said: what was granted is looked for, or a password asked for, when the store is open.
    let credential = secret::said(remote)?.unwrap_or(Credential::Password(String::new()));
    let bandwidth = remote.bandwidth.map(|kilobytes| kilobytes.saturating_mul(1_000));
    Ok(Access { place, credential, trust, manners: Manners { bandwidth, ..Manners::default() } })
}

/// Files are imported as `postroad import` does it, and compared afterwards.
fn of_files(asked: &Migrate, address: &str, path: &str, format: ImportFormat, quoting: MboxQuoting) -> Result<Import> {
    let moving = &asked.moving;
    if !moving.folder.is_empty() || !moving.exclude.is_empty() || !asked.map.is_empty() || asked.cut_over {
        bail!("--folder, --exclude, --map and --cut-over are for IMAP; `postroad import` says what files take");
    }
    Ok(Import {
        address: address.to_owned(),
        path: path.into(),
        format,
        into: None,
        keep_names: false,
        quoting,
        dry_run: asked.dry_run,
        again: false,
        ignore_quota: asked.ignore_quota,
        place: asked.moving.place.clone(),
        output: asked.moving.output,
    })
}

fn code(report: &Report) -> ExitCode {
    match (report.complete, report.dry || report.is_proved()) {
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::from(PARTLY),
        (false, _) => ExitCode::FAILURE,
    }
}

/// Sources that are files, and how lines that begin with `From ` are quoted in them.
const FILES: [(&str, ImportFormat, MboxQuoting); 4] = [
    ("maildir:", ImportFormat::Maildir, MboxQuoting::Rd),
    ("mbox:", ImportFormat::Mbox, MboxQuoting::Rd),
    ("mboxrd:", ImportFormat::Mbox, MboxQuoting::Rd),
    ("mboxo:", ImportFormat::Mbox, MboxQuoting::O),
];

/// What reading and writing mail by IMAP is called.
const SCOPES: Scopes = Scopes {
    own: "mail:imap offline_access",
    microsoft: "https://outlook.office365.com/IMAP.AccessAsUser.All offline_access",
};

/// The wait after the first connection that failed.
const PAUSE: Duration = Duration::from_secs(2);
