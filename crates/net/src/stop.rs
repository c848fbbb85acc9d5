//! The handle that asks everything to stop gracefully.

use std::sync::Arc;

use tokio::sync::watch;

/// Cloned into everything that runs long. Once [`Stop::stop`] was called it stays stopped.
#[derive(Debug, Clone)]
pub struct Stop {
    said: Arc<watch::Sender<bool>>,
}

impl Stop {
    /// A handle on which nobody has called [`Stop::stop`] yet.
    pub fn new() -> Stop {
        Stop { said: Arc::new(watch::Sender::new(false)) }
    }

    /// Asks all holders to stop. May be called more than once.
    pub fn stop(&self) {
        self.said.send_replace(true);
    }

    /// Whether [`Stop::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        *self.said.borrow()
    }

    /// Resolves once [`Stop::stop`] was called. May be dropped and called again.
    pub async fn stopped(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.said.subscribe().wait_for(|said| *said).await;
    }
}

impl Default for Stop {
    fn default() -> Stop {
        Stop::new()
    }
}
