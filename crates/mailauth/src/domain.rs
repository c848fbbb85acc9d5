//! Domain names as the checks need them: A-labels, lower case, without the final dot.

/// The longest name in text. RFC 1035 §2.3.4, less the root's length octet and the final dot.
pub(crate) const MAX_NAME: usize = 253;

/// The longest label. RFC 1035 §2.3.4.
pub(crate) const MAX_LABEL: usize = 63;

/// A name as the DNS wants it: A-labels, lower case, without the final dot. `None` if it cannot be asked for.
///
/// ASCII stays as it is, whatever characters it has: names of policies are not host names.
pub(crate) fn to_ascii(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let name = if name.is_ascii() {
        name.to_ascii_lowercase()
    } else {
        // RFC 5895 and UTS 46: what people type is folded before it becomes A-labels.
        idna::domain_to_ascii(name).ok()?
    };
    is_askable(&name).then_some(name)
}

/// Whether it fits into a DNS message: labels of 1 to 63 octets, 253 together.
pub(crate) fn is_askable(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && name.split('.').all(|label| !label.is_empty() && label.len() <= MAX_LABEL)
        && name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control())
}

/// Whether `name` is `above` or a name below it. Both as [`to_ascii`] makes them.
pub(crate) fn is_at_or_below(name: &str, above: &str) -> bool {
    name == above || name.strip_suffix(above).is_some_and(|front| front.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_what_the_dns_wants() {
        let long = format!("{}.test", "a".repeat(63));
        for (name, expected) in [
            ("Example.COM.", Some("example.com")),
            ("_dmarc.example.com", Some("_dmarc.example.com")),
            ("münchen.example", Some("xn--mnchen-3ya.example")),
            ("MÜNCHEN.example.", Some("xn--mnchen-3ya.example")),
            (&long, Some(long.as_str())),
            ("", None),
            (".", None),
            ("a..b", None),
            (".a", None),
            ("a\r\nb.test", None),
            (&"a".repeat(64), None),
            (&"a.".repeat(127), Some(&"a.".repeat(127)[..253])),
            (&"a.".repeat(128), None),
        ] {
            assert_eq!(to_ascii(name).as_deref(), expected, "{name:?}");
        }
    }

    #[test]
    fn below_means_whole_labels() {
        assert!(is_at_or_below("a.example", "a.example"));
        assert!(is_at_or_below("b.a.example", "a.example"));
        assert!(!is_at_or_below("ba.example", "a.example"));
        assert!(!is_at_or_below("example", "a.example"));
    }
}
