//! What is handed out: texts that say whose they are and hold a secret that nobody guesses.
//!
//! A text is `prX_` and base64url (RFC 4648 §5) of the account's number, the number of what it belongs to, and random
//! octets. The numbers find the row by its primary key, which begins with the account, and tell a holder nothing that
//! they may not know; the prefix lets programs that look for leaked secrets notice it. Kept is a hash alone: of 192
//! random bits a fast one suffices.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postroad_mail::Error;
use postroad_store::AccountId;
use subtle::ConstantTimeEq;

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An access token.
    Access,
    /// A refresh token.
    Refresh,
    /// An authorization code.
    Code,
    /// The cookie of a session of the web.
    Session,
}

impl Kind {
    /// Also the domain of its hash, so that no text passes for another kind's.
    fn prefix(self) -> &'static str {
        match self {
            Kind::Access => "pra_",
            Kind::Refresh => "prr_",
            Kind::Code => "prc_",
            Kind::Session => "prs_",
        }
    }

    /// Octets behind the two numbers.
    fn random_len(self) -> usize {
        match self {
            Kind::Refresh => FAMILY_LEN + SECRET_LEN,
            Kind::Access | Kind::Code | Kind::Session => SECRET_LEN,
        }
    }
}

/// A text that was handed out, taken apart. Whether it is good only the row of its owner tells.
#[derive(Clone, PartialEq, Eq)]
pub struct Bearing {
    kind: Kind,
    account: AccountId,
    owner: i64,
    random: Vec<u8>,
}

impl std::fmt::Debug for Bearing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bearing({:?} of {} {})", self.kind, self.account, self.owner)
    }
}

impl Bearing {
    /// A new one. Errors: the system gives no random numbers.
    pub(crate) fn new(kind: Kind, account: AccountId, owner: i64) -> Result<Bearing, Error> {
        Ok(Bearing { kind, account, owner, random: random(kind.random_len())? })
    }

    /// A new refresh token of the same family: who shows an older one of it is found out.
    pub(crate) fn next(&self) -> Result<Bearing, Error> {
        let mut next = self.clone();
        next.random.truncate(FAMILY_LEN);
        next.random.extend(random(SECRET_LEN)?);
        Ok(next)
    }

    /// Takes a text apart; `None` for what was never handed out as this kind. At most [`TEXT_MAX`] octets are looked at.
    pub fn parse(kind: Kind, text: &str) -> Option<Bearing> {
        if text.len() > TEXT_MAX {
            return None;
        }
        let octets = URL_SAFE_NO_PAD.decode(text.strip_prefix(kind.prefix())?).ok()?;
        let (account, rest) = octets.split_first_chunk::<8>()?;
        let (owner, random) = rest.split_first_chunk::<8>()?;
        let (account, owner) = (i64::from_be_bytes(*account), i64::from_be_bytes(*owner));
        // Locks are taken by the account's number: other numbers lock other things.
        let plausible = account > 0 && owner > 0 && random.len() == kind.random_len();
        plausible.then(|| Bearing { kind, account: AccountId(account), owner, random: random.to_vec() })
    }

    /// The text.
    pub fn text(&self) -> String {
        let octets = [&self.account.0.to_be_bytes()[..], &self.owner.to_be_bytes(), &self.random].concat();
        format!("{}{}", self.kind.prefix(), URL_SAFE_NO_PAD.encode(octets))
    }

    /// Whose it says to be.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The grant, code or session it says to belong to.
    pub fn owner(&self) -> i64 {
        self.owner
    }

    /// What is kept of it.
    pub(crate) fn hash(&self) -> String {
        hashed(self.text().as_bytes())
    }

    /// What is kept of a refresh token's family.
    pub(crate) fn family(&self) -> String {
        let octets = [b"family", &self.owner.to_be_bytes()[..], &self.random[..FAMILY_LEN.min(self.random.len())]];
        hashed(&octets.concat())
    }
}

/// What is kept of a secret that only must be compared and that nobody can guess.
pub(crate) fn hashed(secret: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("postroad 2026 identity secrets");
    hasher.update(secret);
    hasher.finalize().to_hex().to_string()
}

/// Compares what is kept, in the same time wherever they differ.
pub(crate) fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

/// Random octets.
pub(crate) fn random(length: usize) -> Result<Vec<u8>, Error> {
    let mut octets = vec![0; length];
    getrandom::fill(&mut octets).map_err(|error| Error::Corrupt(format!("no randomness: {error}")))?;
    Ok(octets)
}

/// Random letters and digits that may stand in an address: 22 of them hold 128 bits.
pub(crate) fn random_text(octets: usize) -> Result<String, Error> {
    Ok(URL_SAFE_NO_PAD.encode(random(octets)?))
}

/// Octets of a secret.
const SECRET_LEN: usize = 24;
/// Octets that all refresh tokens of a grant share.
const FAMILY_LEN: usize = 16;
/// Longer texts are none of ours.
const TEXT_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_whose_it_is_and_nothing_else_passes_for_it() {
        let kinds = [Kind::Access, Kind::Refresh, Kind::Code, Kind::Session];
        for kind in kinds {
            let made = Bearing::new(kind, AccountId(7), 9).expect("random numbers");
            let text = made.text();
            assert_eq!(Bearing::parse(kind, &text), Some(made.clone()));
            for other in kinds.into_iter().filter(|other| *other != kind) {
                assert_eq!(Bearing::parse(other, &text), None);
            }
            assert_eq!(Bearing::parse(kind, &text[..text.len() - 2]), None);
            assert_eq!(Bearing::parse(kind, &format!("{text}AAAA")), None);
            assert!(!format!("{made:?}").contains(&text[20..]));
        }
        for wrong in [AccountId(0), AccountId(-1)] {
            let text = Bearing::new(Kind::Access, wrong, 9).expect("random numbers").text();
            assert_eq!(Bearing::parse(Kind::Access, &text), None, "{wrong}");
        }
    }

    #[test]
    fn the_next_of_a_family_is_another_of_the_same() {
        let first = Bearing::new(Kind::Refresh, AccountId(7), 9).expect("random numbers");
        let next = first.next().expect("random numbers");
        assert_eq!(first.family(), next.family());
        assert_ne!(first.hash(), next.hash());
        let stranger = Bearing::new(Kind::Refresh, AccountId(7), 9).expect("random numbers");
        assert_ne!(first.family(), stranger.family());
    }
}
