//! Which server a command is about: from `--settings`, `--data`, or what is usual.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use postroad_store::{BlobPlace, Database, S3, Store};

use crate::cli::Place;
use crate::settings::Settings;

/// The settings file that `quickstart` writes into a data folder, and that commands look for there.
pub(crate) const SETTINGS_FILE: &str = "postroad.toml";

/// Where an installed server's settings are.
const SYSTEM_SETTINGS: &str = "/etc/postroad/postroad.toml";

/// The settings for a command: the file named, the data folder's own, the system's, or the defaults for the folder.
pub(crate) fn settings(place: &Place) -> Result<Settings> {
    if let Some(file) = &place.settings {
        let mut settings = Settings::read(file)?;
        if let Some(data) = &place.data {
            settings.data = data.clone();
        }
        return Ok(settings);
    }
    if let Some(data) = &place.data {
        let file = data.join(SETTINGS_FILE);
        let mut settings = if file.is_file() { Settings::read(&file)? } else { Settings::default() };
        settings.data = data.clone();
        return Ok(settings);
    }
    let system = Path::new(SYSTEM_SETTINGS);
    if system.is_file() {
        return Ok(Settings::read(system)?);
    }
    let own = own_folder();
    let file = own.join(SETTINGS_FILE);
    if file.is_file() {
        let mut settings = Settings::read(&file)?;
        settings.data = own;
        return Ok(settings);
    }
    bail!(
        "no server was found: name its folder with --data DIR or its settings with --settings FILE, \
         or make one with `postroad quickstart`"
    )
}

/// Where `quickstart` keeps a server when no folder is named: the user's data folder.
pub(crate) fn own_folder() -> PathBuf {
    let base = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    base.or_else(home).unwrap_or_else(|| PathBuf::from(".")).join("postroad")
}

/// Opens the store that the settings name and brings its tables up to date.
pub(crate) fn open_store(settings: &Settings) -> Result<Store> {
    let store = open(settings, opening(settings)?)?;
    store.migrate(&migrations()).context("the database cannot be brought up to date")?;
    Ok(store)
}

/// Opens a store as `opening` says; its tables stay as they are.
pub(crate) fn open(settings: &Settings, opening: postroad_store::Settings) -> Result<Store> {
    Store::open(opening).with_context(|| format!("the store in {} cannot be opened", settings.data.display()))
}

/// How the store that the settings name is opened.
pub(crate) fn opening(settings: &Settings) -> Result<postroad_store::Settings> {
    let database = match &settings.database.url {
        Some(url) => Database::Postgres(url.clone()),
        None => Database::Sqlite(settings.data.join(SQLITE_FILE)),
    };
    let mut opening = postroad_store::Settings::new(database, blob_place(settings)?);
    opening.inline_limit = usize::try_from(settings.blobs.inline_limit).unwrap_or(usize::MAX);
    Ok(opening)
}

/// The steps of all tables.
pub(crate) fn migrations() -> Vec<postroad_store::Migration> {
    [
        postroad_store::MIGRATIONS,
        postroad_mail::MIGRATIONS,
        postroad_queue::MIGRATIONS,
        postroad_trust::MIGRATIONS,
        postroad_identity::MIGRATIONS,
    ]
    .concat()
}

/// Where the key is that secrets in the database are sealed with. All servers on one database need the same.
pub(crate) fn secret_key(settings: &Settings) -> PathBuf {
    settings.secret_key_file.clone().unwrap_or_else(|| settings.data.join(SECRET_KEY_FILE))
}

/// The key for secrets, when the settings name no other.
const SECRET_KEY_FILE: &str = "secret.key";

/// The database in a data folder, when it is SQLite.
pub(crate) const SQLITE_FILE: &str = "postroad.sqlite";

fn blob_place(settings: &Settings) -> Result<BlobPlace> {
    let blobs = &settings.blobs;
    let Some(bucket) = &blobs.s3_bucket else { return Ok(BlobPlace::Folder(settings.data.join("blobs"))) };
    let credentials = match (&blobs.s3_access_key, &blobs.s3_secret_key_file) {
        (Some(key), Some(file)) => {
            let secret = std::fs::read_to_string(file)
                .with_context(|| format!("blobs.s3-secret-key-file: {} cannot be read", file.display()))?;
            Some((key.clone(), secret.trim().to_string()))
        }
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            bail!("blobs.s3-access-key and blobs.s3-secret-key-file go together: set both or none")
        }
    };
    Ok(BlobPlace::S3(S3 {
        bucket: bucket.clone(),
        prefix: String::new(),
        region: blobs.s3_region.clone().unwrap_or_else(|| "us-east-1".into()),
        endpoint: blobs.s3_endpoint.clone(),
        credentials,
        spool: settings.data.join("spool"),
    }))
}

/// Held by the one server of a data folder while it runs.
pub(crate) struct Lock {
    _file: File,
}

/// One server in a folder: two on one SQLite file would each think themselves the only writer. Makes the folder.
pub(crate) fn lock(data: &Path) -> Result<Lock> {
    make_data_folder(data)?;
    let path = data.join("lock");
    let file = File::create(&path).with_context(|| {
        format!("{} cannot be made; make the data folder writable for the server's user", path.display())
    })?;
    if file.try_lock().is_err() {
        bail!("a server is already running in {}; stop it first, or name another folder with --data", data.display());
    }
    Ok(Lock { _file: file })
}

/// Makes the data folder, for the server's user alone.
fn make_data_folder(data: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .with_context(|| format!("the data folder {} cannot be made; name another with --data", data.display()))
}
