//! The acceptor by MIT's library.
//!
//! Invariants: a context is used by one call at a time; a name is told only of a context that stands; what stands was made by
//! Kerberos, for a principal of one of the services that were asked for, and is not past its end.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libgssapi::context::{SecurityContext, ServerCtx};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::{Error as Failure, MajorFlags};
use libgssapi::oid::{GSS_MECH_KRB5, GSS_MECH_SPNEGO, OidSet};
use postroad_sasl::gss::{self, Context, Fault, Form, OFFER, Step};

use crate::keytab::{Keytab, is_of};
use crate::{Error, KEYTAB};

/// Accepts tickets with the keys of the process's keytab.
pub struct Acceptor {
    credential: Cred,
    keytab: Keytab,
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor").field("keytab", &self.keytab).finish_non_exhaustive()
    }
}

impl Acceptor {
    /// With the keys of this file, which [`KEYTAB`] has to name.
    pub fn open(path: &Path) -> Result<Acceptor, Error> {
        let keytab = Keytab::read(path)?;
        if std::env::var_os(KEYTAB).is_none_or(|named| named != path.as_os_str()) {
            return Err(Error::Environment(path.to_path_buf()));
        }
        // Where there is no such file, nothing is known of it, and the library says what it misses.
        if std::fs::read("/proc/self/auxv").is_ok_and(|vector| is_distrusted(&vector)) {
            return Err(Error::Distrusted);
        }
        let acquired = mechanisms().and_then(|set| Cred::acquire(None, None, CredUsage::Accept, Some(&set)));
        let credential = acquired.map_err(|failure| Error::Library(words(&failure)))?;
        Ok(Acceptor { credential, keytab })
    }

    /// Whose keys there are.
    pub fn keytab(&self) -> &Keytab {
        &self.keytab
    }
}

fn mechanisms() -> Result<OidSet, Failure> {
    let mut set = OidSet::new();
    set.add(GSS_MECH_KRB5)?;
    set.add(GSS_MECH_SPNEGO)?;
    Ok(set)
}

/// Whether the kernel told the program at its start that its environment is not to be believed: pairs of a kind and a value.
fn is_distrusted(vector: &[u8]) -> bool {
    let mut words =
        vector.chunks_exact(size_of::<usize>()).filter_map(|word| word.try_into().ok()).map(usize::from_ne_bytes);
    std::iter::from_fn(|| Some((words.next()?, words.next()?))).any(|(kind, value)| kind == AT_SECURE && value != 0)
}

/// What is kept of an exchange. A context takes one call at a time (RFC 2744, and MIT's word).
struct Kept(Mutex<ServerCtx>);

impl gss::Acceptor for Acceptor {
    fn step(
        &self,
        context: Option<&Context>,
        form: Form,
        token: &[u8],
        services: &[&str],
        end_point: Option<&[u8]>,
    ) -> Result<Step, Fault> {
        let context = context
            .cloned()
            .unwrap_or_else(|| Context::new(Kept(Mutex::new(ServerCtx::new(Some(self.credential.clone()))))));
        let mut kept = kept(&context)?;
        // What Windows and Cyrus bind to (RFC 5929 §4.1 with the prefix of RFC 5056 §2.1). A client that binds to nothing is not
        // refused: RFC 4752 §3.1 knows no binding.
        let binding = end_point.map(|hash| [b"tls-server-end-point:", hash].concat());
        let answer = kept.step(token, binding.as_deref()).map_err(|failure| fault(&failure))?;
        let answer = answer.map(|token| token.to_vec()).unwrap_or_default();
        if !kept.is_complete() {
            drop(kept);
            return Ok(Step { context, token: answer, peer: None, offer: Vec::new() });
        }
        let peer = stands(&mut kept, services)?;
        let offer = match form {
            // RFC 4752 §3.2: wrapped without confidentiality.
            Form::Gssapi => kept.wrap(false, &OFFER).map_err(|failure| fault(&failure))?.to_vec(),
            Form::Spnego => Vec::new(),
        };
        drop(kept);
        Ok(Step { context, token: answer, peer: Some(peer), offer })
    }

    fn unwrap(&self, context: &Context, wrapped: &[u8]) -> Result<Vec<u8>, Fault> {
        standing(context)?.unwrap(wrapped).map(|opened| opened.to_vec()).map_err(|failure| fault(&failure))
    }

    fn peer(&self, context: &Context) -> Result<String, Fault> {
        name(standing(context)?.source_name())
    }
}

fn kept(context: &Context) -> Result<MutexGuard<'_, ServerCtx>, Fault> {
    let kept: &Kept = context.kept().ok_or_else(|| Fault::Unavailable("a context of another library".into()))?;
    Ok(kept.0.lock().unwrap_or_else(PoisonError::into_inner))
}

fn standing(context: &Context) -> Result<MutexGuard<'_, ServerCtx>, Fault> {
    let kept = kept(context)?;
    match kept.is_complete() {
        true => Ok(kept),
        false => Err(Fault::Refused("the context does not stand".into())),
    }
}

/// Who the client of a context is that has just come to stand, where it may stand at all.
fn stands(kept: &mut ServerCtx, services: &[&str]) -> Result<String, Fault> {
    let mechanism = kept.mechanism().map_err(|failure| fault(&failure))?;
    if mechanism != GSS_MECH_KRB5 {
        return Err(Fault::Refused("what was negotiated is not Kerberos".into()));
    }
    let target = name(kept.target_name())?;
    if !is_of(&target, services) {
        return Err(Fault::Refused(format!("the ticket is for {target}, not for this service")));
    }
    if kept.lifetime().map_err(|failure| fault(&failure))?.is_zero() {
        return Err(Fault::Expired("the ticket has expired".into()));
    }
    name(kept.source_name())
}

fn name(found: Result<libgssapi::name::Name, Failure>) -> Result<String, Fault> {
    let shown = found.and_then(|name| name.display_name()).map_err(|failure| fault(&failure))?;
    let name = std::str::from_utf8(&shown).map_err(|_| Fault::Refused("a principal that is not UTF-8".into()))?;
    match name.is_empty() || name.len() > NAME_LIMIT || name.contains(char::is_control) {
        true => Err(Fault::Refused("a principal that is no name".into())),
        false => Ok(name.to_owned()),
    }
}

/// Whose fault it is. What the client sent is its own; keys, files and memory are ours.
fn fault(failure: &Failure) -> Fault {
    let words = words(failure);
    // Routine errors are numbers in the third octet, not bits.
    let is = |flag: MajorFlags| failure.major.bits() & ROUTINE == flag.bits();
    let expired = is(MajorFlags::GSS_S_CREDENTIALS_EXPIRED) || is(MajorFlags::GSS_S_CONTEXT_EXPIRED);
    match failure.minor {
        _ if expired => Fault::Expired(words),
        TICKET_EXPIRED => Fault::Expired(words),
        minor if OURS.contains(&minor) => Fault::Unavailable(words),
        RC_IO..=RC_IO_SPACE => Fault::Unavailable(words),
        _ => Fault::Refused(words),
    }
}

fn words(failure: &Failure) -> String {
    failure.to_string().trim().to_owned()
}

/// Of getauxval(3).
const AT_SECURE: usize = 23;
/// Longest name of a principal, in octets.
const NAME_LIMIT: usize = 512;
/// The routine error in a major status (RFC 2744 §3.9.1).
const ROUTINE: u32 = 0x00ff_0000;
/// `KRB5KRB_AP_ERR_TKT_EXPIRED`.
const TICKET_EXPIRED: u32 = 0x96c7_3a20;
/// The replay cache cannot be read or written: from `KRB5_RC_IO` to `KRB5_RC_IO_SPACE`.
const RC_IO: u32 = 0x96c7_3aa4;
const RC_IO_SPACE: u32 = 0x96c7_3aac;
/// What goes wrong on this side: EPERM, ENOENT, EIO, ENOMEM, EACCES, ENFILE, EMFILE, ENOSPC, EROFS, EDQUOT, and `KRB5_KT_IOERR`.
const OURS: [u32; 11] = [1, 2, 5, 12, 13, 23, 24, 28, 30, 122, 0x96c7_3ab8];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_file_capabilities_is_found() {
        let vector = |pairs: &[usize]| pairs.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
        assert!(is_distrusted(&vector(&[6, 4096, AT_SECURE, 1, 0, 0])));
        assert!(!is_distrusted(&vector(&[6, AT_SECURE, AT_SECURE, 0, 0, 0])) && !is_distrusted(&[]));
        assert!(!is_distrusted(&std::fs::read("/proc/self/auxv").expect("Linux has it")));
    }

    #[test]
    fn faults_are_whose_they_are() {
        let fault_of = |major, minor| fault(&Failure { major: MajorFlags::from_bits_retain(major), minor });
        // GSS_S_FAILURE with a replay, an expired ticket, a clock that goes wrong, no space, no such file.
        assert!(matches!(fault_of(0x000d_0000, 0x96c7_3a22), Fault::Refused(_)));
        assert!(matches!(fault_of(0x000d_0000, TICKET_EXPIRED), Fault::Expired(_)));
        assert!(matches!(fault_of(0x000d_0000, 0x96c7_3a25), Fault::Refused(_)));
        assert!(matches!(fault_of(0x000d_0000, RC_IO_SPACE), Fault::Unavailable(_)));
        assert!(matches!(fault_of(0x000d_0000, 2), Fault::Unavailable(_)));
        // GSS_S_CREDENTIALS_EXPIRED, GSS_S_CONTEXT_EXPIRED, GSS_S_BAD_BINDINGS, GSS_S_DEFECTIVE_TOKEN.
        assert!(matches!(fault_of(0x000b_0000, 0), Fault::Expired(_)));
        assert!(matches!(fault_of(0x000c_0000, 0), Fault::Expired(_)));
        assert!(matches!(fault_of(0x0004_0000, 0), Fault::Refused(_)));
        assert!(matches!(fault_of(0x0009_0000, 0), Fault::Refused(_)));
    }
}
