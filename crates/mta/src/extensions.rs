//! Extensions that depend on who is on the other side: what a session is offered, and what a sender gets of what they
//! wish for. Pure functions over settings and facts; the stages of neighbours (XCLIENT, ETRN) are in `neighbours`,
//! RRVS in `valid_since`.
//!
//! What is asked for and not given is refused in words, or lowered and said so; nothing is taken on silently.
//!
//! Standards: RFC 2852 (DELIVERBY), RFC 4865 (FUTURERELEASE), RFC 6710 and 6758 (MT-PRIORITY), RFC 7293 (RRVS), RFC 3865
//! (NO-SOLICITING), RFC 1985 (ETRN), RFC 8689 (REQUIRETLS), Postfix's XCLIENT and XFORWARD.

mod neighbours;
mod valid_since;

use std::net::IpAddr;
use std::time::Duration;

use postroad_mail::resolve::Target;
use postroad_net::Network;
use postroad_queue as queue;
use postroad_smtp::{
    Address, ByMode, DeliverBy, ForwardPath, FutureRelease, Hold, MailFrom, Offer, Priority, Reply, Role, Solicitation,
    Soliciting,
};
use postroad_store::Timestamp;

use crate::inbound::{Inbound, Session};

pub(crate) use valid_since::{is_role, refusal, youngest};

use postroad_message::header::{fields, find, text};

/// What the administrator decides about extensions. The default trusts nobody.
#[derive(Debug, Clone)]
pub struct Extensions {
    /// Who may speak as somebody else (XCLIENT): proxies and filters before this server.
    pub xclient: Vec<Network>,
    /// Who may say for whom they pass mail on (XFORWARD), for the story.
    pub xforward: Vec<Network>,
    /// Who may ask that what waits for a domain is sent at once (ETRN).
    pub etrn: Vec<Network>,
    /// Whose priorities are taken as they are (MT-PRIORITY).
    pub priority: Vec<Network>,
    /// The highest priority of who logged in.
    pub priority_of_logins: Priority,
    /// How long submitted mail may be held (FUTURERELEASE); zero: it is not offered.
    pub hold_max: Duration,
    /// The least time in which mail is promised to be delivered or returned (DELIVERBY).
    pub deliver_by_min: Duration,
    /// Classes of solicitation that are refused (NO-SOLICITING).
    pub solicitations_refused: Option<Solicitation>,
}

impl Default for Extensions {
    fn default() -> Extensions {
        Extensions {
            xclient: Vec::new(),
            xforward: Vec::new(),
            etrn: Vec::new(),
            priority: Vec::new(),
            priority_of_logins: Priority::new(4),
            hold_max: Duration::from_secs(30 * 24 * 60 * 60),
            deliver_by_min: Duration::from_secs(60),
            solicitations_refused: None,
        }
    }
}

/// Whom a session is with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) role: Role,
    /// Who connected.
    pub(crate) connected: IpAddr,
    /// For whom they speak: themselves, unless they may claim otherwise.
    pub(crate) client: IpAddr,
    pub(crate) logged_in: bool,
    pub(crate) now: Timestamp,
}

/// What a sender may have of what they wished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    pub(crate) deliver_by: Option<queue::DeliverBy>,
    pub(crate) hold_until: Option<Timestamp>,
    pub(crate) priority: Priority,
}

fn is_in(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

impl Extensions {
    /// What a session is offered.
    pub(crate) fn offer(&self, facts: &Facts) -> Offer {
        let relays = facts.role != Role::Lmtp;
        let submits = facts.role == Role::Submission;
        let hold = u32::try_from(self.hold_max.as_secs()).unwrap_or(u32::MAX).min(HOLD_LIMIT);
        let latest = facts.now.0.div_euclid(1_000_000).saturating_add(i64::from(hold));
        Offer {
            deliver_by: relays.then(|| u32::try_from(self.deliver_by_min.as_secs()).unwrap_or(u32::MAX)),
            future_release: (submits && hold > 0).then_some(FutureRelease { longest: hold, latest }),
            priority: submits || (relays && is_in(&self.priority, facts.client)),
            valid_since: true,
            soliciting: relays.then(|| Soliciting { refused: self.solicitations_refused.clone() }),
            requiretls: relays,
            etrn: relays && is_in(&self.etrn, facts.client),
            burl: submits,
            // By who connected: nobody lends this right to others, or gets it by a claim.
            xclient: is_in(&self.xclient, facts.connected),
            xforward: is_in(&self.xforward, facts.connected),
        }
    }

    /// What a sender gets. The error is the reply to MAIL.
    pub(crate) fn wanted(&self, mail: &MailFrom, facts: &Facts) -> Result<Wanted, Reply> {
        if let Some(reply) = mail.solicitation.as_ref().and_then(|classes| self.refuses(classes)) {
            return Err(reply);
        }
        let hold_until = mail.hold.map(|hold| self.hold(hold, facts.now)).transpose()?.flatten();
        let deliver_by = mail.deliver_by.map(|by| self.deliver_by(by, hold_until, facts.now)).transpose()?;
        let priority = mail.priority.map_or(Priority::NORMAL, |wished| self.priority(wished, facts));
        Ok(Wanted { deliver_by, hold_until, priority })
    }

    /// RFC 3865 §2.3.
    fn refuses(&self, classes: &Solicitation) -> Option<Reply> {
        let class = classes.in_common(self.solicitations_refused.as_ref()?)?;
        // RFC 3865 §2.4: with the parameter that matched.
        Some(Reply::new(550, (5, 7, 1), format!("SOLICIT={class} Solicitations of this class are not taken here.")))
    }

    /// RFC 4865 §4.2: more than was promised is refused, and so is a time that is over, since it is none in the future (§3).
    /// One that has just passed is no hold: clocks differ.
    fn hold(&self, hold: Hold, now: Timestamp) -> Result<Option<Timestamp>, Reply> {
        let longest = self.hold_max.as_secs().min(u64::from(HOLD_LIMIT));
        let until = match hold {
            Hold::For(seconds) if seconds > longest => None,
            Hold::For(seconds) => Some(now.plus(Duration::from_secs(seconds))),
            Hold::Until(moment) => Some(Timestamp(moment.saturating_mul(1_000_000)))
                .filter(|until| *until <= now.plus(Duration::from_secs(longest))),
        };
        if until.is_some_and(|until| until < now.minus(CLOCKS_DIFFER)) {
            return Err(Reply::new(501, (5, 5, 4), "HOLDUNTIL= is in the past."));
        }
        match until {
            Some(until) => Ok(Some(until).filter(|until| *until > now)),
            None => {
                let text = format!("A message is held for {longest} seconds here at most.");
                Err(Reply::new(501, (5, 5, 4), text))
            }
        }
    }

    /// RFC 2852 §4.1.
    fn deliver_by(
        &self,
        by: DeliverBy,
        hold_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<queue::DeliverBy, Reply> {
        let least = self.deliver_by_min.as_secs();
        let returns = by.mode == ByMode::Return;
        if returns && u64::try_from(by.seconds).unwrap_or(0) < least {
            let text = format!("No delivery in less than {least} seconds is promised here.");
            // RFC 2852 §3: 55z.
            return Err(Reply::new(555, (5, 5, 4), text));
        }
        let at = Timestamp(now.0.saturating_add(by.seconds.saturating_mul(1_000_000)));
        // RFC 4865 §5.2: whatever is to happen then.
        if hold_until.is_some_and(|until| until >= at) {
            return Err(Reply::new(501, (5, 5, 4), "It would be held until after it had to be delivered."));
        }
        Ok(queue::DeliverBy { at, returns, trace: by.trace })
    }

    /// RFC 6710 §5: what may be wished for follows from trust. Whoever may be less urgent than others may always be.
    pub(crate) fn priority(&self, wished: Priority, facts: &Facts) -> Priority {
        let most = match facts.logged_in {
            _ if is_in(&self.priority, facts.client) => Priority::HIGHEST,
            true => self.priority_of_logins,
            false => Priority::NORMAL,
        };
        wished.min(most)
    }
}

impl Inbound {
    /// Gives a sender what they may have of what they wish for. The words are those of the reply, where they are not the
    /// usual ones.
    pub(crate) fn grant(&self, session: &mut Session, mail: &MailFrom) -> Result<Option<Reply>, Reply> {
        let facts = self.facts(session);
        let wanted = self.settings.extensions.wanted(mail, &facts)?;
        session.world.wanted = wanted;
        let words = lowered(mail, &wanted);
        if let (Some(reply), Some(story)) = (&words, &mut session.world.story) {
            story.note(facts.now, "remark", reply);
        }
        Ok(words)
    }
}

/// What is asked for in header fields, where the way here did not know the parameters.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    since: Vec<(Address, i64)>,
    priority: Option<Priority>,
    solicitation: Option<Solicitation>,
}

/// Reads the fields of RFC 7293 §3.2, RFC 6758 §3.1 and RFC 3865 §2.5.
pub(crate) fn asked_in(block: &[u8]) -> Asked {
    let mut priorities = fields(block).filter(|field| field.is(PRIORITY_FIELD));
    // RFC 6758 §3.1 and §4: a single one, with comments around it.
    let priority = priorities.next().filter(|_| priorities.next().is_none());
    let priority = priority.and_then(|field| Priority::parse(without_comments(&text(field.value)).trim()));
    let classes = find(block, "Solicitation").and_then(|field| Solicitation::parse(&text(field.value)));
    Asked { since: valid_since::header_wishes(block), priority, solicitation: classes }
}

impl Inbound {
    /// Gives what is asked for in header fields. The error is the reply to the message.
    pub(crate) async fn grant_asked(&self, session: &mut Session, asked: Asked) -> Result<(), Reply> {
        let facts = self.facts(session);
        if let Some(classes) = asked.solicitation {
            if let Some(reply) = self.settings.extensions.refuses(&classes) {
                return Err(reply);
            }
            session.world.solicitation = Some(classes);
        }
        // A parameter counts, and the field beside it does not (RFC 6758 §3.1).
        let said = session.sender().is_some_and(|sender| sender.priority.is_some());
        if let Some(wished) = asked.priority.filter(|_| !said) {
            let given = self.priority_of(wished, &facts);
            session.world.wanted.priority = given;
            if let Some(story) = &mut session.world.story {
                story.note(facts.now, "remark", format_args!("the header asks for priority {wished}: it gets {given}"));
            }
        }
        if asked.since.is_empty() {
            return Ok(());
        }
        let wishes = self.older_than(session, &asked.since);
        if wishes.is_empty() {
            return Ok(());
        }
        let looked = self.look(move |tx| {
            for (targets, since, path) in wishes {
                if let Some(reply) = refusal(since, youngest(tx, &targets)?, &path) {
                    return Ok(Some(reply));
                }
            }
            Ok(None)
        });
        looked.await?.map_or(Ok(()), Err)
    }

    fn priority_of(&self, wished: Priority, facts: &Facts) -> Priority {
        self.settings.extensions.priority(wished, facts)
    }

    /// Of the recipients here that fields name, and RCPT said nothing of: where they lead, and since when they have to be
    /// somebody's.
    fn older_than(&self, session: &Session, asked: &[(Address, i64)]) -> Vec<(Vec<Target>, i64, ForwardPath)> {
        let pairs = session.recipients().iter().zip(&session.world.recipients);
        let wanted = pairs.filter(|(to, _)| to.valid_since.is_none() && !is_role(&to.path));
        let found = wanted.filter_map(|(to, accepted)| {
            let address = to.path.address()?;
            let named = asked.iter().find(|(named, _)| same(named, address))?;
            Some((accepted.targets.clone(), named.1, to.path.clone()))
        });
        found.collect()
    }
}

/// RFC 5322 §3.2.2: what stands outside of comments.
fn without_comments(value: &str) -> String {
    let (mut depth, mut quoted) = (0_u32, false);
    let outside = |c: &char| match (*c, quoted) {
        (_, true) => {
            quoted = false;
            depth == 0
        }
        ('\\', false) => {
            quoted = true;
            depth == 0
        }
        ('(', false) => {
            depth += 1;
            false
        }
        (')', false) if depth > 0 => {
            depth -= 1;
            false
        }
        _ => depth == 0,
    };
    value.chars().filter(outside).collect()
}

/// Local parts are ours to compare, and we fold their case.
fn same(one: &Address, other: &Address) -> bool {
    one.local().to_lowercase() == other.local().to_lowercase() && one.domain_ascii() == other.domain_ascii()
}

/// RFC 6758 §3.1.
pub(crate) const PRIORITY_FIELD: &str = "MT-Priority";

/// What a neighbour claimed, for the story: never without saying who claimed it.
pub(crate) fn claims(session: &Session) -> String {
    let mut text = String::new();
    if session.claim().is_some() {
        text.push_str(&format!(", as {} claims (XCLIENT)", session.connected().remote));
    }
    if let Some(forwarded) = session.forwarded() {
        let said: Vec<String> = forwarded.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        text.push_str(&format!(
            ", passed on for {} as {} claims (XFORWARD)",
            said.join(" "),
            session.connected().remote
        ));
    }
    text
}

/// What is said to a sender who did not get the priority that they asked for (RFC 6710 §4.1: X.3.6).
pub(crate) fn lowered(mail: &MailFrom, wanted: &Wanted) -> Option<Reply> {
    let wished = mail.priority.filter(|wished| *wished != wanted.priority)?;
    // §4.1: the new priority, a blank, and words.
    let text = format!("{} is the priority that it gets, and not {wished}. Sender accepted.", wanted.priority);
    Some(Reply::new(250, (2, 3, 6), text))
}

/// What a sender asked for, for the story.
pub(crate) fn story_of(mail: &MailFrom) -> String {
    let mut text = String::new();
    if let Some(by) = mail.deliver_by {
        text.push_str(&format!(" BY={by}"));
    }
    if let Some(hold) = mail.hold {
        text.push_str(&format!(" HOLD {hold}"));
    }
    if let Some(priority) = mail.priority {
        text.push_str(&format!(" MT-PRIORITY={priority}"));
    }
    if let Some(classes) = &mail.solicitation {
        text.push_str(&format!(" SOLICIT={classes}"));
    }
    if mail.requiretls {
        text.push_str(" REQUIRETLS");
    }
    text
}

/// HOLDUNTIL may be over for so long: the client's clock and ours are not the same.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5 * 60);

/// RFC 4865 §3 writes intervals with nine digits; nobody plans a mail for longer.
const HOLD_LIMIT: u32 = 366 * 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_348_800_000_000);

    fn facts(role: Role, client: &str, logged_in: bool) -> Facts {
        let client = client.parse().expect("an address");
        Facts { role, connected: client, client, logged_in, now: NOW }
    }

    fn settings() -> Extensions {
        let near = || vec!["192.0.2.0/24".parse().expect("a network")];
        Extensions {
            xclient: near(),
            xforward: near(),
            etrn: near(),
            priority: near(),
            hold_max: Duration::from_secs(3_600),
            solicitations_refused: Solicitation::parse("net.example:ADV"),
            ..Extensions::default()
        }
    }

    #[test]
    fn only_neighbours_are_offered_what_is_for_neighbours() {
        let offer = |role, client| settings().offer(&facts(role, client, false));
        let near = offer(Role::Relay, "192.0.2.9");
        assert!(near.xclient && near.xforward && near.etrn && near.priority && near.future_release.is_none());
        let far = offer(Role::Relay, "203.0.113.9");
        assert!(!far.xclient && !far.xforward && !far.etrn && !far.priority && far.valid_since);
        let submission = offer(Role::Submission, "203.0.113.9");
        assert!(submission.priority && submission.future_release.is_some_and(|release| release.longest == 3_600));
        let lmtp = offer(Role::Lmtp, "203.0.113.9");
        assert!(lmtp.deliver_by.is_none() && lmtp.soliciting.is_none() && lmtp.valid_since);
        // A claim neither lends nor takes the right to claim; what else a neighbour may goes by whom they speak for.
        let claimed =
            Facts { client: "203.0.113.9".parse().expect("an address"), ..facts(Role::Relay, "192.0.2.9", false) };
        let offer = settings().offer(&claimed);
        assert!(offer.xclient && offer.xforward && !offer.etrn && !offer.priority);
        let pretended =
            Facts { client: "192.0.2.9".parse().expect("an address"), ..facts(Role::Relay, "203.0.113.9", false) };
        assert!(!settings().offer(&pretended).xclient);
    }

    #[test]
    fn the_field_of_a_priority_is_single_and_has_comments() {
        for (fields, expect) in [
            ("MT-Priority: -3\r\n", Some(-3)),
            ("MT-Priority: 4 (ultra \\) (very))\r\n", Some(4)),
            ("mt-priority: (a) 0\r\n", Some(0)),
            ("MT-Priority: 4\r\nMT-Priority: 4\r\n", None),
            ("MT-Priority: (4)\r\n", None),
            ("MT-Priority: high\r\n", None),
        ] {
            let asked = asked_in(format!("{fields}From: a@b.test\r\n\r\n").as_bytes());
            assert_eq!(asked.priority.map(Priority::level), expect, "{fields}");
        }
    }

    #[test]
    fn nobody_gets_more_than_they_may_have() {
        let (stranger, near) = ("203.0.113.9", "192.0.2.9");
        // (parameters, client, logged in) -> what becomes of it.
        for (parameters, client, logged_in, expect) in [
            ("", stranger, true, "-"),
            ("HOLDFOR=3600", stranger, true, "held 3600"),
            ("HOLDFOR=3601", stranger, true, "501 5.5.4"),
            ("HOLDUNTIL=2026-11-22T12:30:00Z", stranger, true, "held 1800"),
            ("HOLDUNTIL=2026-11-22T11:58:00Z", stranger, true, "-"),
            ("HOLDUNTIL=2026-11-22T11:00:00Z", stranger, true, "501 5.5.4"),
            ("HOLDUNTIL=9999-11-22T11:00:00Z", stranger, true, "501 5.5.4"),
            ("BY=120;R", stranger, false, "by 120 returns"),
            ("BY=59;R", stranger, false, "555 5.5.4"),
            ("BY=-5;NT", stranger, false, "by -5 tells"),
            ("BY=600;R HOLDFOR=600", stranger, true, "501 5.5.4"),
            ("BY=600;N HOLDFOR=601", stranger, true, "501 5.5.4"),
            ("BY=601;R HOLDFOR=600", stranger, true, "held 600 by 601 returns"),
            ("MT-PRIORITY=9", stranger, false, "- lowered"),
            ("MT-PRIORITY=9", stranger, true, "priority 4 lowered"),
            ("MT-PRIORITY=3", stranger, true, "priority 3"),
            ("MT-PRIORITY=-9", stranger, false, "priority -9"),
            ("MT-PRIORITY=9", near, false, "priority 9"),
            ("SOLICIT=org.example:ADV", stranger, false, "-"),
            ("SOLICIT=org.example:ADV,NET.example:adv", stranger, false, "550 5.7.1"),
        ] {
            let mail = format!(" FROM:<a@b.test> {parameters}");
            let mail = postroad_smtp::parse_mail(&mail, Role::Submission).expect("a sender");
            let found =
                match settings().wanted(&mail, &facts(Role::Submission, client, logged_in)) {
                    Err(reply) => format!("{} {}", reply.code(), reply.enhanced().expect("a code")),
                    Ok(wanted) => {
                        let seconds = |at: Timestamp| (at.0 - NOW.0) / 1_000_000;
                        let mut words = Vec::new();
                        words.extend(wanted.hold_until.map(|until| format!("held {}", seconds(until))));
                        words.extend(wanted.deliver_by.map(|by| {
                            format!("by {} {}", seconds(by.at), if by.returns { "returns" } else { "tells" })
                        }));
                        let is_normal = wanted.priority == Priority::NORMAL;
                        words.extend((!is_normal).then(|| format!("priority {}", wanted.priority)));
                        if words.is_empty() {
                            words.push("-".to_owned());
                        }
                        words.extend(lowered(&mail, &wanted).map(|_| "lowered".to_owned()));
                        words.join(" ")
                    }
                };
            assert_eq!(found, expect, "{parameters} {client} {logged_in}");
        }
    }
}
