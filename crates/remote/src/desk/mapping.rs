//! Which mailbox a folder goes to, and what its flags are here.

use postroad_archive::folder::mailbox_name;
use postroad_mail::{By, Flags, Keyword, Mailbox, MailboxName, Role, mailboxes};
use postroad_store::{AccountId, ReadTx, WriteTx};

use super::local::hex;

/// The mailbox for a folder: the one that was named, the account's own for the same role, or one of the same name.
pub(crate) fn choose(
    tx: &ReadTx,
    account: AccountId,
    levels: &[String],
    role: Option<Role>,
    to: Option<&str>,
) -> postroad_mail::Result<MailboxName> {
    if let Some(to) = to {
        let levels: Vec<String> = to.split(MailboxName::SEPARATOR).map(str::to_owned).collect();
        return Ok(mailbox_name(&levels).0);
    }
    if let Some(role) = role
        && let Some(own) = mailboxes::by_role(tx, account, role)?
    {
        return Ok(own.name);
    }
    Ok(mailbox_name(levels).0)
}

/// Finds or makes it; whether it is new.
pub(crate) fn find_or_make(
    tx: &mut WriteTx,
    by: &By,
    account: AccountId,
    name: &MailboxName,
    role: Option<Role>,
    subscribe: bool,
) -> postroad_mail::Result<(Mailbox, bool)> {
    if let Some(there) = mailboxes::find(tx, account, name)?.filter(|mailbox| mailbox.selectable) {
        return Ok((there, false));
    }
    let role = role.filter(|_| !name.as_str().eq_ignore_ascii_case("INBOX"));
    let free = match role {
        Some(role) => mailboxes::by_role(tx, account, role)?.is_none(),
        None => false,
    };
    let made = mailboxes::create(tx, by, account, name, role.filter(|_| free))?;
    if subscribe {
        mailboxes::subscribe(tx, by, account, name)?;
    }
    Ok((made, true))
}

/// Flags and keywords of marks; what cannot be a keyword here is left out.
pub(super) fn flags_of(marks: &str) -> (Flags, Vec<Keyword>) {
    let (mut flags, mut keywords) = (Flags::NONE, Vec::new());
    for word in marks.split_ascii_whitespace().take(MARKS_MAX) {
        match Flags::from_name(word) {
            Some(flag) => flags = flags | flag,
            None => keywords.extend(Keyword::parse(word)),
        }
    }
    (flags, keywords)
}

/// Marks of an entry here.
pub(super) fn marks_of(flags: Flags, keywords: &postroad_mail::Keywords) -> String {
    let names = flags.names().map(str::to_owned).chain(keywords.iter().map(str::to_owned));
    crate::migrate::marks(names)
}

/// What is written down in place of the checksum of a message of which nobody told whether its octets 0x80 are NULs there:
/// it is stored as it came, and can never pass for proved.
pub(super) fn inverted(hash: &[u8; 32]) -> [u8; 32] {
    hash.map(|octet| !octet)
}

/// The same in hexadecimal; what is no checksum stays.
pub(crate) fn doubtful(hash: &str) -> String {
    blake3::Hash::from_hex(hash).map_or_else(|_| hash.to_owned(), |hash| hex(&inverted(hash.as_bytes())))
}

/// Words of one message's marks.
const MARKS_MAX: usize = 200;
