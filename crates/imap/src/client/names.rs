//! Names of mailboxes, as people read them and as they go over the wire.

use crate::{decode_utf7, to_utf7};

/// How names of mailboxes are written on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// In modified UTF-7 (RFC 3501 §5.1.3).
    Utf7,
    /// In UTF-8: `UTF8=ACCEPT` is enabled (RFC 6855 §3).
    Utf8,
}

impl Names {
    /// A name as people read it. Where UTF-7 is due, UTF-8 is read too, since some servers write it; what is neither is kept as
    /// it can be read.
    pub fn text(self, wire: &[u8]) -> String {
        if self == Names::Utf7
            && wire.is_ascii()
            && let Ok(text) = decode_utf7(wire)
        {
            return text;
        }
        String::from_utf8_lossy(wire).into_owned()
    }

    /// A name as it is sent.
    pub fn wire(self, name: &str) -> Vec<u8> {
        match self {
            Names::Utf7 => to_utf7(name).into_bytes(),
            Names::Utf8 => name.as_bytes().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Names::{Utf7, Utf8};

    #[test]
    fn names_are_read_leniently() {
        for (names, wire, text) in [
            (Utf7, &b"Entw&APw-rfe"[..], "Entwürfe"),
            (Utf7, "Entwürfe".as_bytes(), "Entwürfe"),
            (Utf7, b"R&-D", "R&D"),
            (Utf7, b"R&D", "R&D"),
            (Utf7, b"\xff", "\u{fffd}"),
            (Utf8, b"Entw&APw-rfe", "Entw&APw-rfe"),
            (Utf8, "Entwürfe".as_bytes(), "Entwürfe"),
            (Utf8, b"R&-D", "R&-D"),
            (Utf8, b"\xff", "\u{fffd}"),
        ] {
            assert_eq!(names.text(wire), text, "{names:?}");
        }
        assert_eq!(Utf7.wire("R&D/ü"), b"R&-D/&APw-");
        assert_eq!(Utf8.wire("R&D/ü"), "R&D/ü".as_bytes());
    }
}
