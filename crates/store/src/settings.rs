//! What must be known to open a store.

use std::path::PathBuf;
use std::time::Duration;

/// How a store is opened. [`Settings::new`] fills in what is good for most.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where rows are kept.
    pub database: Database,
    /// Where large blobs are kept.
    pub blobs: BlobPlace,
    /// Blobs up to this many bytes are kept in the database.
    pub inline_limit: usize,
    /// Threads that read, each with a connection of its own.
    pub readers: usize,
    /// PostgreSQL: threads that write, each with a connection of its own. SQLite has one writer.
    pub writers: usize,
    /// A job that takes longer is named in the log.
    pub job_budget: Duration,
    /// PostgreSQL: how long a job waits for a lost connection to come back before it fails.
    pub patience: Duration,
    /// SQLite: another process is the one that writes. The log is then left to it when this store is closed, for taking
    /// it into the database would hold up that process's writes.
    pub guest: bool,
}

/// Where rows are kept.
#[derive(Clone)]
pub enum Database {
    /// A file, made when it is not there. Its folder must exist.
    Sqlite(PathBuf),
    /// `postgres://user@host/database?sslmode=require&sslrootcert=/path/ca.pem`, or `host=/socket/folder user=..`.
    Postgres(String),
    /// In memory, gone when the last [`crate::Store`] of it is dropped. Jobs run inline on the caller's thread.
    Memory,
}

/// Without the URL: a password may be in it.
impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Database::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Database::Postgres(_) => f.write_str("Postgres(…)"),
            Database::Memory => f.write_str("Memory"),
        }
    }
}

/// Where blobs above the inline limit are kept.
#[derive(Debug, Clone)]
pub enum BlobPlace {
    /// A folder, made when it is not there.
    Folder(PathBuf),
    /// An S3-compatible object store.
    S3(S3),
    /// In the database, whatever their size: for tests and simulation.
    Inline,
}

/// An S3-compatible object store.
#[derive(Clone)]
pub struct S3 {
    /// The bucket, which must exist.
    pub bucket: String,
    /// Put before every object's name, for example `mail/`.
    pub prefix: String,
    /// The region; any word for most compatible stores.
    pub region: String,
    /// `https://host[:port]`; `None` is Amazon's for the region. Plain `http://` is allowed when written here.
    pub endpoint: Option<String>,
    /// The access key and the secret; `None` takes them from the environment or the machine's role.
    pub credentials: Option<(String, String)>,
    /// A local folder in which blobs wait while they arrive.
    pub spool: PathBuf,
}

impl std::fmt::Debug for S3 {
    // The secret does not appear in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .field("spool", &self.spool)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Good values for a machine with a few cores.
    pub fn new(database: Database, blobs: BlobPlace) -> Settings {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Settings {
            database,
            blobs,
            inline_limit: crate::BLOB_INLINE_MAX,
            readers: cores.clamp(2, 16),
            // On PostgreSQL they wait for the disk, not for a core: the more wait, the more share a sync.
            writers: (cores * 4).clamp(16, 32),
            job_budget: Duration::from_millis(100),
            patience: Duration::from_secs(2),
            guest: false,
        }
    }

    /// All in memory, for tests and the simulator.
    pub fn memory() -> Settings {
        Settings::new(Database::Memory, BlobPlace::Inline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_do_not_show() {
        let database = Database::Postgres("postgres://us:secret@host/mail".to_owned());
        assert_eq!(format!("{database:?}"), "Postgres(…)");
    }
}
