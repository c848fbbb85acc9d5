//! Reading whole mailboxes, again and again.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::imap::Imap;
use crate::pace::Pace;
use crate::pop3::Pop3;
use crate::report::{Own, OwnMeter};

/// Bulk reading takes large pieces.
const BUFFER: usize = 64 * 1024;

#[derive(Debug, Serialize)]
pub(crate) struct ReadReport {
    pub(crate) connections: usize,
    pub(crate) messages: u64,
    pub(crate) megabytes: f64,
    pub(crate) seconds: f64,
    pub(crate) messages_per_second: f64,
    pub(crate) megabytes_per_second: f64,
    pub(crate) generator: Own,
}

#[derive(Debug, Default)]
struct Count {
    messages: u64,
    octets: u64,
}

/// FETCH of everything in INBOX over IMAP.
pub(crate) async fn fetch(options: &crate::Fetch, pace: Pace) -> Result<ReadReport> {
    let logins = options.accounts.logins();
    let mut sessions = Vec::new();
    for index in 0..options.connections {
        let mut imap = Imap::login(&options.imap, &logins[index % logins.len()], BUFFER).await?;
        if imap.select().await? == 0 {
            bail!("the mailbox of {} is empty: deliver something first", logins[index % logins.len()].user);
        }
        sessions.push(imap);
    }
    pace.ready().await?;
    let meter = OwnMeter::start();
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(options.seconds);
    let mut tasks = JoinSet::new();
    for mut imap in sessions {
        let items = options.items.clone();
        tasks.spawn(async move {
            let mut count = Count::default();
            while Instant::now() < until {
                let fetched = imap.fetch("1:*", &items).await?;
                count.messages += fetched.messages;
                count.octets += fetched.octets;
            }
            anyhow::Ok(count)
        });
    }
    finish(tasks, began, &meter, pace).await
}

/// RETR of all messages over POP3.
pub(crate) async fn retr(options: &crate::Retr, pace: Pace) -> Result<ReadReport> {
    let logins = options.accounts.logins();
    if logins.len() < options.connections {
        bail!("{} connections need as many accounts, {} are named", options.connections, logins.len());
    }
    let mut sessions = Vec::new();
    for login in logins.iter().take(options.connections) {
        let mut pop3 = Pop3::login(&options.pop3, login).await?;
        let count = pop3.count().await?;
        if count == 0 {
            bail!("the mailbox of {} is empty: deliver something first", login.user);
        }
        sessions.push((pop3, count));
    }
    pace.ready().await?;
    let meter = OwnMeter::start();
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(options.seconds);
    let mut tasks = JoinSet::new();
    for (mut pop3, messages) in sessions {
        tasks.spawn(async move {
            let mut count = Count::default();
            let mut number = 0;
            while Instant::now() < until {
                number = number % messages + 1;
                count.octets += pop3.retrieve(number).await?;
                count.messages += 1;
            }
            pop3.quit().await?;
            anyhow::Ok(count)
        });
    }
    finish(tasks, began, &meter, pace).await
}

async fn finish(mut tasks: JoinSet<Result<Count>>, began: Instant, meter: &OwnMeter, pace: Pace) -> Result<ReadReport> {
    let connections = tasks.len();
    let mut all = Count::default();
    while let Some(ended) = tasks.join_next().await {
        let count = ended??;
        all.messages += count.messages;
        all.octets += count.octets;
    }
    let seconds = began.elapsed().as_secs_f64();
    let generator = meter.stop();
    pace.done().await?;
    let megabytes = all.octets as f64 / 1e6;
    Ok(ReadReport {
        connections,
        messages: all.messages,
        megabytes,
        seconds,
        messages_per_second: all.messages as f64 / seconds,
        megabytes_per_second: megabytes / seconds,
        generator,
    })
}
