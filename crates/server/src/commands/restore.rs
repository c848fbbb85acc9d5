//! `restore`: all of a backup into an empty place, or one account, through the running server when there is one.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use postroad_archive::backup::{self, Folder, WholePlan, WholeRestored};
use postroad_store::{Database, Timestamp};
use serde_json::json;

use super::backup::{SHOWN_MAX, code};
use super::carry::{counted, rate, size};
use super::progress::Shown;
use crate::admin::restore::{Done, Line, Request};
use crate::admin::socket;
use crate::admin::stream::{self, Stream};
use crate::cli::Restore;
use crate::settings::Settings;
use crate::{place, print};

pub(super) fn command(asked: &Restore) -> Result<ExitCode> {
    match &asked.account {
        Some(address) => account(asked, address),
        None => whole(asked),
    }
}

/// A whole server. On SQLite the file gets its name when everything is in it.
fn whole(asked: &Restore) -> Result<ExitCode> {
    let folder = Folder::to_read(&asked.folder)?;
    let mut settings = match &asked.place.data {
        // The place may not be there yet.
        Some(data) if asked.place.settings.is_none() && !data.join(place::SETTINGS_FILE).is_file() => {
            Settings { data: data.clone(), ..Settings::default() }
        }
        Some(_) | None => place::settings(&asked.place)?,
    };
    let had_url = settings.database.url.is_some();
    if let Some(url) = &asked.database {
        settings.database.url = Some(url.clone());
    }
    let lock = place::lock(&settings.data)?;
    let file = settings.data.join(place::SQLITE_FILE);
    if file.exists() {
        bail!(
            "{} is there: a whole restore needs an empty place. Name another folder with --data, or bring one account \
             back with --account",
            file.display()
        );
    }
    let draft = settings.data.join(DRAFT);
    let is_sqlite = settings.database.url.is_none();
    if is_sqlite {
        clear_broken_off(&settings.data, &draft)?;
    }
    let mut opening = place::opening(&settings)?;
    if is_sqlite {
        opening.database = Database::Sqlite(draft.clone());
    }
    let store = place::open(&settings, opening)?;
    let (begun, shown) = (Instant::now(), Shown::new());
    let restored = backup::whole(WholePlan {
        store: &store,
        migrations: &place::migrations(),
        folder: &folder,
        backup: asked.backup.as_deref(),
        exact: asked.exact,
        reshape: Some(Box::new(|table, row| {
            postroad_queue::hold_restored(table, row);
            Ok(())
        })),
        now: Timestamp::now(),
        tell: shown.tell(),
    });
    store.close();
    drop(store);
    shown.clear();
    let restored = restored?;
    if is_sqlite {
        name_it(&draft, &file)?;
    } else if !had_url {
        write_settings(&settings)?;
    }
    drop(lock);
    tell_whole(asked, &settings, &restored, begun.elapsed());
    Ok(code(restored.lost.is_empty() && restored.complaints.is_empty()))
}

/// What an earlier restore into this folder left, which has no name yet, and the large messages that it made.
fn clear_broken_off(data: &Path, draft: &Path) -> Result<()> {
    let blobs = data.join("blobs");
    if draft.exists() {
        for end in ["", "-wal", "-shm"] {
            let path = PathBuf::from(format!("{}{end}", draft.display()));
            if path.exists() {
                fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
            }
        }
        if blobs.exists() {
            fs::remove_dir_all(&blobs).with_context(|| format!("{} cannot be removed", blobs.display()))?;
        }
    }
    let used = fs::read_dir(&blobs).is_ok_and(|mut inside| inside.next().is_some());
    if used {
        bail!("{} is not empty: a whole restore needs an empty place", blobs.display());
    }
    Ok(())
}

/// A database that was closed well has no log beside it any more.
fn name_it(draft: &Path, file: &Path) -> Result<()> {
    let log = PathBuf::from(format!("{}-wal", draft.display()));
    if log.metadata().is_ok_and(|found| found.len() > 0) {
        bail!("{} could not be taken into the database; is the disk full?", log.display());
    }
    fs::rename(draft, file).with_context(|| format!("{} cannot be named", file.display()))?;
    if let Some(folder) = file.parent() {
        fs::File::open(folder).and_then(|folder| folder.sync_all())?;
    }
    Ok(())
}

/// So that `serve --data` finds the database that was named here.
fn write_settings(settings: &Settings) -> Result<()> {
    let path = settings.data.join(place::SETTINGS_FILE);
    let Some(url) = settings.database.url.as_ref().filter(|_| !path.exists()) else { return Ok(()) };
    let text = format!("[database]\nurl = {}\n", toml::Value::String(url.clone()));
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .with_context(|| format!("{} cannot be written", path.display()))
}

fn tell_whole(asked: &Restore, settings: &Settings, restored: &WholeRestored, took: std::time::Duration) {
    let manifest = &restored.manifest;
    let (messages, held) = (manifest.rows("message"), manifest.rows("queue_recipient"));
    if asked.output.json {
        let lost = restored
            .lost
            .iter()
            .map(|one| json!({ "account": one.account, "mailbox": one.mailbox, "uid": one.uid, "blob": one.blob }));
        let told = json!({
            "backup": manifest.id,
            "accounts": manifest.rows("account"),
            "messages": messages,
            "bytes": restored.bytes,
            "seconds": took.as_secs_f64(),
            "held-in-queue": if asked.exact { 0 } else { held },
            "complaints": restored.complaints,
            "lost": lost.collect::<Vec<_>>(),
        });
        return print::json(&told);
    }
    print::line(&format!(
        "{} accounts and {} messages ({}) of the backup {} are in {}{}",
        counted(manifest.rows("account")),
        counted(messages),
        size(restored.bytes),
        manifest.id,
        settings.data.display(),
        rate(messages, took)
    ));
    if held > 0 && !asked.exact {
        let are = if held == 1 { "recipient of queued mail is" } else { "recipients of queued mail are" };
        print::line(&format!(
            "{} {are} held, for most mail of that time was sent after the backup was made: look with `postroad queue list`, \
             let it go with `postroad queue release --all`",
            counted(held)
        ));
    }
    for complaint in &restored.complaints {
        print::complaint(complaint);
    }
    if !restored.lost.is_empty() {
        print::complaint(&format!("the bytes of {} messages are lost:", counted(restored.lost.len() as u64)));
    }
    for one in restored.lost.iter().take(SHOWN_MAX) {
        print::complaint(&format!("  {}, {}, number {}", one.account, one.mailbox, one.uid));
    }
    print::line(&format!("next: {}", next_step(asked, settings)));
}

/// How the restored server is started.
fn next_step(asked: &Restore, settings: &Settings) -> String {
    let data = settings.data.display();
    match &asked.place.settings {
        Some(file) => format!("postroad serve --settings {} --data {data}", file.display()),
        None if asked.database.is_none() && settings.data.join(place::SETTINGS_FILE).is_file() => {
            format!("postroad serve --data {data}")
        }
        // Without them it has another name, listens elsewhere and asks other name servers.
        None => format!(
            "settings are in no backup: put those of the server before into {}, then postroad serve --data {data}",
            settings.data.join(place::SETTINGS_FILE).display()
        ),
    }
}

/// One account, by the running server or in this process.
fn account(asked: &Restore, address: &str) -> Result<ExitCode> {
    let settings = place::settings(&asked.place)?;
    let folder = fs::canonicalize(&asked.folder).with_context(|| asked.folder.display().to_string())?;
    let request = Request {
        folder,
        backup: asked.backup.clone(),
        address: address.to_owned(),
        to: asked.to.clone(),
        into: asked.into.clone(),
    };
    let shown = Shown::new();
    let asking = Stream::Restore(request.clone());
    let outcome = match socket::open(&settings.data, &asking)? {
        Some(stream) => hear(&stream, &shown)?,
        None => {
            let lock = place::lock(&settings.data).context("no server answers in its data folder, and it is in use")?;
            let store = place::open_store(&settings)?;
            let (ours, theirs) = UnixStream::pair()?;
            let worker = std::thread::spawn(move || {
                if let Ok(begun) = stream::begin(&store, asking) {
                    stream::perform(&store, &begun, Timestamp::now(), &theirs);
                }
                store.close();
                drop(lock);
            });
            let heard = hear(&ours, &shown);
            let _ = worker.join();
            heard?
        }
    };
    shown.clear();
    tell_account(asked, address, &outcome);
    Ok(code(outcome.lost.is_empty() && outcome.refused.is_empty()))
}

/// Hears how far it is until it is done.
fn hear(from: &UnixStream, shown: &Shown) -> Result<Done> {
    let mut lines = BufReader::new(from);
    loop {
        let mut line = String::new();
        (&mut lines).take(LINE_MAX).read_line(&mut line).context("the running server does not answer; see its log")?;
        if line.is_empty() {
            bail!("the running server ended before it was done; run the same again, nothing is filed twice");
        }
        match serde_json::from_str(&line).context("the running server's answer cannot be read")? {
            Line::Progress { stage, done, total, bytes } => shown.show(&stage, done, total, bytes),
            Line::Done(done) => return Ok(done),
            Line::Failed(why) => {
                shown.clear();
                bail!(why);
            }
        }
    }
}

fn tell_account(asked: &Restore, address: &str, done: &Done) {
    if asked.output.json {
        // It has a JSON form: it came as one.
        return print::json(&serde_json::to_value(done).unwrap_or_default());
    }
    let target = asked.to.as_deref().unwrap_or(address);
    let text = match done.made {
        true => format!(
            "{target} was made again from the backup {} with {} mailboxes and {} messages ({})",
            done.backup,
            counted(done.mailboxes),
            counted(done.messages),
            size(done.bytes)
        ),
        false => format!(
            "{} messages ({}) of the backup {} came back to {target}, {} were there already; {} mailboxes made",
            counted(done.messages),
            size(done.bytes),
            done.backup,
            counted(done.present),
            counted(done.mailboxes)
        ),
    };
    print::line(&text);
    if done.over_quota {
        print::complaint(&format!(
            "{target} holds more than its quota now and takes no new mail; raise it with `postroad account quota`"
        ));
    }
    for why in &done.refused {
        print::complaint(why);
    }
    for (mailbox, uid) in done.lost.iter().take(SHOWN_MAX) {
        print::complaint(&format!("lost: {mailbox}, number {uid}"));
    }
}

/// The database while it is filled.
const DRAFT: &str = "postroad.sqlite.restoring";
/// An answer names what is lost.
const LINE_MAX: u64 = 64 << 20;
