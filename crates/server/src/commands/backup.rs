//! `backup`: made from the database itself, beside the running server, and looked at without one.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use postroad_archive::backup::{self, Folder, Manifest, Plan, Verified};
use postroad_store::Timestamp;
use serde_json::json;

use super::carry::{counted, rate, size};
use super::progress::Shown;
use crate::admin::time;
use crate::cli::{BackupAction, BackupMake, Output, Place};
use crate::{place, print};

/// It was done, and something is damaged.
pub(super) const DAMAGED: u8 = 3;

pub(super) fn command(action: Option<BackupAction>, make: &BackupMake, at: &Place, output: Output) -> Result<ExitCode> {
    match action {
        Some(BackupAction::List { folder }) => list(&folder, output),
        Some(BackupAction::Verify { folder, backup }) => verify(&folder, backup.as_deref(), output),
        None => match &make.folder {
            Some(folder) => back_up(folder, make, at, output),
            None => bail!("name the folder of backups"),
        },
    }
}

fn back_up(path: &Path, make: &BackupMake, at: &Place, output: Output) -> Result<ExitCode> {
    let settings = place::settings(at)?;
    let file = settings.data.join(place::SQLITE_FILE);
    if settings.database.url.is_none()
        && let Err(error) = file.metadata()
    {
        if error.kind() == std::io::ErrorKind::PermissionDenied {
            bail!("{} cannot be read: run this as the server's user or as root", file.display());
        }
        bail!("there is no database {}: nothing can be backed up", file.display());
    }
    // The tables stay as they are: a running server may be of another version.
    let mut opening = place::opening(&settings)?;
    opening.guest = true;
    let store = place::open(&settings, opening)?;
    let folder = Folder::to_write(path)?;
    let (begun, shown) = (Instant::now(), Shown::new());
    let plan = Plan {
        store: &store,
        migrations: &place::migrations(),
        folder: &folder,
        program: env!("CARGO_PKG_VERSION"),
        clock: Arc::new(Timestamp::now),
        tell: shown.tell(),
    };
    let made = backup::make(&plan);
    drop(plan);
    store.close();
    let made = made?;
    let took = begun.elapsed();
    let kept = make.keep.map(|count| backup::keep(&folder, count as usize)).transpose()?.unwrap_or_default();
    let verified = match make.verify {
        true => Some(backup::verify(&folder, Some(&made.manifest.id), &place::migrations(), &shown.tell())?),
        false => None,
    };
    shown.clear();
    let manifest = &made.manifest;
    let sound = manifest.damaged.is_empty() && verified.as_ref().is_none_or(Verified::is_sound);
    if output.json {
        let told = json!({
            "backup": summary(manifest),
            "written-bytes": made.written,
            "seconds": took.as_secs_f64(),
            "snapshot-seconds": made.snapshot_micros as f64 / 1e6,
            "removed": kept.removed,
            "freed-bytes": kept.freed,
            "verified": verified.as_ref().map(Verified::is_sound),
            "damaged": manifest.damaged,
            "complaints": verified.as_ref().map(|found| found.complaints.clone()).unwrap_or_default(),
        });
        print::json(&told);
    } else {
        let messages = manifest.rows("message");
        print::line(&format!(
            "backup {} of {} and {} ({}) is in {}; {} new, {} written{}",
            manifest.id,
            many(manifest.rows("account"), "account"),
            many(messages, "message"),
            size(manifest.blobs.bytes),
            path.display(),
            counted(manifest.blobs.new_count),
            size(made.written),
            rate(messages, took)
        ));
        if !kept.removed.is_empty() {
            let removed = many(kept.removed.len() as u64, "older backup");
            print::line(&format!("{removed} removed, {} freed", size(kept.freed)));
        }
        for (blob, why) in &manifest.damaged {
            print::complaint(&format!("damaged on the server: {blob}: {why}"));
        }
        if let Some(found) = &verified {
            say_verified(found);
        }
    }
    Ok(code(sound))
}

fn list(path: &Path, output: Output) -> Result<ExitCode> {
    let folder = Folder::to_read(path)?;
    let (mut rows, mut objects, mut sound) = (Vec::new(), Vec::new(), true);
    for id in folder.ids()? {
        match folder.manifest(Some(&id)) {
            Ok(manifest) => {
                rows.push(vec![
                    id,
                    time::shown(manifest.taken()),
                    manifest.rows("account").to_string(),
                    manifest.rows("message").to_string(),
                    size(manifest.blobs.bytes),
                    size(manifest.blobs.new_stored),
                    manifest.database.clone(),
                ]);
                objects.push(summary(&manifest));
            }
            Err(error) => {
                sound = false;
                objects.push(json!({ "id": id, "error": error.to_string() }));
                rows.push(vec![id, error.to_string()]);
            }
        }
    }
    if output.json {
        print::json(&serde_json::Value::Array(objects));
    } else {
        let heads = ["BACKUP", "TAKEN (UTC)", "ACCOUNTS", "MESSAGES", "SIZE", "NEW", "FROM"];
        print::text(&crate::admin::Answer::table(&heads, rows, "no backups").text());
    }
    Ok(code(sound))
}

fn verify(path: &Path, only: Option<&str>, output: Output) -> Result<ExitCode> {
    let folder = Folder::to_read(path)?;
    let (begun, shown) = (Instant::now(), Shown::new());
    let found = backup::verify(&folder, only, &place::migrations(), &shown.tell())?;
    shown.clear();
    if output.json {
        let lost = found.lost.iter().map(|(id, one)| {
            json!({ "backup": id, "account": one.account, "mailbox": one.mailbox, "uid": one.uid, "blob": one.blob })
        });
        let told = json!({
            "sound": found.is_sound(),
            "backups": found.backups,
            "packs": found.packs,
            "bytes": found.bytes,
            "seconds": begun.elapsed().as_secs_f64(),
            "complaints": found.complaints,
            "lost": lost.collect::<Vec<_>>(),
        });
        print::json(&told);
    } else {
        say_verified(&found);
    }
    Ok(code(found.is_sound()))
}

fn say_verified(found: &Verified) {
    for complaint in &found.complaints {
        print::complaint(complaint);
    }
    for (id, one) in found.lost.iter().take(SHOWN_MAX) {
        print::complaint(&format!("  {id}: {}, {}, number {}", one.account, one.mailbox, one.uid));
    }
    if found.lost.len() > SHOWN_MAX {
        print::complaint(&format!("  and {} more; --json shows all", counted((found.lost.len() - SHOWN_MAX) as u64)));
    }
    if found.is_sound() {
        print::line(&format!(
            "{} and {} are as they were written ({} read)",
            many(found.backups, "backup"),
            many(found.packs, "pack"),
            size(found.bytes)
        ));
    }
}

fn summary(manifest: &Manifest) -> serde_json::Value {
    json!({
        "id": manifest.id,
        "taken": time::shown(manifest.taken()),
        "finished": time::shown(Timestamp(manifest.finished)),
        "database": manifest.database,
        "accounts": manifest.rows("account"),
        "messages": manifest.rows("message"),
        "bytes": manifest.blobs.bytes,
        "blobs": manifest.blobs.count,
        "new-blobs": manifest.blobs.new_count,
        "new-bytes": manifest.blobs.new_stored,
    })
}

pub(super) fn code(sound: bool) -> ExitCode {
    if sound { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) }
}

/// `1 message`, `2,000 messages`.
pub(super) fn many(count: u64, what: &str) -> String {
    format!("{} {what}{}", counted(count), if count == 1 { "" } else { "s" })
}

/// Lost messages that are shown one by one.
pub(super) const SHOWN_MAX: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_must_be_named() {
        let make = BackupMake { folder: None, verify: false, keep: None };
        let refused = command(None, &make, &Place::default(), Output::default());
        assert!(refused.is_err());
        assert_eq!([0, 1, 2_000].map(|count| many(count, "pack")), ["0 packs", "1 pack", "2,000 packs"]);
    }
}
