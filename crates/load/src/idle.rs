//! Many IMAP connections that do nothing.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::imap::Imap;
use crate::pace::Pace;
use crate::tls;
use crate::users::Login;

/// Logins at once while the connections are opened.
const OPENING: usize = 8;
/// An idle connection needs no room here: there may be thousands.
const BUFFER: usize = 1024;

#[derive(Debug, Serialize)]
pub(crate) struct IdleReport {
    pub(crate) connections: usize,
    /// How long it took to open them, log in, select and begin IDLE.
    pub(crate) seconds_to_open: f64,
    /// How many still answered when they were told to end.
    pub(crate) alive_at_the_end: usize,
}

pub(crate) async fn run(options: &crate::Idle, pace: Pace) -> Result<IdleReport> {
    let logins = options.accounts.logins();
    let tls = options.tls.then(tls::anybody).transpose()?;
    let mut warm = open(&options.imap, &logins, options.warm, tls.as_ref()).await?;
    pace.ready().await?;
    let began = Instant::now();
    let mut held = open(&options.imap, &logins, options.connections, tls.as_ref()).await?;
    let seconds_to_open = began.elapsed().as_secs_f64();
    pace.hold().await?;
    let mut alive_at_the_end = 0;
    for imap in &mut held {
        alive_at_the_end += usize::from(imap.done().await.is_ok());
    }
    for imap in &mut warm {
        drop(imap.done().await);
    }
    Ok(IdleReport { connections: held.len(), seconds_to_open, alive_at_the_end })
}

/// Opens so many connections that sit in IDLE.
pub(crate) async fn open(
    place: &str,
    logins: &[Login],
    connections: usize,
    tls: Option<&TlsConnector>,
) -> Result<Vec<Imap>> {
    let opening = Arc::new(Semaphore::new(OPENING));
    let mut tasks = JoinSet::new();
    for index in 0..connections {
        let (login, place) = (logins[index % logins.len()].clone(), place.to_string());
        let (opening, tls) = (Arc::clone(&opening), tls.cloned());
        tasks.spawn(async move {
            let _permit = opening.acquire().await?;
            let mut imap = match &tls {
                Some(tls) => Imap::login_tls(&place, &login, BUFFER, tls).await?,
                None => Imap::login(&place, &login, BUFFER).await?,
            };
            imap.select().await?;
            imap.idle().await?;
            anyhow::Ok(imap)
        });
    }
    let mut open = Vec::with_capacity(connections);
    while let Some(ended) = tasks.join_next().await {
        open.push(ended?.with_context(|| format!("connection {} of {connections}", open.len() + 1))?);
    }
    Ok(open)
}
