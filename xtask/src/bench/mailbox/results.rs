//! What was timed, raw, and the medians.

use serde::Serialize;
use serde_json::Value;

use crate::bench::machine::Machine;
use crate::bench::results::{Server, Spread};

/// Messages in a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Size(pub(super) u32);

#[derive(Debug, Serialize)]
pub(super) struct Results {
    pub(super) date: String,
    pub(super) name: String,
    pub(super) commit: String,
    pub(super) machine: Machine,
    /// The machine's own floor, from the generator.
    pub(super) floor: Value,
    pub(super) servers: Vec<Server>,
    /// Octets of a message.
    pub(super) message_octets: usize,
    pub(super) filled: Vec<Filled>,
    pub(super) timed: Vec<Timing>,
    pub(super) idle: Vec<Idle>,
    pub(super) active: Vec<Active>,
    pub(super) failures: Vec<String>,
    pub(super) seconds: f64,
}

/// How a mailbox was filled: by MULTIAPPEND or pipelined APPENDs.
#[derive(Debug, Serialize)]
pub(super) struct Filled {
    pub(super) server: &'static str,
    pub(super) size: Size,
    pub(super) seconds: f64,
}

/// One order on one server.
#[derive(Debug, Serialize)]
pub(super) struct Timing {
    pub(super) case: &'static str,
    pub(super) size: Size,
    pub(super) server: &'static str,
    pub(super) round: u32,
    pub(super) ms: f64,
    /// CPU of all processes of the server.
    pub(super) cpu_ms: f64,
    /// What the server sent.
    pub(super) octets: u64,
}

/// Memory of idle connections.
#[derive(Debug, Serialize)]
pub(super) struct Idle {
    pub(super) server: &'static str,
    pub(super) tls: bool,
    pub(super) connections: usize,
    pub(super) kib_each: f64,
}

/// Active connections with and without idle ones beside them, as the generator reports them.
#[derive(Debug, Serialize)]
pub(super) struct Active {
    pub(super) server: &'static str,
    /// CPU of the server's processes for an answer, alone and with the idle ones.
    pub(super) cpu_us: [f64; 2],
    pub(super) report: Value,
}

impl Results {
    /// A case on a server, by a figure of it.
    pub(super) fn spread(
        &self,
        case: &str,
        size: Size,
        server: &str,
        figure: impl Fn(&Timing) -> f64,
    ) -> Option<Spread> {
        let these = self.timed.iter().filter(|one| one.case == case && one.size == size && one.server == server);
        Spread::of(these.map(figure).collect())
    }

    pub(super) fn sizes(&self) -> Vec<Size> {
        let mut sizes: Vec<Size> = self.timed.iter().map(|one| one.size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }
}
