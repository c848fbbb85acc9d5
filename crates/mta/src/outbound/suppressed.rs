//! Mail that was in the queue already when its recipient came onto the list of those who are not written to any more: it
//! is not tried, and its sender hears why.
//!
//! The list is looked at once for each attempt, in one statement. It holds for what accounts of ours sent, as at RCPT TO; never
//! for what is forwarded, for notices, and for roles.

use postroad_queue::suppression;
use postroad_queue::{Error, Job};
use postroad_store::{Store, Timestamp};

use super::attempt::{Reach, Tried};
use super::settle::{Attempt, Verdict, Words};
use crate::replies;

/// Who of a job is not written to: their numbers, and what becomes of their mail.
pub(crate) async fn look(store: &Store, job: &Job, now: Timestamp) -> Result<Vec<(i64, Verdict)>, Error> {
    if job.message.account.is_none() || job.via.is_some() {
        return Ok(Vec::new());
    }
    let sender = job.message.sender.clone();
    let addresses: Vec<String> = job.recipients.iter().map(|due| due.address.clone()).collect();
    let entries = store.read(move |tx| suppression::among(tx, &sender, &addresses, now)).await?;
    let barred = |address: &str| {
        let address = suppression::canonical(address);
        entries.iter().find(|entry| entry.address == address)
    };
    let verdict = |entry| {
        let text = replies::suppressed(entry).lines().join(" ");
        Verdict::Failed(Words::ours((5, 1, 1), text, "looking whether it may be written to"))
    };
    Ok(job.recipients.iter().filter_map(|due| Some((due.number, verdict(barred(&due.address)?)))).collect())
}

/// The job without them; `None` when nobody is left.
pub(crate) fn without(job: &Job, barred: &[(i64, Verdict)]) -> Option<Job> {
    let mut job = job.clone();
    job.recipients.retain(|due| !barred.iter().any(|(number, _)| *number == due.number));
    (!job.recipients.is_empty()).then_some(job)
}

/// What was tried for the others, and what became of these.
pub(crate) fn with(tried: Option<Tried>, barred: Vec<(i64, Verdict)>) -> Tried {
    let mut tried = tried.unwrap_or(Tried {
        attempt: Attempt::default(),
        elsewhere: Vec::new(),
        verdicts: Vec::new(),
        reach: Reach::Unknown,
        notes: Vec::new(),
    });
    tried.elsewhere.extend(barred.iter().map(|(number, _)| (*number, Attempt::default())));
    tried.verdicts.extend(barred);
    tried
}
