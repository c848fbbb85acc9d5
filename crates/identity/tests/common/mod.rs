//! What the tests of this crate share.

use postroad_identity::Error;
use postroad_mail::accounts::DIRECTORY_LOCK;
use postroad_store::{Locks, WriteTx};
use postroad_testkit::TestStore;

/// A transaction that must succeed.
pub(crate) fn write<R: Send + 'static>(
    test: &TestStore,
    change: impl FnOnce(&mut WriteTx) -> Result<R, Error> + Send + 'static,
) -> R {
    test.store.write_blocking(Locks::named(DIRECTORY_LOCK), change).expect("written").value
}
