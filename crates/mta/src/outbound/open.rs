//! From a socket to a session: greeting, TLS as the terms want it, and what of that is counted for reports.
//!
//! 1. Clear text takes the place of TLS only where the terms say that it will do.
//! 2. Each socket counts once, when it is known whether the session is as its policy wants it.
//!
//! Standards: RFC 7435 (falling back), RFC 7672 and RFC 8461 (not falling back), RFC 8460 (counting).

use std::net::IpAddr;

use postroad_smtp::client::{self, Login, Phase, Trouble};
use postroad_trust::tls_results::{Failure, FailureKind, PolicyKind};
use tokio::net::TcpStream;

use super::attempt::Carrier;
use super::connect::{Refusals, connect};
use super::connection::{Connection, Peer, Unopened};
use super::gates::Slot;
use super::login::{self, Shown};
use super::route::Protection;
use super::security::{Terms, reason};
use super::settle::{Verdict, Words};
use super::targets::Target;
use super::targets::Way;
use super::tls::{Assurance, Broken, Trust};
use super::trip::Trip;
use super::words;

/// Why a host carries nothing.
pub(super) struct Unusable {
    pub(super) verdict: Verdict,
    /// The TLS that there was.
    pub(super) tls: Option<String>,
    /// It is good enough for mail of which less is demanded.
    pub(super) withheld: bool,
}

impl Carrier {
    /// Begins a session; in clear when TLS fails and clear text will do.
    pub(super) async fn open(
        &self,
        socket: TcpStream,
        peer: Peer,
        target: &Target,
        slot: &mut Slot,
        trip: &mut Trip<'_>,
    ) -> Result<Connection, Unusable> {
        let Target { terms, shape, .. } = target;
        let ours = socket.local_addr().ok().map(|local| local.ip().to_canonical());
        let (protection, routed) = (&terms.protection, trip.way.route.is_some());
        let seen = Seen {
            terms,
            peer: &peer,
            local: socket.local_addr().map(|local| local.ip().to_canonical().to_string()).unwrap_or_default(),
        };
        let mut shown = self.shown(&trip.way).await?;
        let settings = self.session(shown.login.take(), protection, ours);
        let opened = Connection::open(socket, peer.clone(), settings, &trip.way.tls, trip.halt).await;
        // What a route demands is demanded of all mail of its domain.
        let is_withheld = terms.policy.is_some() || trip.requires_tls();
        let (why, kind) = match opened {
            Ok(mut connection) => {
                connection.local = ours;
                self.count(&seen, seen.shortfall(&connection), trip);
                return Ok(connection);
            }
            // Whatever goes wrong from STARTTLS on, a host that cannot do better is as good as one that offers no TLS.
            Err(Unopened::Session(failure, tls)) => {
                let fault = seen.fault(&failure);
                let fault_kind = fault.as_ref().map(|fault| fault.kind);
                let is_about_tls = fault.is_some();
                if let Some(fault) = fault {
                    self.count(&seen, Some(fault), trip);
                }
                if failure.phase != Phase::StartTls || !protection.may_fall_back() {
                    // One domain's policy must not keep the mail of others from a host.
                    if !is_about_tls || terms.policy.is_none() {
                        blame(slot, &failure, &peer.host);
                    }
                    shown.failed(&failure, self.tokens.as_ref()).await;
                    let verdict = login::explained(refused(&failure, routed), &failure, &trip.way);
                    let verdict = match fault_kind {
                        Some(kind) => explained(verdict, terms, kind, trip.requires_tls()),
                        None => verdict,
                    };
                    return Err(Unusable { verdict, tls, withheld: is_about_tls && is_withheld });
                }
                (failure.to_string(), FailureKind::StarttlsNotSupported)
            }
            Err(Unopened::Handshake(broken)) => {
                self.count(&seen, Some(broken.clone()), trip);
                (broken.why, broken.kind)
            }
        };
        metrics::counter!("postroad_outbound_tls_failures_total").increment(1);
        let failed = |why: String| {
            let words = Words::ours((4, 7, 5), why, Phase::StartTls.name());
            let verdict = explained(Verdict::Deferred(words), terms, kind, trip.requires_tls());
            Unusable { verdict, tls: None, withheld: is_withheld && !protection.may_fall_back() }
        };
        if !protection.may_fall_back() || trip.halt.is_pulled() {
            return Err(failed(why));
        }
        self.open_in_clear(peer, why, &shape.sources, slot, trip).await.map_err(|unusable| match unusable {
            Ok(why) => failed(why),
            Err(unusable) => unusable,
        })
    }

    /// Once more, without TLS. The error: what to say of TLS, or what is wrong beside it.
    async fn open_in_clear(
        &self,
        peer: Peer,
        why: String,
        sources: &[IpAddr],
        slot: &mut Slot,
        trip: &Trip<'_>,
    ) -> Result<Connection, Result<String, Unusable>> {
        tracing::info!(host = peer.host, address = %peer.address, why, "TLS failed, so mail goes there in clear");
        let (within, mut refusals) = (self.settings.connect_within, Refusals::default());
        let again = connect(&[peer.address], sources, within, &mut refusals).await;
        let (socket, _) = again.ok_or_else(|| Ok(format!("{why}; and then: {refusals}")))?;
        let host = peer.host.clone();
        let peer = Peer { trust: Trust::Anybody, ..peer };
        let ours = socket.local_addr().ok().map(|local| local.ip().to_canonical());
        let shown = self.shown(&trip.way).await.map_err(Err)?;
        let settings = self.session(shown.login, &Protection::None, ours);
        match Connection::open(socket, peer, settings, &trip.way.tls, trip.halt).await {
            Ok(mut connection) => {
                connection.local = ours;
                Ok(connection)
            }
            Err(Unopened::Session(failure, tls)) => {
                blame(slot, &failure, &host);
                let verdict = login::explained(refused(&failure, trip.way.route.is_some()), &failure, &trip.way);
                Err(Err(Unusable { verdict, tls, withheld: false }))
            }
            Err(Unopened::Handshake(broken)) => Err(Ok(broken.why)),
        }
    }

    async fn shown(&self, way: &Way) -> Result<Shown, Unusable> {
        let none = |words| Unusable { verdict: Verdict::Deferred(words), tls: None, withheld: false };
        Shown::of(way, self.tokens.as_ref()).await.map_err(none)
    }

    fn session(&self, login: Option<Login>, protection: &Protection, ours: Option<IpAddr>) -> client::Settings {
        client::Settings {
            tls: protection.wish(),
            login,
            patience: self.settings.patience,
            ..client::Settings::new(self.shaping.helo(ours).unwrap_or_else(|| self.settings.hostname.clone()))
        }
    }

    /// Counts a session, by what it lacks of what its policy wants.
    fn count(&self, seen: &Seen<'_>, lacks: Option<Broken>, trip: &mut Trip<'_>) {
        let Seen { terms, peer, local } = seen;
        let outcome = if lacks.is_some() { "failed" } else { "good" };
        metrics::counter!("postroad_outbound_sessions_total", "policy" => terms.kind(), "outcome" => outcome)
            .increment(1);
        let Some(policy) = &terms.policy else { return };
        let Some(lacks) = lacks else { return self.results.succeeded(policy) };
        if terms.protection == Protection::Watched {
            trip.notes.push(format!(
                "{}: {}; the MTA-STS policy is in testing: it is delivered and reported",
                peer.host, lacks.why
            ));
        }
        let failure = Failure {
            kind: lacks.kind,
            sending_address: local.clone(),
            host: peer.host.clone(),
            host_address: peer.address.ip().to_canonical().to_string(),
            reason: reason(&lacks.why),
        };
        self.results.failed(policy, failure);
    }
}

/// A socket to a host, for counting.
struct Seen<'a> {
    terms: &'a Terms,
    peer: &'a Peer,
    /// Our end of it.
    local: String,
}

impl Seen<'_> {
    /// What a session lacks that goes on.
    fn shortfall(&self, connection: &Connection) -> Option<Broken> {
        if !connection.is_encrypted() {
            let why = match connection.starttls_refused() {
                true => "it offers STARTTLS and refuses it",
                false => "it does not offer STARTTLS",
            };
            return Some(Broken { why: why.into(), kind: FailureKind::StarttlsNotSupported });
        }
        if let Assurance::Doubtful(broken) = &connection.assurance {
            return Some(broken.clone());
        }
        self.terms.lacks.clone()
    }

    /// What a session that failed lacks, where that is about TLS.
    fn fault(&self, failure: &client::Failure) -> Option<Broken> {
        let kind = match (failure.phase, &failure.trouble) {
            (_, Trouble::Abandoned) => return None,
            (_, Trouble::NoTls) => FailureKind::StarttlsNotSupported,
            (Phase::StartTls, Trouble::Refused(_)) => FailureKind::StarttlsNotSupported,
            (Phase::StartTls, _) => FailureKind::ValidationFailure,
            _ => return None,
        };
        Some(Broken { why: failure.to_string(), kind })
    }
}

/// The words of a verdict with who demands what failed, and what can be done.
fn explained(verdict: Verdict, terms: &Terms, kind: FailureKind, required: bool) -> Verdict {
    let Some(policy) = &terms.policy else { return verdict };
    let next = match (policy.kind, About::of(kind)) {
        (PolicyKind::Tlsa, About::Starttls) => {
            "Its TLSA records promise TLS: either somebody between us takes it away, or it was switched off there, which is \
             for its administrator to put right; until then mail waits"
        }
        (PolicyKind::Sts, About::Starttls) => {
            "Its domain's policy promises TLS: either somebody between us takes it away, or it was switched off there, which \
             is for its administrator to put right; until then mail waits"
        }
        (PolicyKind::Tlsa, About::Certificate) => {
            "Either somebody is between us, or its TLSA records and its certificate were not renewed together, which is \
             for its administrator to put right; until then mail waits"
        }
        (PolicyKind::Sts, About::Certificate) => {
            "Either somebody is between us, or its certificate is not what its domain's policy promises, which is for its \
             administrator to put right; until then mail waits"
        }
        (PolicyKind::Tlsa | PolicyKind::Sts, About::Tls) => {
            "Either somebody between us breaks TLS, or it does not work there, which is for its administrator to put right; \
             until then mail waits"
        }
        (PolicyKind::NoPolicyFound, _) if required => {
            "The sender wants TLS on the whole way; without that it can be sent"
        }
        (PolicyKind::NoPolicyFound, _) => "This server was told to send with TLS only",
    };
    let more = |words: Words| Words { text: format!("{}. {} demands it. {next}", words.text, terms.because), ..words };
    match verdict {
        Verdict::Deferred(words) => Verdict::Deferred(more(words)),
        Verdict::Failed(words) => Verdict::Failed(more(words)),
        Verdict::Relayed { .. } | Verdict::Spared(_) | Verdict::Here { .. } | Verdict::NotTried => verdict,
    }
}

/// What of TLS failed.
enum About {
    /// It is not offered, or refused.
    Starttls,
    /// What the host shows is not what was promised.
    Certificate,
    /// It does not come about.
    Tls,
}

impl About {
    fn of(kind: FailureKind) -> About {
        match kind {
            FailureKind::StarttlsNotSupported => About::Starttls,
            FailureKind::CertificateHostMismatch
            | FailureKind::CertificateExpired
            | FailureKind::CertificateNotTrusted
            | FailureKind::TlsaInvalid
            | FailureKind::DaneRequired => About::Certificate,
            // These are found out before a host is called.
            FailureKind::ValidationFailure
            | FailureKind::DnssecInvalid
            | FailureKind::StsPolicyFetchError
            | FailureKind::StsPolicyInvalid
            | FailureKind::StsWebpkiInvalid => About::Tls,
        }
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

/// For those who did not try: what happened to somebody else, and where.
pub(super) fn at_host(failure: &client::Failure, host: &str) -> String {
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
