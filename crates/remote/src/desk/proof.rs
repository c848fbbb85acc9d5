//! What is stored is compared with what was sent: octets are read again, hashed, and the checksums compared.

use postroad_archive::import::hash_of;
use postroad_mail::remote::{self, Locate, Proof};
use postroad_message::Summary;

use super::local::Local;
use super::mapping::inverted;
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
            Ok(hash) if inverted(&hash) == row.known.hash => {
                "it is stored as it came, and its octets 0x80 may be NULs there: BODY[] shows those so, and BINARY[] did not tell"
                    .to_owned()
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

/// Messages compared in one answer.
const PAGE: usize = 500;
