//! One attempt: a job is taken to the hosts of its destination until each recipient has a verdict.
//!
//! 1. The next host is tried when one cannot be reached, does not want to talk, or lacks what the message needs; never
//!    because it refused a recipient, and never when it may have taken the message already.
//! 2. A recipient that one host has answered for is not offered to the next.
//! 3. TLS that fails costs another connection in clear only where no policy asks for better (`security`, `open`).
//! 4. A host that is known not to work is passed over, and one whose connections are all taken is waited for; neither is
//!    an attempt, and nobody is charged one where nothing else was tried.
//!
//! Standards: RFC 5321 §4.5.4.1 and §5.1, RFC 8689 (REQUIRETLS).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use postroad_dns::Dns;
use postroad_login::Clock;
use postroad_queue::{Job, Route};
use postroad_smtp::Address;
use postroad_smtp::client::{Fate, Unsuited};
use postroad_store::Store;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::sign::Signing;

use super::Settings;
use super::connect::{Refusals, connect};
use super::connection::{Connection, Peer, Sent};
use super::envelope::{self, Less, Wish};
use super::gates::{Entry, Gates, PutOff, Slot};
use super::halt::Halt;
use super::hosts::{Host, Ourselves};
use super::open::{Unusable, at_host};
use super::pool::{self, Key, Pool};
use super::security::results::Results;
use super::security::{Guard, Refusal};
use super::settle::{Attempt, Verdict, Words};
use super::shaping::{Shape, Shaping};
use super::source::{NotConverted, Source};
use super::targets::Target;
use super::tls::Tls;
use super::trip::{Trip, silence};
use super::wishes;
use super::words;

/// What attempts share.
pub(crate) struct Carrier {
    pub(crate) store: Store,
    pub(crate) dns: Arc<dyn Dns>,
    pub(crate) tls: Tls,
    pub(crate) pool: Pool,
    pub(crate) gates: Arc<Gates>,
    pub(crate) settings: Settings,
    pub(crate) ourselves: Ourselves,
    pub(crate) clock: Clock,
    pub(crate) guard: Arc<Guard>,
    pub(crate) results: Results,
    pub(crate) signing: Signing,
    pub(crate) shaping: Arc<Shaping>,
    /// For routes that sign in with them.
    pub(crate) tokens: Option<postroad_oauth::Tokens>,
}

/// What came of an attempt.
#[derive(Debug)]
pub(crate) struct Tried {
    pub(crate) attempt: Attempt,
    /// Recipients whose verdicts are of another host.
    pub(crate) elsewhere: Vec<(i64, Attempt)>,
    /// By number of the recipient; who is not named was not come to.
    pub(crate) verdicts: Vec<(i64, Verdict)>,
    pub(crate) reach: Reach,
    /// What is to be told of policies.
    pub(crate) notes: Vec<String>,
}

/// Whether the destination can be spoken with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// A host was ready to take mail.
    Reached,
    /// None was; in words.
    Unreachable(String),
    /// None was tried, because they have just failed for other mail; in words.
    Spared(String),
    /// Hosts are there, and not as this message has to be protected: other mail may go.
    Withheld,
    /// Its host has enough to do for so long; in words.
    Crowded(Duration, String),
    /// It did not come to that.
    Unknown,
}

/// Whether a connection did all it could.
enum Carried {
    /// Everybody has an answer, or the next host is to be asked.
    Enough,
    /// It had been kept, and turned out to be gone: nothing was lost but time.
    Stale,
}

/// What a host has for a message.
enum Berth {
    Kept(Box<Connection>),
    /// New connections may be made to these addresses.
    New(Vec<Slot>),
    /// It is known not to work.
    Down(String),
    PutOff(PutOff),
    Halted,
}

impl Carrier {
    /// Takes the job to its destination. It ends soon after the brake is pulled.
    pub(crate) async fn attempt(&self, job: &Job, route: Option<Arc<Route>>, halt: &Halt, random: u64) -> Tried {
        let way = match self.way(route) {
            Ok(way) => way,
            Err(why) => return everybody(job, Verdict::Deferred(why), Reach::Unknown),
        };
        let searched = tokio::select! {
            () = halt.pulled() => return everybody(job, Verdict::NotTried, Reach::Unknown),
            searched = self.hosts(job, &way, random) => searched,
        };
        let hosts = match searched {
            Ok(hosts) => hosts,
            Err(Verdict::Deferred(words)) => {
                let reach = Reach::Unreachable(words.text.clone());
                return everybody(job, Verdict::Deferred(words), reach);
            }
            Err(verdict) => return everybody(job, verdict, Reach::Unknown),
        };
        // A host that does all as slowly as it may, recipient by recipient, would hold a place for days.
        let halt = &halt.until(Instant::now() + time_for(job.message.size));
        let (source, sender) = match self.signing.open(&self.store, job).await {
            Ok(opened) => opened,
            Err(error) => return everybody(job, Verdict::Deferred(unreadable(&error)), Reach::Unknown),
        };
        let planned = tokio::select! {
            () = halt.pulled() => return everybody(job, Verdict::NotTried, Reach::Unknown),
            planned = self.plan(job, &way, hosts, (source.needs_no_tls(), random)) => planned,
        };
        let mut trip = Trip {
            job,
            halt,
            way,
            source,
            pending: (0..job.recipients.len()).collect(),
            verdicts: Vec::new(),
            answered: Vec::new(),
            attempt: Attempt::default(),
            last: None,
            tried: false,
            put_off: None,
            reached: false,
            stalled: false,
            unreadable: false,
            withheld: false,
            notes: sender.iter().map(leaves_from).chain(planned.notes).collect(),
            sender,
        };
        for (host, refusal) in planned.refused {
            self.leave_out(&host, refusal, &mut trip);
        }
        for target in self.ready_first(planned.targets, &trip.way, random) {
            self.visit(&target, &mut trip).await;
            if trip.put_off.is_some() || trip.is_over() {
                break;
            }
        }
        trip.end()
    }

    /// A host that must not be spoken with.
    fn leave_out(&self, host: &Host, refusal: Refusal, trip: &mut Trip<'_>) {
        let Refusal { verdict, because, count } = refusal;
        if let Some((policy, failure)) = count {
            self.results.failed(&policy, failure);
        }
        metrics::counter!("postroad_outbound_refused_by_policy_total").increment(1);
        trip.attempt = Attempt { host: Some(host.name.clone()), policy: Some(because), ..Attempt::default() };
        trip.withheld = true;
        trip.note(verdict);
    }

    /// Tries one host, at all of its addresses.
    async fn visit(&self, target: &Target, trip: &mut Trip<'_>) {
        let Target { host, terms, key, shape } = target;
        trip.notes.extend(terms.notes.iter().cloned());
        trip.notes.extend(shape.note.clone().filter(|note| !trip.notes.contains(note)));
        let policy = terms.policy_met();
        let Some(mut left) = self.admit(target, trip) else { return };
        let mut admitted = true;
        while !left.is_empty() && !trip.is_over() {
            let before = trip.taken();
            let berth = self.berth(key, &left, trip).await;
            if !matches!(berth, Berth::Kept(_) | Berth::New(_)) && admitted {
                self.shaping.give_back(shape);
            }
            let slots = match berth {
                Berth::Kept(connection) => match self.carry(*connection, true, target, trip).await {
                    Carried::Enough if trip.taken() == before => return,
                    // It took some and no more on this connection: the rest goes on another.
                    Carried::Enough | Carried::Stale => continue,
                },
                Berth::New(slots) => slots,
                Berth::Down(why) => {
                    trip.attempt =
                        Attempt { host: Some(host.name.clone()), policy: policy.clone(), ..Attempt::default() };
                    return trip.trouble(Words::ours((4, 4, 1), why, "looking for a host that works"));
                }
                Berth::PutOff(PutOff(wait)) => {
                    trip.put_off =
                        Some((wait, format!("waits for one of the connections to {}, which are all taken", host.name)));
                    return;
                }
                Berth::Halted => return,
            };
            let permit = match self.shaping.connect(shape) {
                Ok(permit) => permit,
                Err(put_off) => {
                    if admitted {
                        self.shaping.give_back(shape);
                    }
                    trip.put_off = Some(put_off);
                    return;
                }
            };
            admitted = false;
            trip.tried = true;
            trip.attempt = Attempt { host: Some(host.name.clone()), policy: policy.clone(), ..Attempt::default() };
            let Some((socket, mut slot)) = self.connect(host, slots, &shape.sources, trip).await else { return };
            slot.permit = Some(permit);
            let address = slot.at();
            trip.attempt.address = Some(address);
            // Until there is a session, and in the story of one that failed.
            trip.attempt.tls = terms.protection.is_needed().then(|| "TLS not established".to_owned());
            left.retain(|other| *other != address);
            let peer = Peer { host: host.name.clone(), address, trust: terms.protection.trust() };
            let from = socket.local_addr().ok().map(|local| local.ip().to_canonical());
            match self.open(socket, peer, target, &mut slot, trip).await {
                Ok(mut connection) => {
                    slot.greeted();
                    connection.slot = Some(slot);
                    self.carry(connection, false, target, trip).await;
                    if trip.taken() == before {
                        return;
                    }
                    // As above.
                    left = vec![address];
                }
                Err(Unusable { verdict, tls, withheld }) => {
                    trip.withheld |= withheld;
                    trip.attempt.tls = tls.or(trip.attempt.tls.take());
                    self.learn(shape, from, &host.name, &[&verdict], trip);
                    trip.note(verdict);
                }
            }
        }
    }

    /// The addresses where a host may be tried now; none at all when it has to wait, or cannot be reached from here.
    fn admit(&self, target: &Target, trip: &mut Trip<'_>) -> Option<Vec<SocketAddr>> {
        let Target { host, terms, shape, .. } = target;
        let mut addresses = pool::at(&host.addresses, trip.way.port);
        addresses.retain(|address| shape.allows(address.ip()));
        if let Some((wait, why)) = &shape.held {
            trip.notes.push(why.clone());
            trip.put_off = Some((*wait, why.clone()));
            return None;
        }
        if addresses.is_empty() && !host.addresses.is_empty() {
            let text = format!("No address of ours can reach {}: the pool has none of its kind", host.name);
            let policy = terms.policy_met();
            trip.attempt = Attempt { host: Some(host.name.clone()), policy, ..Attempt::default() };
            trip.trouble(Words::ours((4, 4, 1), text, "looking for an address to send from"));
            return None;
        }
        match self.shaping.admit(shape) {
            Ok(()) => Some(addresses),
            Err(put_off) => {
                trip.put_off = Some(put_off);
                None
            }
        }
    }

    /// A connection that is kept, or the right to make one; waits while there is neither.
    async fn berth(&self, key: &Key, addresses: &[SocketAddr], trip: &Trip<'_>) -> Berth {
        let mut turn = None;
        loop {
            if (turn.is_some() || !self.gates.has_line(addresses))
                && let Some(connection) = self.pool.take(key, addresses)
            {
                return Berth::Kept(Box::new(connection));
            }
            match self.gates.enter(addresses, turn.as_ref()) {
                Entry::Open(slots) => return Berth::New(slots),
                Entry::Down(why) => return Berth::Down(why),
                Entry::Full => {}
            }
            if let Some(connection) = self.pool.make_room(key, addresses) {
                self.end(connection, trip.halt);
            }
            let turn = match &mut turn {
                Some(turn) => turn,
                // Each in one line; they are as long as each other.
                None => match self.gates.stand(addresses[self.gates.in_line() % addresses.len()]) {
                    Ok(stood) => turn.insert(stood),
                    Err(put_off) => return Berth::PutOff(put_off),
                },
            };
            tokio::select! {
                () = trip.halt.pulled() => return Berth::Halted,
                came = turn.come() => if let Err(put_off) = came {
                    return Berth::PutOff(put_off);
                },
            }
        }
    }

    /// A connection at one of the slots; the others are given back.
    async fn connect(
        &self,
        host: &Host,
        slots: Vec<Slot>,
        sources: &[IpAddr],
        trip: &mut Trip<'_>,
    ) -> Option<(TcpStream, Slot)> {
        let addresses: Vec<SocketAddr> = slots.iter().map(Slot::at).collect();
        let mut refusals = Refusals::default();
        let within = self.settings.connect_within;
        let connected = tokio::select! {
            () = trip.halt.pulled() => return None,
            connected = connect(&addresses, sources, within, &mut refusals) => connected,
        };
        let mut winner = None;
        for mut slot in slots {
            if connected.as_ref().is_some_and(|(_, address)| *address == slot.at()) {
                winner = Some(slot);
            } else if let Some((address, why)) = refusals.0.iter().find(|(address, _)| *address == slot.at()) {
                slot.failed(&format!("No connection to {}: {address}: {why}", host.name));
            }
        }
        if connected.is_none() {
            let text = format!("No connection to {}: {refusals}", host.name);
            trip.trouble(Words::ours((4, 4, 1), text, "connecting"));
        }
        Some((connected?.0, winner?))
    }

    /// Says good-bye to a connection, which takes its time.
    fn end(&self, connection: Connection, halt: &Halt) {
        let halt = halt.clone();
        tokio::spawn(async move { connection.quit(&halt).await });
    }

    /// Gives a connection what it can carry of the message, and keeps it when it is still good.
    async fn carry(&self, mut connection: Connection, kept: bool, target: &Target, trip: &mut Trip<'_>) -> Carried {
        let Target { host, terms, shape, .. } = target;
        trip.tried = true;
        if !kept {
            trip.reached = true;
        }
        // Another name may have led to it when it was made.
        let address = connection.peer.address;
        let (tls, policy) = (connection.tls(), terms.policy_met());
        trip.attempt = Attempt { host: Some(host.name.clone()), address: Some(address), tls, policy };
        trip.source.restore();
        trip.source.put_before(&wishes::tunnelled(trip.job, connection.capabilities()));
        let mut wish = Wish::of(trip.job, &trip.source);
        let mut transactions = 0;
        while !trip.pending.is_empty() {
            let chunk = next_chunk(&connection, shape, trip);
            let (remote, sender) = (connection.capabilities(), trip.sender.as_ref());
            let transaction = match envelope::transaction(trip.job, sender, &chunk, wish, trip.source.size(), remote) {
                Ok(transaction) => wishes::put(transaction, &trip.job.message, remote, (self.clock)()),
                Err((index, words)) => {
                    trip.answer(index, Verdict::Failed(words));
                    continue;
                }
            };
            if trip.job.message.requiretls && !connection.is_authenticated() {
                trip.note(Verdict::Failed(words::unsuited(Unsuited::RequireTls)));
                break;
            }
            let report = match connection.send(transaction, &mut trip.source, trip.halt).await {
                Sent::Report(report) => report,
                Sent::Gone(failure) => {
                    if kept && transactions == 0 && !trip.halt.is_pulled() {
                        return Carried::Stale;
                    }
                    if let Some(failure) = failure {
                        trip.trouble(words::failure(&failure));
                    }
                    return Carried::Enough;
                }
                Sent::Unreadable(error) => {
                    trip.last = Some((Verdict::Deferred(unreadable(&error)), trip.attempt.clone()));
                    trip.unreadable = true;
                    return Carried::Enough;
                }
                Sent::Unsuited(unsuited) => match make_do(wish.without(unsuited), unsuited, &mut trip.source).await {
                    Ok(less) => {
                        wish = less;
                        continue;
                    }
                    Err(verdict) => {
                        trip.note(verdict);
                        break;
                    }
                },
            };
            transactions += 1;
            let (dsn, in_time) = (connection.capabilities().dsn, connection.capabilities().deliver_by.is_some());
            tell_gates(&mut connection, &report.recipients, &host.name);
            let (before, answered) = (trip.last.clone(), trip.verdicts.len());
            let broken = trip.take(&chunk, report.recipients, dsn, in_time);
            if broken && kept && transactions == 1 && !trip.halt.is_pulled() {
                // A host that closes what it kept open, or has had enough of it, does so at the first command.
                trip.last = before;
                return Carried::Stale;
            }
            let is_news = trip.last != before;
            self.hear(shape, connection.local, &host.name, (answered, is_news), trip);
            trip.reached = true;
            if !report.reusable {
                return Carried::Enough;
            }
            if transactions >= TRANSACTIONS_MAX || connection.transactions >= shape.per_connection() {
                break;
            }
        }
        self.keep(connection, target, trip);
        Carried::Enough
    }

    /// Keeps a connection that all went well on for the next message.
    fn keep(&self, mut connection: Connection, target: &Target, trip: &Trip<'_>) {
        let address = connection.peer.address;
        if let Some(slot) = &mut connection.slot {
            slot.worked();
        }
        // A host that only put us off may be in another mood, or another machine, when it is called again.
        let left = match trip.put_off_only() {
            true => Some(connection),
            false => self.pool.put(target.key.clone(), connection, target.shape.per_connection()),
        };
        match left {
            Some(connection) => self.end(connection, trip.halt),
            None => self.gates.offered(address),
        }
    }
}

/// The recipients of the next transaction: as many as the host takes at a time, and as are allowed there.
fn next_chunk(connection: &Connection, shape: &Shape, trip: &Trip<'_>) -> Vec<usize> {
    let limit = connection.capabilities().limits.rcpt_max;
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)).max(1);
    trip.pending.iter().copied().take(limit.min(shape.recipients())).collect()
}

/// Tells the gates that the host works, or that it did not even answer MAIL.
fn tell_gates(connection: &mut Connection, fates: &[Fate], host: &str) {
    let silent = fates.iter().find_map(silence);
    if let Some(slot) = &mut connection.slot {
        match silent {
            Some(failure) => slot.failed(&at_host(failure, host)),
            None => slot.worked(),
        }
    }
}

/// What a message has to do without at a host that lacks something.
async fn make_do(less: Less, lacking: Unsuited, source: &mut Source) -> Result<Wish, Verdict> {
    match less {
        Less::As(wish) => Ok(wish),
        Less::Converted(wish) => match source.convert().await {
            Ok(()) => Ok(wish),
            Err(NotConverted::Unreadable(error)) => Err(Verdict::Deferred(unreadable(&error))),
            Err(NotConverted::Unfit(why)) => {
                let words = words::unsuited(lacking);
                Err(Verdict::Failed(Words { text: format!("{}; {why}", words.text), ..words }))
            }
        },
        Less::Nothing => Err(Verdict::Failed(words::unsuited(lacking))),
    }
}

/// What the story says of a rewritten sender.
fn leaves_from(sender: &Address) -> String {
    format!("it leaves from {sender}, since it is forwarded: SPF of its own sender would fail")
}

pub(super) fn everybody(job: &Job, verdict: Verdict, reach: Reach) -> Tried {
    let verdicts = job.recipients.iter().map(|due| (due.number, verdict.clone())).collect();
    Tried { attempt: Attempt::default(), elsewhere: Vec::new(), verdicts, reach, notes: Vec::new() }
}

fn unreadable(error: &postroad_store::Error) -> Words {
    tracing::error!(%error, next_step = error.next_step(), "a message in the queue cannot be read; it is tried again");
    Words::ours((4, 3, 0), "The message cannot be read from the store at the moment", "reading the message")
}

/// How long an attempt may take, all hosts and recipients together; a message of so many bytes may take the time that a very
/// slow line needs for it.
fn time_for(size: u64) -> Duration {
    ATTEMPT_WITHIN + Duration::from_secs(size / SLOWEST_LINE)
}

/// For all that is said in an attempt.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(30 * 60);
/// Bytes in a second.
const SLOWEST_LINE: u64 = 16 * 1024;

/// Transactions of one job on one connection: a host that takes few recipients at a time sees the rest later.
const TRANSACTIONS_MAX: usize = 100;

/// How long all addresses of a host together may take to accept.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(30);
