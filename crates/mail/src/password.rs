//! Hashing passwords. Slow on purpose: never inside a transaction, never on an async thread.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use postroad_sasl::scram::Keys;
use precis_profiles::OpaqueString;
use precis_profiles::precis_core::profile::Profile;
use subtle::ConstantTimeEq;

use crate::Error;
use crate::credentials::Salts;

/// Memory of argon2id in KiB (OWASP: 19 MiB with two passes).
pub const ARGON2_MEMORY_KIB: u32 = 19_456;
/// Passes of argon2id.
pub const ARGON2_PASSES: u32 = 2;
/// Lanes of argon2id.
pub const ARGON2_LANES: u32 = 1;
/// A hash of somebody else's making may cost up to so much memory in KiB; one that costs more is no password's.
const COSTLIEST_MEMORY_KIB: u32 = 256 * 1024;
/// And so many passes.
const COSTLIEST_PASSES: u32 = 16;
/// And so many lanes.
const COSTLIEST_LANES: u32 = 16;
/// Longest password in bytes; more is refused unread, so that nobody makes us hash megabytes.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

/// A hash that may be kept: argon2id as a PHC string, or `$blake3$salt$hash` of an app password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
    /// What SCRAM needs of the same password, for one that was just hashed.
    keys: Vec<Keys>,
}

impl fmt::Debug for PasswordHash {
    /// The scheme and its costs; neither salt nor hash, so that no log has them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme: Vec<&str> = self.text.split('$').filter(|part| part.len() < 20).collect();
        write!(f, "PasswordHash({}$…)", scheme.join("$"))
    }
}

impl PasswordHash {
    /// Hashes a password chosen by a person: argon2id, about 20 to 50 ms, and the keys of SCRAM, as long again.
    ///
    /// Errors: `Refused` for an empty or too long one.
    pub fn of_password(password: &str) -> Result<PasswordHash, Error> {
        PasswordHash::of_password_with(password, &Salts::fresh()?)
    }

    /// The same for an account that has other passwords: with the salts of its keys ([`crate::credentials::salts`]) SCRAM takes
    /// the new one at once.
    pub fn of_password_with(password: &str, salts: &Salts) -> Result<PasswordHash, Error> {
        if password.is_empty() {
            return Err(Error::Refused("the password is empty"));
        }
        if password.len() > MAX_PASSWORD_BYTES {
            return Err(Error::Refused("the password is longer than 1,024 bytes"));
        }
        let salt = random::<16>()?;
        let mut out = [0u8; 32];
        let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES, Some(out.len()));
        params
            .and_then(|params| {
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                argon2.hash_password_into(prepared(password).as_bytes(), &salt, &mut out)
            })
            .map_err(|error| Error::Corrupt(format!("argon2: {error}")))?;
        let text = format!(
            "$argon2id$v=19$m={ARGON2_MEMORY_KIB},t={ARGON2_PASSES},p={ARGON2_LANES}${}${}",
            STANDARD_NO_PAD.encode(salt),
            STANDARD_NO_PAD.encode(out)
        );
        Ok(PasswordHash { text, keys: salts.keys(password) })
    }

    /// The text for the database.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// A hash that no password has, for logins that do not exist: the same work, always in vain.
    pub(crate) fn dummy() -> PasswordHash {
        PasswordHash::stored(format!(
            "$argon2id$v=19$m={ARGON2_MEMORY_KIB},t={ARGON2_PASSES},p={ARGON2_LANES}$AAAAAAAAAAAAAAAAAAAAAA${}",
            "A".repeat(43)
        ))
    }

    /// From the database.
    pub(crate) fn stored(text: String) -> PasswordHash {
        PasswordHash { text, keys: Vec::new() }
    }

    /// The keys of SCRAM that were made with it; none of one out of the database.
    pub(crate) fn keys(&self) -> &[Keys] {
        &self.keys
    }

    /// Whether it is that of an app password, which is quick to check.
    pub(crate) fn is_quick(&self) -> bool {
        self.text.starts_with(BLAKE3)
    }

    /// Whether `password` has this hash; a hash that cannot be read has none.
    pub(crate) fn matches(&self, password: &str, workspace: &Workspace) -> bool {
        if password.len() > MAX_PASSWORD_BYTES {
            return false;
        }
        if let Some(rest) = self.text.strip_prefix(BLAKE3) {
            let Some((salt, hash)) = rest.split_once('$') else {
                return false;
            };
            return bool::from(quick(&app_form(password), salt).as_bytes().ct_eq(hash.as_bytes()));
        }
        let Ok(hash) = phc::PasswordHash::new(&self.text) else {
            return false;
        };
        let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
            return false;
        };
        let version = hash.version.map_or(Ok(Version::default()), Version::try_from);
        let (Ok(algorithm), Ok(version), Ok(params)) =
            (Algorithm::try_from(hash.algorithm.as_str()), version, Params::try_from(&hash))
        else {
            return false;
        };
        // A hash that came with a backup may be anybody's: what it asks for is not set aside for each try of a login.
        if params.m_cost() > COSTLIEST_MEMORY_KIB
            || params.t_cost() > COSTLIEST_PASSES
            || params.p_cost() > COSTLIEST_LANES
        {
            return false;
        }
        let mut out = vec![0u8; expected.len()];
        let count = params.block_count();
        let argon2 = Argon2::new(algorithm, version, params);
        let ran = workspace.with(count, |blocks| {
            argon2.hash_password_into_with_memory(prepared(password).as_bytes(), salt, &mut out, blocks)
        });
        ran.is_ok() && bool::from(out.ct_eq(expected.as_bytes()))
    }
}

/// The memory of argon2id runs, kept between them: 19 MiB at a time given back to an allocator would stay with each
/// of the many threads that ever verified a password. As much is kept as was in use at once, at most
/// [`WORKSPACES_KEPT`] times; clear nothing, since each run overwrites what it reads.
#[derive(Default)]
pub(crate) struct Workspace {
    idle: Mutex<Vec<Vec<Block>>>,
    runs: AtomicU64,
}

impl Workspace {
    /// Lends `count` blocks of a KiB.
    fn with<R>(&self, count: usize, run: impl FnOnce(&mut [Block]) -> R) -> R {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let mut blocks = self.idle().pop().unwrap_or_default();
        if blocks.len() < count {
            blocks = vec![Block::default(); count];
        }
        let result = run(&mut blocks[..count]);
        let mut idle = self.idle();
        // A hash from elsewhere may have wanted more than ours do.
        if idle.len() < WORKSPACES_KEPT && blocks.len() <= ARGON2_MEMORY_KIB as usize {
            idle.push(blocks);
        }
        result
    }

    /// How many runs there were.
    pub(crate) fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Vec<Block>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kept for the next runs.
const WORKSPACES_KEPT: usize = 8;

/// A new app password: what is shown once, and what is kept.
#[derive(Clone)]
pub struct AppPassword {
    /// 24 letters and digits in groups of four, `abcd-efgh-…`, 120 bits; typed with or without the hyphens.
    pub plain: String,
    /// The hash: blake3 with a random salt. A fast hash suffices because the password is random: guessing
    /// 2^120 is hopeless at any speed, and each login costs microseconds.
    pub hash: PasswordHash,
}

impl fmt::Debug for AppPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppPassword(…)")
    }
}

impl AppPassword {
    /// Makes one.
    pub fn generate() -> Result<AppPassword, Error> {
        AppPassword::generate_with(&Salts::fresh()?)
    }

    /// Makes one for an account that has other passwords: see [`PasswordHash::of_password_with`]. For SCRAM it has to be given as
    /// it is shown, with its hyphens.
    pub fn generate_with(salts: &Salts) -> Result<AppPassword, Error> {
        let letters: String = random::<24>()?.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)])).collect();
        let salt = STANDARD_NO_PAD.encode(random::<16>()?);
        let text = format!("{BLAKE3}{salt}${}", quick(&letters, &salt));
        let groups: Vec<&str> = (0..6).map(|group| &letters[group * 4..group * 4 + 4]).collect();
        let plain = groups.join("-");
        let hash = PasswordHash { text, keys: salts.keys(&plain) };
        Ok(AppPassword { plain, hash })
    }
}

/// The start of an app password's hash.
const BLAKE3: &str = "$blake3$";
/// 32 letters and digits that are not mistaken for each other.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";

/// An app password as it is hashed: people type hyphens, spaces and capitals as they like.
fn app_form(password: &str) -> String {
    password.chars().filter(|c| !matches!(c, '-' | ' ')).flat_map(char::to_lowercase).collect()
}

fn quick(password: &str, salt: &str) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("postroad 2026 app password");
    hasher.update(salt.as_bytes());
    hasher.update(b"$");
    hasher.update(password.as_bytes());
    hasher.finalize().to_hex().to_string()
}

/// The form that is hashed: PRECIS OpaqueString (RFC 8265 §4.2), so that the same password typed on
/// different systems is the same; as it is where the profile does not take it.
pub(crate) fn prepared(password: &str) -> String {
    OpaqueString::new().enforce(password).map_or_else(|_| password.to_owned(), |text| text.into_owned())
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Corrupt(format!("no randomness: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_share_their_memory_and_do_not_disturb_each_other() {
        let workspace = Workspace::default();
        let (first, second) =
            (PasswordHash::of_password("first").expect("hashed"), PasswordHash::of_password("second").expect("hashed"));
        for _ in 0..2 {
            assert!(first.matches("first", &workspace) && second.matches("second", &workspace));
            assert!(!first.matches("second", &workspace) && !PasswordHash::dummy().matches("", &workspace));
        }
        // Made by the reference implementation: other costs, another version's default.
        let light = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert!(PasswordHash::stored(light.to_owned()).matches("password", &workspace));
        let began = std::time::Instant::now();
        for costs in ["m=4294967295,t=1,p=1", "m=256,t=4294967295,p=1", "m=134217720,t=1,p=16777215"] {
            let costly = format!("$argon2id$v=19${costs}$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4");
            assert!(!PasswordHash::stored(costly).matches("password", &workspace), "{costs}");
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "nothing was tried");
        let kept: Vec<usize> = workspace.idle().iter().map(Vec::len).collect();
        assert_eq!(kept, [ARGON2_MEMORY_KIB as usize], "one run at a time needs one workspace");
    }
}
