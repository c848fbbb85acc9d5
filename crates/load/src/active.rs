//! Connections that work, alone and then with idle ones beside them: what the idle ones cost the others.
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

#[derive(Debug, Serialize)]
pub(crate) struct ActiveReport {
    pub(crate) connections: usize,
    pub(crate) idle: usize,
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
    pace.ready().await?;
    let meter = OwnMeter::start();
    let (alone, sessions) = work(sessions, options.seconds).await?;
    let password = &options.accounts.password;
    let others = options.beside_users.iter().flat_map(UserPattern::expand);
    let others: Vec<Login> = others.map(|user| Login { user, password: password.clone() }).collect();
    let idlers = if others.is_empty() { &logins } else { &others };
    let held = idle::open(&options.imap, idlers, options.beside, None).await?;
    let (beside, _) = work(sessions, options.seconds).await?;
    let generator = meter.stop();
    pace.done().await?;
    Ok(ActiveReport { connections: options.connections, idle: held.len(), alone, beside, generator })
}

async fn work(sessions: Vec<(Imap, u64)>, seconds: f64) -> Result<(Work, Vec<(Imap, u64)>)> {
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(seconds);
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
    let (mut kept, mut all) = (Vec::new(), Vec::new());
    while let Some(ended) = tasks.join_next().await {
        let (imap, messages, times) = ended??;
        kept.push((imap, messages));
        all.extend(times);
    }
    let seconds = began.elapsed().as_secs_f64();
    let answers = all.len();
    Ok((Work { answers, answers_per_second: answers as f64 / seconds, latency: Latency::of(all) }, kept))
}
