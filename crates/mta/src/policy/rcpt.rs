//! Who may be a recipient.

use postroad_mail::{Address, Resolution};
use postroad_smtp::{ForwardPath, Host, Reply, Role};

use crate::FullMailbox;
use crate::replies;
use crate::state::{Accepted, Elsewhere};

/// Accounts that one message may reach, whatever its recipients expand to.
pub const MAX_TARGETS: usize = 10_000;

/// What is known when RCPT TO comes.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The listener.
    pub role: Role,
    /// Whether somebody logged in who owns the sender.
    pub authenticated: bool,
    /// Whether a sender that was rewritten here leads to it: a notice on its way back.
    pub led_back: bool,
    /// Whether the sender is the null path.
    pub null_sender: bool,
    /// The recipient as given.
    pub recipient: &'a ForwardPath,
    /// Where it leads.
    pub resolution: Resolution,
    /// Whether the only account it leads to has room.
    pub has_room: bool,
    /// Recipients accepted before.
    pub recipients: usize,
    /// Accounts and addresses that these lead to.
    pub targets: usize,
    /// It is where our own DNS records want reports to go, and no mailbox: the server reads what comes there by itself.
    pub reads_reports: bool,
    /// A recipient accepted before is one of those.
    pub after_reports: bool,
    /// What a full mailbox answers.
    pub full: FullMailbox,
}

/// Why a recipient is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The answer.
    pub reply: Reply,
    /// It does not exist: somebody may be guessing.
    pub unknown: bool,
}

/// Decides about a recipient.
pub fn decide(facts: Facts<'_>) -> Result<Accepted, Refused> {
    let recipient = facts.recipient;
    let refuse = |reply| Err(Refused { reply, unknown: false });
    // A notice tells one sender of one message. RFC 5321 §4.5.3.1.10: who has more recipients after all
    // brings them in another transaction, so nothing is lost.
    if facts.null_sender && facts.recipients > 0 && facts.role == Role::Relay && !facts.authenticated {
        return refuse(Reply::new(452, (4, 5, 3), "One recipient at a time for mail with the null sender, please."));
    }
    // A report is not also a letter to somebody else; who sends one brings the other in another transaction.
    if facts.after_reports || facts.reads_reports && facts.recipients > 0 {
        return refuse(Reply::new(452, (4, 5, 3), "Reports are taken by themselves, please."));
    }
    match facts.resolution {
        Resolution::Found { accounts, remote, name } => {
            if facts.targets + accounts.len() + remote.len() > MAX_TARGETS {
                return refuse(Reply::new(
                    452,
                    (4, 5, 3),
                    "Too many recipients for one message; send it in several parts.",
                ));
            }
            if !facts.has_room {
                return refuse(replies::over_quota(facts.full));
            }
            let remote = remote
                .iter()
                .map(|address| Elsewhere {
                    address: address.to_string(),
                    domain: address.domain().as_str().to_owned(),
                    via: Some(name.to_string()),
                })
                .collect();
            Ok(Accepted { targets: accounts, remote, name: Some(name), in_circles: false, ..Accepted::default() })
        }
        Resolution::Unknown if facts.reads_reports => {
            let address = recipient.address().and_then(|path| Address::new(path.local(), path.domain()?).ok());
            Ok(Accepted { name: address, reads_reports: true, ..Accepted::default() })
        }
        Resolution::Unknown => Err(Refused {
            reply: Reply::new(550, (5, 1, 1), format!("There is no mailbox {recipient} here.")),
            unknown: true,
        }),
        Resolution::Suspended => refuse(replies::suspended()),
        Resolution::Endless => refuse(Reply::new(
            451,
            (4, 3, 5),
            format!("The alias {recipient} leads in circles or to too many; its administrator has to repair it."),
        )),
        Resolution::NotOurs => relay(facts.role, facts.authenticated || facts.led_back, recipient),
    }
}

/// The one place where a recipient that is not ours is accepted.
fn relay(role: Role, authenticated: bool, recipient: &ForwardPath) -> Result<Accepted, Refused> {
    let elsewhere = recipient.address().and_then(|address| {
        let domain = match address.host() {
            Host::Domain(_) => address.domain_ascii()?,
            Host::Ip(_) => address.to_string().rsplit_once('@')?.1.to_ascii_lowercase(),
        };
        Some(Elsewhere { address: address.to_string(), domain, via: None })
    });
    let refuse = |reply| Err(Refused { reply, unknown: false });
    match (role, authenticated, elsewhere) {
        (Role::Relay | Role::Submission, true, Some(elsewhere)) => Ok(Accepted {
            targets: Vec::new(),
            remote: vec![elsewhere],
            name: None,
            in_circles: false,
            ..Accepted::default()
        }),
        (Role::Relay | Role::Submission, true, None) => refuse(Reply::new(
            553,
            (5, 1, 2),
            format!("The domain of {recipient} is no name that mail can be sent to."),
        )),
        (Role::Relay | Role::Submission, false, _) => refuse(Reply::new(
            550,
            (5, 7, 1),
            format!(
                "{recipient} is not ours, and we do not relay. Users of this server log in on the submission port."
            ),
        )),
        (Role::Lmtp, _, _) => {
            refuse(Reply::new(550, (5, 7, 1), format!("{recipient} is not ours, and LMTP does not relay.")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroad_mail::resolve::Target;
    use postroad_store::AccountId;

    fn facts<'a>(recipient: &'a ForwardPath, resolution: Resolution) -> Facts<'a> {
        Facts {
            role: Role::Relay,
            authenticated: false,
            led_back: false,
            null_sender: false,
            recipient,
            resolution,
            has_room: true,
            recipients: 0,
            targets: 0,
            reads_reports: false,
            after_reports: false,
            full: FullMailbox::TryLater,
        }
    }

    fn path(text: &str) -> ForwardPath {
        ForwardPath::Address(text.parse().expect("an address"))
    }

    fn found() -> Resolution {
        let address = Address::parse("bob@example.test").expect("an address");
        let target = Target { account: AccountId(7), address: address.clone(), detail: None };
        Resolution::Found { accounts: vec![target], remote: Vec::new(), name: address }
    }

    fn code(facts: Facts<'_>) -> u16 {
        decide(facts).map_or_else(|refused| refused.reply.code(), |_| 250)
    }

    #[test]
    fn only_an_authenticated_sender_relays() {
        let there = path("x@Elsewhere.TEST");
        for (role, authenticated, expect) in [
            (Role::Relay, false, 550),
            (Role::Submission, false, 550),
            (Role::Lmtp, false, 550),
            (Role::Lmtp, true, 550),
            (Role::Relay, true, 250),
            (Role::Submission, true, 250),
        ] {
            let decision = code(Facts { role, authenticated, ..facts(&there, Resolution::NotOurs) });
            assert_eq!(decision, expect, "{role:?} {authenticated}");
        }
        for (role, expect) in [(Role::Relay, 250), (Role::Submission, 250), (Role::Lmtp, 550)] {
            let decision =
                code(Facts { role, led_back: true, null_sender: true, ..facts(&there, Resolution::NotOurs) });
            assert_eq!(decision, expect, "{role:?}: a notice on its way back");
        }
        let accepted = decide(Facts { authenticated: true, ..facts(&there, Resolution::NotOurs) }).expect("accepted");
        assert_eq!(accepted.remote[0].domain, "elsewhere.test");
        assert_eq!(accepted.remote[0].address, "x@Elsewhere.TEST");
    }

    #[test]
    fn each_resolution_has_its_answer() {
        let bob = path("bob@example.test");
        assert_eq!(code(facts(&bob, found())), 250);
        assert_eq!(code(facts(&bob, Resolution::Unknown)), 550);
        assert_eq!(code(facts(&bob, Resolution::Suspended)), 550);
        assert_eq!(code(facts(&bob, Resolution::Endless)), 451);
        assert_eq!(code(Facts { has_room: false, ..facts(&bob, found()) }), 452);
        assert_eq!(code(Facts { has_room: false, full: FullMailbox::Refuse, ..facts(&bob, found()) }), 552);
        assert_eq!(code(Facts { targets: MAX_TARGETS, ..facts(&bob, found()) }), 452);
    }

    #[test]
    fn reports_are_read_without_a_mailbox() {
        let there = path("Postmaster@example.test");
        let here = |resolution| Facts { reads_reports: true, ..facts(&there, resolution) };
        let accepted = decide(here(Resolution::Unknown)).expect("accepted");
        assert!(accepted.reads_reports && accepted.targets.is_empty() && accepted.remote.is_empty());
        assert!(!decide(here(found())).expect("accepted").reads_reports, "a mailbox gets it");
        assert_eq!(code(Facts { recipients: 1, ..here(Resolution::Unknown) }), 452);
        assert_eq!(code(Facts { after_reports: true, recipients: 1, ..facts(&there, found()) }), 452);
    }

    #[test]
    fn a_notice_has_one_recipient() {
        let bob = path("bob@example.test");
        assert_eq!(code(Facts { null_sender: true, ..facts(&bob, found()) }), 250);
        assert_eq!(code(Facts { null_sender: true, recipients: 1, ..facts(&bob, found()) }), 452);
        let lmtp = Facts { null_sender: true, recipients: 1, role: Role::Lmtp, ..facts(&bob, found()) };
        assert_eq!(code(lmtp), 250, "a neighbour may have expanded an alias");
    }
}
