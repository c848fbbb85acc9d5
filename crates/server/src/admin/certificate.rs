//! Where each certificate stands, in words: what is there, what is wanted, and what to do.

use postroad_store::{Store, Timestamp};
use postroad_trust::certificates::{self, Certificate, CertificateState, Line, Origin, Refused};
use postroad_web::acme::renew_at;

use super::time::shown;

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grade {
    Good,
    Note,
    Bad,
}

impl Grade {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Grade::Good => "ok",
            Grade::Note => "note",
            Grade::Bad => "BAD",
        }
    }
}

/// A line of names and what it has.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) line: String,
    pub(crate) names: Vec<String>,
    pub(crate) current: Option<Certificate>,
    pub(crate) renewal: Option<Timestamp>,
    pub(crate) grade: Grade,
    /// All of it in a sentence.
    pub(crate) fact: String,
    pub(crate) next_step: String,
}

/// All lines, and certificates without a line.
pub(crate) fn states(store: &Store, now: Timestamp) -> certificates::Result<Vec<State>> {
    let (lines, there, refused) = store.read_blocking(|tx| {
        Ok::<_, certificates::Error>((
            certificates::lines(tx)?,
            certificates::certificates(tx)?,
            certificates::refused(tx)?,
        ))
    })?;
    let current =
        |line: &str| there.iter().find(|one| one.line == line && one.state == CertificateState::InUse).cloned();
    let mut states: Vec<State> = lines.iter().map(|line| of_line(line, current(&line.name), &refused, now)).collect();
    for one in there.iter().filter(|one| one.state == CertificateState::InUse) {
        if !lines.iter().any(|line| line.name == one.line) {
            states.push(without_line(one, now));
        }
    }
    Ok(states)
}

fn of_line(line: &Line, current: Option<Certificate>, refused: &[Refused], now: Timestamp) -> State {
    let missing: Vec<&str> = match &current {
        Some(current) => line.names.iter().filter(|name| !current.names.contains(name)).map(String::as_str).collect(),
        None => Vec::new(),
    };
    let days = current.as_ref().map(|current| days_left(current, now));
    let renewal = current.as_ref().filter(|current| current.origin == Origin::Acme).map(renew_at);
    let mut fact = match (&current, days) {
        (Some(current), Some(days)) => format!("for {}, {days} days left", current.names.join(" ")),
        _ => format!("none yet for {}", line.names.join(" ")),
    };
    if !missing.is_empty() {
        fact += &format!("; missing: {}", missing.join(" "));
    }
    if !line.problem.is_empty() {
        fact += &format!("; {}", line.problem);
    }
    let why_left_out = refused.iter().filter(|one| one.until > now && missing.contains(&one.name.as_str()));
    for one in why_left_out {
        fact += &format!("; {} is left out: {}", one.name, one.why);
    }
    let grade = match days {
        None => {
            if line.problem.is_empty() {
                Grade::Note
            } else {
                Grade::Bad
            }
        }
        Some(days) if days < 0 => Grade::Bad,
        Some(days) if days < DAYS_LEFT_MIN && !line.problem.is_empty() => Grade::Bad,
        Some(days) if days < DAYS_LEFT_MIN && renewal.is_none() => Grade::Note,
        Some(_) if !line.problem.is_empty() || !missing.is_empty() => Grade::Note,
        Some(_) => Grade::Good,
    };
    let next_step = match (grade, &current) {
        (Grade::Good, _) => String::new(),
        _ if !line.next_step.is_empty() => line.next_step.clone(),
        (_, None) => "it is ordered while the server runs with acme.terms-agreed = true".into(),
        (_, Some(current)) if current.origin == Origin::Imported => "import a new one before it runs out".into(),
        _ => "it is tried again by itself".into(),
    };
    let again =
        (line.not_before > now && !line.problem.is_empty()).then(|| format!(" (again at {})", shown(line.not_before)));
    let next_step = format!("{next_step}{}", again.unwrap_or_default());
    State { line: line.name.clone(), names: line.names.clone(), current, renewal, grade, fact, next_step }
}

fn without_line(one: &Certificate, now: Timestamp) -> State {
    let days = days_left(one, now);
    State {
        line: one.line.clone(),
        names: one.names.clone(),
        renewal: None,
        grade: if days < 0 { Grade::Bad } else { Grade::Note },
        fact: format!("for {}, {days} days left", one.names.join(" ")),
        next_step: match one.origin {
            Origin::Imported => "import a new one before it runs out".into(),
            Origin::Acme => "its names are wanted no more, or lead elsewhere: it is not renewed".into(),
        },
        current: Some(one.clone()),
    }
}

pub(crate) fn days_left(certificate: &Certificate, now: Timestamp) -> i64 {
    (certificate.not_after.0 - now.0).div_euclid(MICROS_PER_DAY)
}

/// A certificate with fewer days left should have been renewed.
const DAYS_LEFT_MIN: i64 = 14;
const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;
