//! Whether mail from other servers is from whom it says, and what becomes of it.
//!
//! What is looked at when: with the first recipient that is accepted, the client's name and SPF, beside the session
//! ([`early`]); while the message streams, the hashes that its signatures need ([`signatures`]); at its end the keys and
//! DMARC, all under one deadline ([`findings`]). Then a pure function decides for each recipient by the policy of its domain
//! ([`decide`]), with regard to whom the administrator believes ([`believed`]), and everything is told: in the header
//! and in the story ([`tell`]), and to who writes aggregate reports ([`Recorder`]).
//!
//! Only mail that comes to the relay from elsewhere without a login is looked at. A DNS that does not answer never makes a
//! verdict. Nothing here changes a message.
//!
//! Standards: RFC 7208, 6376, 8617, 9989 (by way of `mailauth`), RFC 8601 (what is told in the header), RFC 7372 (replies).

mod believed;
mod decide;
pub mod drive;
mod early;
mod failure;
mod findings;
mod signatures;
mod summary;
mod tell;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use postroad_dns::Dns;
use postroad_mailauth::body::Digests;
use postroad_mailauth::{arc, dmarc, iprev};
use postroad_queue::Standing;
use postroad_smtp::{Reply, Role};
use postroad_trust::policy::{self, Policy};
use tokio::time::Instant;

use crate::header::Review;
use crate::inbound::{Inbound, Session};
use crate::replies;
use crate::state::{Accepted, login};
use crate::story::Story;

pub use decide::Filed;
pub(crate) use early::{Early, Envelope};
pub(crate) use failure::{BODY_MAX, Told};
pub use failure::{Failure, Failures};
pub(crate) use findings::Findings;
pub(crate) use signatures::Signatures;
pub use summary::{Disposition, Override, OverrideKind, Recorder, Summary};

use believed::Believed;
use decide::{Action, Decision, Together};
use early::Facts;

/// How long a message waits at its end for all that is asked about it. RFC 5321 §4.5.3.2.6 lets senders wait ten minutes; many
/// do so for a fraction of that.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// So much of that is kept for the policy, which is asked for at the end: whoever names servers that never answer in a signature
/// or an SPF record shall not use up the time in which we would hear that the mail is to be refused.
const FOR_POLICY: Duration = Duration::from_secs(5);

/// Questions to the DNS about the envelope of one message, and as many about its content. An ordinary one asks about ten; each
/// check has limits of its own, but who writes ten signatures and two SPF records to the limit shall not use us as a hammer.
pub const QUESTIONS: usize = 200;

/// Who asks the DNS about mail from others, and who is told what was found. [`Checker::default`] looks at nothing and does
/// not say so.
#[derive(Clone, Default)]
pub struct Checker {
    dns: Names,
    recorder: Option<Recorder>,
    failures: Failures,
    spent: Arc<failure::Spent>,
}

/// Who is asked.
#[derive(Clone, Default)]
enum Names {
    /// Nobody wants to know.
    #[default]
    Unwanted,
    /// There is no name server.
    Nobody,
    Asked(Arc<dyn Dns>),
}

impl Checker {
    /// There is no name server: mail is taken as it is, and says so.
    pub fn none() -> Checker {
        Checker { dns: Names::Nobody, ..Checker::default() }
    }

    /// Asks `dns`.
    pub fn asking(dns: Arc<dyn Dns>) -> Checker {
        Checker { dns: Names::Asked(dns), ..Checker::default() }
    }

    /// Whether DMARC passes for mail of `author` that `home` sends and signs. `None`: the DNS does not answer. Where nobody is
    /// asked, it does not.
    pub(crate) async fn passes_for(&self, author: &str, home: &str) -> Option<bool> {
        let Some(dns) = self.dns() else { return Some(false) };
        let own = dmarc::Identifier { domain: home.to_owned(), outcome: dmarc::Outcome::Pass };
        let (spf, dkim) = (Some(own.clone()), vec![own]);
        let check = dmarc::Check::new(dmarc::Input { from_domains: vec![author.to_owned()], spf, dkim });
        match drive::run(check, &**dns, Instant::now() + FOR_POLICY).await.result {
            dmarc::Result::Pass => Some(true),
            dmarc::Result::None | dmarc::Result::Fail | dmarc::Result::PermError => Some(false),
            dmarc::Result::TempError => None,
        }
    }

    fn dns(&self) -> Option<&Arc<dyn Dns>> {
        match &self.dns {
            Names::Asked(dns) => Some(dns),
            Names::Unwanted | Names::Nobody => None,
        }
    }

    /// What was found about mail that was delivered or refused for good is recorded in the transaction that writes its story.
    #[must_use]
    pub fn recording(self, recorder: Recorder) -> Checker {
        Checker { recorder: Some(recorder), ..self }
    }

    /// The recorder gets what may be told about single messages that fail.
    #[must_use]
    pub fn telling(self, failures: Failures) -> Checker {
        Checker { failures, ..self }
    }

    /// Whether somebody may be told what stands in a message.
    pub(crate) fn tells_bodies(&self) -> bool {
        self.failures == Failures::Full && self.recorder.is_some()
    }
}

impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checker {{ asks: {}, records: {} }}", self.dns().is_some(), self.recorder.is_some())
    }
}

/// A message that may come in, and what was found.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The `Authentication-Results` field that goes before it.
    pub(crate) results: String,
    /// The chain as it came in: what a seal of ours says about it.
    pub(crate) arc: arc::Validation,
    /// Somebody looked at it, and it will not look better later.
    pub(crate) arc_is_known: bool,
    /// The client's name, forward-confirmed.
    pub(crate) client: Option<String>,
    /// For who writes reports.
    pub(crate) summary: Option<Summary>,
    /// What is known of MAIL FROM.
    pub(crate) standing: Standing,
}

/// Whether the mail of a session is looked at: only what others bring, and nobody answers for by a login.
pub(crate) fn concern(session: &Session) -> bool {
    session.role() == Role::Relay && login(session).is_none() && !session.peer().is_loopback()
}

impl Inbound {
    /// Starts what depends on connection and envelope only. With the first recipient, so that who only guesses addresses makes us
    /// ask nothing.
    pub(crate) fn check_early(&self, session: &mut Session) {
        if session.world.early.is_some() || !concern(session) {
            return;
        }
        let Some(dns) = self.checker.dns() else { return };
        session.world.early = Some(Early::start(Arc::clone(dns), Facts::of(session, (self.clock)())));
    }

    /// Looks at a header that has just ended, before it is edited.
    pub(crate) fn check_header(&self, session: &mut Session, review: &Review) {
        if self.checker.dns().is_none() || !concern(session) {
            return;
        }
        let now = (self.clock)();
        if let Some(body) = &mut session.world.body {
            body.signatures = Some(Signatures::of(body.intake.header(), review, now, &mut body.hashers));
        }
    }

    /// Finds out and decides, at the end of data. Marks the recipients whose mail goes to Junk. `None` when nothing was to be looked
    /// at. Errors: nobody wants the message, or it cannot be known now.
    pub(crate) async fn check(
        &self,
        session: &mut Session,
        signatures: Option<Signatures>,
        digests: &Digests,
        told: Told<'_>,
    ) -> Result<Option<Checked>, Reply> {
        if !concern(session) || matches!(self.checker.dns, Names::Unwanted) {
            return Ok(None);
        }
        let now = (self.clock)();
        let (Some(dns), Some(signatures)) = (self.checker.dns().cloned(), signatures) else {
            tell::nothing(session, now);
            let (results, summary) = (tell::no_results(&self.settings.hostname), None);
            return Ok(Some(Checked {
                results,
                arc: arc::Validation::None,
                arc_is_known: false,
                client: None,
                summary,
                standing: Standing::Unknown,
            }));
        };
        let begun = Instant::now();
        let facts = Facts::of(session, now);
        let early = match session.world.early.take() {
            Some(early) => early,
            None => Early::start(Arc::clone(&dns), facts.clone()),
        };
        let findings = Findings::gather(&*dns, early, &facts, signatures, digests, begun + DEADLINE).await;
        metrics::histogram!("postroad_checks_seconds").record(begun.elapsed().as_secs_f64());
        tell::count(&findings);
        tell::story(session, now, &findings);
        let policies: Vec<Policy> = concerned(session).map(|accepted| accepted.policy).collect();
        let believed = self.believed(&policies, &findings, &facts).await?;
        let results = tell::header(&self.settings.hostname, &findings, &facts);
        let failure = |disposition| {
            let failure = failure::of(self.checker.failures, &findings, &facts, disposition, &results, told);
            failure.filter(|_| self.checker.spent.take(facts.now))
        };
        let summary = self.judge(session, &findings, &facts, believed.as_ref(), failure)?;
        let standing = decide::standing(&findings, believed.as_ref());
        let (arc, arc_is_known) = (findings.arc.cv, !findings.arc.temporary);
        let client = findings.iprev.name.filter(|_| findings.iprev.result == iprev::Result::Pass);
        Ok(Some(Checked { results, arc, arc_is_known, client, summary, standing }))
    }

    /// Who speaks for a message that would be treated badly without; looked up only then.
    async fn believed(
        &self,
        policies: &[Policy],
        findings: &Findings,
        facts: &Facts,
    ) -> Result<Option<Believed>, Reply> {
        let harsh = |policy| decide::decide(findings, policy, None).action != Action::Deliver;
        if !policies.iter().any(harsh) && decide::standing(findings, None) != Standing::Forged {
            return Ok(None);
        }
        let trusted = self.look(|tx| Ok(policy::trusted(tx)?)).await?;
        Ok(believed::speaks_for(&trusted, findings, facts))
    }

    /// Decides for each recipient and for all together, and tells it.
    fn judge(
        &self,
        session: &mut Session,
        findings: &Findings,
        facts: &Facts,
        believed: Option<&Believed>,
        failure: impl Fn(Disposition) -> Option<Failure>,
    ) -> Result<Option<Summary>, Reply> {
        let decisions: Vec<Decision> =
            concerned(session).map(|accepted| decide::decide(findings, &accepted.policy, believed)).collect();
        let together = decide::together(&decisions);
        tell::policy(session, facts.now, &decisions, &together, believed);
        let trace = session.world.story.as_ref().map(Story::id);
        let summary = |disposition| {
            let trace = trace?;
            self.checker.recorder.is_some().then(|| {
                let to = concerned(session).filter_map(|accepted| accepted.name.as_ref());
                let to = to.map(|name| name.domain().as_str().to_owned()).collect();
                let summary = summary::of(findings, facts, trace, to, disposition, &decisions, believed);
                Summary { failure: failure(disposition), ..summary }
            })
        };
        match together {
            Together::Reject => {
                let summary = summary(Disposition::Reject);
                if let (Some(story), Some(recorder), Some(summary)) =
                    (&mut session.world.story, self.checker.recorder, summary)
                {
                    story.record(recorder, summary);
                }
                let reply = replies::unverified(findings, decide::key_of(&decisions));
                tell::refusal(trace, findings, facts, decide::key_of(&decisions), &reply);
                Err(reply)
            }
            Together::Defer => {
                let reply = replies::cannot_verify(findings);
                tell::refusal(trace, findings, facts, None, &reply);
                Err(reply)
            }
            Together::Take(filed) => {
                let passed = findings.dmarc.result == dmarc::Result::Pass;
                let usual = if passed { Disposition::Pass } else { Disposition::None };
                let junk = filed.contains(&Filed::Junk);
                let summary = summary(if junk { Disposition::Quarantine } else { usual });
                for (accepted, filed) in
                    session.world.recipients.iter_mut().filter(|accepted| !accepted.in_circles).zip(filed)
                {
                    accepted.filed = filed;
                }
                Ok(summary)
            }
        }
    }

    /// Who is told what was found about a message.
    pub(crate) fn recorder(&self) -> Option<Recorder> {
        self.checker.recorder
    }
}

/// Recipients that get something.
fn concerned(session: &Session) -> impl Iterator<Item = &Accepted> {
    session.world.recipients.iter().filter(|accepted| !accepted.in_circles)
}
