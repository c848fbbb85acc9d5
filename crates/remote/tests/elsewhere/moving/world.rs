//! What the tests share: an account of ours, the desk, and who listens.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use postroad_remote::connection::Manners;
use postroad_remote::desk::{Answer, Desk, NoGrants, Opening, serve};
use postroad_remote::migrate::{Progress, Report, Watch, Wish, migrate};
use postroad_remote::tls::Trust;
use postroad_remote::{Access, Credential, Place, mirror};
use postroad_testkit::Dovecot;

use crate::account::{Account, NOW, block_on};

pub(crate) struct World {
    account: Account,
}

impl std::ops::Deref for World {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.account
    }
}

impl World {
    pub(crate) fn new() -> World {
        World::with_quota(0)
    }

    pub(crate) fn with_quota(quota_messages: u64) -> World {
        World { account: Account::new(quota_messages) }
    }

    pub(crate) fn desk(&self, opening: Opening) -> (Desk, Answer) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (store, alice) = (self.store.clone(), self.id);
        std::thread::spawn(move || {
            let _ = serve(&store, alice, &opening, || NOW, &NoGrants, &theirs, &theirs);
        });
        Desk::connect(ours).unwrap()
    }

    pub(crate) fn migrate(&self, access: &Access, wish: &Wish) -> Report {
        let place = access.place.user.clone();
        let (desk, opened) = self.desk(Opening { outwards: false, place, ignore_quota: false, dry: wish.dry });
        let report = block_on(migrate(access, &desk, &opened, wish, &mut Quiet));
        self.audit();
        report
    }

    /// The same, dropped after a time: as if the process were killed.
    pub(crate) fn migrate_for(&self, access: &Access, wish: &Wish, time: Duration) -> Option<Report> {
        let place = access.place.user.clone();
        let (desk, opened) = self.desk(Opening { outwards: false, place, ignore_quota: false, dry: false });
        block_on(async { tokio::time::timeout(time, migrate(access, &desk, &opened, wish, &mut Quiet)).await.ok() })
    }

    pub(crate) fn mirror(&self, access: &Access, wish: &mirror::Wish) -> Report {
        let place = access.place.user.clone();
        let (desk, _) = self.desk(Opening { outwards: true, place, ignore_quota: false, dry: false });
        block_on(mirror::mirror(access, &desk, wish, &mut Quiet))
    }
}

pub(crate) fn access(user: &str, port: u16) -> Access {
    Access {
        place: Place::parse(&format!("imap+insecure://{user}@127.0.0.1:{port}")).unwrap(),
        credential: Credential::Password(Dovecot::PASSWORD.into()),
        trust: Trust::System,
        manners: Manners { patience: Duration::from_secs(60), bandwidth: None },
    }
}

pub(crate) fn wish() -> Wish {
    Wish { tries: 5, pause: Duration::from_millis(10), ..Wish::default() }
}

pub(crate) fn outwards() -> mirror::Wish {
    mirror::Wish { tries: 5, pause: Duration::from_millis(10), ..mirror::Wish::default() }
}

/// Hears and says nothing.
pub(crate) struct Quiet;

impl Watch for Quiet {
    fn progress(&mut self, _: Progress) {}
    fn say(&mut self, words: &str) {
        println!("{words}");
    }
}

/// All is there, and said to be.
pub(crate) fn proved(report: &Report) {
    assert_eq!(report.error, None);
    assert!(report.is_proved(), "{}", serde_json::to_string_pretty(report).unwrap());
}

pub(crate) fn taken(report: &Report) -> u64 {
    report.folders.iter().map(|folder| folder.taken).sum()
}
