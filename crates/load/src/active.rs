//! Connections that work, alone, with idle ones beside them, and alone again: what the idle ones cost the others.
//!
//! The first moments after a start are nobody's measure: all of them are warmed up before. What else the machine does comes and
//! goes, so what is compared with the time beside idle ones lies before it and after it.
//!
//! Each works through its mailbox, some messages at a time, and waits for each answer before it asks again. Between two
//! questions it rests a little, so that the machine has room for all: what is compared is how long an answer takes.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::idle;
use crate::imap::Imap;
use crate::pace::Pace;
use crate::report::{Latency, Own, OwnMeter};
use crate::users::{Login, UserPattern};

/// What one question is about.
const MESSAGES: u64 = 20;
const ITEMS: &str = "UID FLAGS ENVELOPE";
/// Between an answer and the next question.
const REST: Duration = Duration::from_millis(200);
const BUFFER: usize = 8 * 1024;
/// Work before anything is measured.
const WARM_UP: f64 = 2.0;
/// After connections came or went, until the server is at rest again.
const SETTLE: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize)]
pub(crate) struct ActiveReport {
    pub(crate) connections: usize,
    pub(crate) idle: usize,
    /// Before the idle ones came and after they went, together.
    pub(crate) alone: Work,
    pub(crate) beside: Work,
    pub(crate) generator: Own,
}

#[derive(Debug, Serialize)]
pub(crate) struct Work {
    pub(crate) answers: usize,
    pub(crate) answers_per_second: f64,
    pub(crate) latency: Latency,
}

pub(crate) async fn run(options: &crate::Active, pace: Pace) -> Result<ActiveReport> {
    let logins = options.accounts.logins();
    let mut sessions = Vec::new();
    for index in 0..options.connections {
        let mut imap = Imap::login(&options.imap, &logins[index % logins.len()], BUFFER).await?;
        let messages = imap.select().await?;
        if messages < MESSAGES {
            bail!("a mailbox has {messages} messages, too few to work with: deliver some first");
        }
        sessions.push((imap, messages));
    }
    let (_, sessions) = work(sessions, WARM_UP).await?;
    pace.ready().await?;
    let meter = OwnMeter::start();
    let (mut alone, sessions) = measured(pace, sessions, options.seconds).await?;
    let password = &options.accounts.password;
    let others = options.beside_users.iter().flat_map(UserPattern::expand);
    let others: Vec<Login> = others.map(|user| Login { user, password: password.clone() }).collect();
    let idlers = if others.is_empty() { &logins } else { &others };
    let mut held = idle::open(&options.imap, idlers, options.beside, None).await?;
    tokio::time::sleep(SETTLE).await;
    let (beside, sessions) = measured(pace, sessions, options.seconds).await?;
    let idle = held.len();
    for imap in &mut held {
        drop(imap.done().await);
    }
    drop(held);
    tokio::time::sleep(SETTLE).await;
    let (again, _) = measured(pace, sessions, options.seconds).await?;
    alone.extend(again);
    let generator = meter.stop();
    pace.done().await?;
    let rate = |times: &[Duration], halves: f64| times.len() as f64 / (options.seconds * halves);
    Ok(ActiveReport {
        connections: options.connections,
        idle,
        alone: Work { answers: alone.len(), answers_per_second: rate(&alone, 2.0), latency: Latency::of(alone) },
        beside: Work { answers: beside.len(), answers_per_second: rate(&beside, 1.0), latency: Latency::of(beside) },
        generator,
    })
}

/// A stretch of work between two moments at which whoever started this may look at the server.
async fn measured(pace: Pace, sessions: Sessions, seconds: f64) -> Result<(Vec<Duration>, Sessions)> {
    pace.begin().await?;
    let done = work(sessions, seconds).await?;
    pace.end().await?;
    Ok(done)
}

/// With how many messages each has.
type Sessions = Vec<(Imap, u64)>;

/// How long each answer took.
async fn work(sessions: Sessions, seconds: f64) -> Result<(Vec<Duration>, Sessions)> {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut tasks = JoinSet::new();
    let apart = REST / u32::try_from(sessions.len()).unwrap_or(1).max(1);
    for (index, (mut imap, messages)) in (0u32..).zip(sessions) {
        tasks.spawn(async move {
            let mut times = Vec::new();
            let mut first = 1;
            // Not all at the same moment.
            tokio::time::sleep(apart * index).await;
            while Instant::now() < until {
                let asked = Instant::now();
                imap.fetch(&format!("{first}:{}", first + MESSAGES - 1), ITEMS).await?;
                times.push(asked.elapsed());
                first = if first + 2 * MESSAGES > messages { 1 } else { first + MESSAGES };
                tokio::time::sleep(REST).await;
            }
            anyhow::Ok((imap, messages, times))
        });
    }
    let (mut kept, mut all) = (Sessions::new(), Vec::new());
    while let Some(ended) = tasks.join_next().await {
        let (imap, messages, times) = ended??;
        kept.push((imap, messages));
        all.extend(times);
    }
    Ok((all, kept))
}
