//! What is stored is compared with what was sent: octets are read again, hashed, and the checksums compared.

use postroad_mail::remote::{self, Locate, Proof};
use postroad_message::Summary;
use postroad_store::{BlobId, Store};

use super::local::Local;
use super::{Answer, Difference, Proved};
use crate::Result;

impl Local {
    pub(super) fn prove(&self, folder: i64, from: i64) -> Result<Answer> {
        let place = self.at(folder)?;
        let page = self.store.read_blocking(move |tx| remote::proof(tx, place, from.max(1), PAGE))?;
        let next = page.last().filter(|_| page.len() == PAGE).map(|last| last.known.uid + 1);
        let mut found = Proved::default();
        for row in page {
            self.compare(&row, &mut found);
        }
        Ok(Answer::Proved { found, next })
    }

    fn compare(&self, row: &Proof, found: &mut Proved) {
        let Some(blob) = row.blob.filter(|_| row.place != Locate::Removed) else {
            found.removed += 1;
            return;
        };
        let why = match hash_of(&self.store, blob, row.known.size) {
            Ok(hash) if hash == row.known.hash => {
                found.equal += 1;
                // Without an entry of its own it is found under its labels.
                found.moved += u64::from(row.place == Locate::Moved && row.known.other > 0);
                return;
            }
            Ok(_) => "its octets here are not those that were sent".to_owned(),
            Err(error) => format!("cannot be read here: {error}"),
        };
        found.differences.push(Difference {
            uid: u32::try_from(row.known.uid).unwrap_or(0),
            message_id: self.message_id(row.known.message),
            why,
        });
    }

    fn message_id(&self, message: postroad_mail::MessageId) -> Option<String> {
        let account = self.account;
        let summary = self.store.read_blocking(move |tx| remote::summary(tx, account, message));
        let summary = summary.ok().flatten()?;
        Summary::decode(&summary).ok()?.message_id()
    }
}

/// The checksum of what is stored, piece by piece.
pub(super) fn hash_of(store: &Store, blob: BlobId, size: u64) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    // One octet more than there should be: longer is different too.
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

/// Messages compared in one answer.
const PAGE: usize = 500;
/// Octets read at once.
const READ: u64 = 1024 * 1024;
