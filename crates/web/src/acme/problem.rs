//! What went wrong with an order, in words, with what to do and how long to wait.

use std::time::Duration;

use instant_acme::{Error, Identifier, Problem};

/// Why there is no certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, with the authority's own words.
    pub problem: String,
    /// What to do.
    pub next_step: String,
    /// The order cannot be gone on with.
    pub is_order_over: bool,
    /// Names that the authority did not believe to be ours, and why.
    pub refused: Vec<(String, String)>,
    /// The authority does not know our account any more.
    pub is_account_gone: bool,
    /// At least so long until the next try.
    pub(crate) rest: Duration,
}

impl Failure {
    /// Something of ours.
    pub(crate) fn own(problem: impl Into<String>, next_step: &str) -> Failure {
        Failure {
            problem: problem.into(),
            next_step: next_step.to_owned(),
            is_order_over: false,
            refused: Vec::new(),
            is_account_gone: false,
            rest: Duration::ZERO,
        }
    }

    /// Until the next try, after so many failures before this one: twice as long each time.
    pub(crate) fn pause(&self, failures_before: u32) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1u32.checked_shl(failures_before.min(16)).unwrap_or(u32::MAX));
        doubled.min(LONGEST_PAUSE).max(self.rest)
    }

    /// What came of doing `what`.
    pub(crate) fn of(what: &str, error: Error) -> Failure {
        match error {
            Error::Api(problem) => Failure::said(what, &problem),
            Error::Timeout(_) => Failure::own(
                format!("{what}: the authority takes its time"),
                "nothing: the order is gone on with later",
            ),
            Error::Unsupported(feature) => Failure::own(
                format!("{what}: the authority has no {feature}"),
                "leave it out of [acme] in the settings",
            ),
            Error::Json(error) => Failure::own(
                format!("{what}: the answer is not ACME: {error}"),
                "look whether acme.directory is the URL of an ACME directory",
            ),
            other => Failure::own(
                format!("{what}: {}", chain_of(&other)),
                "look whether this machine reaches the URL acme.directory and trusts its certificate (acme.authorities)",
            ),
        }
    }

    /// RFC 8555 §6.7.
    fn said(what: &str, problem: &Problem) -> Failure {
        let kind = kind(problem);
        let words = words(problem);
        let mut failure = Failure::own(format!("{what}: {words}"), next_step(kind));
        failure.is_order_over = !matches!(kind, "badNonce" | "serverInternal" | "orderNotReady");
        failure.is_account_gone = kind == "accountDoesNotExist";
        failure.rest = match kind {
            "rateLimited" => RATE_LIMITED,
            "rejectedIdentifier" | "caa" | "externalAccountRequired" | "userActionRequired" => HOPELESS,
            _ => Duration::ZERO,
        };
        for sub in &problem.subproblems {
            if let Some(Identifier::Dns(name)) = &sub.identifier {
                failure.refused.push((name.clone(), sub.detail.clone().unwrap_or_else(|| words.clone())));
            }
        }
        failure
    }

    /// The authority has looked and did not see what it should have.
    pub(crate) fn not_believed(verb: &str, refused: Vec<(String, String, &'static str)>) -> Failure {
        let all: Vec<String> = refused.iter().map(|(name, why, _)| format!("{name}: {why}")).collect();
        let next_step = refused.first().map_or("", |(_, _, next_step)| next_step);
        Failure {
            problem: format!("the authority {verb} that these names are ours: {}", all.join("; ")),
            next_step: next_step.to_owned(),
            is_order_over: true,
            refused: refused.into_iter().map(|(name, why, _)| (name, why)).collect(),
            is_account_gone: false,
            rest: Duration::ZERO,
        }
    }
}

/// What a problem document says, for people.
pub(crate) fn words(problem: &Problem) -> String {
    let mut words = problem.detail.clone().unwrap_or_else(|| "no reason is given".into());
    if problem.r#type.is_some() {
        words += &format!(" ({})", kind(problem));
    }
    words
}

fn kind(problem: &Problem) -> &str {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(kind)
}

/// Whether it says what an authority saw when it looked at a challenge, not why it would not look. RFC 8555 §6.7.
pub(super) fn is_verdict(problem: &Problem) -> bool {
    matches!(kind(problem), "unauthorized" | "connection" | "incorrectResponse" | "tls" | "dns" | "caa")
}

fn next_step(kind: &str) -> &'static str {
    match kind {
        "rateLimited" => "wait: the authority limits how often it is asked; it is tried again",
        "caa" => "let the CAA records of the domain name this authority, or remove them",
        "rejectedIdentifier" => "leave the name out: this authority gives no certificate for it",
        "externalAccountRequired" => {
            "set acme.external-key-id and acme.external-key-file: this authority wants an account of its own"
        }
        "userActionRequired" => "read the authority's new terms; then say `acme.terms-agreed = true` again",
        "unauthorized" | "connection" | "incorrectResponse" | "tls" => {
            "look whether the name leads to this server, and ports 80 and 443 are open from outside"
        }
        "dns" => "look whether the name servers of the domain answer",
        "accountDoesNotExist" => "nothing: the account was closed there, and another one is opened at the next try",
        "invalidContact" | "unsupportedContact" => "correct acme.contact: an address for mail",
        "badCSR" | "badPublicKey" => "choose another acme.key, such as \"ecdsa-p256\"",
        _ => "see the authority's own words; it is tried again",
    }
}

/// An error with its causes.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !words.contains(&more) {
            words += &format!(": {more}");
        }
        cause = inner.source();
    }
    words
}

/// Let's Encrypt allows five failed validations of a name in an hour.
const FIRST_PAUSE: Duration = Duration::from_secs(15 * 60);
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);
const RATE_LIMITED: Duration = Duration::from_secs(6 * 60 * 60);
/// Nothing changes by itself.
const HOPELESS: Duration = Duration::from_secs(12 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: &str) -> Problem {
        Problem {
            r#type: Some(format!("urn:ietf:params:acme:error:{kind}")),
            detail: Some("so it is".into()),
            status: Some(400),
            subproblems: Vec::new(),
        }
    }

    #[test]
    fn pauses_grow_to_a_day() {
        let failure = Failure::own("x", "y");
        let minutes: Vec<u64> = (0..9).map(|before| failure.pause(before).as_secs() / 60).collect();
        assert_eq!(minutes, [15, 30, 60, 120, 240, 480, 960, 1440, 1440]);
        assert_eq!(failure.pause(u32::MAX), LONGEST_PAUSE);
        let limited = Failure::of("ordering", Error::Api(problem("rateLimited")));
        assert_eq!(limited.pause(0), RATE_LIMITED);
    }

    #[test]
    fn each_failure_says_what_to_do() {
        for (kind, over, step) in [
            ("caa", true, "CAA records"),
            ("badNonce", false, "tried again"),
            ("externalAccountRequired", true, "acme.external-key-id"),
            ("unauthorized", true, "ports 80 and 443"),
            ("somethingNew", true, "own words"),
        ] {
            let failure = Failure::of("ordering", Error::Api(problem(kind)));
            assert_eq!(failure.is_order_over, over, "{kind}");
            assert!(failure.next_step.contains(step), "{kind}: {}", failure.next_step);
            assert_eq!(failure.problem, format!("ordering: so it is ({kind})"));
            assert_eq!(is_verdict(&problem(kind)), matches!(kind, "caa" | "unauthorized"), "{kind}");
        }
    }
}
