//! ETRN (RFC 1985 §5): a client asks that what waits for a node of its is sent now.

use crate::Reply;
use crate::address::check_domain;

/// What the client named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Etrn {
    /// `ETRN name`: this domain.
    Domain(String),
    /// `ETRN @name`: this domain and all below it.
    Below(String),
    /// `ETRN #name`: a queue of the server's own naming.
    Queue(String),
}

impl Etrn {
    /// What stands behind the verb. Names are in lower case with A-labels.
    pub(crate) fn parse(text: &str) -> Result<Etrn, Reply> {
        let bad = || Reply::new(501, (5, 5, 4), "Syntax: ETRN domain, or ETRN @domain");
        if let Some(queue) = text.strip_prefix('#') {
            let fit = |c: char| c.is_ascii_graphic();
            let good = !queue.is_empty() && queue.len() <= QUEUE_LIMIT && queue.chars().all(fit);
            return good.then(|| Etrn::Queue(queue.to_owned())).ok_or_else(bad);
        }
        let (name, below) = text.strip_prefix('@').map_or((text, false), |name| (name, true));
        let name = check_domain(name).map_err(|_| bad())?;
        let name = match name.is_ascii() {
            true => name.to_ascii_lowercase(),
            false => idna::domain_to_ascii(&name).map_err(|_| bad())?,
        };
        Ok(if below { Etrn::Below(name) } else { Etrn::Domain(name) })
    }

    /// The domain; `None` for a queue.
    pub fn domain(&self) -> Option<&str> {
        match self {
            Etrn::Domain(name) | Etrn::Below(name) => Some(name),
            Etrn::Queue(_) => None,
        }
    }
}

/// A name of a queue is no longer.
const QUEUE_LIMIT: usize = 64;
