//! The second step of logging in: a code of an authenticator, a passkey, or one of the recovery codes.
//!
//! Invariants:
//! 1. A code is good once: the last step that was used is kept, a recovery code is gone when it was shown.
//! 2. Wrong codes in a row close the door for longer and longer, on all nodes and over restarts; only who knows the
//!    password gets to try one.
//! 3. The shared secret is sealed, recovery codes are hashed. Both are shown once.
//! 4. While it is on, the account's password opens the pages with a code and nothing else; other programs have passwords of
//!    their own, unless the administrator says otherwise for the account.
//!
//! Standards: RFC 6238 §5, RFC 4226 §7.3 (throttling), NIST SP 800-63B §5.1.2 (look-up secrets).

use std::time::Duration;

use postroad_mail::{By, Error, What, credentials, methods};
use postroad_store::seal::Sealer;
use postroad_store::{AccountId, ReadTx, Timestamp, WriteTx, new_id, params};

use crate::secret::{hashed, random, same};
use crate::totp::{self, Shared};
use crate::{Result, cuts, passkeys, sessions};

/// Recovery codes that are made at a time.
pub const RECOVERY_CODES: usize = 10;

/// What is known of an account's second step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondStep {
    /// Since when it is on.
    pub created: Timestamp,
    /// Recovery codes that are left.
    pub recovery_left: usize,
    /// Whether the account's password still opens IMAP, SMTP and the like.
    pub programs: bool,
    /// Whether an authenticator shows codes; passkeys and recovery codes alone open it otherwise.
    pub codes: bool,
    /// Wrong codes in a row.
    pub failures: u32,
    /// No code is looked at before.
    pub closed_until: Timestamp,
}

/// What came of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was right, and is used now.
    Right,
    /// It was wrong, or used before.
    Wrong,
    /// It was not looked at: too many were wrong. After so long again.
    Closed(Duration),
    /// The account has no second step.
    Off,
}

/// The second step of an account, if it is on. Two statements.
pub fn find(tx: &ReadTx, account: AccountId) -> Result<Option<SecondStep>> {
    let recovery_left = tx.one("SELECT COUNT(*) FROM recovery_code WHERE account = $1", params![account], |row| {
        Ok(usize::try_from(row.int(0)?).unwrap_or_default())
    })?;
    let found = tx.row(
        "SELECT created, programs, failures, closed_until, sealed FROM second_step WHERE account = $1",
        params![account],
        |row| {
            Ok(SecondStep {
                created: row.id(0)?,
                recovery_left,
                programs: row.bool(1)?,
                failures: u32::try_from(row.int(2)?).unwrap_or(u32::MAX),
                closed_until: row.id(3)?,
                codes: !row.bytes(4)?.is_empty(),
            })
        },
    )?;
    Ok(found)
}

/// Whether an account asks for a second step. One statement.
pub fn is_on(tx: &ReadTx, account: AccountId) -> Result<bool> {
    Ok(tx.row("SELECT id FROM second_step WHERE account = $1", params![account], |row| row.int(0))?.is_some())
}

/// Whether the account's password is for the pages alone. One statement.
pub fn keeps_programs_out(tx: &ReadTx, account: AccountId) -> Result<bool> {
    let sql = "SELECT programs FROM second_step WHERE account = $1";
    Ok(tx.row(sql, params![account], |row| row.bool(0))? == Some(false))
}

/// Turns it on with the code that the authenticator shows; answers with the recovery codes, or `None` for a wrong code.
/// All sessions but `keep` end, and so do connections that the account's password opened. Errors: `Exists(Credential)`
/// when it is on. Locks: the account's.
pub fn turn_on(
    tx: &mut WriteTx,
    by: &By,
    sealer: &Sealer,
    (account, keep): (AccountId, i64),
    shared: &Shared,
    typed: &str,
) -> Result<Option<Vec<String>>> {
    if is_on(tx, account)? {
        return Err(Error::Exists(What::Credential));
    }
    let Some(step) = totp::digits(typed).and_then(|code| shared.step_of(code, by.now, 0)) else { return Ok(None) };
    let id = new_id();
    let sealed = sealer.seal(&purpose(id), shared.octets());
    Ok(Some(begin(tx, by, (account, keep), (id, &sealed, step))?))
}

/// The same without an authenticator that shows codes, by the passkeys that the account has; `None` when it has none.
/// Errors: `Exists(Credential)` when it is on. Locks: the account's.
pub fn turn_on_by_passkeys(
    tx: &mut WriteTx,
    by: &By,
    (account, keep): (AccountId, i64),
) -> Result<Option<Vec<String>>> {
    if is_on(tx, account)? {
        return Err(Error::Exists(What::Credential));
    }
    if passkeys::list(tx, account)?.is_empty() {
        return Ok(None);
    }
    Ok(Some(begin(tx, by, (account, keep), (new_id(), &[], 0))?))
}

/// It begins; the recovery codes.
fn begin(
    tx: &mut WriteTx,
    by: &By,
    (account, keep): (AccountId, i64),
    (id, sealed, step): (i64, &[u8], i64),
) -> Result<Vec<String>> {
    tx.execute(
        "INSERT INTO second_step (account, id, sealed, last_step, failures, closed_until, programs, created)
         VALUES ($1, $2, $3, $4, 0, 0, 0, $5)",
        params![account, id, sealed, step, by.now],
    )?;
    methods::note(tx, by, account, "- second step")?;
    let codes = fresh_codes(tx, account)?;
    for session in sessions::list(tx, account, by.now)? {
        if session.id != keep {
            sessions::remove(tx, account, session.id, by.now)?;
        }
    }
    end_programs(tx, account, by.now)?;
    Ok(codes)
}

/// Looks at a code: six digits of the authenticator, or a recovery code. Locks: the account's. The verdict has to be
/// committed, whatever it is.
pub fn verify(tx: &mut WriteTx, by: &By, sealer: &Sealer, account: AccountId, typed: &str) -> Result<Verdict> {
    let found = tx.row(
        "SELECT id, sealed, last_step, failures, closed_until FROM second_step WHERE account = $1",
        params![account],
        |row| Ok((row.int(0)?, row.bytes(1)?, row.int(2)?, row.int(3)?, row.id::<Timestamp>(4)?)),
    )?;
    let Some((id, sealed, last, failures, closed)) = found else { return Ok(Verdict::Off) };
    if by.now < closed {
        let micros = u64::try_from(closed.0 - by.now.0).unwrap_or_default();
        return Ok(Verdict::Closed(Duration::from_micros(micros)));
    }
    let right = match totp::digits(typed) {
        Some(_) if sealed.is_empty() => false,
        Some(code) => {
            let shared = Shared::of(&sealer.unseal(&purpose(id), &sealed)?)
                .ok_or_else(|| Error::Corrupt("the secret of a second step has another length".into()))?;
            let step = shared.step_of(code, by.now, last);
            if let Some(step) = step {
                let sql = "UPDATE second_step SET last_step = $2 WHERE account = $1";
                tx.execute(sql, params![account, step])?;
            }
            step.is_some()
        }
        None => use_recovery(tx, by, account, typed)?,
    };
    let failures = if right { 0 } else { failures.saturating_add(1) };
    let closed = match u32::try_from(failures - FREE) {
        Ok(beyond) if failures > FREE => by.now.plus(CLOSED_MAX.min(CLOSED * 2u32.saturating_pow(beyond.min(20) - 1))),
        Ok(_) | Err(_) => Timestamp(0),
    };
    let sql = "UPDATE second_step SET failures = $2, closed_until = $3 WHERE account = $1";
    tx.execute(sql, params![account, failures, closed])?;
    Ok(if right { Verdict::Right } else { Verdict::Wrong })
}

/// Other recovery codes in place of those that there are. Locks: the account's.
pub fn renew_codes(tx: &mut WriteTx, by: &By, account: AccountId) -> Result<Vec<String>> {
    if !is_on(tx, account)? {
        return Err(Error::NotFound(What::Credential));
    }
    methods::note(tx, by, account, "- recovery codes")?;
    fresh_codes(tx, account)
}

/// Turns it off; whether it was on. Locks: the account's.
pub fn turn_off(tx: &mut WriteTx, by: &By, account: AccountId) -> Result<bool> {
    if !is_on(tx, account)? {
        return Ok(false);
    }
    forget(tx, account)?;
    methods::note(tx, by, account, "+ second step")?;
    Ok(true)
}

/// Says whether the account's password still opens IMAP, SMTP and the like; whether there is a second step at all.
/// Locks: the account's.
pub fn set_programs(tx: &mut WriteTx, by: &By, account: AccountId, programs: bool) -> Result<bool> {
    let sql = "UPDATE second_step SET programs = $2 WHERE account = $1";
    if tx.execute(sql, params![account, programs])? == 0 {
        return Ok(false);
    }
    methods::note(tx, by, account, if programs { "- password for programs" } else { "+ password for programs" })?;
    if !programs {
        end_programs(tx, account, by.now)?;
    }
    Ok(true)
}

/// All of it, of an account that goes.
pub(crate) fn forget(tx: &mut WriteTx, account: AccountId) -> Result<()> {
    tx.execute("DELETE FROM second_step WHERE account = $1", params![account])?;
    tx.execute("DELETE FROM recovery_code WHERE account = $1", params![account])?;
    Ok(())
}

/// What accounts left that are gone.
pub(crate) fn forget_orphans(tx: &mut WriteTx) -> Result<u64> {
    let mut gone = 0;
    for table in ["second_step", "recovery_code", "passkey", "passkey_challenge"] {
        gone += tx.execute(
            &format!(
                "DELETE FROM {table} WHERE NOT EXISTS (
                     SELECT 1 FROM account AS a WHERE a.id = {table}.account AND a.state <> 'deleted')"
            ),
            params![],
        )?;
    }
    Ok(gone)
}

/// Ends what the account's password opened.
fn end_programs(tx: &mut WriteTx, account: AccountId, now: Timestamp) -> Result<()> {
    let main = credentials::list(tx, account)?.into_iter().find(|credential| credential.name.is_none());
    main.map_or(Ok(()), |main| cuts::tell(tx, account, main.id, now))
}

fn fresh_codes(tx: &mut WriteTx, account: AccountId) -> Result<Vec<String>> {
    tx.execute("DELETE FROM recovery_code WHERE account = $1", params![account])?;
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let letters: String =
            random(CODE_LETTERS)?.iter().map(|octet| char::from(LETTERS[usize::from(octet & 31)])).collect();
        let sql = "INSERT INTO recovery_code (account, id, hash) VALUES ($1, $2, $3)";
        tx.execute(sql, params![account, new_id(), &kept(&letters)])?;
        codes.push([&letters[..4], &letters[4..8], &letters[8..12], &letters[12..]].join("-"));
    }
    Ok(codes)
}

/// Takes a recovery code away, if it is one.
fn use_recovery(tx: &mut WriteTx, by: &By, account: AccountId, typed: &str) -> Result<bool> {
    let plain = |c: &char| !matches!(c, '-' | ' ');
    let letters: String = typed.chars().filter(plain).flat_map(char::to_lowercase).take(CODE_LETTERS + 1).collect();
    if letters.len() != CODE_LETTERS {
        return Ok(false);
    }
    let wanted = kept(&letters);
    let sql = "SELECT id, hash FROM recovery_code WHERE account = $1 ORDER BY id LIMIT 100";
    let all = tx.rows(sql, params![account], |row| Ok((row.int(0)?, row.text(1)?)))?;
    let mut hit = None;
    for (id, hash) in all {
        if same(&hash, &wanted) {
            hit = Some(id);
        }
    }
    let Some(id) = hit else { return Ok(false) };
    tx.execute("DELETE FROM recovery_code WHERE account = $1 AND id = $2", params![account, id])?;
    methods::note(tx, by, account, "+ recovery code")?;
    Ok(true)
}

fn kept(letters: &str) -> String {
    hashed(format!("recovery code {letters}").as_bytes())
}

/// The row's number, and not the account's, which changes when an account comes back from a backup.
fn purpose(id: i64) -> String {
    format!("identity:second-step:{id}")
}

/// Wrong codes in a row that cost nothing but themselves.
const FREE: i64 = 5;
/// How long the door is closed after the next; twice as long after each that follows.
const CLOSED: Duration = Duration::from_secs(30);
/// And no longer than this: 24 codes of a million in a day.
const CLOSED_MAX: Duration = Duration::from_secs(60 * 60);
/// 80 bits, for which a fast hash suffices.
const CODE_LETTERS: usize = 16;
/// 32 letters and digits that are not mistaken for each other.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
