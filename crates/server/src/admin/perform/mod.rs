//! Performs an operation: a transaction or two on the store, and words for what came of it.

mod account;
mod account_limit;
mod alias;
mod app_password;
mod ban;
mod certificate;
mod client_certificate;
mod collect;
mod delegate;
mod dkim;
mod dns;
mod domain;
mod forward;
mod greylist;
mod index;
mod keyed;
mod labels;
mod mailbox;
mod mta_sts;
mod oauth;
mod passkeys;
mod policy;
mod principal;
mod queue;
mod queue_text;
mod report;
mod route;
mod second_step;
mod shaping;
mod share;
mod trace;
mod undelete;

use postroad_mail::accounts::{self, Account, DIRECTORY_LOCK};
use postroad_mail::{Actor, Address, By, Domain, Error, What};
use postroad_store::{Locks, ReadTx, Store, Timestamp, WriteTx};

use super::{Answer, Operation};

/// Performs `operation` at `now`. Blocks on the database; a password is hashed before the transaction.
pub(crate) fn perform(store: &Store, operation: Operation, now: Timestamp) -> Answer {
    let desk = Desk { store, now };
    let outcome = match operation {
        Operation::DomainAdd { name } => domain::add(&desk, &name),
        Operation::DomainList => domain::list(&desk),
        Operation::DomainRemove { name } => domain::remove(&desk, &name),
        Operation::DomainAlias { alias, domain } => domain::alias(&desk, &alias, &domain),
        Operation::DomainUnalias { alias } => domain::unalias(&desk, &alias),
        Operation::DomainCatchAll { name, target } => domain::catch_all(&desk, &name, target.as_deref()),
        Operation::AccountAddShared { address, name, quota } => {
            share::add_account(&desk, &address, name.unwrap_or_default(), quota)
        }
        Operation::AccountAdd { address, name, password, quota } => {
            account::add(&desk, &address, name.unwrap_or_default(), &password, quota)
        }
        Operation::AccountList { domain } => account::list(&desk, domain.as_deref()),
        Operation::AccountShow { address } => account::show(&desk, &address),
        Operation::AccountPassword { address, password } => account::password(&desk, &address, &password),
        Operation::AccountQuota { address, size, messages } => account::quota(&desk, &address, size, messages),
        Operation::AccountLabels { address, order } => labels::perform(&desk, &address, order),
        Operation::AccountLimit { address, wish, usual } => account_limit::perform(&desk, &address, wish, &usual),
        Operation::AccountDelegate { address, delegate, granted } => {
            delegate::change(&desk, &address, &delegate, granted)
        }
        Operation::AccountDelegates { address } => delegate::list(&desk, &address),
        Operation::AccountKeyed { address, mechanism, order, offered } => {
            keyed::perform(&desk, &address, mechanism, order, offered)
        }
        Operation::AccountPasskeys { address, order } => passkeys::perform(&desk, &address, order),
        Operation::AccountSecondStep { address, order } => second_step::perform(&desk, &address, order),
        Operation::AccountSuspend { address } => account::set_state(&desk, &address, accounts::State::Suspended),
        Operation::AccountResume { address } => account::set_state(&desk, &address, accounts::State::Active),
        Operation::AccountRemove { address } => account::remove(&desk, &address),
        Operation::AccountAudit { address } => account::audit(&desk, address.as_deref()),
        Operation::AccountSessions { address } => oauth::sessions(&desk, &address),
        Operation::AccountCutOff { address, id } => oauth::cut_off(&desk, &address, id),
        Operation::Oauth { order } => oauth::perform(&desk, order),
        Operation::AliasAdd { address, targets } => alias::add(&desk, &address, &targets),
        Operation::AliasList { domain } => alias::list(&desk, domain.as_deref()),
        Operation::AliasRemove { address } => alias::remove(&desk, &address),
        Operation::ForwardSet { address, targets, keep } => forward::set(&desk, &address, &targets, keep),
        Operation::ForwardShow { address } => forward::show(&desk, address.as_deref()),
        Operation::ForwardRemove { address } => forward::remove(&desk, &address),
        Operation::QueueList { wish } => queue::list(&desk, &wish),
        Operation::QueueShow { id } => queue::show(&desk, &id),
        Operation::QueueOrder { order, selection, sure } => queue::order(&desk, order, &selection, sure),
        Operation::RouteAdd { route } => route::add(&desk, route),
        Operation::Collect { order } => collect::perform(&desk, order),
        Operation::RouteLogin { login } => route::login(&desk, login),
        Operation::RouteList => route::list(&desk),
        Operation::RouteRemove { domain } => route::remove(&desk, &domain),
        Operation::AppPasswordAdd { address, name, scope, expires_days } => {
            app_password::add(&desk, &address, name, &scope, expires_days)
        }
        Operation::AppPasswordList { address } => app_password::list(&desk, &address),
        Operation::AppPasswordRemove { address, name } => app_password::remove(&desk, &address, &name),
        Operation::ClientCertificateAdd { address, name, fingerprint } => {
            client_certificate::add(&desk, &address, name, &fingerprint)
        }
        Operation::ClientCertificateList { address } => client_certificate::list(&desk, &address),
        Operation::ClientCertificateRemove { address, name } => client_certificate::remove(&desk, &address, &name),
        Operation::PrincipalAdd { address, principal } => principal::add(&desk, &address, principal),
        Operation::PrincipalList { address } => principal::list(&desk, &address),
        Operation::PrincipalRemove { address, principal } => principal::remove(&desk, &address, principal),
        Operation::MailboxList { address } => mailbox::list(&desk, &address),
        Operation::MailboxCreate { address, name } => mailbox::create(&desk, &address, &name),
        Operation::MailboxRename { address, from, to } => mailbox::rename(&desk, &address, &from, &to),
        Operation::MailboxDelete { address, name } => mailbox::delete(&desk, &address, &name),
        Operation::MailboxShare { address, name, who, rights } => share::share(&desk, &address, &name, &who, &rights),
        Operation::MailboxUnshare { address, name, who } => share::unshare(&desk, &address, &name, &who),
        Operation::MailboxShares { address } => share::shares(&desk, &address),
        Operation::MailboxDeleted { address, mailbox: None } => undelete::sources(&desk, &address),
        Operation::MailboxDeleted { address, mailbox: Some(mailbox) } => undelete::messages(&desk, &address, &mailbox),
        Operation::MailboxRestore { address, mailbox, numbers, into } => {
            undelete::restore(&desk, &address, &mailbox, numbers.as_deref(), into.as_deref())
        }
        Operation::IndexStatus { address } => index::status(&desk, address.as_deref()),
        Operation::IndexRebuild { address } => index::rebuild(&desk, address.as_deref()),
        Operation::Ban { order } => ban::perform(&desk, order),
        Operation::Greylist { order } => greylist::perform(&desk, order),
        Operation::Certificate { order } => certificate::perform(&desk, order),
        Operation::Dkim { order } => dkim::perform(&desk, order),
        Operation::DnsFacts { domain, hostname } => dns::facts(&desk, &domain, &hostname),
        Operation::MtaSts { order } => mta_sts::perform(&desk, order),
        Operation::Policy { order } => policy::perform(&desk, order),
        Operation::Shaping { order } => shaping::perform(&desk, order),
        Operation::Report { order } => report::perform(&desk, order),
        Operation::Trace { key, since_seconds, limit } => trace::stories(&desk, &key, since_seconds, limit),
    };
    outcome.unwrap_or_else(|refusal| Answer::Refused { text: refusal.0 })
}

/// What every operation works with.
struct Desk<'a> {
    store: &'a Store,
    now: Timestamp,
}

/// Why an operation was not carried out: a sentence for the administrator.
struct Refusal(String);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => Refusal(format!("{error}: {}", error.next_step())),
            other => Refusal(other.to_string()),
        }
    }
}

impl From<postroad_store::Error> for Refusal {
    fn from(error: postroad_store::Error) -> Self {
        Refusal::from(Error::Store(error))
    }
}

impl From<postroad_queue::Error> for Refusal {
    fn from(error: postroad_queue::Error) -> Self {
        match error {
            postroad_queue::Error::Store(error) => Refusal::from(error),
            other @ (postroad_queue::Error::Recipients
            | postroad_queue::Error::Lost
            | postroad_queue::Error::Corrupt(_)) => Refusal(other.to_string()),
        }
    }
}

type Outcome<T = Answer> = Result<T, Refusal>;

impl Desk<'_> {
    fn by(&self) -> By {
        By::new(self.now, Actor::Admin)
    }

    fn read<R: Send + 'static>(
        &self,
        look: impl FnOnce(&ReadTx) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        self.store.read_blocking(look)
    }

    fn write<R: Send + 'static>(
        &self,
        locks: Locks,
        change: impl FnOnce(&mut WriteTx) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        self.store.write_blocking(locks, change).map(|stored| stored.value)
    }

    /// Changes of domains, addresses and accounts.
    fn directory<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut WriteTx, &By) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        let by = self.by();
        self.write(Locks::named(DIRECTORY_LOCK), move |tx| change(tx, &by))
    }

    /// The account at an address.
    fn account(&self, text: &str) -> Outcome<Account> {
        let address = address(text)?;
        let found = self.read(move |tx| accounts::find(tx, &address))?;
        found.ok_or_else(|| Refusal(format!("there is no account {text}; `postroad account list` shows all")))
    }

    /// Changes of one account.
    fn of_account<R: Send + 'static>(
        &self,
        account: &Account,
        change: impl FnOnce(&mut WriteTx, &By) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        let by = self.by();
        self.write(Locks::named(DIRECTORY_LOCK).and(Locks::account(account.id)), move |tx| change(tx, &by))
    }
}

fn address(text: &str) -> Outcome<Address> {
    Address::parse(text).map_err(|error| Refusal(format!("{text} is not an address: {error}")))
}

fn domain_name(text: &str) -> Outcome<Domain> {
    Domain::parse(text).map_err(|error| Refusal(format!("{text} is not a domain: {error}")))
}

/// Words for the two errors that name what the administrator typed.
fn about(subject: &str) -> impl Fn(Error) -> Refusal + '_ {
    move |error| match error {
        Error::Exists(what) => Refusal(format!("{subject}: this {what} exists already")),
        Error::NotFound(What::Domain) => {
            Refusal(format!("{subject}: the domain is not one of this server; add it with `postroad domain add`"))
        }
        Error::NotFound(what) => Refusal(format!("{subject}: there is no such {what}")),
        other => Refusal::from(other),
    }
}

/// A size for people: 512, 1.5K, 20M.
fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["", "K", "M", "G"] {
        if value < 1024.0 {
            let digits = usize::from(value < 10.0 && !unit.is_empty());
            return format!("{value:.digits$}{unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1}T")
}

/// A quota for people; 0 is none.
fn limit(bytes: u64) -> String {
    if bytes == 0 { "no limit".into() } else { size(bytes) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_read_well() {
        let shown: Vec<_> = [0, 1023, 1024, 1536, 20 << 20, 3 << 40].map(super::size).into();
        assert_eq!(shown, ["0", "1023", "1.0K", "1.5K", "20M", "3.0T"]);
    }
}
