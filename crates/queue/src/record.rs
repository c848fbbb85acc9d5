//! What became of a job.
use postroad_store::{Timestamp, WriteTx};

use crate::{Job, Recorded, Result, Tried};

/// Writes down what became of recipients of a job. All of them must still be claimed by the job's node in this life:
/// else nothing is written and the error is `Lost`.
pub fn record(_tx: &mut WriteTx, _job: &Job, _tried: &[Tried], _now: Timestamp) -> Result<Recorded> {
    unimplemented!()
}
