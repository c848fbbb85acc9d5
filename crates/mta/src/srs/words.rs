//! Rewritten senders as words: no database, no clock.
//!
//! `alice@there.test`, forwarded by `list@here.test`, becomes `SRS0=hhhhhhhh=tt=there.test=alice@here.test`, and a sender
//! that another forwarder has rewritten, `SRS0=rest@other.test`, becomes `SRS1=hhhhhhhh=other.test==rest@here.test`, so
//! that nothing grows with each forwarder: what comes back goes to the first of them. What does not fit into the 64 octets
//! of a local part (RFC 5321 §4.5.3.1.1) is kept under a token: `SRS0=hhhhhhhh=tt==token@here.test`.
//!
//! The hash covers all that is read back, the domain included; relays may change the case of a local part, so case does
//! not count.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use postroad_smtp::Address;

/// Days since 1970-01-01.
pub(super) type Day = i64;

/// What a sender becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Forward {
    /// The new sender.
    As(Address),
    /// The new sender, under which the old one has to be kept.
    Kept { address: Address, token: String },
    /// It cannot be rewritten.
    No,
}

/// What a recipient leads back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reverse {
    /// It has not the form of a rewritten sender of ours.
    No,
    /// To this address.
    To(Address),
    /// To what is kept under this token.
    Kept(String),
    /// It was ours, and is too old.
    Expired,
    /// It is none of ours, whatever it looks like.
    Forged,
}

/// What `sender` becomes at the domain `via`, a name of ours in A-labels and lower case.
pub(super) fn forward(sender: &Address, via: &str, key: &hmac::Key, today: Day) -> Forward {
    let Some(domain) = sender.domain_ascii() else { return Forward::No };
    let local = match form(sender.local()) {
        Some(Form::First(rest)) => {
            let hash = hash(key, &["1", via, &domain, rest]);
            format!("SRS1={hash}={domain}={rest}")
        }
        Some(Form::Further(first, rest)) => {
            let hash = hash(key, &["1", via, first, rest]);
            format!("SRS1={hash}={first}={rest}")
        }
        None => original(key, via, &domain, sender.local(), today),
    };
    match Address::new(&local, via) {
        Ok(address) if local_octets(&address) <= LOCAL_MAX => return Forward::As(address),
        Ok(_) | Err(_) => {}
    }
    let token = token(key, &sender.to_string());
    match Address::new(&original(key, via, "", &token, today), via) {
        Ok(address) => Forward::Kept { address, token },
        Err(_) => Forward::No,
    }
}

/// Where mail for `recipient` goes, whose domain is `via`. `keys`: the newest first.
pub(super) fn reverse(recipient: &Address, via: &str, keys: &[hmac::Key], today: Day) -> Reverse {
    let local = recipient.local();
    let is_good = |hash: &str, parts: &[&str]| keys.iter().any(|key| is_hash(key, hash, parts));
    if let Some(rest) = prefix(local, "srs1=") {
        let mut parts = rest.splitn(3, '=');
        let (Some(hash), Some(first), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Reverse::No;
        };
        return match Address::new(&format!("SRS0{rest}"), first) {
            Ok(address) if is_good(hash, &["1", via, first, rest]) => Reverse::To(address),
            Ok(_) | Err(_) => Reverse::Forged,
        };
    }
    let Some(rest) = prefix(local, "srs0=") else { return Reverse::No };
    let mut parts = rest.splitn(4, '=');
    let (Some(hash), Some(stamp), Some(domain), Some(user)) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Reverse::No;
    };
    if !is_good(hash, &["0", via, stamp, domain, user]) {
        return Reverse::Forged;
    }
    if !is_fresh(stamp, today) {
        return Reverse::Expired;
    }
    match (domain, Address::new(user, domain)) {
        ("", _) => Reverse::Kept(user.to_ascii_lowercase()),
        (_, Ok(address)) => Reverse::To(address),
        (_, Err(_)) => Reverse::Forged,
    }
}

/// `SRS0=hhhhhhhh=tt=domain=user`.
fn original(key: &hmac::Key, via: &str, domain: &str, user: &str, today: Day) -> String {
    let stamp = stamp(today);
    let hash = hash(key, &["0", via, &stamp, domain, user]);
    format!("SRS0={hash}={stamp}={domain}={user}")
}

/// A sender that somebody else has rewritten.
enum Form<'a> {
    /// `SRS0` and what follows, the separator included.
    First(&'a str),
    /// The domain of the first forwarder, and what it had behind `SRS0`.
    Further(&'a str, &'a str),
}

fn form(local: &str) -> Option<Form<'_>> {
    let separated = |text: &str| text.starts_with(['=', '+', '-']);
    if let Some(rest) = prefix(local, "srs0").filter(|rest| separated(rest)) {
        return Some(Form::First(rest));
    }
    let rest = prefix(local, "srs1").filter(|rest| separated(rest))?;
    let mut parts = rest[1..].splitn(3, '=');
    let (Some(_hash), Some(first), Some(rest)) = (parts.next(), parts.next(), parts.next()) else { return None };
    separated(rest).then_some(Form::Further(first, rest))
}

fn prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// Base32 of the first 40 bits: guessed at a thousand tries a second, one hits in 35 years.
fn hash(key: &hmac::Key, parts: &[&str]) -> String {
    let tag = hmac::sign(key, &covered(parts));
    base32(&tag.as_ref()[..HASH_BYTES])
}

/// Without telling by its time how much of it was right.
fn is_hash(key: &hmac::Key, given: &str, parts: &[&str]) -> bool {
    let expect = hash(key, parts);
    let given = given.to_ascii_lowercase();
    given.len() == expect.len() && given.bytes().zip(expect.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// Parts that cannot be shifted into each other.
fn covered(parts: &[&str]) -> Vec<u8> {
    let mut bytes = b"postroad srs".to_vec();
    for part in parts {
        let part = part.to_lowercase();
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

/// What a kept sender is found by: 80 bits of what nobody else can compute. Here the case counts.
fn token(key: &hmac::Key, sender: &str) -> String {
    let tag = hmac::sign(key, format!("postroad srs token {sender}").as_bytes());
    base32(&tag.as_ref()[..TOKEN_BYTES])
}

/// Two characters that come round after 1,024 days.
fn stamp(day: Day) -> String {
    let day = usize::try_from(day.rem_euclid(STAMPS)).unwrap_or(0);
    [ALPHABET[day / 32], ALPHABET[day % 32]].map(char::from).iter().collect()
}

/// Whether a stamp is of the last days; that of tomorrow is from a node whose clock is ahead.
fn is_fresh(stamp: &str, today: Day) -> bool {
    let digit = |byte: u8| ALPHABET.iter().position(|known| *known == byte.to_ascii_lowercase());
    let [high, low] = stamp.as_bytes() else { return false };
    let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return false };
    let day = i64::try_from(high * 32 + low).unwrap_or(0);
    let age = (today - day).rem_euclid(STAMPS);
    age <= GOOD_DAYS || age == STAMPS - 1
}

/// RFC 4648 §6 in lower case, without padding.
fn base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 8 / 5 + 1);
    for chunk in bytes.chunks(5) {
        let mut block = [0u8; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        for index in 0..(chunk.len() * 8).div_ceil(5) {
            let digit = usize::try_from(bits >> (35 - 5 * index) & 31).unwrap_or(0);
            let _ = out.write_char(char::from(ALPHABET[digit]));
        }
    }
    out
}

/// Octets of the local part as it is written, quotes included.
fn local_octets(address: &Address) -> usize {
    let text = address.to_string();
    text.rfind('@').unwrap_or(text.len())
}

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// RFC 5321 §4.5.3.1.1.
const LOCAL_MAX: usize = 64;
const HASH_BYTES: usize = 5;
const TOKEN_BYTES: usize = 10;
/// Days until stamps come round.
const STAMPS: i64 = 1_024;
/// A rewritten sender is good for so many days: mail is tried for five by most, and notices take their time.
pub(super) const GOOD_DAYS: i64 = 21;

#[cfg(test)]
mod tests {
    use super::*;

    const VIA: &str = "here.test";

    fn key(byte: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])
    }

    fn address(text: &str) -> Address {
        text.parse().expect("an address")
    }

    fn rewritten(sender: &str) -> Address {
        match forward(&address(sender), VIA, &key(1), 20_000) {
            Forward::As(address) => address,
            other => panic!("{sender}: {other:?}"),
        }
    }

    #[test]
    fn what_went_out_comes_back() {
        for sender in [
            "alice@there.test",
            "a=b+c@there.test",
            "\"a b\"@there.test",
            "jürgen@bücher.test",
            "SRS0@there.test",
            "x@Y.TEST",
        ] {
            let out = rewritten(sender);
            assert_eq!(out.domain(), Some(VIA));
            let back = reverse(&out, VIA, &[key(2), key(1)], 20_000);
            let sender = address(sender);
            let expect = Address::new(sender.local(), &sender.domain_ascii().expect("a domain")).expect("an address");
            assert_eq!(back, Reverse::To(expect.clone()), "{out}");
            let folded = Address::new(&out.local().to_lowercase(), VIA).expect("an address");
            let Reverse::To(back) = reverse(&folded, VIA, &[key(1)], 20_000) else { panic!("case counts: {folded}") };
            assert_eq!(back.local(), expect.local().to_lowercase());
        }
        assert!(rewritten("alice@there.test").to_string().starts_with("SRS0="));
    }

    #[test]
    fn a_second_forwarder_makes_it_no_longer() {
        let first = rewritten("alice@there.test");
        let second = match forward(&first, "second.test", &key(3), 20_000) {
            Forward::As(address) => address,
            other => panic!("{other:?}"),
        };
        assert!(second.to_string().starts_with("SRS1="), "{second}");
        let third = match forward(&second, "third.test", &key(4), 20_000) {
            Forward::As(address) => address,
            other => panic!("{other:?}"),
        };
        assert_eq!(third.to_string().len(), second.to_string().len() - 1, "third.test is one octet shorter");
        assert_eq!(reverse(&second, "second.test", &[key(3)], 20_000), Reverse::To(first.clone()));
        assert_eq!(reverse(&third, "third.test", &[key(4)], 20_000), Reverse::To(first), "past the second");
        let plus = forward(&address("SRS0+abcd=xy=there.test=bob@first.test"), VIA, &key(1), 20_000);
        let Forward::As(plus) = plus else { panic!("{plus:?}") };
        let back = reverse(&plus, VIA, &[key(1)], 20_000);
        assert_eq!(back, Reverse::To(address("SRS0+abcd=xy=there.test=bob@first.test")), "{plus}");
    }

    #[test]
    fn what_does_not_fit_is_kept() {
        for sender in [
            "a-very-long-local-part-of-a-list+bounces=with=details@lists.there.test",
            "SRS0=abcd=ef=there.test=a-very-long-local-part-of-somebody@other.test",
        ] {
            let Forward::Kept { address: out, token } = forward(&address(sender), VIA, &key(1), 20_000) else {
                panic!("{sender} fits")
            };
            assert!(local_octets(&out) <= LOCAL_MAX, "{out}");
            assert_eq!(reverse(&out, VIA, &[key(1)], 20_000), Reverse::Kept(token.clone()));
            let upper = Address::new(&out.local().to_uppercase(), VIA).expect("an address");
            assert_eq!(reverse(&upper, VIA, &[key(1)], 20_000), Reverse::Kept(token));
        }
        assert_eq!(forward(&address("a@[192.0.2.1]"), VIA, &key(1), 20_000), Forward::No);
    }

    /// Whoever could make these up could send mail to anybody through us.
    #[test]
    fn nothing_is_read_back_that_was_not_sent_out() {
        let good = rewritten("alice@there.test");
        let with = |from: &str, to: &str| Address::new(&good.local().replace(from, to), VIA).expect("an address");
        let forged = [
            with("alice", "mallory"),
            with("there.test", "victim.test"),
            with("there.test=alice", "there=.testalice"),
            Address::new("SRS0=aaaaaaaa=aa=there.test=alice", VIA).expect("an address"),
            Address::new("SRS0==aa=there.test=alice", VIA).expect("an address"),
            Address::new("SRS1=aaaaaaaa=there.test==x", VIA).expect("an address"),
            Address::new(&good.local().replacen("SRS0", "SRS1", 1), VIA).expect("an address"),
        ];
        for recipient in forged {
            assert_eq!(reverse(&recipient, VIA, &[key(1)], 20_000), Reverse::Forged, "{recipient}");
        }
        assert_eq!(reverse(&good, "other.test", &[key(1)], 20_000), Reverse::Forged, "the domain is part of it");
        assert_eq!(reverse(&good, VIA, &[key(2)], 20_000), Reverse::Forged, "another installation");
        assert_eq!(reverse(&good, VIA, &[], 20_000), Reverse::Forged);
        for none in ["SRS0", "SRS0=x", "SRS0=x=y=z", "srs0-aaaa=aa=there.test=alice", "alice"] {
            assert_eq!(reverse(&address(&format!("{none}@here.test")), VIA, &[key(1)], 20_000), Reverse::No, "{none}");
        }
    }

    #[test]
    fn a_stamp_is_good_for_three_weeks() {
        let good = rewritten("alice@there.test");
        for (day, expect) in
            [(19_998, false), (19_999, true), (20_000, true), (20_021, true), (20_022, false), (20_500, false)]
        {
            let back = reverse(&good, VIA, &[key(1)], day);
            assert_eq!(matches!(back, Reverse::To(_)), expect, "{day}: {back:?}");
        }
    }

    #[test]
    fn base32_is_that_of_the_standard() {
        for (bytes, expect) in [(&b"f"[..], "my"), (b"foobar", "mzxw6ytboi"), (b"fooba", "mzxw6ytb"), (b"", "")] {
            assert_eq!(base32(bytes), expect);
        }
    }

    #[test]
    fn fuzz_reverse() {
        postroad_fuzz::check!(3_000).with_type::<Vec<u8>>().for_each(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            for start in ["SRS0=", "SRS1=", ""] {
                let Ok(address) = Address::new(&format!("{start}{text}"), VIA) else { continue };
                let back = reverse(&address, VIA, &[key(1)], 20_000);
                assert!(matches!(back, Reverse::No | Reverse::Forged), "{address}: {back:?}");
                if let Forward::As(out) = forward(&address, VIA, &key(1), 20_000) {
                    assert!(matches!(reverse(&out, VIA, &[key(1)], 20_000), Reverse::To(_)), "{out}");
                }
            }
        });
    }
}
