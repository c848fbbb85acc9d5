//! Signing what comes in: who signs is known when the header has ended, what is signed when the body has.

use std::sync::Arc;

use postroad_mail::Domain;
use postroad_mailauth::arc;
use postroad_mailauth::body::{Canonicalization, Digests, Hashers};
use postroad_message::header::find;
use postroad_smtp::Reply;
use postroad_store::Timestamp;

use super::Identity;
use crate::checks::Checked;
use crate::header::Review;
use crate::inbound::{Inbound, Session};
use crate::replies;
use crate::state::{Accepted, Login};

/// What is put before a message that is under way.
#[derive(Debug, Clone, Default)]
pub(crate) enum Plan {
    /// Nothing.
    #[default]
    Nothing,
    /// Nothing, because no key of this domain signs.
    NoKey(String),
    /// The signatures of its author's domain.
    Sign(Arc<Identity>),
    /// The seal of the domain that forwards it.
    Seal(Arc<Identity>),
}

/// What of the header belongs to the login.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answers<'a> {
    pub(crate) login: &'a Login,
    /// From, all of it.
    pub(crate) from: bool,
    /// Sender.
    pub(crate) sender: bool,
    /// Resent-From.
    pub(crate) resent: bool,
}

impl Plan {
    /// The body has to be hashed for it. Before its first octet.
    pub(crate) fn ask(&self, hashers: &mut Hashers) {
        match self {
            Plan::Nothing | Plan::NoKey(_) => {}
            // Most signatures want the same. Where a message wants too many others, it goes without a seal.
            Plan::Sign(_) | Plan::Seal(_) => {
                hashers.want(Canonicalization::Relaxed, None);
            }
        }
    }

    /// The fields to put before `header`, and what the story says of them.
    pub(crate) fn fields(
        &self,
        header: &[u8],
        digests: &Digests,
        checked: Option<&Checked>,
        hostname: &str,
        now: Timestamp,
    ) -> (Vec<u8>, Option<(&'static str, String)>) {
        let none = |why: &str| (Vec::new(), Some(("unsigned", why.to_owned())));
        match self {
            Plan::Nothing => (Vec::new(), None),
            Plan::NoKey(domain) => {
                let why = format!("no key of {domain} signs yet; `postroad dkim list {domain}` says why");
                (Vec::new(), Some(("unsigned", why)))
            }
            Plan::Sign(identity) => match digests.get(Canonicalization::Relaxed, None) {
                Some(body) => {
                    let (fields, words) = identity.sign(header, &body, now);
                    (fields, Some(("signed", words)))
                }
                None => none("its body was not hashed"),
            },
            Plan::Seal(identity) => {
                let Some(body) = digests.get(Canonicalization::Relaxed, None) else {
                    return none("its body was not hashed");
                };
                let Some((results, cv)) = found(header, checked, hostname) else {
                    return none("its ARC chain was not looked at, so it is not sealed");
                };
                match identity.seal(header, &body, &results, cv, now) {
                    Some(fields) => {
                        let words =
                            format!("by {} as it is forwarded, the chain before: {}", identity.domain(), cv.as_str());
                        (fields, Some(("sealed", words)))
                    }
                    None => none("nobody can seal it: its ARC chain is broken, or as long as one may be"),
                }
            }
        }
    }
}

/// What our Authentication-Results says, and the state of the chain. `None`: there is a chain, and nobody looked at it.
fn found(header: &[u8], checked: Option<&Checked>, hostname: &str) -> Option<(String, arc::Validation)> {
    let looked = checked.filter(|checked| checked.arc_is_known);
    match looked {
        Some(checked) => {
            let results = checked.results.split_once(':').map_or("", |(_, results)| results).trim();
            Some((results.to_owned(), checked.arc))
        }
        None if find(header, "ARC-Seal").is_none() => Some((format!("{hostname}; none"), arc::Validation::None)),
        None => None,
    }
}

/// The domains that may answer for a submitted message, the best first.
fn domains(review: &Review, answers: &Answers<'_>) -> Vec<String> {
    let first = |list: &[crate::header::Author], owned: bool| {
        let author = list.first().filter(|_| owned)?;
        Domain::parse(&author.domain).ok()
    };
    let found = [
        first(&review.from, answers.from),
        first(&review.resent_from, answers.resent),
        first(&review.sender, answers.sender && review.sender_fields == 1),
        Some(answers.login.address.domain().clone()),
    ];
    let mut names: Vec<String> = Vec::new();
    for domain in found.into_iter().flatten() {
        if !names.iter().any(|name| name == domain.as_str()) {
            names.push(domain.as_str().to_owned());
        }
    }
    names
}

/// The domain of the first address of ours that sends it on.
fn forwards(recipients: &[Accepted]) -> Option<String> {
    let sent_on = recipients.iter().filter(|recipient| !recipient.in_circles);
    let via = sent_on.flat_map(|recipient| &recipient.remote).find_map(|elsewhere| elsewhere.via.as_deref())?;
    via.rsplit_once('@').map(|(_, domain)| domain.to_owned())
}

impl Inbound {
    /// Who signs or seals the message whose header has just been reviewed; `answers` for what somebody with a login hands in.
    /// Asks for the hash.
    pub(crate) async fn plan_signature(
        &self,
        session: &mut Session,
        review: &Review,
        answers: Option<Answers<'_>>,
    ) -> Result<(), Reply> {
        let Some(signers) = &self.signing.signers else { return Ok(()) };
        let names = match answers {
            Some(answers) => domains(review, &answers),
            None => forwards(&session.world.recipients).into_iter().collect(),
        };
        let mut plan = match (answers, names.first()) {
            (Some(_), Some(name)) => Plan::NoKey(name.clone()),
            (Some(_) | None, _) => Plan::Nothing,
        };
        for name in &names {
            let found = signers.of_or_above(name).await.map_err(|error| {
                let error = postroad_mail::Error::Store(error);
                replies::log(&error, "looking for signing keys");
                replies::mail_failed(&error, self.settings.full_mailbox)
            })?;
            if let Some(identity) = found {
                plan = if answers.is_some() { Plan::Sign(identity) } else { Plan::Seal(identity) };
                break;
            }
        }
        if let Some(body) = &mut session.world.body {
            plan.ask(&mut body.hashers);
            body.signing = plan;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Author;
    use postroad_mail::Address;
    use postroad_store::AccountId;

    #[test]
    fn nobody_gets_the_signature_of_another() {
        let author = |text: &str| {
            let (local, domain) = text.split_once('@').expect("an address");
            vec![Author { local: local.into(), domain: domain.into() }]
        };
        let login = Login {
            account: AccountId(1),
            address: Address::parse("bob@bob.test").expect("an address"),
            name: "bob".into(),
        };
        for (from, sender, resent, owns, expect) in [
            ("bob@bob.test", None, None, "f", "bob.test"),
            ("bob@ALIAS.test", None, None, "f", "alias.test bob.test"),
            ("ceo@bank.test", None, None, "", "bob.test"),
            ("ceo@bank.test", Some("bob@lists.test"), None, "s", "lists.test bob.test"),
            ("ceo@bank.test", Some("ceo@bank.test"), None, "", "bob.test"),
            ("ceo@bank.test", None, Some("bob@second.test"), "r", "second.test bob.test"),
            ("info@bücher.test", None, None, "f", "xn--bcher-kva.test bob.test"),
        ] {
            let review = Review {
                from: author(from),
                sender_fields: usize::from(sender.is_some()),
                sender: sender.map(author).unwrap_or_default(),
                resent_from: resent.map(author).unwrap_or_default(),
                ..Review::default()
            };
            let owns = |letter| owns.contains(letter);
            let answers = Answers { login: &login, from: owns('f'), sender: owns('s'), resent: owns('r') };
            assert_eq!(domains(&review, &answers).join(" "), expect, "{from} {sender:?} {resent:?}");
        }
    }
}
