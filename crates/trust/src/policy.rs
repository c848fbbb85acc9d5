//! What becomes of mail that cannot be verified: by the recipient's domain; and who is believed in spite of a failure.
//!
//! Only what an administrator chose has rows; everything else is [`Policy::default`], so that better defaults reach everybody.
//! It never looks at a message: who decides with these words stands elsewhere.

use std::fmt;

use postroad_store::{ReadTx, Result, Timestamp, WriteTx, params};

/// The wishes of a domain by key, and whom the server believes.
pub(crate) const V1: &str = "
CREATE TABLE policy_domain (
    domain TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (domain, key)
);
CREATE TABLE policy_trusted (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    note TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
);
";

/// What is done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Treatment {
    /// It is delivered as usual; its Authentication-Results tell.
    Tag,
    /// It is filed in Junk.
    Junk,
    /// It is refused.
    Reject,
}

/// What is done when the DNS does not answer and the answer could have meant a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unsure {
    /// It is delivered as usual; its Authentication-Results tell.
    Tag,
    /// The sender is asked to try again later.
    Defer,
}

/// A recipient domain's wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// DMARC fails, and the author's domain asks for refusal.
    pub dmarc_reject: Treatment,
    /// DMARC fails, and the author's domain asks for quarantine.
    pub dmarc_quarantine: Treatment,
    /// DMARC fails, and the author's domain asks for nothing.
    pub dmarc_none: Treatment,
    /// The author's domain has no DMARC policy, SPF says `-all`, and no signature of that domain holds.
    pub spf_fail: Treatment,
    /// The author's domain has no DMARC policy, and there are signatures, of which none holds.
    pub dkim_fail: Treatment,
    /// The message has no From, more than one, or one without an address.
    pub from_invalid: Treatment,
    /// The DNS does not answer.
    pub unsure: Unsure,
}

impl Default for Policy {
    /// What owners of domains ask for is done. SPF alone breaks at every forwarder, so its failure leads to Junk, where
    /// nothing is lost; a broken signature is no signature (RFC 6376 §6.1).
    fn default() -> Policy {
        Policy {
            dmarc_reject: Treatment::Reject,
            dmarc_quarantine: Treatment::Junk,
            dmarc_none: Treatment::Tag,
            spf_fail: Treatment::Junk,
            dkim_fail: Treatment::Tag,
            // RFC 5322 §3.6 wants exactly one, and nobody can be verified without.
            from_invalid: Treatment::Reject,
            unsure: Unsure::Defer,
        }
    }
}

/// A key of [`Policy`], as it is stored and typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// [`Policy::dmarc_reject`]
    DmarcReject,
    /// [`Policy::dmarc_quarantine`]
    DmarcQuarantine,
    /// [`Policy::dmarc_none`]
    DmarcNone,
    /// [`Policy::spf_fail`]
    SpfFail,
    /// [`Policy::dkim_fail`]
    DkimFail,
    /// [`Policy::from_invalid`]
    FromInvalid,
    /// [`Policy::unsure`]
    Unsure,
}

impl Treatment {
    /// As it is stored and typed.
    pub fn name(self) -> &'static str {
        match self {
            Treatment::Tag => "tag",
            Treatment::Junk => "junk",
            Treatment::Reject => "reject",
        }
    }

    fn from_name(name: &str) -> Option<Treatment> {
        [Treatment::Tag, Treatment::Junk, Treatment::Reject].into_iter().find(|one| one.name() == name)
    }
}

impl Unsure {
    /// As it is stored and typed.
    pub fn name(self) -> &'static str {
        match self {
            Unsure::Tag => "tag",
            Unsure::Defer => "defer",
        }
    }

    fn from_name(name: &str) -> Option<Unsure> {
        [Unsure::Tag, Unsure::Defer].into_iter().find(|one| one.name() == name)
    }
}

impl Key {
    /// All, in the order in which they are shown.
    pub const ALL: [Key; 7] = [
        Key::DmarcReject,
        Key::DmarcQuarantine,
        Key::DmarcNone,
        Key::SpfFail,
        Key::DkimFail,
        Key::FromInvalid,
        Key::Unsure,
    ];

    /// As it is stored and typed.
    pub fn name(self) -> &'static str {
        match self {
            Key::DmarcReject => "dmarc-reject",
            Key::DmarcQuarantine => "dmarc-quarantine",
            Key::DmarcNone => "dmarc-none",
            Key::SpfFail => "spf-fail",
            Key::DkimFail => "dkim-fail",
            Key::FromInvalid => "from-invalid",
            Key::Unsure => "unsure",
        }
    }

    /// What it is about, for people.
    pub fn about(self) -> &'static str {
        match self {
            Key::DmarcReject => "DMARC fails, and the author's domain asks for refusal (p=reject)",
            Key::DmarcQuarantine => "DMARC fails, and the author's domain asks for quarantine (p=quarantine)",
            Key::DmarcNone => "DMARC fails, and the author's domain asks for nothing (p=none)",
            Key::SpfFail => "no DMARC policy, SPF fails, and no signature of the author's domain holds",
            Key::DkimFail => "no DMARC policy, and the message has signatures, of which none holds",
            Key::FromInvalid => "the message has no From, more than one, or one without an address",
            Key::Unsure => "the DNS does not answer, and the answer could have meant a refusal",
        }
    }

    /// What can be chosen.
    pub fn choices(self) -> &'static [&'static str] {
        match self {
            Key::DmarcReject
            | Key::DmarcQuarantine
            | Key::DmarcNone
            | Key::SpfFail
            | Key::DkimFail
            | Key::FromInvalid => &["reject", "junk", "tag"],
            Key::Unsure => &["defer", "tag"],
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Key> {
        Key::ALL.into_iter().find(|key| key.name() == name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Policy {
    /// The value of a key, as it is stored and typed.
    pub fn value(&self, key: Key) -> &'static str {
        match key {
            Key::DmarcReject => self.dmarc_reject.name(),
            Key::DmarcQuarantine => self.dmarc_quarantine.name(),
            Key::DmarcNone => self.dmarc_none.name(),
            Key::SpfFail => self.spf_fail.name(),
            Key::DkimFail => self.dkim_fail.name(),
            Key::FromInvalid => self.from_invalid.name(),
            Key::Unsure => self.unsure.name(),
        }
    }

    /// Sets a key; `false`, with nothing changed, for a value that is none of its choices.
    pub fn set(&mut self, key: Key, value: &str) -> bool {
        fn put<T>(place: &mut T, value: Option<T>) -> bool {
            value.map(|value| *place = value).is_some()
        }
        match key {
            Key::DmarcReject => put(&mut self.dmarc_reject, Treatment::from_name(value)),
            Key::DmarcQuarantine => put(&mut self.dmarc_quarantine, Treatment::from_name(value)),
            Key::DmarcNone => put(&mut self.dmarc_none, Treatment::from_name(value)),
            Key::SpfFail => put(&mut self.spf_fail, Treatment::from_name(value)),
            Key::DkimFail => put(&mut self.dkim_fail, Treatment::from_name(value)),
            Key::FromInvalid => put(&mut self.from_invalid, Treatment::from_name(value)),
            Key::Unsure => put(&mut self.unsure, Unsure::from_name(value)),
        }
    }
}

/// The policy of a domain in its canonical form. One statement. What a newer version wrote and this one does not know is as
/// if it were not there.
pub fn of(tx: &ReadTx, domain: &str) -> Result<Policy> {
    let mut policy = Policy::default();
    for (key, value) in chosen(tx, domain)? {
        policy.set(key, &value);
    }
    Ok(policy)
}

/// What was chosen for a domain.
pub fn chosen(tx: &ReadTx, domain: &str) -> Result<Vec<(Key, String)>> {
    let rows =
        tx.rows("SELECT key, value FROM policy_domain WHERE domain = $1 ORDER BY key", params![domain], |row| {
            Ok((row.text(0)?, row.text(1)?))
        })?;
    Ok(rows.into_iter().filter_map(|(key, value)| Some((Key::from_name(&key)?, value))).collect())
}

/// Domains for which something was chosen, by name.
pub fn domains(tx: &ReadTx) -> Result<Vec<String>> {
    tx.rows("SELECT DISTINCT domain FROM policy_domain ORDER BY domain", params![], |row| row.text(0))
}

/// Chooses: `None` is the default again. The values are those of [`Key::choices`].
pub fn choose(tx: &mut WriteTx, domain: &str, choices: &[(Key, Option<&str>)]) -> Result<()> {
    for (key, value) in choices {
        match value {
            Some(value) => tx.execute(
                "INSERT INTO policy_domain (domain, key, value) VALUES ($1, $2, $3)
                 ON CONFLICT (domain, key) DO UPDATE SET value = excluded.value",
                params![domain, key.name(), *value],
            )?,
            None => {
                tx.execute("DELETE FROM policy_domain WHERE domain = $1 AND key = $2", params![domain, key.name()])?
            }
        };
    }
    Ok(())
}

/// Forgets a domain that is none of ours any more.
pub fn forget(tx: &mut WriteTx, domain: &str) -> Result<()> {
    tx.execute("DELETE FROM policy_domain WHERE domain = $1", params![domain])?;
    Ok(())
}

/// As what somebody is believed in spite of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrustedKind {
    /// A domain whose ARC seals are believed: what it saw when the message came to it (RFC 8617 §7.2).
    ArcSealer,
    /// A network, or a domain whose hosts (by forward-confirmed names) send mail on to people here.
    Forwarder,
    /// A mailing list by its List-Id, or all below a domain as `*.lists.example.org`; the message must be authenticated as the
    /// list's own.
    List,
}

impl TrustedKind {
    /// All of them.
    pub const ALL: [TrustedKind; 3] = [TrustedKind::ArcSealer, TrustedKind::Forwarder, TrustedKind::List];

    /// As it is stored and typed.
    pub fn name(self) -> &'static str {
        match self {
            TrustedKind::ArcSealer => "arc-sealer",
            TrustedKind::Forwarder => "forwarder",
            TrustedKind::List => "list",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<TrustedKind> {
        TrustedKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Somebody who is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// As what.
    pub kind: TrustedKind,
    /// A domain in A-labels, a network or a List-Id; in lower case.
    pub name: String,
    /// Why, in the administrator's words.
    pub note: String,
    /// Since when.
    pub since: Timestamp,
}

/// Most that can be trusted: they are all read when a message fails.
pub const MAX_TRUSTED: usize = 10_000;

/// Everybody who is believed, by kind and name.
pub fn trusted(tx: &ReadTx) -> Result<Vec<Trusted>> {
    let rows = tx.rows(
        "SELECT kind, name, note, since FROM policy_trusted ORDER BY kind, name LIMIT $1",
        params![i64::try_from(MAX_TRUSTED).unwrap_or(i64::MAX)],
        |row| Ok((row.text(0)?, row.text(1)?, row.text(2)?, row.id(3)?)),
    )?;
    let known = |(kind, name, note, since): (String, String, String, Timestamp)| {
        Some(Trusted { kind: TrustedKind::from_name(&kind)?, name, note, since })
    };
    Ok(rows.into_iter().filter_map(known).collect())
}

/// Believes somebody from now on; again with another note changes the note. `false`, with nothing changed, when
/// [`MAX_TRUSTED`] are believed.
pub fn trust(tx: &mut WriteTx, trusted: &Trusted) -> Result<bool> {
    let count = tx.one("SELECT count(*) FROM policy_trusted", params![], |row| row.int(0))?;
    if usize::try_from(count).unwrap_or(usize::MAX) >= MAX_TRUSTED {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO policy_trusted (kind, name, note, since) VALUES ($1, $2, $3, $4)
         ON CONFLICT (kind, name) DO UPDATE SET note = excluded.note",
        params![trusted.kind.name(), trusted.name.as_str(), trusted.note.as_str(), trusted.since],
    )?;
    Ok(true)
}

/// Believes somebody no more. Says whether they were believed.
pub fn distrust(tx: &mut WriteTx, kind: TrustedKind, name: &str) -> Result<bool> {
    let gone = tx.execute("DELETE FROM policy_trusted WHERE kind = $1 AND name = $2", params![kind.name(), name])?;
    Ok(gone > 0)
}
