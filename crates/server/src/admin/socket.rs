//! The local socket in the data folder: how the command line acts through a running server.
//!
//! One operation in JSON on a line, one answer in JSON on a line. The socket's mode and its folder's admit the
//! server's own user only; there is no other way to authenticate and none is needed.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use postroad_net::Stop;
use postroad_store::{Store, Timestamp};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

use super::{Answer, Operation};

/// The socket's place.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

/// Asks the running server; `None` when none is running.
pub(crate) fn ask(data: &Path, operation: &Operation) -> Result<Option<Answer>> {
    let Ok(mut stream) = UnixStream::connect(path(data)) else { return Ok(None) };
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

/// Serves the socket until the stop.
pub(crate) async fn serve(data: &Path, store: Store, stop: Stop) -> Result<()> {
    let path = path(data);
    // A socket that an ended server left is in the way; a running one was noticed before (see `commands::serve`).
    let _ = std::fs::remove_file(&path);
    let listener =
        tokio::net::UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.stopped() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let store = store.clone();
                tokio::spawn(async move {
                    if let Err(error) = answer_one(stream, store).await {
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

async fn answer_one(stream: tokio::net::UnixStream, store: Store) -> Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    tokio::time::timeout(REQUEST_WITHIN, tokio::io::BufReader::new(reader.take(REQUEST_MAX)).read_line(&mut line))
        .await??;
    let operation: Operation = serde_json::from_str(&line)?;
    let answer = tokio::task::spawn_blocking(move || super::perform(&store, operation, Timestamp::now())).await?;
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    writer.write_all(&text).await?;
    Ok(())
}

const REQUEST_MAX: u64 = 1024 * 1024;
const ANSWER_MAX: u64 = 64 * 1024 * 1024;
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
