//! Accounts in a real store, and when and from where somebody logs in to them.

#![allow(dead_code, reason = "each test file uses a part")]

use std::net::{IpAddr, Ipv4Addr};

use postroad_mail::accounts::{self, DIRECTORY_LOCK, NewAccount};
use postroad_mail::password::PasswordHash;
use postroad_mail::{Actor, Address, By, Domain, Error, domains};
use postroad_store::{AccountId, Locks, Store, Timestamp, WriteTx};

pub(crate) const NOW: Timestamp = Timestamp(1_795_338_907_000_000);
pub(crate) const FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

pub(crate) fn by() -> By {
    By::new(NOW, Actor::Admin)
}

pub(crate) fn change<R: Send + 'static>(
    store: &Store,
    act: impl FnOnce(&mut WriteTx) -> Result<R, Error> + Send + 'static,
) -> Result<R, Error> {
    store.write_blocking(Locks::named(DIRECTORY_LOCK), act).map(|stored| stored.value)
}

/// An account in a domain that is there.
pub(crate) fn account(
    tx: &mut WriteTx,
    local: &str,
    domain: &str,
    password: Option<PasswordHash>,
) -> Result<AccountId, Error> {
    let address = Address::new(local, domain).map_err(Error::AddressInvalid)?;
    let new = NewAccount { address, display_name: String::new(), password, quota_bytes: 0, quota_messages: 0 };
    accounts::create(tx, &by(), &new)
}

/// A domain.
pub(crate) fn domain(tx: &mut WriteTx, name: &str) -> Result<(), Error> {
    domains::create(tx, &by(), &Domain::parse(name).map_err(Error::AddressInvalid)?)
}

/// Alice in `corp.example.test` and Bob in `example.test`, whose password is `right`; Alice's number.
pub(crate) fn two_in_two_domains(store: &Store) -> AccountId {
    let hash = PasswordHash::of_password("right").expect("a hash");
    let made = change(store, move |tx| {
        domain(tx, "corp.example.test")?;
        domain(tx, "example.test")?;
        let alice = account(tx, "alice", "corp.example.test", Some(hash.clone()))?;
        account(tx, "bob", "example.test", Some(hash))?;
        Ok(alice)
    });
    made.expect("two accounts")
}
