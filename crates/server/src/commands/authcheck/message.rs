//! `postroad authcheck message`: what DKIM, ARC and DMARC say of a message, and SPF where its envelope is told.
//!
//! The message is streamed: header first, then the body in pieces, as a server sees it.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use postroad_dns::Dns;
use postroad_mailauth::body::{Digests, Hashers};
use postroad_mailauth::{arc, dkim, dmarc, spf};
use postroad_message::address;
use postroad_message::header::{self, EndFinder};
use postroad_mta::checks::drive;
use serde_json::{Value, json};
use tokio::time::Instant;

/// Where a message came from; SPF is looked at only if this is known.
#[derive(Debug, Clone)]
pub(super) struct Envelope<'a> {
    pub(super) ip: IpAddr,
    pub(super) helo: &'a str,
    /// Without angle brackets; `None`: the null path.
    pub(super) mail_from: Option<&'a str>,
}

/// All that was found.
#[derive(Debug)]
pub(super) struct Findings {
    spf: Option<spf::Verdict>,
    dkim: Vec<dkim::Outcome>,
    /// Signatures that nobody looked at.
    ignored: usize,
    arc: arc::Verdict,
    dmarc: dmarc::Verdict,
}

/// A message whose body was hashed.
#[derive(Debug)]
pub(super) struct Message {
    header: Vec<u8>,
    dkim: dkim::Verifier,
    arc: arc::Verifier,
    digests: Digests,
}

/// Octets of a header block, as for mail that comes in.
const HEADER_BYTES: usize = postroad_mail::intake::MAX_HEADER_BYTES;
/// Octets read at once.
const PIECE: usize = 64 << 10;

/// Reads a message from a file, or from standard input for `-`.
pub(super) fn read(file: &Path, now: i64) -> Result<Message> {
    if file == Path::new("-") {
        return read_from(std::io::stdin().lock(), now).context("standard input");
    }
    let open = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    read_from(open, now).with_context(|| format!("{}", file.display()))
}

fn read_from(mut from: impl Read, now: i64) -> Result<Message> {
    let mut header = Vec::new();
    let mut finder = EndFinder::new();
    let mut piece = vec![0; PIECE];
    let rest = loop {
        let read = from.read(&mut piece).context("reading ended early")?;
        if read == 0 {
            break Vec::new();
        }
        let end = finder.feed(&piece[..read]);
        header.extend_from_slice(&piece[..end.unwrap_or(read)]);
        if header.len() > HEADER_BYTES {
            bail!("the header is longer than {HEADER_BYTES} octets: this is no message, or a hostile one");
        }
        if let Some(end) = end {
            break piece[end..read].to_vec();
        }
    };
    let mut hashers = Hashers::new();
    let limits = dkim::Limits::default();
    let dkim = dkim::Verifier::new(&header, now, &limits, &mut hashers);
    let arc = arc::Verifier::new(&header, now, &limits, &mut hashers);
    hashers.update(&rest);
    loop {
        let read = from.read(&mut piece).context("reading ended early")?;
        if read == 0 {
            break;
        }
        hashers.update(&piece[..read]);
    }
    Ok(Message { header, dkim, arc, digests: hashers.finish() })
}

/// Asks for all that the verdicts need.
pub(super) async fn look(
    message: Message,
    envelope: Option<&Envelope<'_>>,
    receiver: &str,
    now: i64,
    dns: &dyn Dns,
    deadline: Instant,
) -> Findings {
    let ignored = message.dkim.ignored();
    let check = envelope.map(|envelope| {
        spf::Check::new(spf::Input {
            ip: envelope.ip,
            helo: envelope.helo,
            mail_from: envelope.mail_from,
            receiver,
            now,
            limits: spf::Limits::default(),
        })
    });
    let spf = async {
        match check {
            Some(check) => Some(drive::run(check, dns, deadline).await),
            None => None,
        }
    };
    let (spf, dkim, arc) = tokio::join!(
        spf,
        drive::run(message.dkim.finish(&message.digests), dns, deadline),
        drive::run(message.arc.finish(&message.digests), dns, deadline),
    );
    let input = dmarc::Input {
        from_domains: authors(&message.header),
        spf: spf.as_ref().map(|spf| identifier(&spf.domain, spf.result.as_str())),
        dkim: dkim.iter().map(dkim::Outcome::identifier).collect(),
    };
    let dmarc = drive::run(dmarc::Check::new(input), dns, deadline).await;
    Findings { spf, dkim, ignored, arc, dmarc }
}

fn identifier(domain: &str, result: &str) -> dmarc::Identifier {
    let outcome = match result {
        "pass" => dmarc::Outcome::Pass,
        "temperror" => dmarc::Outcome::TempError,
        _ => dmarc::Outcome::Other,
    };
    dmarc::Identifier { domain: domain.to_owned(), outcome }
}

/// The domains of all authors in all From fields.
fn authors(header: &[u8]) -> Vec<String> {
    let mut domains: Vec<String> = Vec::new();
    for field in header::fields(header).filter(|field| field.is("From")) {
        for mailbox in address::mailboxes(&address::parse(field.value)) {
            let domain = mailbox.host.to_lowercase();
            if !domain.is_empty() && !domains.contains(&domain) {
                domains.push(domain);
            }
        }
    }
    domains
}

impl Findings {
    /// A line for each result: `method=result`, what it is about, and after a colon the reason.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(spf) = &self.spf {
            lines.push(format!("spf={} {}{}", spf.result.as_str(), spf.sender, because(&spf.why)));
        }
        if self.dkim.is_empty() {
            lines.push("dkim=none: the message is not signed".to_owned());
        }
        lines.extend(self.dkim.iter().map(dkim_line));
        if self.ignored > 0 {
            lines.push(format!("dkim=neutral: {} more signatures were not looked at", self.ignored));
        }
        let published = match &self.dmarc.record {
            Some(_) => format!(" p={}", self.dmarc.published.as_str()),
            None => String::new(),
        };
        let domain = &self.dmarc.domain;
        let about = if domain.is_empty() { String::new() } else { format!(" d={domain}") };
        lines.push(format!("dmarc={}{about}{published}{}", self.dmarc.result.as_str(), because(&self.dmarc.why)));
        let hops: Vec<String> =
            self.arc.sets.iter().map(|set| format!(" i={} d={}", set.instance, set.domain)).collect();
        let why = if self.arc.cv == arc::Validation::None { "there is no chain" } else { &self.arc.why };
        lines.push(format!("arc={}{}{}", self.arc.cv.as_str(), hops.concat(), because(why)));
        lines
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "spf": self.spf.as_ref().map(|spf| json!({
                "result": spf.result.as_str(), "domain": spf.domain, "sender": spf.sender, "mechanism": spf.mechanism, "reason": spf.why,
            })),
            "dkim": self.dkim.iter().map(dkim_json).collect::<Vec<_>>(),
            "dkim_not_looked_at": self.ignored,
            "dmarc": {
                "result": self.dmarc.result.as_str(),
                "domain": self.dmarc.domain,
                "policy_domain": self.dmarc.policy_domain,
                "published": self.dmarc.record.as_ref().map(|_| self.dmarc.published.as_str()),
                "policy": self.dmarc.policy.as_str(),
                "reason": self.dmarc.why,
            },
            "arc": {
                "result": self.arc.cv.as_str(),
                "oldest_pass": self.arc.oldest_pass,
                "reason": self.arc.why,
                "chain": self.arc.sets.iter().map(hop_json).collect::<Vec<_>>(),
            },
        })
    }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

fn dkim_line(outcome: &dkim::Outcome) -> String {
    let mut line = format!("dkim={}", outcome.status.as_str());
    for (name, value) in
        [("d", &outcome.domain), ("s", &outcome.selector), ("i", &outcome.identity), ("a", &outcome.algorithm)]
    {
        if !value.is_empty() {
            line.push_str(&format!(" {name}={value}"));
        }
    }
    if let Some(bits) = outcome.key_bits {
        line.push_str(&format!(" ({bits}-bit key)"));
    }
    if outcome.testing {
        line.push_str(" (testing)");
    }
    line + &because(&outcome.why)
}

fn dkim_json(outcome: &dkim::Outcome) -> Value {
    json!({
        "result": outcome.status.as_str(),
        "domain": outcome.domain,
        "selector": outcome.selector,
        "identity": outcome.identity,
        "algorithm": outcome.algorithm,
        "key_bits": outcome.key_bits,
        "b": outcome.b,
        "testing": outcome.testing,
        "unsigned_octets": outcome.unsigned_octets,
        "tail_is_blank": outcome.tail_is_blank,
        "signed_at": outcome.signed_at,
        "expires_at": outcome.expires_at,
        "reason": outcome.why,
    })
}

fn hop_json(set: &arc::Set) -> Value {
    json!({
        "instance": set.instance,
        "domain": set.domain,
        "selector": set.selector,
        "cv": set.cv.as_str(),
        "signature": set.signature.map(dkim::Status::as_str),
        "results": header::text(&set.results),
    })
}
