//! Reports about single messages: what waits is told to who asked for it and agreed to get it.
//!
//! Each message is told once or not at all: there is no second attempt when the DNS does not answer, and none for an address that
//! has had its number for the day.

use postroad_mail::Error;
use postroad_net::Stop;
use postroad_store::{Locks, Timestamp, WriteTx};
use postroad_trust::dmarc_results::Day;
use postroad_trust::failures::{self, Waiting};

use super::Reporter;
use super::places::Agreed;
use super::send::{Line, broken, mail, unique};
use crate::delivery::Undone;

impl Reporter {
    /// Tells all that wait.
    pub(super) async fn tell_all(&self, stop: &Stop) -> Result<(), Error> {
        while !stop.is_stopped() {
            let Some(line) = self.tell_one().await? else { break };
            tracing::info!(
                domain = line.domain,
                said = line.said,
                sent = line.is_sent,
                "a message that failed was dealt with"
            );
        }
        Ok(())
    }

    /// Tells of the message that has waited longest; `None`: none waits. Errors: the database's.
    pub async fn tell_one(&self) -> Result<Option<Line>, Error> {
        let Some((id, waiting)) = self.store.read(|tx| Ok::<_, Error>(failures::next(tx)?)).await? else {
            return Ok(None);
        };
        let domain = waiting.domain.clone();
        let (to, left_out) = self.agreed(&domain, &waiting.ruf).await;
        let name = unique();
        let mut to = to;
        let mut left_out = left_out;
        let mut letter = self.letter_about(&to, &name, &waiting);
        let size = letter.len() as u64;
        if to.iter().any(|to| to.largest.is_some_and(|largest| size > largest)) {
            left_out.push(format!("who takes less than {size} octets"));
            to.retain(|to| to.largest.is_none_or(|largest| size <= largest));
            letter = self.letter_about(&to, &name, &waiting);
        }
        if to.is_empty() {
            self.store.write(Locks::none(), move |tx| Ok::<_, Error>(failures::take(tx, id)?)).await?;
            let said = format!("told nobody: {}", left_out.join("; "));
            return Ok(Some(Line { kind: "failure", domain, said, is_sent: false }));
        }
        let sent = match self.send_failure(id, to, letter, waiting).await {
            Ok(sent) => sent,
            Err(error) => {
                let now = (self.clock)();
                self.store.write(Locks::none(), move |tx| Ok::<_, Error>(failures::put_back(tx, id, now)?)).await?;
                return Err(error);
            }
        };
        let said = match sent.is_empty() {
            true => "told nobody: it was told of enough today".to_owned(),
            false => {
                metrics::counter!("postroad_reports_sent_total", "kind" => "failure").increment(1);
                format!("told {}", sent.join(", "))
            }
        };
        Ok(Some(Line { kind: "failure", domain, said, is_sent: !sent.is_empty() }))
    }

    fn letter_about(&self, to: &[Agreed], name: &str, waiting: &Waiting) -> Vec<u8> {
        self.framed(to, name, |frame| waiting.feedback.letter(frame, &waiting.original, !waiting.redacted))
    }

    /// Queues the letter for those who may get one more today, and says who that is.
    async fn send_failure(
        &self,
        id: i64,
        to: Vec<Agreed>,
        letter: Vec<u8>,
        waiting: Waiting,
    ) -> Result<Vec<String>, Error> {
        let arrival = self.stored(letter).await?;
        let (now, limit, hostname) = ((self.clock)(), self.settings.failures_per_day, self.settings.hostname.clone());
        let written = self.store.write(Locks::named("report letters out"), move |tx| {
            if !failures::take(tx, id)? {
                return Ok(Vec::new());
            }
            let to = within(tx, to, limit, now)?;
            if !to.is_empty() {
                let said = format!("of a failure in the name of {}", waiting.domain);
                mail(tx, &to, &arrival, &hostname, &said, now)?;
            }
            Ok::<_, Undone>(to.into_iter().map(|to| to.address).collect())
        });
        written.await.map(|sent| sent.value).map_err(broken)
    }
}

fn within(tx: &mut WriteTx, to: Vec<Agreed>, limit: u32, now: Timestamp) -> Result<Vec<Agreed>, Undone> {
    let mut within = Vec::new();
    for one in to {
        if failures::may_send(tx, Day::of(now), &one.address, limit)? {
            within.push(one);
        }
    }
    Ok(within)
}
