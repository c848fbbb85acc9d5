//! The handle by which attempts are told to end now: the server stops, the node's lease runs out, or one has taken all the
//! time that an attempt may take.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Held by everything that an attempt waits in. Clones hear the same.
#[derive(Debug, Clone)]
pub(crate) struct Halt {
    brake: watch::Receiver<bool>,
    /// When it ends by itself.
    until: Option<Instant>,
}

/// Who says so.
#[derive(Debug)]
pub(crate) struct Brake(watch::Sender<bool>);

impl Brake {
    pub(crate) fn new() -> Brake {
        Brake(watch::Sender::new(false))
    }

    pub(crate) fn handle(&self) -> Halt {
        Halt { brake: self.0.subscribe(), until: None }
    }

    /// All attempts under this brake end as soon as they can.
    pub(crate) fn pull(&self) {
        self.0.send_replace(true);
    }
}

impl Halt {
    /// The same, and its time is over then.
    pub(crate) fn until(&self, until: Instant) -> Halt {
        Halt { brake: self.brake.clone(), until: Some(until) }
    }

    pub(crate) fn is_pulled(&self) -> bool {
        *self.brake.borrow() || self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Whether time is over and nobody pulled the brake.
    pub(crate) fn is_late(&self) -> bool {
        self.is_pulled() && !*self.brake.borrow()
    }

    /// Resolves once the brake is pulled, is gone with who could have pulled it, or time is over. May be dropped and called
    /// again.
    pub(crate) async fn pulled(&self) {
        match self.until {
            Some(until) => tokio::select! {
                () = self.braked() => {}
                () = sleep_until(until) => {}
            },
            None => self.braked().await,
        }
    }

    /// The same, however late it is.
    pub(crate) async fn braked(&self) {
        let _ = self.brake.clone().wait_for(|pulled| *pulled).await;
    }
}
