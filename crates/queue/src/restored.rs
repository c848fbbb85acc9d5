//! The queue of a backup when it comes back: held.
//!
//! Between the backup and now, what was queued then has most likely been sent. Sending it again is not undone by
//! anybody, waiting is: `postroad queue release` lets it go.

use postroad_store::dump::{Table, Value};

use crate::State;

/// Changes a row of the queue's tables on its way in; any other stays. Nothing is claimed, nothing waits to be sent.
pub fn hold_restored(table: &Table, row: &mut [Value]) {
    let mut set = |column: &str, value: Value| {
        if let Some(place) = table.column(column).and_then(|place| row.get_mut(place)) {
            *place = value;
        }
    };
    match table.name.as_str() {
        "queue_recipient" => {
            set("node", Value::Null);
            set("life", Value::Null);
            let state = table.column("state").and_then(|place| row.get_mut(place));
            let Some(state) = state else { return };
            let to_send = [State::Waiting, State::Parked, State::Backlog, State::Claimed];
            if to_send.iter().any(|one| state.text() == Some(one.name())) {
                *state = Value::Text(State::Held.name().into());
            }
        }
        // Nobody waits for a destination any more.
        "queue_destination" => set("parked", Value::Int(0)),
        _ => {}
    }
}
