//! The same test on every store: in memory, SQLite in a temporary folder, a real PostgreSQL.

use std::path::Path;

use postroad_store::{BlobPlace, Database, Migration, Settings, Store};

use crate::postgres;

/// A migrated store of a test's own; everything it made goes when it is dropped.
pub struct TestStore {
    /// `memory`, `sqlite` or `postgres`.
    pub name: &'static str,
    /// The store.
    pub store: Store,
    settings: Settings,
    folder: tempfile::TempDir,
    database_url: Option<String>,
}

impl TestStore {
    /// A store in memory; blobs above the limit are files.
    pub fn memory(migrations: &[&[Migration]]) -> TestStore {
        TestStore::open("memory", migrations, None, |_| Database::Memory)
    }

    /// A SQLite file in a temporary folder.
    pub fn sqlite(migrations: &[&[Migration]]) -> TestStore {
        TestStore::open("sqlite", migrations, None, |folder| Database::Sqlite(folder.join("postroad.sqlite")))
    }

    /// A fresh database on this process's PostgreSQL.
    pub fn postgres(migrations: &[&[Migration]]) -> TestStore {
        let url = postgres::fresh_database();
        TestStore::open("postgres", migrations, Some(url.clone()), |_| Database::Postgres(url))
    }

    /// The temporary folder that holds the SQLite file and, in `blobs`, the large blobs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How the store was opened: another node on the same database is `Store::open(test.settings())`.
    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    fn open(
        name: &'static str,
        migrations: &[&[Migration]],
        database_url: Option<String>,
        database: impl FnOnce(&Path) -> Database,
    ) -> TestStore {
        let folder =
            tempfile::Builder::new().prefix("postroad-store-").tempdir().expect("a temporary folder can be made");
        let database = database(folder.path());
        let mut settings = Settings::new(database, BlobPlace::Folder(folder.path().join("blobs")));
        // Many stores are open at a time in a test run, each with little to do.
        settings.readers = 2;
        settings.writers = 3;
        let store =
            Store::open(settings.clone()).unwrap_or_else(|error| panic!("the {name} store does not open: {error}"));
        // The store's own tables come first, and once.
        let mut all = postroad_store::MIGRATIONS.to_vec();
        for list in migrations {
            all.extend(list.iter().filter(|migration| migration.owner != "store"));
        }
        store.migrate(&all).unwrap_or_else(|error| panic!("the {name} store cannot be migrated: {error}"));
        TestStore { name, store, settings, folder, database_url }
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        self.store.close();
        if let Some(url) = &self.database_url
            && !std::thread::panicking()
        {
            postgres::drop_database(url);
        }
    }
}

/// One store of each kind, with the tables of the store and of the given owners
/// (`&[mail::MIGRATIONS, queue::MIGRATIONS]`).
pub fn stores(migrations: &[&[Migration]]) -> Vec<TestStore> {
    vec![TestStore::memory(migrations), TestStore::sqlite(migrations), TestStore::postgres(migrations)]
}

/// Runs a test on each store, and says on which one it failed.
pub fn each_store(migrations: &[&[Migration]], test: impl Fn(&TestStore)) {
    for store in stores(migrations) {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&store)));
        if let Err(panic) = result {
            let why = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("a panic without words");
            panic!("on the {} store: {why}", store.name);
        }
    }
}
