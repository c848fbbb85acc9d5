//! A server that sends, in a world of a fixed DNS and of remote servers that behave as the test wants.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postroad_dns::{Dns, Fixed};
use postroad_login::Clock;
use postroad_mta::outbound::{Ourselves, Outbound, Settings};
use postroad_net::Stop;
use postroad_queue as queue;
use postroad_queue::{Body, Notify, Outgoing, QueueId, Recipient, Route, RouteTls};
use postroad_store::{Locks, Timestamp, TraceId, new_id, trace};
use postroad_testkit::{SharedPort, TestStore, eventually};

/// The message that is sent when nothing else is said.
pub(crate) const MESSAGE: &str =
    "Return-Path: <alice@us.test>\r\nFrom: alice@us.test\r\nTo: bob@there.test\r\nSubject: Lunch\r\n\r\nAt noon?\r\n";

/// Ended with its connections when it is dropped.
pub(crate) struct World {
    pub(crate) test: Arc<TestStore>,
    pub(crate) port: SharedPort,
    runtime: tokio::runtime::Runtime,
    running: Option<tokio::task::JoinHandle<()>>,
    stop: Stop,
}

impl World {
    /// Sends what is in the queue. `zone` makes the DNS, given the port on which all remote servers listen.
    pub(crate) fn new(
        test: impl Into<Arc<TestStore>>,
        zone: impl FnOnce(&SharedPort) -> Fixed,
        change: impl FnOnce(&mut Settings),
    ) -> World {
        let port = SharedPort::find();
        let zone = zone(&port);
        World::with(test, port, Arc::new(zone), change)
    }

    pub(crate) fn with(
        test: impl Into<Arc<TestStore>>,
        port: SharedPort,
        dns: Arc<dyn Dns>,
        change: impl FnOnce(&mut Settings),
    ) -> World {
        let test = test.into();
        let mut settings = Settings::new("us.test");
        settings.port = port.number();
        settings.allow_loopback = true;
        settings.grace = Duration::from_millis(200);
        change(&mut settings);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let clock: Clock = Arc::new(Timestamp::now);
        let ourselves = Ourselves {
            names: vec!["us.test".into()],
            listeners: vec![SocketAddr::from(([127, 0, 0, 1], port.number()))],
        };
        let outbound = Outbound::new(test.store.clone(), settings, dns, ourselves, clock, "node", 7).expect("TLS");
        let stop = Stop::new();
        let running = Some(runtime.spawn(outbound.run(stop.clone())));
        World { test, port, runtime, running, stop }
    }

    /// Stops sending and waits for it.
    pub(crate) fn stop(&mut self) {
        self.stop.stop();
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running).expect("sending ends without a panic");
        }
    }

    /// Puts a message into the queue.
    pub(crate) fn send(&self, bytes: &[u8], to: &[&str], change: impl FnOnce(&mut Outgoing)) -> Sent {
        send(&self.test, bytes, to, change)
    }

    /// What the story of a message says once `outcomes` recipients have an outcome, without addresses of this machine.
    pub(crate) fn story(&self, sent: &Sent, outcomes: usize) -> Vec<String> {
        eventually("an outcome", || {
            let trace = sent.trace;
            let look = self.test.store.read_blocking(move |tx| trace::story(tx, trace));
            let events = look.expect("it can be read");
            let is_outcome = |kind: &str| matches!(kind, "sent" | "failed" | "deferred");
            if events.iter().filter(|event| is_outcome(&event.kind)).count() < outcomes {
                return None;
            }
            // What refusals mean is told by tests of its own.
            let told = events.iter().filter(|event| event.kind != "meaning");
            let lines = told.map(|event| format!("{}: {}", event.kind, event.detail));
            let port = format!(":{}", self.port.number());
            let without_time = |line: String| line.split("; next try ").next().unwrap_or_default().to_owned();
            Some(
                lines.map(|line| without_time(line.replace(&port, "").replace(&format!("{} ", sent.id), ""))).collect(),
            )
        })
    }

    /// Makes a route.
    pub(crate) fn route(&self, domain: &str, host: String, tls: RouteTls, change: impl FnOnce(&mut Route)) {
        let port = self.port.number();
        let mut route = Route { domain: domain.into(), host, port, tls, ca: None, login: None };
        change(&mut route);
        let now = Timestamp::now();
        let made = self.test.store.write_blocking(Locks::none(), move |tx| queue::put_route(tx, &route, now));
        made.expect("a route");
    }

    /// Destinations that are blocked.
    pub(crate) fn destinations(&self) -> Vec<queue::Destination> {
        self.test.store.read_blocking(|tx| queue::destinations(tx, None, 100)).expect("it can be read")
    }

    /// Recipients in the queue.
    pub(crate) fn waiting(&self) -> u64 {
        self.test.store.read_blocking(queue::depth).expect("it can be read").recipients
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

/// A message in the queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) id: QueueId,
    pub(crate) trace: TraceId,
}

/// Puts a message into the queue of a store.
pub(crate) fn send(test: &TestStore, bytes: &[u8], to: &[&str], change: impl FnOnce(&mut Outgoing)) -> Sent {
    let mut upload = test.store.upload();
    upload.write(bytes).expect("it is taken");
    let prepared = upload.finish(Vec::new()).expect("it is stored");
    let trace = TraceId(new_id());
    let recipients = to.iter().map(|address| Recipient {
        address: (*address).to_owned(),
        domain: address.rsplit_once('@').expect("a domain").1.to_ascii_lowercase(),
        notify: Notify::default(),
        orcpt: None,
        via: None,
        valid_since: None,
    });
    let mut outgoing = Outgoing {
        blob: postroad_store::BlobId(0),
        size: bytes.len() as u64,
        // Nobody to be told: notices are another matter.
        sender: String::new(),
        account: None,
        standing: postroad_queue::Standing::Unknown,
        envid: None,
        ret: None,
        body: Body::SevenBit,
        smtputf8: false,
        requiretls: false,
        trace: Some(trace),
        hold_until: None,
        hold_asked: None,
        deliver_by: None,
        priority: 0,
        solicitation: None,
        terms: queue::Terms::default(),
        recipients: recipients.collect(),
    };
    change(&mut outgoing);
    let written = test.store.write_blocking(Locks::none(), move |tx| {
        let blob = tx.blob_put(&prepared)?;
        outgoing.blob = blob;
        let id = queue::enqueue(tx, &outgoing, Timestamp::now())?;
        tx.blob_release(blob, 1)?;
        Ok::<_, queue::Error>(id)
    });
    Sent { id: written.expect("it is queued").value, trace }
}

/// The tables that sending needs.
pub(crate) const MIGRATIONS: &[&[postroad_store::Migration]] =
    &[postroad_mail::MIGRATIONS, postroad_queue::MIGRATIONS, postroad_trust::MIGRATIONS];
