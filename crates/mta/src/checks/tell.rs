//! What was found is told: in the header, in the story, in metrics.

use postroad_mailauth::results::{AuthenticationResults, MethodResult};
use postroad_mailauth::{arc, dkim, spf};
use postroad_smtp::Reply;
use postroad_store::{Timestamp, TraceId};
use postroad_trust::policy::Key;

use super::believed::Believed;
use super::concerned;
use super::decide::{Action, Cause, Decision, Together};
use super::early::Facts;
use super::findings::Findings;
use crate::inbound::Session;
use crate::story::printable;

/// `Authentication-Results` of a message that nobody looked at (RFC 8601 §2.2).
pub(crate) fn no_results(authserv_id: &str) -> String {
    AuthenticationResults { authserv_id: authserv_id.to_owned(), results: Vec::new() }.field()
}

/// `Authentication-Results` of a message. SPF of MAIL FROM stands before that of HELO, since many readers look at the first alone.
pub(crate) fn header(authserv_id: &str, findings: &Findings, facts: &Facts) -> String {
    let mut results = vec![MethodResult::spf(&findings.mail_from)];
    if let Some(helo) = findings.helo.as_ref().filter(|helo| helo.result != spf::Result::None) {
        results.push(MethodResult::spf(helo));
    }
    match findings.dkim.is_empty() {
        true => results.push(MethodResult::new("dkim", "none")),
        false => results.extend(findings.dkim.iter().map(dkim_result)),
    }
    results.push(MethodResult::dmarc(&findings.dmarc));
    if findings.arc.cv != arc::Validation::None {
        results.push(arc_result(&findings.arc, facts));
    }
    results.push(MethodResult::iprev(&findings.iprev));
    AuthenticationResults { authserv_id: authserv_id.to_owned(), results }.field()
}

/// RFC 8601 §2.7.1; `header.b` is RFC 6008's.
fn dkim_result(outcome: &dkim::Outcome) -> MethodResult {
    let mut result = MethodResult::new("dkim", outcome.status.as_str());
    if let Some(bits) = outcome.key_bits {
        result = result.with_comment(&format!("{bits}-bit key"));
    }
    if !outcome.why.is_empty() {
        result = result.with_reason(&outcome.why);
    }
    let properties = [
        ("d", &outcome.domain),
        ("i", &outcome.identity),
        ("s", &outcome.selector),
        ("a", &outcome.algorithm),
        ("b", &outcome.b),
    ];
    properties
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .fold(result, |result, (name, value)| result.with("header", name, value))
}

/// RFC 8617 §10.1.
fn arc_result(chain: &arc::Verdict, facts: &Facts) -> MethodResult {
    let mut result = MethodResult::new("arc", chain.cv.as_str()).with_comment(&format!("i={}", chain.sets.len()));
    if !chain.why.is_empty() && chain.cv != arc::Validation::Pass {
        result = result.with_reason(&chain.why);
    }
    if let Some(oldest) = chain.oldest_pass {
        result = result.with("header", "oldest-pass", &oldest.to_string());
    }
    result.with("smtp", "remote-ip", &facts.ip.to_string())
}

/// The story of a message that nobody looked at.
pub(crate) fn nothing(session: &mut Session, now: Timestamp) {
    if let Some(story) = &mut session.world.story {
        story.note(now, "unchecked", "nobody looked at SPF, DKIM and DMARC: no name server is set");
    }
}

/// The story: a line for each check and each signature.
pub(crate) fn story(session: &mut Session, now: Timestamp, findings: &Findings) {
    let Some(story) = &mut session.world.story else { return };
    let iprev = &findings.iprev;
    let name = iprev.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    story.note(now, "iprev", format_args!("{}: {}{name}{}", iprev.result, iprev.ip, because(&iprev.why)));
    for (identity, verdict) in [("MAIL FROM", Some(&findings.mail_from)), ("HELO", findings.helo.as_ref())] {
        let Some(verdict) = verdict else { continue };
        let identity = if verdict.identity == spf::Identity::Helo { "HELO" } else { identity };
        let domain = if verdict.domain.is_empty() { "no domain" } else { &verdict.domain };
        story.note(now, "spf", format_args!("{} for {identity} {domain}{}", verdict.result, because(&verdict.why)));
    }
    for outcome in &findings.dkim {
        story.note(now, "dkim", dkim_line(outcome));
    }
    if findings.dkim.is_empty() {
        story.note(now, "dkim", "none: not signed");
    }
    if findings.ignored > 0 {
        story.note(now, "dkim", format_args!("{} more signatures were not looked at", findings.ignored));
    }
    let chain = &findings.arc;
    if chain.cv != arc::Validation::None || !chain.sets.is_empty() {
        let way: Vec<String> = chain.sets.iter().map(|set| format!("{} {}", set.instance, set.domain)).collect();
        let way = if way.is_empty() { String::new() } else { format!(": {}", way.join(", ")) };
        story.note(now, "arc", format_args!("{}{way}{}", chain.cv.as_str(), because(&chain.why)));
    }
    let dmarc = &findings.dmarc;
    let domain = if dmarc.domain.is_empty() { "no domain" } else { &dmarc.domain };
    let published = match &dmarc.record {
        Some(record) => format!(", p={}{}", dmarc.published, if record.testing { " t=y" } else { "" }),
        None => String::new(),
    };
    story.note(now, "dmarc", format_args!("{} for {domain}{published}{}", dmarc.result, because(&dmarc.why)));
    if findings.authors.crowd {
        story.note(now, "dmarc", "From has more authors than are looked at, or can be read in several ways");
    }
}

/// The story: what was decided and by which word of the policy; nothing when nothing is wrong. Once for each decision, however
/// many recipients share it.
pub(crate) fn policy(
    session: &mut Session,
    now: Timestamp,
    decisions: &[Decision],
    together: &Together,
    believed: Option<&Believed>,
) {
    let mut lines: Vec<(Decision, Vec<String>)> = Vec::new();
    for (accepted, decision) in concerned(session).zip(decisions) {
        let domain = accepted.name.as_ref().map(|name| name.domain().as_str().to_owned()).unwrap_or_default();
        match lines.iter_mut().find(|(known, _)| known == decision) {
            Some((_, domains)) if !domains.contains(&domain) => domains.push(domain),
            Some(_) => {}
            None => lines.push((*decision, vec![domain])),
        }
    }
    for (decision, domains) in lines {
        let done = done(&decision, together);
        metrics::counter!("postroad_checks_actions_total", "action" => done, "cause" => cause(&decision)).increment(1);
        if decision.cause == Cause::Nothing {
            continue;
        }
        let spoken = believed.filter(|_| decision.spoken_for).map(|one| format!(", believed: {}", one.comment));
        let Some(story) = &mut session.world.story else { continue };
        let (why, spoken) = (cause(&decision), spoken.unwrap_or_default());
        story.note(now, "policy", format_args!("{done} for {}: {why}{spoken}", domains.join(" ")));
    }
}

/// The log: one line for each message that is refused or put off, so that "why is there no mail of them" is answered where
/// administrators look first. Domains and addresses of hosts, never people or words of the message.
pub(crate) fn refusal(trace: Option<TraceId>, findings: &Findings, facts: &Facts, key: Option<Key>, reply: &Reply) {
    let signers: Vec<String> = findings
        .dkim
        .iter()
        .take(SIGNERS_MAX)
        .map(|outcome| format!("{} {}", outcome.domain, outcome.status.as_str()))
        .collect();
    tracing::info!(
        trace = trace.map(|id| id.to_string()),
        client = %facts.ip,
        from = printable(&findings.dmarc.domain),
        mail_from = printable(&findings.mail_from.domain),
        spf = findings.mail_from.result.as_str(),
        dkim = printable(&signers.join(", ")),
        dmarc = findings.dmarc.result.as_str(),
        published = findings.dmarc.published.as_str(),
        policy = key.map(Key::name),
        code = reply.code(),
        "{}",
        if reply.is_transient() { "a message is put off, since it cannot be verified now" } else { "a message is refused" },
    );
}

/// Signers in one line of the log.
const SIGNERS_MAX: usize = 5;

/// What is done in the end: a refusal that not all want is Junk for who wants it.
fn done(decision: &Decision, together: &Together) -> &'static str {
    match (decision.action, together) {
        (Action::Reject, Together::Reject) => "refused",
        (Action::Defer, Together::Defer) => "deferred",
        (Action::Junk | Action::Reject, _) => "junk",
        (Action::Deliver | Action::Defer, _) => "delivered",
    }
}

fn cause(decision: &Decision) -> &'static str {
    match decision.cause {
        Cause::Nothing => "nothing",
        Cause::Policy(key) => key.name(),
        Cause::Crowd => "crowd",
        Cause::Unsure => "unsure",
    }
}

fn dkim_line(outcome: &dkim::Outcome) -> String {
    let bits = outcome.key_bits.map(|bits| format!(", {bits} bits")).unwrap_or_default();
    let testing = if outcome.testing { ", testing" } else { "" };
    format!(
        "{} by {} with {} ({}{bits}{testing}){}",
        outcome.status.as_str(),
        or_nobody(&outcome.domain),
        or_nobody(&outcome.selector),
        or_nobody(&outcome.algorithm),
        because(&outcome.why),
    )
}

fn or_nobody(text: &str) -> &str {
    if text.is_empty() { "?" } else { text }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

/// Counts results by method.
pub(crate) fn count(findings: &Findings) {
    let one = |method: &'static str, result: &'static str| {
        metrics::counter!("postroad_checks_total", "method" => method, "result" => result).increment(1);
    };
    one("iprev", findings.iprev.result.as_str());
    one("spf", findings.mail_from.result.as_str());
    one("dmarc", findings.dmarc.result.as_str());
    one("arc", findings.arc.cv.as_str());
    // Of several signatures the best: what counts for the message.
    let best = ["pass", "temperror", "fail", "policy", "neutral", "permerror"];
    let best = best.into_iter().find(|word| findings.dkim.iter().any(|outcome| outcome.status.as_str() == *word));
    one("dkim", best.unwrap_or("none"));
}
