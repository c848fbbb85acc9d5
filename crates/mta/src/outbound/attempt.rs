//! One attempt: a job is taken to the hosts of its destination until each recipient has a verdict.
//!
//! 1. The next host is tried when one cannot be reached, does not want to talk, or lacks what the message needs; never
//!    because it refused a recipient, and never when it may have taken the message already.
//! 2. A recipient that one host has answered for is not offered to the next.
//! 3. TLS that fails costs another connection in clear only where nothing better was asked for.
//! 4. A host that is known not to work is passed over, and one whose connections are all taken is waited for; neither is
//!    an attempt, and nobody is charged one where nothing else was tried.
//!
//! Standards: RFC 5321 §4.5.4.1 and §5.1, RFC 7435 (falling back), RFC 8689 (REQUIRETLS).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postroad_dns::Dns;
use postroad_queue::{Job, Route};
use postroad_smtp::client::{self, Fate, Phase, Trouble, Unsuited};
use postroad_store::Store;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Settings;
use super::connect::{Refusals, connect};
use super::connection::{Connection, Peer, Sent, Unopened};
use super::envelope::{self, Less, Wish};
use super::gates::{Entry, Gates, Outlook, PutOff, Slot};
use super::halt::Halt;
use super::hosts::{Host, Ourselves, Search};
use super::pool::{self, Key, Pool};
use super::route::{self, Protection};
use super::settle::{Attempt, Verdict, Words};
use super::source::{NotConverted, Source};
use super::tls::Tls;
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
    /// Its host has enough to do for so long.
    Crowded(Duration),
    /// It did not come to that.
    Unknown,
}

/// Where the message of an attempt stands.
struct Trip<'a> {
    job: &'a Job,
    halt: &'a Halt,
    way: Way,
    source: Source,
    /// Indexes of the recipients that nobody has answered for.
    pending: Vec<usize>,
    verdicts: Vec<(i64, Verdict)>,
    /// Who answered for whom.
    answered: Vec<(i64, Attempt)>,
    attempt: Attempt,
    /// What the pending ones become when no further host helps, and whose words that are.
    last: Option<(Verdict, Attempt)>,
    /// A connection was used, or tried to be made.
    tried: bool,
    /// A host had no time.
    put_off: Option<Duration>,
    reached: bool,
    /// A host was silent for so long that other mail need not try it now.
    stalled: bool,
    /// The message cannot be read: no host can help.
    unreadable: bool,
}

/// How its hosts are spoken with.
struct Way {
    port: u16,
    protection: Protection,
    route: Option<Arc<Route>>,
    tls: Tls,
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
        let way = match self.way(job, route) {
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
        let source = match Source::open(&self.store, job.message.blob, job.via.as_deref()).await {
            Ok(source) => source,
            Err(error) => return everybody(job, Verdict::Deferred(unreadable(&error)), Reach::Unknown),
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
        };
        for host in self.ready_first(hosts, &trip.way, random) {
            self.visit(&host, &mut trip).await;
            if trip.put_off.is_some() || trip.is_over() {
                break;
            }
        }
        trip.end()
    }

    fn way(&self, job: &Job, route: Option<Arc<Route>>) -> Result<Way, Words> {
        let mut protection = route.as_deref().map_or(Protection::Opportunistic, route::protection);
        if job.message.requiretls && !protection.verify() {
            // RFC 8689 §4.2.1: a certificate that is verified, or it does not travel.
            protection = Protection::Verified;
        }
        let port = route.as_deref().map_or(self.settings.port, |route| route.port);
        let tls = match route.as_deref().and_then(|route| route.ca.as_deref()) {
            Some(ca) => self.tls.trusting(ca).map_err(|why| Words::ours((4, 7, 5), why, "reading the route"))?,
            None => self.tls.clone(),
        };
        Ok(Way { port, protection, route, tls })
    }

    async fn hosts(&self, job: &Job, way: &Way, random: u64) -> Result<Vec<Host>, Verdict> {
        let search = Search {
            dns: &self.dns,
            ourselves: &self.ourselves,
            port: way.port,
            allow_loopback: self.settings.allow_loopback,
            random,
        };
        match &way.route {
            Some(route) => search.fixed(&route.host).await,
            None => search.domain(&job.domain).await,
        }
    }

    /// Among those that are liked the same, a host that there is a connection to comes first, and one that has just
    /// failed last.
    fn ready_first(&self, mut hosts: Vec<Host>, way: &Way, random: u64) -> Vec<Host> {
        // RFC 5321 §5.1: equals share the load; the one that was chosen first must not get all that follows.
        let stays = !random.is_multiple_of(STAYS);
        hosts.sort_by_cached_key(|host| {
            let addresses = pool::at(&host.addresses, way.port);
            let is_kept = stays && self.pool.has(&self.key(host, way), &addresses);
            let outlook = if is_kept { Outlook::Open } else { self.gates.outlook(&addresses) };
            (host.preference, outlook, !is_kept)
        });
        hosts
    }

    fn key(&self, host: &Host, way: &Way) -> Key {
        let login = way.route.as_deref().and_then(|route| route.login.as_ref());
        Key {
            verified: way.protection.verify().then(|| host.name.clone()),
            protection: way.protection,
            user: login.map(|login| login.user.clone()),
            authorities: way.route.as_deref().and_then(|route| route.ca.clone()),
        }
    }

    /// Tries one host, at all of its addresses.
    async fn visit(&self, host: &Host, trip: &mut Trip<'_>) {
        let key = self.key(host, &trip.way);
        let mut left = pool::at(&host.addresses, trip.way.port);
        while !left.is_empty() && !trip.is_over() {
            let before = trip.taken();
            let slots = match self.berth(&key, &left, trip).await {
                Berth::Kept(connection) => match self.carry(*connection, true, host, &key, trip).await {
                    Carried::Enough if trip.taken() == before => return,
                    // It took some and no more on this connection: the rest goes on another.
                    Carried::Enough | Carried::Stale => continue,
                },
                Berth::New(slots) => slots,
                Berth::Down(why) => {
                    trip.attempt = Attempt { host: Some(host.name.clone()), address: None, tls: None };
                    return trip.trouble(Words::ours((4, 4, 1), why, "looking for a host that works"));
                }
                Berth::PutOff(PutOff(wait)) => {
                    trip.put_off = Some(wait);
                    return;
                }
                Berth::Halted => return,
            };
            trip.tried = true;
            trip.attempt = Attempt { host: Some(host.name.clone()), address: None, tls: None };
            let Some((socket, mut slot)) = self.connect(host, slots, trip).await else { return };
            let address = slot.at();
            trip.attempt.address = Some(address);
            // Until there is a session, and in the story of one that failed.
            trip.attempt.tls = trip.way.protection.is_needed().then(|| "TLS not established".to_owned());
            left.retain(|other| *other != address);
            let peer = Peer { host: host.name.clone(), address, verify: trip.way.protection.verify() };
            match self.open(socket, peer, &mut slot, trip).await {
                Ok(mut connection) => {
                    slot.greeted();
                    connection.slot = Some(slot);
                    self.carry(connection, false, host, &key, trip).await;
                    if trip.taken() == before {
                        return;
                    }
                    // As above.
                    left = vec![address];
                }
                Err((verdict, tls)) => {
                    trip.attempt.tls = tls.or(trip.attempt.tls.take());
                    trip.note(verdict);
                }
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
    async fn connect(&self, host: &Host, slots: Vec<Slot>, trip: &mut Trip<'_>) -> Option<(TcpStream, Slot)> {
        let addresses: Vec<SocketAddr> = slots.iter().map(Slot::at).collect();
        let mut refusals = Refusals::default();
        let within = self.settings.connect_within;
        let connected = tokio::select! {
            () = trip.halt.pulled() => return None,
            connected = connect(&addresses, &self.settings.sources, within, &mut refusals) => connected,
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

    /// Begins a session; in clear when TLS fails and clear text will do. The error comes with the TLS that there was.
    async fn open(
        &self,
        socket: TcpStream,
        peer: Peer,
        slot: &mut Slot,
        trip: &Trip<'_>,
    ) -> Result<Connection, (Verdict, Option<String>)> {
        let (protection, routed) = (trip.way.protection, trip.way.route.is_some());
        let settings = self.session(&trip.way, protection);
        let opened = Connection::open(socket, peer.clone(), settings, &trip.way.tls, trip.halt).await;
        let why = match opened {
            Ok(connection) => return Ok(connection),
            // Whatever goes wrong from STARTTLS on, a host that cannot do better is as good as one that offers no TLS.
            Err(Unopened::Session(failure, _)) if failure.phase == Phase::StartTls && protection.may_fall_back() => {
                failure.to_string()
            }
            Err(Unopened::Session(failure, tls)) => {
                blame(slot, &failure, &peer.host);
                return Err((refused(&failure, routed), tls));
            }
            Err(Unopened::Handshake(why)) => why,
        };
        metrics::counter!("postroad_outbound_tls_failures_total").increment(1);
        let failed = |why: String| (Verdict::Deferred(Words::ours((4, 7, 5), why, Phase::StartTls.name())), None);
        if !protection.may_fall_back() || trip.halt.is_pulled() {
            return Err(failed(why));
        }
        tracing::info!(host = peer.host, address = %peer.address, why, "TLS failed, so mail goes there in clear");
        let (sources, within, mut refusals) =
            (&self.settings.sources, self.settings.connect_within, Refusals::default());
        let again = connect(&[peer.address], sources, within, &mut refusals).await;
        let (socket, _) = again.ok_or_else(|| failed(format!("{why}; and then: {refusals}")))?;
        let host = peer.host.clone();
        let settings = self.session(&trip.way, Protection::None);
        match Connection::open(socket, peer, settings, &trip.way.tls, trip.halt).await {
            Ok(connection) => Ok(connection),
            Err(Unopened::Session(failure, tls)) => {
                blame(slot, &failure, &host);
                Err((refused(&failure, routed), tls))
            }
            Err(Unopened::Handshake(why)) => Err(failed(why)),
        }
    }

    fn session(&self, way: &Way, protection: Protection) -> client::Settings {
        client::Settings {
            tls: protection.wish(),
            login: way.route.as_deref().and_then(route::login),
            patience: self.settings.patience,
            ..client::Settings::new(self.settings.hostname.clone())
        }
    }

    /// Gives a connection what it can carry of the message, and keeps it when it is still good.
    async fn carry(
        &self,
        mut connection: Connection,
        kept: bool,
        host: &Host,
        key: &Key,
        trip: &mut Trip<'_>,
    ) -> Carried {
        trip.tried = true;
        if !kept {
            trip.reached = true;
        }
        // Another name may have led to it when it was made.
        let address = connection.peer.address;
        trip.attempt = Attempt { host: Some(host.name.clone()), address: Some(address), tls: connection.tls() };
        trip.source.restore();
        let mut wish = Wish::of(trip.job, &trip.source);
        let mut transactions = 0;
        while !trip.pending.is_empty() {
            let limit = connection.capabilities().limits.rcpt_max;
            let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)).max(1);
            let chunk: Vec<usize> = trip.pending.iter().copied().take(limit).collect();
            let transaction = match envelope::transaction(trip.job, &chunk, wish, trip.source.size()) {
                Ok(transaction) => transaction,
                Err((index, words)) => {
                    trip.answer(index, Verdict::Failed(words));
                    continue;
                }
            };
            if trip.job.message.requiretls && !(connection.peer.verify && connection.is_encrypted()) {
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
            let dsn = connection.capabilities().dsn;
            let silent = report.recipients.iter().find_map(silence);
            if let Some(slot) = &mut connection.slot {
                match silent {
                    Some(failure) => slot.failed(&at_host(failure, &host.name)),
                    None => slot.worked(),
                }
            }
            let before = trip.last.clone();
            let broken = trip.take(&chunk, report.recipients, dsn);
            if broken && kept && transactions == 1 && !trip.halt.is_pulled() {
                // A host that closes what it kept open, or has had enough of it, does so at the first command.
                trip.last = before;
                return Carried::Stale;
            }
            trip.reached = true;
            if !report.reusable {
                return Carried::Enough;
            }
            if transactions >= TRANSACTIONS_MAX {
                break;
            }
        }
        // A host that only put us off may be in another mood, or another machine, when it is called again.
        let put_off = trip.put_off_only();
        if let Some(slot) = &mut connection.slot {
            slot.worked();
        }
        let left = if put_off { Some(connection) } else { self.pool.put(key.clone(), connection) };
        match left {
            Some(connection) => self.end(connection, trip.halt),
            None => self.gates.offered(address),
        }
        Carried::Enough
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

impl Trip<'_> {
    /// A recipient has its verdict.
    fn answer(&mut self, index: usize, verdict: Verdict) {
        let number = self.job.recipients[index].number;
        self.pending.retain(|other| *other != index);
        self.verdicts.push((number, verdict));
        self.answered.push((number, self.attempt.clone()));
    }

    /// For how many recipients a host has taken the message.
    fn taken(&self) -> usize {
        self.verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Relayed { .. })).count()
    }

    /// No host is of use any more.
    fn is_over(&self) -> bool {
        self.pending.is_empty() || self.unreadable || self.halt.is_pulled()
    }

    /// Takes a transaction's fates. True when it failed as a whole, because the connection ended before the host could
    /// have taken anything.
    fn take(&mut self, chunk: &[usize], fates: Vec<Fate>, dsn: bool) -> bool {
        let mut unsent = 0;
        for (index, fate) in chunk.iter().copied().zip(fates) {
            match fate {
                Fate::Accepted(said) => self.answer(index, Verdict::Relayed { words: words::said(&said), dsn }),
                Fate::Refused(said) => self.answer(index, Verdict::Failed(words::said(&said))),
                // RFC 5321 §3.8: it goes away; the next host may stay.
                Fate::Deferred(said) if said.reply.code() == 421 => {
                    unsent += usize::from(matches!(said.phase, Phase::Reset | Phase::Mail | Phase::Rcpt));
                    self.trouble(words::said(&said));
                }
                Fate::Deferred(said) => self.answer(index, Verdict::Deferred(words::said(&said))),
                // Its turn comes in the next transaction.
                Fate::Surplus(said) => self.set(Verdict::Deferred(words::said(&said))),
                Fate::Unsent(failure) => {
                    unsent += 1;
                    self.stalled |= silence(&Fate::Unsent(failure.clone())).is_some();
                    match failure.trouble {
                        Trouble::Abandoned => self.set(Verdict::NotTried),
                        _ => self.trouble(words::failure(&failure)),
                    }
                }
                Fate::Unknown(failure) => self.answer(index, Verdict::Deferred(words::failure(&failure))),
            }
        }
        unsent == chunk.len()
    }

    /// Whether there are answers, and all of them are "later".
    fn put_off_only(&self) -> bool {
        let later = |verdict: &Verdict| matches!(verdict, Verdict::Deferred(_));
        !self.verdicts.is_empty() && self.verdicts.iter().all(|(_, verdict)| later(verdict))
    }

    /// Something that another host or another time may do better.
    fn trouble(&mut self, words: Words) {
        self.note(Verdict::Deferred(words));
    }

    /// What the pending ones become if no host does better: what may change outweighs what will not.
    fn note(&mut self, verdict: Verdict) {
        if matches!((&self.last, &verdict), (Some((Verdict::Deferred(_), _)), Verdict::Failed(_))) {
            return;
        }
        self.set(verdict);
    }

    fn set(&mut self, verdict: Verdict) {
        self.last = Some((verdict, self.attempt.clone()));
    }

    fn end(mut self) -> Tried {
        let late = self.halt.is_late();
        if late && !self.pending.is_empty() {
            let text = "The attempt took too long: the next host is too slow";
            self.set(Verdict::Deferred(Words::ours((4, 4, 2), text, "sending")));
        }
        // One that does not even answer MAIL would hold up a place for each message.
        let stalled = (self.stalled || late) && self.verdicts.is_empty();
        let (verdict, attempt) = self.last.take().unwrap_or((Verdict::NotTried, self.attempt.clone()));
        let (last, reach) = match (verdict, self.put_off) {
            (verdict, _) if self.reached && !stalled => (verdict, Reach::Reached),
            // Who has just failed and who has no time: the second may take it soon.
            (_, Some(wait)) if self.verdicts.is_empty() => (Verdict::NotTried, Reach::Crowded(wait)),
            (Verdict::Deferred(words), _) if !self.tried => {
                let reach = Reach::Spared(words.text.clone());
                (Verdict::Spared(words), reach)
            }
            (Verdict::Deferred(words), _) => {
                let reach = Reach::Unreachable(words.text.clone());
                (Verdict::Deferred(words), reach)
            }
            (verdict, _) => (verdict, Reach::Unknown),
        };
        let last = if (self.halt.is_pulled() && !late) || self.put_off.is_some() { Verdict::NotTried } else { last };
        for index in std::mem::take(&mut self.pending) {
            let number = self.job.recipients[index].number;
            self.verdicts.push((number, last.clone()));
            self.answered.push((number, attempt.clone()));
        }
        // The attempt is with the host of the last verdict; what others said is told beside it.
        let attempt = self.answered.last().map_or(self.attempt, |(_, attempt)| attempt.clone());
        self.answered.retain(|(_, other)| *other != attempt);
        Tried { attempt, elsewhere: self.answered, verdicts: self.verdicts, reach }
    }
}

/// A failure that says something about the host, and not only about this message.
fn blame(slot: &mut Slot, failure: &client::Failure, host: &str) {
    let at_once = matches!(failure.phase, Phase::Greeting | Phase::Hello);
    let is_for_good = failure.reply().is_some_and(|reply| reply.is_permanent());
    if at_once && !is_for_good && failure.trouble != Trouble::Abandoned {
        slot.failed(&at_host(failure, host));
    }
}

/// A host that does not even answer MAIL.
fn silence(fate: &Fate) -> Option<&client::Failure> {
    match fate {
        Fate::Unsent(failure) if failure.trouble == Trouble::TimedOut && failure.phase == Phase::Mail => Some(failure),
        Fate::Accepted(_)
        | Fate::Refused(_)
        | Fate::Deferred(_)
        | Fate::Surplus(_)
        | Fate::Unsent(_)
        | Fate::Unknown(_) => None,
    }
}

/// For those who did not try: what happened to somebody else, and where.
fn at_host(failure: &client::Failure, host: &str) -> String {
    format!("{host}: {}", words::failure(failure).line())
}

/// A session that did not come to carry mail. RFC 5321 §3.1: a host that greets with 5xx takes no mail; behind a route
/// that is for its administrator to put right, and the mail waits.
fn refused(failure: &client::Failure, routed: bool) -> Verdict {
    let words = words::failure(failure);
    match failure.reply() {
        Some(reply) if reply.is_permanent() && !routed && failure.phase == Phase::Greeting => Verdict::Failed(words),
        Some(_) | None => Verdict::Deferred(words),
    }
}

fn everybody(job: &Job, verdict: Verdict, reach: Reach) -> Tried {
    let verdicts = job.recipients.iter().map(|due| (due.number, verdict.clone())).collect();
    Tried { attempt: Attempt::default(), elsewhere: Vec::new(), verdicts, reach }
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

/// One of so many attempts chooses anew among equal hosts, whatever connections there are.
const STAYS: u64 = 4;
/// For all that is said in an attempt.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(30 * 60);
/// Bytes in a second.
const SLOWEST_LINE: u64 = 16 * 1024;

/// Transactions of one job on one connection: a host that takes few recipients at a time sees the rest later.
const TRANSACTIONS_MAX: usize = 100;

/// How long all addresses of a host together may take to accept.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(30);
