//! Accounts with certificate authorities, one for each directory, shared by all nodes. RFC 8555 §7.3.

use postroad_store::{ReadTx, Timestamp, WriteTx, params};

use super::{Result, Secret};

/// An account with a certificate authority.
#[derive(Debug, Clone)]
pub struct Account {
    /// The directory's URL.
    pub directory: String,
    /// What the client needs to act as this account: its URL and its private key, in JSON.
    pub credentials: Secret<String>,
    /// Whom the authority writes to, such as `mailto:postmaster@example.org`; may be empty.
    pub contact: String,
    /// When it was made.
    pub created: Timestamp,
}

/// The account with the authority of this directory.
pub fn account(tx: &ReadTx, directory: &str) -> Result<Option<Account>> {
    let found = tx.row(
        "SELECT directory, credentials, contact, created FROM acme_account WHERE directory = $1",
        params![directory],
        |row| {
            Ok(Account {
                directory: row.text(0)?,
                credentials: Secret::new(row.text(1)?),
                contact: row.text(2)?,
                created: row.id(3)?,
            })
        },
    )?;
    Ok(found)
}

/// The authority writes to somebody else from now on.
pub fn keep_contact(tx: &mut WriteTx, directory: &str, contact: &str) -> Result<()> {
    tx.execute("UPDATE acme_account SET contact = $2 WHERE directory = $1", params![directory, contact])?;
    Ok(())
}

/// The authority knows this account no more: the next order opens another.
pub fn forget_account(tx: &mut WriteTx, directory: &str) -> Result<()> {
    tx.execute("DELETE FROM acme_account WHERE directory = $1", params![directory])?;
    Ok(())
}

/// Keeps an account, unless another node was quicker; the one that is kept, which all use.
pub fn keep_account(tx: &mut WriteTx, new: &Account) -> Result<Account> {
    tx.execute(
        "INSERT INTO acme_account (directory, credentials, contact, created) VALUES ($1, $2, $3, $4)
         ON CONFLICT (directory) DO NOTHING",
        params![&new.directory, new.credentials.expose(), &new.contact, new.created],
    )?;
    Ok(account(tx, &new.directory)?.unwrap_or_else(|| new.clone()))
}
