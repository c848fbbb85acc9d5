//! Handing messages in, and waiting until each can be seen.
//!
//! A message counts as visible when an IMAP session finds it in the mailbox. While the load runs nobody looks;
//! after the last message was accepted one session at a time asks its mailbox with STATUS until all are
//! there, so that looking costs the server next to nothing. Afterwards, outside of what is measured, the
//! subjects of all new messages are read: each must be there exactly once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::imap::Imap;
use crate::message::Maker;
use crate::pace::Pace;
use crate::report::{Latency, Own, OwnMeter};
use crate::smtp::{Dialect, Handed, Smtp};
use crate::users::Login;

/// Between two looks at a mailbox that does not have all yet.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// After a lost or refused connection.
const RECONNECT_AFTER: Duration = Duration::from_millis(50);
/// A connection task ends after so many failures in a row.
const FAILURES_IN_A_ROW: u32 = 20;
const BUFFER: usize = 16 * 1024;
/// IMAP sessions that log in side by side before the load.
const LOGINS_AT_ONCE: usize = 8;

/// What is handed in, and where.
#[derive(Debug)]
pub(crate) struct Plan {
    place: String,
    dialect: Dialect,
    imap: Option<String>,
    logins: Vec<Login>,
    from: String,
    connections: usize,
    size: usize,
    /// Instead of made ones.
    message: Option<Vec<u8>>,
    proxy: Option<IpAddr>,
    end: End,
    per_connection: u64,
    patience: Duration,
}

#[derive(Debug, Clone, Copy)]
enum End {
    After(Duration),
    Messages(u64),
}

#[derive(Debug, Serialize)]
pub(crate) struct DeliverReport {
    pub(crate) connections: usize,
    pub(crate) size: usize,
    pub(crate) accepted: u64,
    pub(crate) seconds_accepted: f64,
    pub(crate) accepted_per_second: f64,
    /// Until the last one was visible; nothing when nobody looked.
    pub(crate) seconds_visible: Option<f64>,
    pub(crate) visible_per_second: Option<f64>,
    /// From the last octet of the message to the server's 250.
    pub(crate) answer_to_data: Latency,
    pub(crate) refused: u64,
    pub(crate) first_refusal: Option<String>,
    pub(crate) connections_lost: u64,
    /// Accepted but not in the mailbox.
    pub(crate) missing: Option<u64>,
    /// In the mailbox more than once.
    pub(crate) repeated: Option<u64>,
    pub(crate) generator: Own,
}

/// Checks the options.
pub(crate) fn plan(options: &crate::Deliver) -> Result<Plan> {
    let (place, dialect) = match (&options.smtp, &options.lmtp) {
        (Some(place), _) => (place, Dialect::Smtp),
        (None, Some(place)) => (place, Dialect::Lmtp),
        (None, None) => bail!("name a server with --smtp or --lmtp"),
    };
    if options.connections == 0 {
        bail!("no connections make no load");
    }
    let end = match options.messages {
        Some(messages) => End::Messages(messages),
        None => End::After(Duration::try_from_secs_f64(options.seconds).context("--seconds")?),
    };
    Ok(Plan {
        place: place.clone(),
        dialect,
        imap: options.imap.clone(),
        logins: options.accounts.logins(),
        from: options.from.clone(),
        connections: options.connections,
        size: options.size,
        message: match &options.message {
            Some(file) => Some(std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?),
            None => None,
        },
        proxy: options.proxy,
        end,
        per_connection: options.per_connection,
        patience: Duration::try_from_secs_f64(options.patience).context("--patience")?,
    })
}

/// What the connections share.
#[derive(Debug)]
struct Shared {
    terms: Terms,
    maker: Maker,
    users: Vec<String>,
    next: AtomicU64,
    until: Instant,
}

/// The part of the plan that each connection needs.
#[derive(Debug)]
struct Terms {
    place: String,
    dialect: Dialect,
    proxy: Option<IpAddr>,
    from: String,
    most: u64,
    per_connection: u64,
}

/// What one connection did.
#[derive(Debug, Default)]
struct Done {
    accepted: Vec<u64>,
    times: Vec<Duration>,
    refused: u64,
    first_refusal: Option<String>,
    lost: u64,
}

pub(crate) async fn run(plan: &Plan, pace: Pace) -> Result<DeliverReport> {
    let mut mailboxes = match &plan.imap {
        Some(place) => Some(Mailboxes::open(place, &plan.logins).await?),
        None => None,
    };
    let mut connections = Vec::with_capacity(plan.connections);
    for _ in 0..plan.connections {
        connections.push(Smtp::connect(&plan.place, plan.dialect, plan.proxy).await?);
    }
    let run = run_name();
    let maker = match &plan.message {
        Some(message) => Maker::of(&run, &plan.from, message),
        None => Maker::new(&run, &plan.from, plan.size),
    };
    pace.ready().await?;

    let meter = OwnMeter::start();
    let began = Instant::now();
    let shared = Arc::new(share(plan, maker, began));
    let mut tasks = JoinSet::new();
    for smtp in connections {
        tasks.spawn(hand_in(Arc::clone(&shared), smtp));
    }
    let mut done = Done::default();
    while let Some(ended) = tasks.join_next().await {
        let one = ended?;
        done.accepted.extend(one.accepted);
        done.times.extend(one.times);
        done.refused += one.refused;
        done.lost += one.lost;
        done.first_refusal = done.first_refusal.or(one.first_refusal);
    }
    let seconds_accepted = began.elapsed().as_secs_f64();
    let generator = meter.stop();
    if done.accepted.is_empty() {
        bail!("nothing was accepted: {}", done.first_refusal.as_deref().unwrap_or("all connections were lost"));
    }
    let mut seconds_visible = None;
    if let Some(mailboxes) = &mut mailboxes {
        let all = mailboxes.wait_for(&done.accepted, plan.patience).await?;
        seconds_visible = all.then(|| began.elapsed().as_secs_f64());
    }
    pace.done().await?;
    let verdict = match &mut mailboxes {
        Some(mailboxes) => Some(mailboxes.verify(&shared.maker, &done.accepted).await?),
        None => None,
    };
    let accepted = done.accepted.len() as u64;
    Ok(DeliverReport {
        connections: plan.connections,
        size: plan.size,
        accepted,
        seconds_accepted,
        accepted_per_second: accepted as f64 / seconds_accepted,
        seconds_visible,
        visible_per_second: seconds_visible.map(|seconds| accepted as f64 / seconds),
        answer_to_data: Latency::of(done.times),
        refused: done.refused,
        first_refusal: done.first_refusal,
        connections_lost: done.lost,
        missing: verdict.map(|(missing, _)| missing),
        repeated: verdict.map(|(_, repeated)| repeated),
        generator,
    })
}

fn share(plan: &Plan, maker: Maker, began: Instant) -> Shared {
    // Long enough for any number of messages; the wire has its own limits.
    const A_DAY: Duration = Duration::from_secs(86_400);
    let (most, lasts) = match plan.end {
        End::After(lasts) => (u64::MAX, lasts),
        End::Messages(most) => (most, A_DAY),
    };
    let terms = Terms {
        place: plan.place.clone(),
        dialect: plan.dialect,
        proxy: plan.proxy,
        from: plan.from.clone(),
        most,
        per_connection: plan.per_connection,
    };
    let users = plan.logins.iter().map(|login| login.user.clone()).collect();
    Shared { terms, maker, users, next: AtomicU64::new(0), until: began + lasts }
}

/// One connection after the other, message after message.
async fn hand_in(shared: Arc<Shared>, first: Smtp) -> Done {
    let mut done = Done::default();
    let mut connection = Some(first);
    let mut on_this = 0;
    let mut failures = 0;
    let mut text = Vec::new();
    while Instant::now() < shared.until && failures < FAILURES_IN_A_ROW {
        let mut smtp = match connection.take() {
            Some(smtp) => smtp,
            None => match Smtp::connect(&shared.terms.place, shared.terms.dialect, shared.terms.proxy).await {
                Ok(smtp) => smtp,
                Err(error) => {
                    done.first_refusal.get_or_insert_with(|| format!("{error:#}"));
                    failures += 1;
                    tokio::time::sleep(RECONNECT_AFTER).await;
                    continue;
                }
            },
        };
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        if number >= shared.terms.most {
            connection = Some(smtp);
            break;
        }
        let to = user_of(&shared.users, number);
        shared.maker.write(number, to, &mut text);
        match smtp.send(&shared.terms.from, to, &text).await {
            Ok(Handed::Accepted(time)) => {
                done.accepted.push(number);
                done.times.push(time);
                failures = 0;
            }
            Ok(Handed::Refused(reply)) => {
                done.refused += 1;
                done.first_refusal.get_or_insert_with(|| format!("{} {}", reply.code, reply.text));
                failures += 1;
                // A server that has had enough of this connection takes the next message on another.
                smtp.quit().await;
                on_this = 0;
                continue;
            }
            Err(error) => {
                done.lost += 1;
                done.first_refusal.get_or_insert_with(|| format!("{error:#}"));
                failures += 1;
                on_this = 0;
                continue;
            }
        }
        on_this += 1;
        if on_this == shared.terms.per_connection {
            smtp.quit().await;
            on_this = 0;
        } else {
            connection = Some(smtp);
        }
    }
    if let Some(smtp) = connection {
        smtp.quit().await;
    }
    done
}

/// Neighbouring messages go to different mailboxes.
fn user_of(users: &[String], number: u64) -> &str {
    &users[usize::try_from(number % users.len() as u64).unwrap_or(0)]
}

/// A name that no other run has.
fn run_name() -> String {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    format!("load-{}-{}", since.as_micros(), std::process::id())
}

/// The mailboxes that are delivered to, as IMAP shows them.
struct Mailboxes {
    sessions: Vec<Mailbox>,
}

struct Mailbox {
    imap: Imap,
    /// Messages that were there before.
    before: u64,
    /// The uid of the first new one.
    next_uid: u64,
}

impl Mailbox {
    async fn open(place: String, login: Login) -> Result<Mailbox> {
        let mut imap = Imap::login(&place, &login, BUFFER).await?;
        let (before, next_uid) = imap.status().await?;
        Ok(Mailbox { imap, before, next_uid })
    }
}

impl Mailboxes {
    async fn open(place: &str, logins: &[Login]) -> Result<Mailboxes> {
        let mut sessions = Vec::with_capacity(logins.len());
        for some in logins.chunks(LOGINS_AT_ONCE) {
            let opening: Vec<_> =
                some.iter().map(|login| tokio::spawn(Mailbox::open(place.to_string(), login.clone()))).collect();
            for one in opening {
                sessions.push(one.await??);
            }
        }
        Ok(Mailboxes { sessions })
    }

    /// Waits until each mailbox has its share; whether they got it in time.
    async fn wait_for(&mut self, accepted: &[u64], patience: Duration) -> Result<bool> {
        let until = Instant::now() + patience;
        let mut shares = vec![0_u64; self.sessions.len()];
        for &number in accepted {
            let which = usize::try_from(number % shares.len() as u64).unwrap_or(0);
            shares[which] += 1;
        }
        for (mailbox, share) in self.sessions.iter_mut().zip(shares) {
            while mailbox.imap.status().await?.0 < mailbox.before + share {
                if Instant::now() > until {
                    return Ok(false);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Ok(true)
    }

    /// How many accepted messages are missing, and how many are there more than once.
    async fn verify(&mut self, maker: &Maker, accepted: &[u64]) -> Result<(u64, u64)> {
        let mut seen: HashMap<u64, u64> = accepted.iter().map(|&number| (number, 0)).collect();
        for mailbox in &mut self.sessions {
            mailbox.imap.select().await?;
            let count = |subject: &str| {
                if let Some(times) = maker.number(subject).and_then(|number| seen.get_mut(&number)) {
                    *times += 1;
                }
            };
            mailbox.imap.subjects(mailbox.next_uid, count).await?;
        }
        let missing = seen.values().filter(|&&times| times == 0).count();
        let repeated = seen.values().filter(|&&times| times > 1).count();
        Ok((missing as u64, repeated as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Deed, serve};

    fn deliver(deeds: Vec<Deed>, messages: u64) -> DeliverReport {
        let (smtp, imap) = serve(deeds);
        let plan = Plan {
            place: smtp.to_string(),
            dialect: Dialect::Smtp,
            imap: Some(imap.to_string()),
            logins: vec![Login { user: "alice@example.test".into(), password: String::new() }],
            from: "sender@elsewhere.test".into(),
            connections: 1,
            size: 1000,
            message: None,
            proxy: None,
            end: End::Messages(messages),
            per_connection: 4,
            patience: Duration::ZERO,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(run(&plan, Pace::new(false))).expect("the run goes to its end")
    }

    #[test]
    fn what_a_server_does_wrong_is_counted() {
        use Deed::{Forget, HangUp, Keep, KeepTwice, Refuse};
        let check = |deeds: &[Deed], expect: [u64; 5], visible: bool| {
            let report = deliver(deeds.to_vec(), deeds.len() as u64);
            let found = [
                report.accepted,
                report.refused,
                report.connections_lost,
                report.missing.unwrap_or(u64::MAX),
                report.repeated.unwrap_or(u64::MAX),
            ];
            assert_eq!(found, expect, "{deeds:?}");
            assert_eq!(report.seconds_visible.is_some(), visible, "{deeds:?}");
        };
        check(&[Keep; 10], [10, 0, 0, 0, 0], true);
        check(&[Keep, Refuse, Keep], [2, 1, 0, 0, 0], true);
        check(&[Keep, HangUp, Keep, Keep], [3, 0, 1, 0, 0], true);
        check(&[Keep, Forget], [2, 0, 0, 1, 0], false);
        // Two faults that hide each other from a count are found by the subjects.
        check(&[KeepTwice, Forget, Keep], [3, 0, 0, 1, 1], true);
    }
}
