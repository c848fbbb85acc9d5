//! How much a server may say.

/// Bounds of what is kept of a server's words; beyond them the connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one response outside of a message's own: a long SEARCH, VANISHED or list of labels is a few MiB.
    pub response: usize,
    /// Octets of one message.
    pub message: u64,
    /// Words and strings in one response.
    pub values: usize,
    /// Lists in lists.
    pub depth: usize,
    /// Capabilities that are remembered.
    pub capabilities: usize,
    /// Commands that may be on their way.
    pub pending: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            response: 16 * 1024 * 1024,
            message: 2 * 1024 * 1024 * 1024,
            values: 4 * 1024 * 1024,
            depth: 32,
            capabilities: 512,
            pending: 256,
        }
    }
}
