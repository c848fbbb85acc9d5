//! What performs a session's jobs.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;

use postroad_protocol::Protocol;

/// Performs the jobs of sessions of one protocol. One world serves all connections of its listeners.
pub trait World<P: Protocol>: Send + Sync + 'static {
    /// Does the job. The session travels with it and comes back; whatever goes wrong inside the job becomes the
    /// session's answer to its client. Only when the session is lost is the result [`Fatal`]; that ends this
    /// connection and no other. The future always runs to its end, also when the client has gone or the server
    /// stops (within its grace period).
    fn perform(&self, session: P, job: P::Job) -> impl Future<Output = Result<P, Fatal>> + Send;

    /// Resolves when the job of a `Wait` should be done. It may be dropped at any point (input came first). What is
    /// subscribed to should be subscribed to before this returns, not at the first poll. To be implemented as an
    /// ordinary function that returns an `async move` block, so that the session is not held in the future.
    fn news(&self, session: &P, job: &P::Job) -> impl Future<Output = ()> + Send {
        let _ = (session, job);
        std::future::pending()
    }

    /// The job's name in the latency metrics: one of a small closed set such as `rcpt` or `fetch`.
    fn label(&self, job: &P::Job) -> &'static str {
        let _ = job;
        "job"
    }
}

/// The session is lost; its connection ends. The reason is for the log, never for the client.
#[derive(Debug)]
pub struct Fatal {
    reason: Cow<'static, str>,
}

impl Fatal {
    /// Says why, in words for the administrator.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Fatal {
        Fatal { reason: reason.into() }
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Fatal {}
