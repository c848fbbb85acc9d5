//! What NTLMv2 computes: MD4 of the password, and HMAC-MD5 of everything else ([MS-NLMP] §3.3.2, §6).

use hmac::{Hmac, KeyInit, Mac};
use md4::Md4;
use md5::{Digest, Md5};

use super::message::utf16;
use crate::secret::wipe;

/// The hash of a password: MD4 of it in UTF-16. As good as the password for NTLM, so kept sealed, never shown.
#[derive(Clone)]
pub struct NtHash([u8; 16]);

impl NtHash {
    /// Of a password ([MS-NLMP] §3.3.1, NTOWFv1).
    pub fn of_password(password: &str) -> NtHash {
        let mut text = utf16(password);
        let hash = NtHash(Md4::digest(&text).into());
        wipe(&mut text);
        hash
    }

    /// As it was kept; `None` for another length.
    pub fn stored(octets: &[u8]) -> Option<NtHash> {
        Some(NtHash(octets.try_into().ok()?))
    }

    /// To be kept, sealed. Every use of this method is a place where it could leak.
    pub fn expose(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Debug for NtHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NtHash(***)")
    }
}

impl Drop for NtHash {
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&mut self.0);
    }
}

/// HMAC-MD5 of several parts in a row.
pub(crate) fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = Hmac::<Md5>::new_from_slice(key).expect("HMAC takes keys of every length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// NTOWFv2 ([MS-NLMP] §3.3.2): the name in capitals, the domain as it was sent.
pub(crate) fn response_key(hash: &NtHash, user: &str, domain: &str) -> [u8; 16] {
    let capitals: String = user.chars().map(capital).collect();
    hmac_md5(&hash.0, &[&utf16(&capitals), &utf16(domain)])
}

/// Simple upper case: one sign stays one sign, as Windows does it.
fn capital(sign: char) -> char {
    let mut capitals = sign.to_uppercase();
    match (capitals.next(), capitals.next()) {
        (Some(capital), None) => capital,
        (Some(_) | None, _) => sign,
    }
}

/// RC4, which hides a random key behind another, used once ([MS-NLMP] §3.1.5.1.2).
pub(crate) fn rc4(key: &[u8; 16], data: &mut [u8]) {
    let mut state: [u8; 256] = std::array::from_fn(|at| at.to_le_bytes()[0]);
    let mut other = 0u8;
    for at in 0..=255u8 {
        other = other.wrapping_add(state[usize::from(at)]).wrapping_add(key[usize::from(at) % key.len()]);
        state.swap(usize::from(at), usize::from(other));
    }
    let (mut at, mut other) = (0u8, 0u8);
    for octet in data {
        at = at.wrapping_add(1);
        other = other.wrapping_add(state[usize::from(at)]);
        state.swap(usize::from(at), usize::from(other));
        let sum = state[usize::from(at)].wrapping_add(state[usize::from(other)]);
        *octet ^= state[usize::from(sum)];
    }
}

/// What a client says that it is bound to ([MS-NLMP] §2.2.2.1, MsvAvChannelBindings): MD5 of `gss_channel_bindings_struct`
/// (RFC 2744 §3.11) without addresses, over the end point's hash behind the binding's name (RFC 5929 §4).
pub(crate) fn end_point_hash(end_point: &[u8]) -> [u8; 16] {
    let data = [END_POINT_PREFIX, end_point].concat();
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes();
    Md5::new().chain_update([0; 16]).chain_update(length).chain_update(data).finalize().into()
}

const END_POINT_PREFIX: &[u8] = b"tls-server-end-point:";
