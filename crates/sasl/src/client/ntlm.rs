//! NTLM, client side ([MS-NLMP] §3.1.5.1): with an integrity code wherever the server gives its time, and bound to the
//! connection where there is TLS.

use postroad_protocol::Bindings;

use crate::ntlm::{Authenticate, Challenge, Field, Flags, NtHash, end_point_hash, hmac_md5, response_key, utf16};
use crate::{Error, Secret};

#[derive(Debug)]
pub(super) struct Ntlm {
    end_point: Option<Vec<u8>>,
}

const FLAGS: u32 = Flags::UNICODE
    | Flags::REQUEST_TARGET
    | Flags::NTLM
    | Flags::ALWAYS_SIGN
    | Flags::EXTENDED_SECURITY
    | Flags::TARGET_INFO
    | Flags::BITS_128
    | Flags::BITS_56;

impl Ntlm {
    pub(super) fn new(bindings: &Bindings) -> Ntlm {
        Ntlm { end_point: bindings.end_point.clone() }
    }

    /// NEGOTIATE, always the same one.
    pub(super) fn first() -> Vec<u8> {
        let mut out = b"NTLMSSP\0".to_vec();
        out.extend(1u32.to_le_bytes());
        out.extend(FLAGS.to_le_bytes());
        // No domain, no workstation, no version.
        out.extend([0; 24]);
        out
    }

    /// AUTHENTICATE. `user` is `DOMAIN\user`, `user@domain` or a name alone; `nonce` is fresh for this exchange.
    pub(super) fn answer(
        &self,
        challenge: &[u8],
        user: &str,
        password: &Secret,
        nonce: &str,
    ) -> Result<Vec<u8>, Error> {
        let asked = Challenge::read(challenge)?;
        // Nothing is said to a server that would have version 1 or an alphabet of old.
        if !asked.flags.has(Flags::UNICODE | Flags::NTLM | Flags::TARGET_INFO) {
            return Err(Error::BadMessage);
        }
        let (domain, user) = user.split_once('\\').unwrap_or(("", user));
        let response_key = response_key(&NtHash::of_password(password.expose()), user, domain);
        let mut pairs = asked.information;
        let time = pairs.timestamp()?;
        if time.is_some() {
            pairs.promise_integrity()?;
        }
        if let Some(end_point) = &self.end_point {
            pairs.bind(&end_point_hash(end_point));
        }
        let own = hmac_md5(nonce.as_bytes(), &[b"ntlm"]);
        let mut over = vec![1, 1, 0, 0, 0, 0, 0, 0];
        over.extend(time.unwrap_or_default());
        over.extend(&own[..8]);
        over.extend([0; 4]);
        over.extend(pairs.write());
        over.extend([0; 4]);
        let proof = hmac_md5(&response_key, &[&asked.number, &over]);
        let nt = [&proof[..], &over].concat();
        // §3.1.5.1.2: with the server's time the answer of LM is zeros.
        let lm = match time {
            Some(_) => vec![0; 24],
            None => [&hmac_md5(&response_key, &[&asked.number, &own[..8]])[..], &own[..8]].concat(),
        };
        let flags = FLAGS & asked.flags.0 & !Flags::VERSION | Flags::UNICODE | Flags::NTLM;
        let mut message = assembled(&[&lm, &nt, &utf16(domain), &utf16(user), &[], &[]], flags);
        if time.is_some() {
            let base = hmac_md5(&response_key, &[&proof]);
            let zeroed = Authenticate::without_code(&message);
            let code = hmac_md5(&base, &[&Ntlm::first(), challenge, &zeroed]);
            message[CODE_AT..HEAD].copy_from_slice(&code);
        }
        Ok(message)
    }
}

/// Fields, flags, no version, room for the code, and the payload.
fn assembled(parts: &[&[u8]; 6], flags: u32) -> Vec<u8> {
    let mut out = b"NTLMSSP\0".to_vec();
    out.extend(3u32.to_le_bytes());
    let mut offset = HEAD;
    for part in parts {
        out.extend(Field::octets(part.len(), offset));
        offset += part.len();
    }
    out.extend(flags.to_le_bytes());
    out.extend([0; 24]);
    out.extend(parts.concat());
    out
}

const CODE_AT: usize = 72;
const HEAD: usize = 88;
