//! The local socket in the data folder: how the command line acts through a running server.
//!
//! One operation in JSON on a line, one answer in JSON on a line; or a line that opens a [`Stream`], the word to go on,
//! and then frames. The socket's mode and its folder's admit the
//! server's own user only; there is no other way to authenticate and none is needed.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use postroad_net::Stop;
use postroad_store::{Store, Timestamp};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::stream::{self, Opening, Stream};
use super::{Answer, Operation};

/// The socket's place.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

/// Asks the running server; `None` when none is running.
pub(crate) fn ask(data: &Path, operation: &Operation) -> Result<Option<Answer>> {
    let Some(mut stream) = connect(data)? else { return Ok(None) };
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    let mut line = serde_json::to_vec(operation)?;
    line.push(b'\n');
    stream.write_all(&line).context("the running server does not take the request")?;
    let mut answer = String::new();
    BufReader::new(stream.take(ANSWER_MAX))
        .read_line(&mut answer)
        .context("the running server does not answer; see its log")?;
    let answer = serde_json::from_str(&answer)
        .context("the running server's answer cannot be read; is it the same version as this command?")?;
    Ok(Some(answer))
}

/// Opens a stream with the running server; `None` when none is running. The error is the server's refusal.
pub(crate) fn open(data: &Path, request: &Stream) -> Result<Option<UnixStream>> {
    let Some(mut stream) = connect(data)? else { return Ok(None) };
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).context("the running server does not take the request")?;
    // Byte by byte: what follows the line belongs to the frames.
    let mut answer = Vec::new();
    let mut byte = [0];
    while byte != *b"\n" && answer.len() < OPENING_MAX {
        stream.read_exact(&mut byte).context("the running server does not answer; see its log")?;
        answer.extend_from_slice(&byte);
    }
    match serde_json::from_slice(&answer)
        .context("the running server's answer cannot be read; is it the same version as this command?")?
    {
        Opening::Go => Ok(Some(stream)),
        Opening::Refused(why) => bail!(why),
    }
}

/// `None` when no server listens. Who may not know whether one does is told so.
fn connect(data: &Path) -> Result<Option<UnixStream>> {
    match UnixStream::connect(path(data)) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            bail!("{} is for the server's user alone: run this command as that user, or as root", data.display())
        }
        Err(_) => Ok(None),
    }
}

/// Serves the socket until the stop.
pub(crate) async fn serve(data: &Path, store: Store, stop: Stop) -> Result<()> {
    let path = path(data);
    // A socket that an ended server left is in the way; a running one was noticed before (see `commands::serve`).
    let _ = std::fs::remove_file(&path);
    let listener =
        tokio::net::UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let streams = Arc::new(Semaphore::new(STREAMS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.stopped() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (store, stop, streams) = (store.clone(), stop.clone(), Arc::clone(&streams));
                tokio::spawn(async move {
                    if let Err(error) = answer_one(stream, store, stop, streams).await {
                        tracing::debug!("administration socket: {error:#}");
                    }
                });
            }
            Err(error) => {
                tracing::warn!("administration socket: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    let _ = std::fs::remove_file(&path);
    Ok(())
}

async fn answer_one(
    mut stream: tokio::net::UnixStream,
    store: Store,
    stop: Stop,
    streams: Arc<Semaphore>,
) -> Result<()> {
    let mut line = String::new();
    let reading = tokio::io::BufReader::new((&mut stream).take(REQUEST_MAX));
    tokio::time::timeout(REQUEST_WITHIN, { reading }.read_line(&mut line)).await??;
    if let Ok(request) = serde_json::from_str::<Stream>(&line) {
        return answer_stream(stream, store, stop, streams, request).await;
    }
    let operation: Operation = serde_json::from_str(&line)?;
    let answer = tokio::task::spawn_blocking(move || super::perform(&store, operation, Timestamp::now())).await?;
    say(&mut stream, &answer).await
}

/// A stream is served on a thread of its own; the stop of the server breaks it off, and what came whole is kept.
async fn answer_stream(
    mut connection: tokio::net::UnixStream,
    store: Store,
    stop: Stop,
    streams: Arc<Semaphore>,
    request: Stream,
) -> Result<()> {
    let Ok(_turn) = streams.try_acquire() else {
        let why = "other imports or exports are running: wait until one of them has ended".to_owned();
        return say(&mut connection, &Opening::Refused(why)).await;
    };
    let looking = store.clone();
    let begun = match tokio::task::spawn_blocking(move || stream::begin(&looking, request)).await? {
        Ok(begun) => begun,
        Err(why) => return say(&mut connection, &Opening::Refused(why)).await,
    };
    say(&mut connection, &Opening::Go).await?;
    let connection = connection.into_std()?;
    connection.set_nonblocking(false)?;
    let handle = connection.try_clone()?;
    let mut work = tokio::task::spawn_blocking(move || stream::perform(&store, &begun, Timestamp::now(), &connection));
    tokio::select! {
        done = &mut work => done?,
        () = stop.stopped() => {
            let _ = handle.shutdown(std::net::Shutdown::Both);
            work.await?;
        }
    }
    Ok(())
}

/// A line of JSON.
async fn say(stream: &mut tokio::net::UnixStream, value: &impl serde::Serialize) -> Result<()> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    stream.write_all(&text).await?;
    Ok(())
}

/// Imports and exports at a time.
const STREAMS_MAX: usize = 4;
/// The line before the first frame.
const OPENING_MAX: usize = 64 * 1024;
const REQUEST_MAX: u64 = 1024 * 1024;
const ANSWER_MAX: u64 = 64 * 1024 * 1024;
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
