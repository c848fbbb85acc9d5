//! CAPA (RFC 2449), by what the session may do now.

use crate::session::Session;

/// The lines of CAPA.
pub(crate) fn list(session: &Session) -> Vec<String> {
    let mut lines: Vec<String> =
        ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"].map(str::to_owned).to_vec();
    if session.may_send_password() {
        lines.push("USER".to_owned());
    }
    let names: Vec<&str> = session.mechanisms().iter().map(|row| row.name).collect();
    if !names.is_empty() {
        lines.push(format!("SASL {}", names.join(" ")));
    }
    if session.may_start_tls() {
        lines.push("STLS".to_owned());
    }
    // RFC 6856 §2.1: the argument says that names and passwords may be UTF-8.
    lines.push("UTF8 USER".to_owned());
    lines.push("LANG".to_owned());
    let interval = session.settings.login_interval.as_secs();
    if interval > 0 {
        lines.push(format!("LOGIN-DELAY {interval}"));
    }
    lines.push(match session.settings.expire_days {
        Some(days) => format!("EXPIRE {days}"),
        None => "EXPIRE NEVER".to_owned(),
    });
    lines.push("IMPLEMENTATION Postroad".to_owned());
    lines
}
