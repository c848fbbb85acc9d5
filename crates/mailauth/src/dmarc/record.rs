//! The DMARC policy record.

use std::fmt;

/// What the owner of a domain wants done with mail that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Policy {
    /// Nothing.
    #[default]
    None,
    /// Treat with suspicion: Junk.
    Quarantine,
    /// Refuse.
    Reject,
}

impl Policy {
    /// The word of the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::None => "none",
            Policy::Quarantine => "quarantine",
            Policy::Reject => "reject",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How alike two domains must be (`adkim`, `aspf`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Alignment {
    /// `r`: the same organisational domain.
    #[default]
    Relaxed,
    /// `s`: the same domain.
    Strict,
}

/// Whether a domain is one below which others register (`psd`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Psd {
    /// `y`: it is a public suffix.
    Yes,
    /// `n`: it is not, and it is an organisational domain.
    No,
    /// `u` or nothing: the tree walk decides.
    #[default]
    Unsaid,
}

/// A policy record. RFC 9989 §4.7.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `p`: for the domain itself.
    pub policy: Policy,
    /// `sp`: for names below it that exist.
    pub subdomain_policy: Option<Policy>,
    /// `np`: for names below it that do not exist.
    pub nonexistent_policy: Option<Policy>,
    /// `adkim`.
    pub dkim_alignment: Alignment,
    /// `aspf`.
    pub spf_alignment: Alignment,
    /// `psd`.
    pub psd: Psd,
    /// `t=y`: the policy is being tried: one step milder.
    pub testing: bool,
    /// `rua`: where aggregate reports go, as URIs (without the size of RFC 7489).
    pub rua: Vec<String>,
    /// `ruf`: where failure reports go.
    pub ruf: Vec<String>,
    /// `fo`: letters among `0`, `1`, `d`, `s`.
    pub failure_options: Vec<char>,
}
