//! Whether the name servers do what DNSSEC needs, found out when it first matters.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Found out once for all who ask; a yes holds, so that nobody on the way can take it back later.
#[derive(Default)]
pub(crate) struct Ability {
    known: Mutex<Known>,
    /// Held while it is being found out.
    finding: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Default)]
enum Known {
    #[default]
    Nothing,
    Yes,
    No(Instant),
}

/// What a try showed.
pub(crate) enum Shown {
    Yes,
    /// Why not.
    No(String),
    /// Nobody answered.
    Nothing,
}

impl Ability {
    /// It was seen to work.
    pub(crate) fn is_proven(&self) {
        self.set(Known::Yes);
    }

    /// Whether they do; when that is not known, `find` tries. `missing` is told once, with the reason.
    pub(crate) async fn is_there(&self, find: impl Future<Output = Shown>, missing: &str) -> bool {
        if let Some(known) = self.known() {
            return known;
        }
        let _one = self.finding.lock().await;
        if let Some(known) = self.known() {
            return known;
        }
        let now = Instant::now();
        let known = match find.await {
            Shown::Yes => Known::Yes,
            Shown::No(why) => {
                tracing::warn!(why, "{missing}");
                Known::No(now + AGAIN)
            }
            Shown::Nothing => Known::No(now + SOON),
        };
        self.set(known);
        matches!(known, Known::Yes)
    }

    fn known(&self) -> Option<bool> {
        match *self.known.lock().unwrap_or_else(PoisonError::into_inner) {
            Known::Yes => Some(true),
            Known::No(until) if until > Instant::now() => Some(false),
            Known::No(_) | Known::Nothing => None,
        }
    }

    fn set(&self, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

/// A no is looked at again after this time: somebody may have set up a better resolver.
const AGAIN: Duration = Duration::from_secs(60 * 60);
/// Without any answer it is looked at again soon.
const SOON: Duration = Duration::from_secs(5);
