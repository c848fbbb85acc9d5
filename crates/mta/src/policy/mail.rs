//! Who may be the sender.

use postroad_smtp::{Address, Reply, Role};

/// What is known when MAIL FROM comes.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The listener.
    pub role: Role,
    /// The login, when there is one.
    pub login: Option<&'a str>,
    /// The sender; `None` is the null path.
    pub sender: Option<&'a Address>,
    /// Whether the login may send as the sender.
    pub owned: bool,
}

/// Decides about a sender.
pub fn decide(facts: Facts<'_>) -> Result<(), Reply> {
    match (facts.role, facts.login, facts.sender) {
        // RFC 6409 §4.3
        (Role::Submission, None, _) => {
            Err(Reply::new(530, (5, 7, 0), "Please log in before sending: this port is for authenticated users."))
        }
        // The null path: notices (RFC 5321 §4.5.5), and read receipts of clients (RFC 8098).
        (_, _, None) => Ok(()),
        (_, Some(login), Some(sender)) if !facts.owned => Err(Reply::new(
            553,
            (5, 7, 1),
            format!("{login} may not send as {sender}. Use an address or alias of your own, or have this one made."),
        )),
        (_, Some(_), Some(_)) => Ok(()),
        (Role::Relay | Role::Lmtp, None, Some(_)) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_are_owned_or_strangers() {
        let address: Address = "a@example.test".parse().expect("an address");
        let (some, none) = (Some(&address), None);
        let (alice, nobody) = (Some("alice"), None);
        for (role, login, sender, owned, expect) in [
            (Role::Submission, nobody, some, true, Err(530)),
            (Role::Submission, nobody, none, false, Err(530)),
            (Role::Submission, alice, some, true, Ok(())),
            (Role::Submission, alice, some, false, Err(553)),
            (Role::Submission, alice, none, false, Ok(())),
            (Role::Relay, alice, some, false, Err(553)),
            (Role::Relay, nobody, some, false, Ok(())),
            // Forwarded mail has senders of ours as well as forged mail: SPF and DMARC tell them apart.
            (Role::Relay, nobody, some, true, Ok(())),
            (Role::Relay, nobody, none, false, Ok(())),
            (Role::Lmtp, nobody, some, true, Ok(())),
        ] {
            let decision = decide(Facts { role, login, sender, owned }).map_err(|reply| reply.code());
            assert_eq!(decision, expect, "{role:?} {login:?} {sender:?} {owned}");
        }
    }
}
