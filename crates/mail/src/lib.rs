//! What mail means: accounts, domains, addresses, mailboxes, messages, flags, threads, journal, quota.
//!
//! Every function here is synchronous and takes a transaction first: `&ReadTx` looks, `&mut WriteTx`
//! changes. A function that changes an account also takes [`By`]: who does it and when. The caller of
//! a change holds the account's lock (`Locks::account(id)`); the functions never lock, never read a
//! clock, never touch a socket and never hash a password inside a transaction.
//!
//! Invariants, kept by every function and checked by [`audit`]:
//! 1. An operation raises `account.modseq` by exactly one, appends exactly one journal row with it,
//!    and publishes it at COMMIT.
//! 2. Uids of a mailbox strictly rise in the order of arrival and are never given twice; a uidvalidity
//!    is never given twice in an account.
//! 3. The counters of mailboxes (messages, unseen, deleted, size) and of accounts (used bytes and
//!    messages) equal a recount at every COMMIT.
//! 4. An entry's modseq is the modseq of the operation that last changed its flags or made it; a
//!    mailbox's highest modseq is that of the last operation that touched its entries.
//! 5. A message's content counts once against the quota, however many mailboxes it is in, and as long
//!    as at least one live entry refers to it.
//! 6. What was removed stays in `expunged` until the retention has passed.
//!
//! Standards: RFC 9051 (what IMAP needs of a mailbox), RFC 7162 (modseq, vanished), RFC 6154 (roles),
//! RFC 8474 (object ids), RFC 9208 (quota), RFC 5321 (addresses), RFC 8265 (PRECIS), RFC 5891 (IDNA).

pub mod accounts;
pub mod acl;
pub mod across;
pub mod addresses;
pub mod audit;
pub mod batch;
pub mod changes;
pub mod copy;
pub mod credentials;
pub mod deliver;
pub mod domains;
pub mod expunge;
pub mod flags;
pub mod forwards;
pub mod history;
pub mod imports;
pub mod index;
pub mod intake;
pub mod journal;
pub mod labels;
pub mod login_cache;
pub mod mailboxes;
pub mod maildrop;
pub mod metadata;
pub mod methods;
pub mod part;
pub mod password;
pub mod quota;
pub mod remote;
pub mod resolve;
pub mod restored;
pub mod retention;
pub mod undelete;
pub mod urlauth;
pub mod view;

mod address;
mod by;
mod error;
mod ids;
mod keyword;
mod keywords;
mod mailbox_changes;
mod mailbox_name;
mod pages;
mod rights;
mod role;
mod rows;
mod schema;
mod selected;
mod sql;
mod uidset;

pub use address::{Address, Domain};
pub use by::{Actor, By, Service};
pub use credentials::{Authenticated, Candidates, Refused};
pub use deliver::{Delivered, Filing, Kept};
pub use error::{AddressError, Bound, Error, NameError, Result, What};
pub use expunge::Expunged;
pub use flags::{Changed, FlagChange};
pub use ids::{MailboxId, MessageId, ThreadId};
pub use imports::{Incoming, Source};
pub use intake::{Arrival, Fed, Intake};
pub use keyword::{Flags, Keyword, Keywords, MAX_KEYWORDS};
pub use login_cache::LoginCache;
pub use mailbox_name::MailboxName;
pub use mailboxes::{Listed, Mailbox};
pub use pages::read_page;
pub use resolve::Resolution;
pub use rights::Rights;
pub use role::Role;
pub use schema::MIGRATIONS;
pub use uidset::UidSet;
pub use view::{Entry, Facts, Query, Want};
