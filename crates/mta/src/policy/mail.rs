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
    /// Whether the login may send as the sender. Without a login: whether the sender's domain is ours.
    pub owned: bool,
}

/// What to tell about an accepted sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Nothing is odd.
    Plain,
    /// A domain of ours from a stranger: forwarded mail looks so, forged mail too. SPF and DMARC will tell.
    OursWithoutLogin,
}

/// Decides about a sender.
pub fn decide(facts: Facts<'_>) -> Result<Sender, Reply> {
    match (facts.role, facts.login, facts.sender) {
        // RFC 6409 §4.3
        (Role::Submission, None, _) => {
            Err(Reply::new(530, (5, 7, 0), "Please log in before sending: this port is for authenticated users."))
        }
        // The null path: notices (RFC 5321 §4.5.5), and read receipts of clients (RFC 8098).
        (_, _, None) => Ok(Sender::Plain),
        (_, Some(login), Some(sender)) if !facts.owned => Err(Reply::new(
            553,
            (5, 7, 1),
            format!("{login} may not send as {sender}. Use an address or alias of your own, or have this one made."),
        )),
        (_, Some(_), Some(_)) => Ok(Sender::Plain),
        (Role::Relay, None, Some(_)) if facts.owned => Ok(Sender::OursWithoutLogin),
        (Role::Relay | Role::Lmtp, None, Some(_)) => Ok(Sender::Plain),
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
            (Role::Submission, alice, some, true, Ok(Sender::Plain)),
            (Role::Submission, alice, some, false, Err(553)),
            (Role::Submission, alice, none, false, Ok(Sender::Plain)),
            (Role::Relay, alice, some, false, Err(553)),
            (Role::Relay, nobody, some, false, Ok(Sender::Plain)),
            (Role::Relay, nobody, some, true, Ok(Sender::OursWithoutLogin)),
            (Role::Relay, nobody, none, false, Ok(Sender::Plain)),
            (Role::Lmtp, nobody, some, true, Ok(Sender::Plain)),
        ] {
            let decision = decide(Facts { role, login, sender, owned }).map_err(|reply| reply.code());
            assert_eq!(decision, expect, "{role:?} {login:?} {sender:?} {owned}");
        }
    }
}
