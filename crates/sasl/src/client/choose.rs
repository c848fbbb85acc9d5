//! The strongest mechanism of a server's list.

use postroad_protocol::Bindings;

use super::{ClientIdentity, Credential};
use crate::mechanism::{MECHANISMS, Mechanism, Needs};

/// The strongest mechanism that a server offers (names in any case), that can show what there is to show, and that this
/// connection allows: a binding for -PLUS, and privacy (TLS, or a line that is one) for what shows the secret. `None`: there is
/// none.
pub fn choose<'a>(
    offered: impl IntoIterator<Item = &'a str>,
    identity: &ClientIdentity,
    bindings: &Bindings,
    private: bool,
) -> Option<&'static Mechanism> {
    let offered: Vec<&str> = offered.into_iter().take(OFFERED_MAX).collect();
    let listed = |row: &&Mechanism| offered.iter().any(|name| row.name.eq_ignore_ascii_case(name));
    let shows = |row: &&Mechanism| match &identity.credential {
        Credential::Password(_) => {
            row.name.starts_with("SCRAM-") || matches!(row.name, "PLAIN" | "LOGIN" | "NTLM" | "CRAM-MD5")
        }
        Credential::Token { .. } => matches!(row.name, "OAUTHBEARER" | "XOAUTH2"),
        Credential::Certificate => row.name == "EXTERNAL",
    };
    // What NTLM and CRAM-MD5 send is too quick to guess against for a line that others read.
    let hidden = |row: &&Mechanism| private || !(row.sends_secret || matches!(row.name, "NTLM" | "CRAM-MD5"));
    let allowed = |row: &&Mechanism| hidden(row) && (row.needs != Needs::Binding || bindings.any());
    let fit = || MECHANISMS.iter().filter(listed).filter(shows).filter(allowed);
    // Who can bind itself does, by whatever hash: else it would have to say that it could not (RFC 5802 §6).
    fit().find(|row| row.needs == Needs::Binding).or_else(|| fit().next())
}

/// Most names of a server that are looked at.
const OFFERED_MAX: usize = 64;
