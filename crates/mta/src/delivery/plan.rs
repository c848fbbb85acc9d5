//! Who gets what: the recipients of a session become copies for accounts here and rows for the queue, each once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use postroad_queue as queue;
use postroad_smtp::RcptTo;
use postroad_store::AccountId;

use super::{Parcel, Recipient};
use crate::checks::Filed;
use crate::state::{Accepted, Elsewhere};

/// Puts recipients that lead to the same place together: one message each, however often it is named.
pub(crate) fn plan(
    recipients: &[RcptTo],
    accepted: &[Accepted],
    held: bool,
) -> (Vec<Parcel>, Vec<queue::Recipient>, Vec<Recipient>) {
    let (mut parcels, mut outgoing, mut planned) = (Vec::<Parcel>::new(), Outbox::default(), Vec::new());
    let mut known: HashMap<(AccountId, Option<String>), usize> = HashMap::new();
    for (recipient, accepted) in recipients.iter().zip(accepted) {
        let waits = held.then(|| waiting(recipient, accepted)).flatten();
        let accepted = waits.as_ref().unwrap_or(accepted);
        let mut plan = Recipient {
            address: recipient.path.to_string(),
            original: original(recipient, false),
            notify: notify(recipient),
            parcels: Vec::with_capacity(accepted.targets.len()),
            onward: accepted.remote.len(),
            in_circles: accepted.in_circles,
        };
        if !accepted.in_circles {
            for target in &accepted.targets {
                let index = *known.entry((target.account, target.detail.clone())).or_insert_with(|| {
                    parcels.push(Parcel { target: target.clone(), filed: accepted.filed });
                    parcels.len() - 1
                });
                // What one of the names that lead here lets through is let through.
                if accepted.filed == Filed::Usual {
                    parcels[index].filed = Filed::Usual;
                }
                plan.parcels.push(index);
            }
            // RFC 3461 §5.2.7.3: the success of what has been expanded is told here, and once.
            let success = plan.notify.success && !plan.is_expanded();
            for elsewhere in &accepted.remote {
                outgoing.add(recipient, elsewhere, queue::Notify { success, ..plan.notify });
            }
        }
        planned.push(plan);
    }
    (parcels, outgoing.recipients, planned)
}

/// RFC 4865 §4: what is for mailboxes here waits like all else, under the name that the sender used.
fn waiting(recipient: &RcptTo, accepted: &Accepted) -> Option<Accepted> {
    let name = accepted.name.as_ref().filter(|_| !accepted.in_circles)?;
    let domain = name.domain().as_str().to_owned();
    let address = recipient.path.address().map_or_else(|| name.to_string(), ToString::to_string);
    let itself = Elsewhere { address, domain, via: None };
    Some(Accepted { targets: Vec::new(), remote: vec![itself], ..accepted.clone() })
}

/// What goes elsewhere, each address once.
#[derive(Default)]
struct Outbox {
    recipients: Vec<queue::Recipient>,
    /// Indexes by local part, which only its own server may fold (RFC 5321 §2.4), and domain.
    known: HashMap<(String, String), usize>,
}

impl Outbox {
    fn add(&mut self, recipient: &RcptTo, elsewhere: &Elsewhere, notify: queue::Notify) {
        let local = elsewhere.address.rsplit_once('@').map_or(elsewhere.address.as_str(), |(local, _)| local);
        match self.known.entry((local.to_owned(), elsewhere.domain.clone())) {
            Entry::Vacant(entry) => {
                entry.insert(self.recipients.len());
                self.recipients.push(queue::Recipient {
                    address: elsewhere.address.clone(),
                    domain: elsewhere.domain.clone(),
                    notify,
                    orcpt: original(recipient, elsewhere.via.is_some()),
                    via: elsewhere.via.clone(),
                    // RFC 7293 §6: whom an address leads to is not whom the sender knew.
                    valid_since: recipient
                        .valid_since
                        .filter(|_| elsewhere.via.is_none())
                        .map(|since| since.to_string()),
                });
            }
            // Whoever asked to hear hears.
            Entry::Occupied(entry) => {
                let first = &mut self.recipients[*entry.get()];
                first.notify.success |= notify.success;
                first.notify.failure |= notify.failure;
                first.notify.delay |= notify.delay;
                // The sender named it as well, and may hear its name.
                if elsewhere.via.is_none() && first.via.take().is_some() {
                    first.orcpt = original(recipient, false);
                }
            }
        }
    }
}

fn notify(recipient: &RcptTo) -> queue::Notify {
    recipient.notify.map_or_else(queue::Notify::default, |notify| queue::Notify {
        success: notify.success,
        failure: notify.failure,
        delay: notify.delay,
    })
}

/// ORCPT as given; behind an alias, what the sender wrote, so that a notice speaks of what they know
/// (RFC 3461 §5.2.7.3).
fn original(recipient: &RcptTo, behind_alias: bool) -> Option<String> {
    match &recipient.orcpt {
        Some(orcpt) => Some(format!("{};{}", orcpt.kind, orcpt.address)),
        None if behind_alias => {
            let path = recipient.path.to_string();
            let kind = if path.is_ascii() { "rfc822" } else { "utf-8" };
            Some(format!("{kind};{path}"))
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroad_mail::Address;
    use postroad_mail::resolve::Target;
    use postroad_smtp::ForwardPath;

    fn rcpt(text: &str) -> RcptTo {
        let path = ForwardPath::Address(text.parse().expect("an address"));
        RcptTo::new(path)
    }

    fn target(account: i64, detail: Option<&str>) -> Target {
        let address = Address::parse(&format!("a{account}@example.test")).expect("an address");
        Target { account: AccountId(account), address, detail: detail.map(str::to_owned) }
    }

    #[test]
    fn one_place_gets_one_copy() {
        let elsewhere = |address: &str, via: Option<&str>| Elsewhere {
            address: address.into(),
            domain: "there.test".into(),
            via: via.map(str::to_owned),
        };
        let accepted = |targets: Vec<Target>, remote: Vec<Elsewhere>| {
            let via = remote.iter().find_map(|elsewhere| elsewhere.via.as_deref());
            let name = via.map(|via| Address::parse(via).expect("an address"));
            Accepted { targets, remote, name, in_circles: false, ..Accepted::default() }
        };
        let list = Some("list@x.test");
        let recipients = [rcpt("a@x.test"), rcpt("list@x.test"), rcpt("a+lists@x.test")];
        let leads = [
            accepted(vec![target(1, None)], vec![]),
            accepted(
                vec![target(1, None), target(2, None)],
                vec![elsewhere("z@there.test", list), elsewhere("z@There.TEST", list)],
            ),
            accepted(vec![target(1, Some("lists"))], vec![]),
        ];
        let (parcels, outgoing, planned) = plan(&recipients, &leads, false);
        assert_eq!(parcels.len(), 3, "one for each account and detail");
        assert_eq!(outgoing.len(), 1);
        assert_eq!(outgoing[0].orcpt.as_deref(), Some("rfc822;list@x.test"));
        assert_eq!(outgoing[0].via.as_deref(), list);
        let indexes: Vec<_> = planned.iter().map(|recipient| recipient.parcels.clone()).collect();
        assert_eq!(indexes, [vec![0], vec![0, 1], vec![2]]);
        assert_eq!(planned.iter().map(Recipient::is_expanded).collect::<Vec<_>>(), [false, true, false]);
    }

    /// RFC 3461 §5.2.7: (RCPT, where it leads) -> what is queued.
    #[test]
    fn wishes_to_be_told_go_on_with_what_one_address_leads_to() {
        let asking = |text: &str, notify: &str| {
            let parameters = if notify.is_empty() { String::new() } else { format!(" NOTIFY={notify}") };
            let text = format!(" TO:<{text}>{parameters} ORCPT=rfc822;o@x.test");
            postroad_smtp::parse_rcpt(&text, postroad_smtp::Role::Relay, false).expect("a recipient")
        };
        let leading = |remote: &[(&str, Option<&str>)], locals: i64, in_circles| Accepted {
            targets: (0..locals).map(|account| target(account, None)).collect(),
            remote: remote
                .iter()
                .map(|(address, via)| Elsewhere {
                    address: (*address).to_owned(),
                    domain: "far.test".into(),
                    via: via.map(str::to_owned),
                })
                .collect(),
            name: None,
            in_circles,
            ..Accepted::default()
        };
        let (alias, other) = (Some("alias@x.test"), Some("other@x.test"));
        let (a, b) = ("a@far.test", "b@far.test");
        type Case<'a> = (&'a [(RcptTo, Accepted)], &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            (
                &[(asking("alias@x.test", "SUCCESS,DELAY"), leading(&[(a, alias)], 0, false))],
                &["a@far.test sd alias@x.test"],
            ),
            (&[(asking("alias@x.test", "NEVER"), leading(&[(a, alias)], 0, false))], &["a@far.test - alias@x.test"]),
            (
                &[(asking("alias@x.test", "SUCCESS,FAILURE"), leading(&[(a, alias), (b, alias)], 0, false))],
                &["a@far.test f alias@x.test", "b@far.test f alias@x.test"],
            ),
            (&[(asking("alias@x.test", "SUCCESS"), leading(&[(a, alias)], 1, false))], &["a@far.test - alias@x.test"]),
            (
                &[
                    (asking("alias@x.test", "SUCCESS"), leading(&[(a, alias)], 0, false)),
                    (asking("a@far.test", "FAILURE"), leading(&[("a@FAR.test", None)], 0, false)),
                    (asking("A@far.test", "NEVER"), leading(&[("A@far.test", None)], 0, false)),
                    (asking("other@x.test", "DELAY"), leading(&[(a, other)], 0, false)),
                ],
                &["a@far.test sfd direct", "A@far.test - direct"],
            ),
            (&[(asking("alias@x.test", ""), leading(&[(a, alias)], 1, true))], &[]),
        ];
        for (recipients, expect) in cases {
            let (rcpts, accepted): (Vec<_>, Vec<_>) = recipients.iter().cloned().unzip();
            let (_, outgoing, _) = plan(&rcpts, &accepted, false);
            let lines: Vec<String> = outgoing
                .iter()
                .map(|queued| {
                    let bit = |on, letter| if on { letter } else { "" };
                    let notify = queued.notify;
                    let wishes =
                        format!("{}{}{}", bit(notify.success, "s"), bit(notify.failure, "f"), bit(notify.delay, "d"));
                    let wishes = if wishes.is_empty() { "-" } else { &wishes };
                    assert_eq!(queued.orcpt.as_deref(), Some("rfc822;o@x.test"));
                    format!("{} {wishes} {}", queued.address, queued.via.as_deref().unwrap_or("direct"))
                })
                .collect();
            assert_eq!(&lines, expect);
        }
    }
}
