//! The database goes away between `354` and the end of the message, while the mail is being looked at: it is put off, and
//! taken whole when it comes again.

mod town;

use std::sync::Arc;

use postroad_dns::Fixed;
use postroad_mta::{Checker, Gate, GreylistMode, GreylistSettings, Session};
use postroad_smtp::Stage;
use postroad_store::{BlobPlace, Database, Settings, Store};
use postroad_testkit::postgres::{Durability, Server};
use postroad_testkit::transcript::{self, Directive, Open};
use postroad_trust::greylist::Terms;
use town::{MIGRATIONS, Town};

/// A town whose database can be stopped.
struct Dying {
    town: Town,
    postgres: Server,
}

impl transcript::Stage<Session> for Dying {
    fn open(&mut self, open: &Open) -> Result<Session, String> {
        self.town.open(open)
    }

    fn perform(&mut self, session: Session, stage: Stage) -> Session {
        self.town.perform(session, stage)
    }

    fn directive(&mut self, directive: &Directive) -> Result<(), String> {
        match directive.name.as_str() {
            "database-dies" => self.postgres.stop(),
            "database-is-back" => self.postgres.start_again(),
            _ => return self.town.directive(directive),
        }
        Ok(())
    }
}

#[test]
fn a_database_that_dies_at_the_end_of_data_loses_nothing() {
    let postgres = Server::start(Durability::Synced);
    let folder = tempfile::tempdir().expect("a folder");
    let place = BlobPlace::Folder(folder.path().join("blobs"));
    let mut settings = Settings::new(Database::Postgres(postgres.fresh_database()), place);
    (settings.readers, settings.writers) = (2, 2);
    let store = Store::open(settings).expect("the database is there");
    store.migrate(&[&[postroad_store::MIGRATIONS], MIGRATIONS].concat().concat()).expect("tables");
    let names = Fixed::new()
        .with_txt("neat.test", "v=spf1 ip4:203.0.113.7 -all")
        .with_txt("_dmarc.neat.test", "v=DMARC1; p=reject")
        .with_ptr([203, 0, 113, 7], "mx.neat.test")
        .with_address("mx.neat.test", [203, 0, 113, 7]);
    let gate = Gate::new(Vec::new())
        .with_greylist(GreylistSettings { mode: GreylistMode::Suspicious, terms: Terms::default() });
    let town = Town::checked(&store, Checker::asking(Arc::new(names))).behind(gate);
    let text = "\
@open 1 relay from 203.0.113.7
S: 220 {*}
C: EHLO mx.neat.test
S*: 250 {*}
C: MAIL FROM:<a@neat.test>
S: 250 {*}
C: RCPT TO:<alice@example.test>
S: 250 {*}
C: DATA
S: 354 {*}
C: From: a@neat.test
C: Subject: before
@database-dies
C: 
C: Nobody is there to take it.
C: .
S: 451 4.3.{*}
C: MAIL FROM:<a@neat.test>
S: 250 {*}
C: RCPT TO:<alice@example.test>
S: 451 4.3.{*}
C: RSET
S: 250 {*}
@database-is-back
@count alice@example.test INBOX 0
C: MAIL FROM:<a@neat.test>
S: 250 {*}
C: RCPT TO:<alice@example.test>
S: 250 {*}
C: DATA
S: 354 {*}
C: From: a@neat.test
C: Subject: after
C: 
C: It came again.
C: .
S: 250 2.0.0 {*}
@count alice@example.test INBOX 1
C: QUIT
S: 221 {*}
";
    transcript::check(text, Dying { town, postgres });
    store.close();
}
