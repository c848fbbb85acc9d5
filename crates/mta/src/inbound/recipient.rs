//! RCPT TO: all that the policy has to know of a recipient, from one look into the store.

use postroad_mail::{Address, Resolution, accounts, deliver, domains, resolve};
use postroad_queue::suppression;
use postroad_smtp::{ForwardPath, Host, RcptTo, Role};
use postroad_store::{AccountId, ReadTx, Timestamp};
use postroad_trust::policy::{self, Policy};
use postroad_trust::sending;

use super::{Inbound, Session};
use crate::gate::Allowance;
use crate::policy::rcpt;
use crate::state::{Accepted, login};
use crate::{checks, extensions, replies};

impl Inbound {
    // Exclusive access, since what is borrowed across a wait would have to be shared between threads otherwise.
    pub(super) async fn decide_recipient(&self, session: &mut Session, to: &RcptTo) -> Result<Accepted, rcpt::Refused> {
        let null_sender = session.sender().is_some_and(|sender| sender.path.is_none());
        let (role, authenticated) = (session.role(), login(session).is_some());
        let recipients = session.world.recipients.len();
        let targets = session.world.recipients.iter().map(|known| known.targets.len() + known.remote.len()).sum();
        let back = self.way_back(to, null_sender).await?;
        let led_back = back.is_some();
        if let (Some(path), Some(story)) = (&back, &mut session.world.story) {
            story.note(
                (self.clock)(),
                "led back",
                format_args!("{} was made for mail of {path}, which was forwarded", to.path),
            );
        }
        let led = back.unwrap_or_else(|| to.path.clone());
        let question = self.question(session, to, led.clone());
        let looked = self.look(move |tx| question.answer(tx)).await;
        // What could not be looked up is looked up with the next.
        session.world.sender_seen &= looked.is_ok();
        let refused = |reply| rcpt::Refused { reply, unknown: false };
        let Looked { forged, works, allowance, policy, resolution, has_room, made, barred } =
            looked.map_err(refused)?;
        if !works {
            session.world.sender_seen = false;
            return Err(refused(replies::sender_suspended()));
        }
        session.world.allowance = allowance.or(session.world.allowance.take());
        self.may_send(session).await.map_err(refused)?;
        if forged && let Some(story) = &mut session.world.story {
            story.note((self.clock)(), "remark", "the sender's domain is ours, but nobody logged in");
        }
        let since = to.valid_since.filter(|_| !extensions::is_role(&to.path));
        if let Some(reply) = since.and_then(|since| extensions::refusal(since.since, made, &to.path)) {
            return Err(refused(reply));
        }
        let reads_reports = role == Role::Relay && !authenticated && is_for_reports(&led, &resolution);
        let after_reports = session.world.recipients.iter().any(|known| known.reads_reports);
        if let Some(entry) = barred {
            metrics::counter!("postroad_suppressed_total").increment(1);
            return Err(refused(replies::suppressed(&entry)));
        }
        rcpt::decide(rcpt::Facts {
            role,
            authenticated,
            null_sender,
            led_back,
            recipient: &led,
            resolution,
            has_room,
            recipients,
            targets,
            reads_reports,
            after_reports,
            full: self.settings.full_mailbox,
        })
        .map(|accepted| Accepted { policy, ..accepted })
    }

    /// What is to be known of a recipient that leads to `path`. What concerns the sender is asked with the first recipient,
    /// since each look has its price.
    fn question(&self, session: &mut Session, to: &RcptTo, path: ForwardPath) -> Question {
        let first = !std::mem::replace(&mut session.world.sender_seen, true);
        let (sender, login) = (session.sender(), login(session));
        let path_of_sender = sender.and_then(|sender| sender.path.as_ref());
        let is_stranger = session.role() == Role::Relay && login.is_none();
        Question {
            path,
            size: sender.and_then(|sender| sender.size).unwrap_or(0),
            stranger: path_of_sender
                .and_then(|sender| sender.domain().map(str::to_owned))
                .filter(|_| first && is_stranger),
            insider: login.map(|login| login.account).filter(|_| first),
            last: session.world.recipients.last().and_then(|last| Some((last.name.clone()?, last.policy))),
            checked: checks::concern(session),
            dated: to.valid_since.is_some() && !extensions::is_role(&to.path),
            writer: path_of_sender.filter(|_| login.is_some()).map(ToString::to_string),
            usual: self.settings.sending,
            now: (self.clock)(),
        }
    }
}

/// What is looked up for a recipient.
struct Question {
    path: ForwardPath,
    /// What the sender says of the message.
    size: u64,
    /// The domain of a stranger's sender.
    stranger: Option<String>,
    /// Whoever logged in.
    insider: Option<AccountId>,
    /// The recipient before, and the policy of its domain: recipients of one domain mostly come together.
    last: Option<(Address, Policy)>,
    /// The mail is verified, and the policy of the recipient's domain counts.
    checked: bool,
    /// The sender knows the recipient from some time (RFC 7293).
    dated: bool,
    /// The sender, where somebody logged in.
    writer: Option<String>,
    usual: sending::Limits,
    now: Timestamp,
}

/// What is known of a recipient then.
struct Looked {
    /// The stranger's domain is ours.
    forged: bool,
    /// Whoever logged in may still send.
    works: bool,
    allowance: Option<Allowance>,
    policy: Policy,
    resolution: Resolution,
    /// The only account that it leads to has room.
    has_room: bool,
    /// When the youngest of the accounts was made.
    made: Option<Timestamp>,
    /// The sender is not to write there.
    barred: Option<suppression::Entry>,
}

impl Question {
    fn answer(self, tx: &ReadTx) -> postroad_mail::Result<Looked> {
        let now = self.now;
        let forged = self.stranger.map_or(Ok(false), |domain| is_ours(tx, &domain))?;
        // Whoever logged in before being suspended sends nothing more.
        let works = self.insider.map_or(Ok(true), |account| works(tx, account))?;
        let allowance = self.insider.map(|account| Allowance::of(tx, account, &self.usual, now)).transpose()?;
        let (resolution, has_room) = lead(tx, &self.path, self.size)?;
        let policy = match self.checked {
            true => wishes(tx, &resolution, self.last)?,
            false => Policy::default(),
        };
        let made = match &resolution {
            Resolution::Found { accounts, .. } if self.dated => extensions::youngest(tx, accounts)?,
            Resolution::Found { .. }
            | Resolution::Unknown
            | Resolution::Suspended
            | Resolution::NotOurs
            | Resolution::Endless => None,
        };
        let barred = match (&resolution, &self.writer) {
            (Resolution::NotOurs, Some(writer)) => barred(tx, writer, &self.path, now)?,
            (_, _) => None,
        };
        Ok(Looked { forged, works, allowance, policy, resolution, has_room, made, barred })
    }
}

/// Whether it is where `postroad dns` wants reports about a domain of ours to go, which has nobody who gets mail.
fn is_for_reports(path: &ForwardPath, resolution: &Resolution) -> bool {
    let is_postmaster = |address: &postroad_smtp::Address| address.local().eq_ignore_ascii_case("postmaster");
    *resolution == Resolution::Unknown && path.address().is_some_and(is_postmaster)
}

/// What the recipient's domain wants done with mail that cannot be verified.
fn wishes(tx: &ReadTx, resolution: &Resolution, last: Option<(Address, Policy)>) -> postroad_mail::Result<Policy> {
    match (resolution, last) {
        (Resolution::Found { name, .. }, Some((known, policy))) if known.domain() == name.domain() => Ok(policy),
        (Resolution::Found { name, .. }, _) => Ok(policy::of(tx, name.domain().as_str())?),
        (Resolution::Unknown | Resolution::Suspended | Resolution::NotOurs | Resolution::Endless, _) => {
            Ok(Policy::default())
        }
    }
}

/// Whether this sender is not to write there, and why.
fn barred(
    tx: &ReadTx,
    sender: &str,
    path: &ForwardPath,
    now: Timestamp,
) -> postroad_mail::Result<Option<suppression::Entry>> {
    let Some(address) = path.address() else { return Ok(None) };
    suppression::check(tx, sender, &address.to_string(), now).map_err(|error| match error {
        postroad_queue::Error::Store(error) => postroad_mail::Error::Store(error),
        other @ (postroad_queue::Error::Recipients
        | postroad_queue::Error::Lost
        | postroad_queue::Error::Corrupt(_)) => postroad_mail::Error::Corrupt(other.to_string()),
    })
}

fn works(tx: &ReadTx, account: AccountId) -> postroad_mail::Result<bool> {
    Ok(accounts::by_id(tx, account)?.is_some_and(|account| account.state == accounts::State::Active))
}

/// Where a recipient leads, and whether the only account it leads to has room.
fn lead(tx: &ReadTx, path: &ForwardPath, size: u64) -> postroad_mail::Result<(Resolution, bool)> {
    let resolution = match path {
        ForwardPath::Postmaster => resolve::postmaster(tx)?,
        ForwardPath::Address(address) => match address.host() {
            Host::Ip(_) => Resolution::NotOurs,
            Host::Domain(domain) => match Address::new(address.local(), domain) {
                Ok(address) => resolve::resolve(tx, &address)?,
                // Longer or odder than any address of ours can be, but perhaps good elsewhere.
                Err(_) if is_ours(tx, domain)? => Resolution::Unknown,
                Err(_) => Resolution::NotOurs,
            },
        },
    };
    let has_room = match &resolution {
        Resolution::Found { accounts, remote, .. } if accounts.len() == 1 && remote.is_empty() => {
            match deliver::would_take(tx, accounts[0].account, size) {
                Err(postroad_mail::Error::OverQuota) => false,
                other => other.map(|()| true)?,
            }
        }
        Resolution::Found { .. }
        | Resolution::Unknown
        | Resolution::Suspended
        | Resolution::NotOurs
        | Resolution::Endless => true,
    };
    Ok((resolution, has_room))
}

fn is_ours(tx: &ReadTx, domain: &str) -> postroad_mail::Result<bool> {
    match postroad_mail::Domain::parse(domain) {
        Ok(domain) => Ok(domains::ours(tx, &domain)?.is_some()),
        Err(_) => Ok(false),
    }
}
