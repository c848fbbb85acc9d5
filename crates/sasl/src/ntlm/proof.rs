//! What an AUTHENTICATE shows, taken out of it and checked as far as that goes without the account.

use subtle::ConstantTimeEq;

use super::{Authenticate, Flags, NtHash, Pairs, end_point_hash, hmac_md5, rc4, response_key};
use crate::Error;

/// The proof that a client knows a password: to be tried with the hashes of the account.
#[derive(PartialEq, Eq)]
pub struct Proof {
    user: String,
    domain: String,
    challenge: [u8; 8],
    proof: [u8; 16],
    over: Vec<u8>,
    integrity: Option<Integrity>,
    key: Option<[u8; 16]>,
}

/// An integrity code, and the three messages that it is over.
#[derive(PartialEq, Eq)]
struct Integrity {
    code: [u8; 16],
    messages: Vec<u8>,
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proof").field("user", &self.user).field("domain", &self.domain).finish_non_exhaustive()
    }
}

impl Proof {
    /// Of an AUTHENTICATE that answers our CHALLENGE to this NEGOTIATE; `end_point` is the connection's binding.
    ///
    /// Errors: `BadMessage` for responses of version 1 or LM, for anonymous ones, for one that promises an integrity code and
    /// has none, and for what is no AUTHENTICATE; `BadBinding` when it is bound to another connection.
    pub(crate) fn read(
        negotiate: &[u8],
        challenge: &[u8],
        message: &[u8],
        end_point: Option<&[u8]>,
    ) -> Result<Proof, Error> {
        let authenticate = Authenticate::read(message)?;
        // §3.2.5.1.2: without a name or a response it is anonymous; 24 octets are of version 1.
        let flags = authenticate.flags;
        if authenticate.user.is_empty() || flags.has(Flags::ANONYMOUS) || authenticate.nt.len() <= VERSION_1 {
            return Err(Error::BadMessage);
        }
        let (proof, over) = authenticate.nt.split_first_chunk::<16>().ok_or(Error::BadMessage)?;
        // NTLMv2_CLIENT_CHALLENGE (§2.2.2.7): both versions 1, the time, the client's number, and the pairs.
        let pairs = match over.get(..CLIENT_HEAD) {
            Some([1, 1, ..]) => Pairs::read(&over[CLIENT_HEAD..])?,
            Some(_) | None => return Err(Error::BadMessage),
        };
        if let Some(bound) = pairs.bindings()? {
            let ours = end_point.map(end_point_hash).ok_or(Error::BadBinding)?;
            if !bool::from(ours.ct_eq(&bound)) {
                return Err(Error::BadBinding);
            }
        }
        let integrity = match pairs.promises_integrity()? {
            true => Some(Integrity {
                code: authenticate.code(message).ok_or(Error::BadMessage)?,
                messages: [negotiate, challenge, &Authenticate::without_code(message)].concat(),
            }),
            false => None,
        };
        let exchanges = flags.has(Flags::KEY_EXCHANGE) && (flags.has(Flags::SIGN) || flags.has(Flags::SEAL));
        let key = match exchanges {
            true => Some(authenticate.key.try_into().map_err(|_| Error::BadMessage)?),
            false => None,
        };
        let number = challenge.get(24..32).and_then(|number| number.try_into().ok()).ok_or(Error::BadMessage)?;
        let (user, domain) = (authenticate.user, authenticate.domain);
        Ok(Proof { user, domain, challenge: number, proof: *proof, over: over.to_vec(), integrity, key })
    }

    /// Whose it is, as the client wrote it: `user@domain`, `DOMAIN\user` or `user`.
    pub(crate) fn login(&self) -> String {
        match self.domain.is_empty() || self.user.contains(['@', '\\']) {
            true => self.user.clone(),
            false => format!("{}\\{}", self.domain, self.user),
        }
    }

    /// Whether it was made with the password of this hash. The same work whatever it finds.
    pub fn verify(&self, hash: &NtHash) -> bool {
        // §3.3.2: some clients compute with a domain that they do not send, or without the one that they do.
        let as_sent = self.tried(hash, &self.domain);
        let without = self.tried(hash, "");
        as_sent | without
    }

    fn tried(&self, hash: &NtHash, domain: &str) -> bool {
        let response_key = response_key(hash, &self.user, domain);
        let expected = hmac_md5(&response_key, &[&self.challenge, &self.over]);
        let proven = expected.ct_eq(&self.proof);
        let base = hmac_md5(&response_key, &[&self.proof]);
        let exported = match self.key {
            Some(mut key) => {
                rc4(&base, &mut key);
                key
            }
            None => base,
        };
        let whole = self.integrity.as_ref().map(|integrity| {
            let code = hmac_md5(&exported, &[&integrity.messages]);
            code.ct_eq(&integrity.code)
        });
        bool::from(whole.map_or(proven, |whole| whole & proven))
    }
}

/// Octets of a response of version 1.
const VERSION_1: usize = 24;
/// Octets of NTLMv2_CLIENT_CHALLENGE before its pairs.
const CLIENT_HEAD: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ntlm::Challenge;

    /// The texts of [MS-NLMP] §4.2.4.
    fn octets(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("hex");
        digits.chunks(2).map(pair).collect()
    }

    const CHALLENGE: &str = "4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef000000000000000024002400440\
        00000060070170000000f53006500720076006500720002000c0044006f006d00610069006e0001000c005300650072007600650072\
        0000000000";
    const AUTHENTICATE: &str = "4e544c4d5353500003000000180018006c00000054005400840000000c000c00480000000800080054000000\
        100010005c00000010001000d8000000358288e20501280a0000000f44006f006d00610069006e005500730065007200\
        43004f004d005000550054004500520086c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa\
        68cd0ab851e51c96aabc927bebef6a1c01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000\
        02000c0044006f006d00610069006e0001000c005300650072007600650072000000000000000000c5dad2544fc9799094ce1ce90bc9d03e";

    #[test]
    fn the_documents_numbers_come_out() {
        let hash = NtHash::of_password("Password");
        assert_eq!(hash.expose().to_vec(), octets("a4f49c406510bdcab6824ee7c30fd852"));
        let key = response_key(&hash, "User", "Domain");
        assert_eq!(key.to_vec(), octets("0c868a403bfd7a93a3001ef22ef02e3f"));
        let proof = octets("68cd0ab851e51c96aabc927bebef6a1c");
        let base = hmac_md5(&key, &[&proof]);
        assert_eq!(base.to_vec(), octets("8de40ccadbc14a82f15cb0ad0de95ca3"));
        let mut random = [0x55; 16];
        rc4(&base, &mut random);
        assert_eq!(random.to_vec(), octets("c5dad2544fc9799094ce1ce90bc9d03e"));
    }

    #[test]
    fn the_documents_messages_are_understood() {
        let (challenge, message) = (octets(CHALLENGE), octets(AUTHENTICATE));
        let read = Challenge::read(&challenge).expect("a challenge");
        assert_eq!(read.number.to_vec(), octets("0123456789abcdef"));
        assert_eq!(read.information.timestamp(), Ok(None));
        let proof = Proof::read(&[], &challenge, &message, None).expect("a proof");
        assert_eq!(proof.login(), "Domain\\User");
        assert!(proof.verify(&NtHash::of_password("Password")));
        assert!(!proof.verify(&NtHash::of_password("password")));
        assert_eq!(format!("{proof:?}"), "Proof { user: \"User\", domain: \"Domain\", .. }");
    }

    #[test]
    fn no_changed_octet_of_what_is_proven_passes() {
        let (challenge, message) = (octets(CHALLENGE), octets(AUTHENTICATE));
        let hash = NtHash::of_password("Password");
        // The response, and the name; of the rest, without an integrity code, nothing is proven.
        for at in (0x84..0xd8).chain(0x54..0x5c) {
            let mut other = message.clone();
            other[at] ^= 0x01;
            let passes = Proof::read(&[], &challenge, &other, None).is_ok_and(|proof| proof.verify(&hash));
            assert!(!passes, "octet {at:#x}");
        }
        let mut other = challenge;
        other[24] ^= 1;
        assert!(!Proof::read(&[], &other, &message, None).expect("a proof").verify(&hash));
    }
}
