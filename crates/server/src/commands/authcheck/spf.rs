//! `postroad authcheck spf`: the result as the first word, then the reason on the same line.

use std::net::IpAddr;

use postroad_mailauth::spf;
use serde_json::{Value, json};

/// The check of one identity, as the server makes it.
pub(super) fn check(ip: IpAddr, helo: &str, mail_from: Option<&str>, receiver: &str, now: i64) -> spf::Check {
    spf::Check::new(spf::Input { ip, helo, mail_from, receiver, now, limits: spf::Limits::default() })
}

/// One line; what the domain itself says of a failure stands at its end, in quotes.
pub(super) fn line(verdict: &spf::Verdict) -> String {
    // Reasons quote the DNS: a line of its making would be a line of ours.
    let why = verdict.why.replace(['\r', '\n'], " ");
    let said = verdict.explanation.as_ref().map(|text| format!("; the domain says {text:?}")).unwrap_or_default();
    format!("{} {why}{said}", verdict.result)
}

/// The same for programs.
pub(super) fn json(verdict: &spf::Verdict) -> Value {
    json!({
        "result": verdict.result.as_str(),
        "identity": match verdict.identity {
            spf::Identity::MailFrom => "mailfrom",
            spf::Identity::Helo => "helo",
        },
        "domain": verdict.domain,
        "sender": verdict.sender,
        "mechanism": verdict.mechanism,
        "reason": verdict.why,
        "explanation": verdict.explanation,
    })
}
