//! How much an account may send: looked up with the first recipient, counted in the transaction that takes the message in.
//!
//! Standards: RFC 5321 §4.5.3.1.10 (452 for more recipients than now), RFC 3463 (X.7.0: a matter of policy).

use postroad_smtp::Reply;
use postroad_store::{AccountId, Locks, ReadTx, Timestamp};
use postroad_trust::sending::{self, Bound, Level, Limits, Sent, TooMuch};

use crate::inbound::{Inbound, Session};
use crate::state::login;

/// What an account has sent, and may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) limits: Limits,
    sent: Sent,
}

impl Allowance {
    /// Two statements. `usual`: what the settings say.
    pub(crate) fn of(
        tx: &ReadTx,
        account: AccountId,
        usual: &Limits,
        now: Timestamp,
    ) -> postroad_mail::Result<Allowance> {
        Ok(Allowance { limits: sending::own(tx, account)?.over(usual), sent: sending::sent(tx, account, now)? })
    }
}

impl Inbound {
    /// Whether whoever logged in may send to one more recipient.
    pub(crate) async fn may_send(&self, session: &mut Session) -> Result<(), Reply> {
        let Some(allowance) = &session.world.allowance else { return Ok(()) };
        let recipients = session.world.recipients.len() as u64 + 1;
        match allowance.limits.check(&allowance.sent, 1, recipients, (self.clock)()) {
            Ok(()) => Ok(()),
            Err(much) => Err(self.over(session, &much).await),
        }
    }

    /// The account has sent as much as it may. Whoever looks after this server hears of it, once in an hour.
    pub(crate) async fn over(&self, session: &mut Session, much: &TooMuch) -> Reply {
        let TooMuch { bound, limit, .. } = *much;
        metrics::counter!("postroad_sending_limits_total", "level" => Level::Over.name()).increment(1);
        let told = std::mem::replace(&mut session.world.over_told, true);
        if let Some(login) = login(session).filter(|_| !told) {
            let (account, now) = (login.account, (self.clock)());
            let first = self.store.write(Locks::none(), move |tx| sending::tell(tx, account, Level::Over, now));
            // Where that cannot be written it is told more than once.
            if first.await.map_or(true, |first| first.value) {
                tracing::warn!(
                    account = account.0,
                    login = login.name,
                    limit,
                    what = bound.what(),
                    within = bound.within(),
                    "an account has sent all it may, and is refused; if its owner does not know of it, somebody has the \
                     password: `postroad account suspend`, then `postroad account password`; if they do, \
                     `postroad account limit` gives it more"
                );
            }
        }
        refusal(much)
    }
}

fn refusal(much: &TooMuch) -> Reply {
    let TooMuch { bound, limit, wait } = *much;
    let (what, within) = (bound.what(), bound.within());
    let Some(wait) = wait else {
        let text = format!(
            "Your account may send to {limit} {what} in {within}, and this message has more. The administrator of this \
             server can allow more."
        );
        return Reply::new(550, (5, 7, 0), text);
    };
    let minutes = wait.as_secs().div_ceil(60);
    let time = match minutes {
        0..=1 => "a minute".to_owned(),
        2..=119 => format!("{minutes} minutes"),
        _ => format!("{} hours", minutes.div_ceil(60)),
    };
    let text = format!(
        "Your account has sent as much as it may: {limit} {what} in {within}. Try again in {time}. The administrator of this \
         server can allow more."
    );
    let code = match bound {
        Bound::MessagesPerHour | Bound::MessagesPerDay => 450,
        Bound::RecipientsPerHour | Bound::RecipientsPerDay => 452,
    };
    Reply::new(code, (4, 7, 0), text)
}
