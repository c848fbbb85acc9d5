//! The handle by which attempts are told to end now: the server stops, or the node's lease runs out.

use tokio::sync::watch;

/// Held by everything that an attempt waits in. Clones hear the same.
#[derive(Debug, Clone)]
pub(crate) struct Halt(watch::Receiver<bool>);

/// Who says so.
#[derive(Debug)]
pub(crate) struct Brake(watch::Sender<bool>);

impl Brake {
    pub(crate) fn new() -> Brake {
        Brake(watch::Sender::new(false))
    }

    pub(crate) fn handle(&self) -> Halt {
        Halt(self.0.subscribe())
    }

    /// All attempts under this brake end as soon as they can.
    pub(crate) fn pull(&self) {
        self.0.send_replace(true);
    }
}

impl Halt {
    pub(crate) fn is_pulled(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves once the brake is pulled, or is gone with who could have pulled it. May be dropped and called again.
    pub(crate) async fn pulled(&self) {
        let _ = self.0.clone().wait_for(|pulled| *pulled).await;
    }
}
