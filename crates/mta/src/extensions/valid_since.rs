//! RRVS (RFC 7293): mail that is only for who had the address at a time.
//!
//! A mailbox counts as somebody's since its account was made. What an alias or a group leads to counts all together: the
//! youngest account decides. Whom an address forwards to elsewhere is not looked at, since that is its owner's choice.

use postroad_mail::resolve::Target;
use postroad_mail::{Error, accounts};
use postroad_message::date::DateTime;
use postroad_message::header::{fields, text};
use postroad_smtp::{Address, ForwardPath, Reply};
use postroad_store::{ReadTx, Timestamp};

/// When the youngest of these accounts was made; `None` when there are none.
pub(crate) fn youngest(tx: &ReadTx, targets: &[Target]) -> Result<Option<Timestamp>, Error> {
    let mut youngest = None;
    for target in targets.iter().take(LOOKED_AT_MAX) {
        let created = accounts::by_id(tx, target.account)?.map(|account| account.created);
        youngest = youngest.max(created);
    }
    Ok(youngest)
}

/// The refusal of mail to a mailbox that was made after `since`; nothing is refused where nobody knows.
pub(crate) fn refusal(since: i64, made: Option<Timestamp>, recipient: &ForwardPath) -> Option<Reply> {
    let made = made?.0.div_euclid(1_000_000);
    (made > since).then(|| {
        let text = format!("{recipient} has another owner since the time that you know it from.");
        Reply::new(550, (5, 7, 17), text)
    })
}

/// RFC 7293 §5.3: addresses of roles (RFC 2142) belong to a role, not to a person.
pub(crate) fn is_role(path: &ForwardPath) -> bool {
    match path.address() {
        None => true,
        Some(address) => ROLES.iter().any(|role| role.eq_ignore_ascii_case(address.local())),
    }
}

/// Require-Recipient-Valid-Since (RFC 7293 §3.2): addresses and since when, in seconds since 1970. What is malformed is
/// passed over (§5.2).
pub(crate) fn header_wishes(block: &[u8]) -> Vec<(Address, i64)> {
    let found = fields(block).filter(|field| field.is("Require-Recipient-Valid-Since"));
    let wishes = found.filter_map(|field| {
        let value = text(field.value);
        let (address, date) = value.rsplit_once(';')?;
        let address = address.trim().trim_start_matches('<').trim_end_matches('>').parse::<Address>().ok()?;
        let since = DateTime::parse(date.trim().as_bytes())?;
        Some((address, since.micros.div_euclid(1_000_000)))
    });
    wishes.take(FIELDS_MAX).collect()
}

/// Accounts looked at of one recipient.
const LOOKED_AT_MAX: usize = 100;
/// Fields looked at.
const FIELDS_MAX: usize = 100;
/// RFC 2142.
const ROLES: [&str; 8] =
    ["postmaster", "abuse", "hostmaster", "webmaster", "security", "noc", "mailer-daemon", "usenet"];
