//! Ways to sign in that are kept elsewhere (second steps, passkeys): their place in the account's journal.

use postroad_store::{AccountId, WriteTx};

use crate::journal::{self, Note, Operation};
use crate::{By, Result};

/// Notes that a way to sign in came (`- name`) or went (`+ name`): what would take the change back, as everywhere in the
/// journal. Locks: the account's.
pub fn note(tx: &mut WriteTx, by: &By, account: AccountId, before: &str) -> Result<()> {
    let modseq = journal::begin(tx, account)?;
    let before = format!("{before}\n");
    journal::end(tx, by, account, modseq, &Note { before: before.as_bytes(), ..Note::plain(Operation::Credential) })
}
