//! Long work through the administration socket: after the line that asks for it the connection carries frames of
//! mail, both ways, until it is done. The same functions work within one process when no server runs.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use postroad_archive::{export, import};
use postroad_mail::{Address, accounts};
use postroad_store::{AccountId, Store, Timestamp};
use serde::{Deserialize, Serialize};

use crate::elsewhere::{Kept, Secrets};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stream", rename_all = "kebab-case")]
pub(crate) enum Stream {
    /// Mail from files into an account.
    Import { address: String, options: import::Options },
    /// Mail from an account into files.
    Export { address: String, options: export::Options },
    /// An account elsewhere: taken over from there, or mirrored there.
    Remote { address: String, opening: postroad_remote::desk::Opening, secrets: Secrets },
    /// An account from a backup; answers with lines of JSON, not with frames.
    Restore(super::restore::Request),
}

/// The answer before the first frame.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Opening {
    /// Frames may come.
    Go,
    /// Refused: a sentence with the next step.
    Refused(String),
}

/// Work that was looked at and can begin.
pub(crate) struct Begun {
    request: Stream,
    account: AccountId,
}

/// Looks whether it can begin; the error is a sentence for the administrator. Blocks on the database.
pub(crate) fn begin(store: &Store, request: Stream) -> Result<Begun, String> {
    let address = match &request {
        Stream::Import { address, .. } | Stream::Export { address, .. } | Stream::Remote { address, .. } => address,
        // Whether there is an account or it is made, the restore itself finds out.
        Stream::Restore(_) => return Ok(Begun { request, account: AccountId(0) }),
    };
    let parsed = Address::parse(address).map_err(|error| format!("{address} is not an address: {error}"))?;
    let found = store.read_blocking(move |tx| accounts::find(tx, &parsed)).map_err(|error| error.to_string())?;
    let account = found.ok_or_else(|| format!("there is no account {address}; `postroad account list` shows all"))?;
    Ok(Begun { request, account: account.id })
}

/// Does the work. Blocks until it is done or the connection breaks, whose reading side the other end shut down.
pub(crate) fn perform(store: &Store, begun: &Begun, now: Timestamp, connection: &UnixStream) {
    let outcome = match &begun.request {
        Stream::Import { options, .. } => import::receive(
            store,
            begun.account,
            options,
            now,
            std::io::BufReader::with_capacity(BUFFER, connection),
            connection,
        ),
        Stream::Export { options, .. } => export::serve(store, begun.account, options, connection, connection),
        Stream::Remote { opening, secrets, .. } => {
            let (from, to, account) = (connection, connection, begun.account);
            let grants = Kept { store, account, secrets };
            let served = postroad_remote::desk::serve(store, account, opening, Timestamp::now, &grants, from, to);
            if let Err(error) = served {
                tracing::info!("taking over or mirroring an account ended early: {error}");
            }
            Ok(())
        }
        Stream::Restore(request) => {
            super::restore::perform(store, request, connection);
            Ok(())
        }
    };
    if let Err(error) = outcome {
        // Who asked was told, unless they have gone.
        tracing::info!("import or export ended early: {error}");
    }
    let _ = connection.shutdown(Shutdown::Both);
}

const BUFFER: usize = 256 * 1024;
