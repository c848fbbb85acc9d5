//! An authority, the DNS that it asks, and servers that get certificates from it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use postroad_dns::Resolver;
use postroad_net::{
    Bound, Certificates, Door, Inherited, LimitSettings, Limits, Listener, Stop, Times, Tls, TlsMode, bind,
};
use postroad_store::{Store, Timestamp};
use postroad_testkit::pebble::Habits;
use postroad_testkit::{DnsServer, Pebble, TestStore, Zone, eventually, run};
use postroad_trust::certificates::{self, Certificate, CertificateState, Line};
use postroad_web::acme::{Answers, Challenge, Clock, Keeper, Settings, Shown, Wanted};
use postroad_web::{About, Recorder, Site};

pub(crate) const HOST: &str = "mail.example.test";
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A time of day that the test moves.
#[derive(Clone)]
pub(crate) struct Moved(Arc<AtomicI64>);

impl Moved {
    pub(crate) fn on(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).expect("less than an age"), Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let this = self.clone();
        Arc::new(move || Timestamp(Timestamp::now().0 + this.0.load(Ordering::SeqCst)))
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock())()
    }
}

/// Everything outside of the servers, and the ports where authorities look.
pub(crate) struct World {
    pub(crate) dns: DnsServer,
    pub(crate) pebble: Pebble,
    pub(crate) moved: Moved,
    sockets: Option<(Bound, Bound)>,
    pub(crate) tls: SocketAddr,
}

impl World {
    /// All names of example.test lead to this machine.
    pub(crate) fn new() -> World {
        World::with("*.example.test. A 127.0.0.1\nexample.test. A 127.0.0.1\n", |_| {})
    }

    pub(crate) fn with(records: &str, other: impl FnOnce(&mut Habits)) -> World {
        World::around(DnsServer::start(records), other)
    }

    pub(crate) fn in_zones(zones: Vec<Zone>) -> World {
        World::around(DnsServer::serve(zones), |_| {})
    }

    fn around(dns: DnsServer, other: impl FnOnce(&mut Habits)) -> World {
        let free = "127.0.0.1:0".parse().expect("an address");
        let http = bind(Listener::new("web", free), &mut Inherited::none()).expect("a socket");
        let tls = Listener { tls: TlsMode::Implicit, alpn: vec![b"http/1.1".to_vec()], ..Listener::new("https", free) };
        let tls = bind(tls, &mut Inherited::none()).expect("a socket");
        let mut habits = Habits::looking_at(http.address.port(), tls.address.port());
        other(&mut habits);
        let pebble = Pebble::start(dns.address(), &habits);
        let at = tls.address;
        World { dns, pebble, moved: Moved(Arc::default()), sockets: Some((http, tls)), tls: at }
    }

    /// A node on this store that also listens where the authority looks.
    pub(crate) fn server(&mut self, store: &Store) -> Server {
        let sockets = self.sockets.take().expect("only one server listens");
        let server = self.node(store);
        let answers = Answers::new(store.clone(), self.moved.clock());
        let tls = Tls::new(Arc::clone(&server.certificates)).expect("TLS").with_challenges(Arc::new(answers));
        let limits = Limits::new(LimitSettings::default(), None);
        let door = Door::new(limits, Some(tls), server.stop.clone(), Times::default(), 1);
        let site = Arc::new(Site::new(store.clone(), Recorder::new(), About { https: Some(443), ..About::default() }));
        tokio::spawn(postroad_web::serve(sockets.0, door.clone(), Arc::clone(&site)));
        tokio::spawn(postroad_web::serve(sockets.1, door, site));
        server
    }

    /// A node on this store.
    pub(crate) fn node(&self, store: &Store) -> Server {
        let certificates = Certificates::load(Vec::new()).expect("none at first");
        let stop = Stop::new();
        let shown = Shown::new(store.clone(), Arc::clone(&certificates), HOST);
        tokio::spawn(shown.follow(stop.clone()));
        Server { store: store.clone(), certificates, stop }
    }

    /// Settings for this authority.
    pub(crate) fn settings(&self, challenges: &[Challenge]) -> Settings {
        Settings {
            contact: vec!["mailto:postmaster@example.test".into()],
            authorities: Some(self.pebble.root()),
            challenges: challenges.to_vec(),
            patience: Duration::from_secs(60),
            ..Settings::new(self.pebble.directory())
        }
    }

    /// A keeper for a node of this name.
    pub(crate) fn keeper(&self, store: &Store, settings: Settings, wanted: Wanted, node: &str) -> Keeper {
        let dns = Arc::new(Resolver::at(self.dns.address()).expect("a resolver"));
        Keeper::new(store.clone(), settings, wanted, dns, self.moved.clock(), node)
    }
}

/// What one node shows.
pub(crate) struct Server {
    pub(crate) store: Store,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) stop: Stop,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

pub(crate) fn only_host() -> Wanted {
    Wanted { host: HOST.into(), ..Wanted::default() }
}

pub(crate) fn line(store: &Store, name: &str) -> Line {
    let of = name.to_owned();
    let found = store.read_blocking(move |tx| certificates::line(tx, &of)).expect("the tables are there");
    found.unwrap_or_else(|| panic!("there is no line {name}"))
}

/// The certificate in use of a line.
pub(crate) fn in_use(store: &Store, line: &str) -> Option<Certificate> {
    let all = store.read_blocking(certificates::certificates).expect("the tables are there");
    all.into_iter().find(|one| one.line == line && one.state == CertificateState::InUse)
}

pub(crate) fn spki(store: &Store, line: &str) -> Vec<Vec<u8>> {
    let of = line.to_owned();
    let keys = store.read_blocking(move |tx| certificates::keys(tx, Some(&of))).expect("the tables are there");
    keys.into_iter().map(|key| key.spki).collect()
}

/// The serial number that a client is shown.
pub(crate) fn shown(at: SocketAddr, name: &str) -> Option<String> {
    let line = format!(
        "openssl s_client -connect {at} -servername {name} </dev/null 2>/dev/null | openssl x509 -noout -serial 2>/dev/null"
    );
    let said = run("/bin/sh", &["-c", &line], b"");
    said.out.trim().strip_prefix("serial=").map(str::to_ascii_lowercase)
}

/// Waits until clients are shown this certificate.
pub(crate) fn wait_until_shown(at: SocketAddr, name: &str, serial: &str) {
    eventually(&format!("{serial} for {name}"), || {
        shown(at, name).filter(|shown| shown.trim_start_matches('0') == serial.trim_start_matches('0'))
    });
}

/// Every table, on each database.
pub(crate) fn each(test: impl Fn(&TestStore)) {
    let tables = [postroad_mail::MIGRATIONS, postroad_queue::MIGRATIONS, postroad_trust::MIGRATIONS];
    postroad_testkit::each_store(&tables, test);
}

pub(crate) fn sqlite() -> TestStore {
    TestStore::sqlite(&[postroad_mail::MIGRATIONS, postroad_queue::MIGRATIONS, postroad_trust::MIGRATIONS])
}

/// Runs a test's future with threads for what it serves.
pub(crate) fn go<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime needs only memory and threads").block_on(future)
}
