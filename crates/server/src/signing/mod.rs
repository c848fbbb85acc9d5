//! Signing keys, from the program's side: made outside of transactions, looked for in the DNS, tended while the server runs.

mod look;
mod make;
mod names;
mod tend;

pub(crate) use look::found;
pub(crate) use make::{make, new_key};
pub(crate) use names::ensure_blocking;
pub(crate) use tend::{Tended, run, tell};

use postroad_trust::keys::Found;

/// What was found in the DNS, in words.
pub(crate) fn found_words(found: &Found) -> String {
    match found {
        Found::Unasked => "not looked for yet".into(),
        Found::Good => "good".into(),
        Found::Missing => "missing".into(),
        Found::Differs(why) => format!("differs: {why}"),
        Found::Failed(why) => format!("cannot be asked: {why}"),
    }
}
