//! What the source has is compared with what is stored: the stored octets are read again and hashed.

use std::collections::HashMap;
use std::io::Write;

use postroad_mail::{MailboxId, Source, imports};
use postroad_store::{BlobId, Store};

use super::Event;
use super::batch::Desk;
use crate::Result;

/// A message of the source.
pub(super) struct Expected {
    pub(super) label: String,
    pub(super) source: Source,
    /// BLAKE3 of its octets as they are to be stored.
    pub(super) hash: [u8; 32],
    pub(super) size: u64,
}

impl<W: Write> Desk<'_, W> {
    /// Compares messages of one mailbox, and tells what came of it.
    pub(super) fn compare(&self, mailbox: Option<MailboxId>, expected: Vec<Expected>) -> Result<()> {
        let sources: Vec<Source> = expected.iter().map(|one| one.source).collect();
        let account = self.account;
        let located = match mailbox {
            Some(mailbox) => self.store.read_blocking(move |tx| imports::located(tx, account, mailbox, &sources))?,
            None => Vec::new(),
        };
        let located: HashMap<Source, Option<BlobId>> = located.into_iter().map(|one| (one.source, one.blob)).collect();
        let (mut equal, mut removed) = (0, 0);
        for one in expected {
            let why = match located.get(&one.source) {
                None => "is not here".to_owned(),
                Some(None) => {
                    removed += 1;
                    continue;
                }
                Some(Some(blob)) => match hash_of(self.store, *blob, one.size) {
                    Ok(hash) if hash == one.hash => {
                        equal += 1;
                        continue;
                    }
                    Ok(_) => "its octets here are not those of the source".to_owned(),
                    Err(error) => format!("cannot be read here: {error}"),
                },
            };
            self.tell(&Event::Refused { label: one.label, why })?;
        }
        self.tell(&Event::Proved { equal, removed })
    }
}

/// BLAKE3 of what is stored, read piece by piece; one octet more than `size` is read, since longer is different too.
pub fn hash_of(store: &Store, blob: BlobId, size: u64) -> postroad_store::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    while at <= size {
        let end = (at + READ).min(size + 1);
        let piece = store.read_blocking(move |tx| tx.blob_read(blob, at..end))?;
        hasher.update(&piece);
        if (piece.len() as u64) < end - at {
            break;
        }
        at = end;
    }
    Ok(*hasher.finalize().as_bytes())
}

/// Octets read at once.
const READ: u64 = 1024 * 1024;
