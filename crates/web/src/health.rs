//! Whether the server can do its work: whether the store answers and takes changes.
//!
//! 1. The store is asked at most once in [`FRESH`], however many ask us.
//! 2. A store that hangs costs one thread, not one for each question.

use std::time::Duration;

use postroad_store::Store;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// What was found. Without reasons all is well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Why mail cannot be taken now.
    pub(crate) reasons: Vec<String>,
    /// Name and version.
    pub(crate) database: Option<String>,
    /// Where large messages are.
    pub(crate) blobs: Option<String>,
}

/// The last look, and the one under way.
pub(crate) struct Health {
    store: Store,
    state: Mutex<State>,
}

type Asked = JoinHandle<postroad_store::Result<postroad_store::Health>>;

#[derive(Debug, Default)]
struct State {
    last: Option<(Instant, Found)>,
    running: Option<Asked>,
}

impl Health {
    pub(crate) fn new(store: Store) -> Health {
        Health { store, state: Mutex::default() }
    }

    pub(crate) async fn look(&self) -> Found {
        let mut state = self.state.lock().await;
        if let Some((at, found)) = &state.last
            && at.elapsed() < FRESH
        {
            return found.clone();
        }
        let store = self.store.clone();
        let asked = state.running.get_or_insert_with(|| tokio::task::spawn_blocking(move || store.health()));
        let found = match timeout(PATIENCE, asked).await {
            Ok(answer) => {
                state.running = None;
                found(answer)
            }
            // Still running: the next question waits for the same answer.
            Err(_) => Found { reasons: vec!["the database does not answer; see the log".into()], ..Found::default() },
        };
        state.last = Some((Instant::now(), found.clone()));
        found
    }
}

fn found(answer: Result<postroad_store::Result<postroad_store::Health>, tokio::task::JoinError>) -> Found {
    match answer {
        Ok(Ok(health)) => Found {
            reasons: if health.writable {
                Vec::new()
            } else {
                vec!["the database cannot be written; see the log for what to do".into()]
            },
            database: Some(format!("{} {}", health.database, health.version)),
            blobs: Some(health.blobs),
        },
        Ok(Err(error)) => Found { reasons: vec![format!("the database: {error}")], ..Found::default() },
        Err(error) => Found { reasons: vec![format!("looking at the database failed: {error}")], ..Found::default() },
    }
}

const FRESH: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(5);
