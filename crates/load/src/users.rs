//! Accounts named one by one or as a range.

use std::str::FromStr;

/// Who logs in.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// `alice@example.test`, or `u[0001-0100]@example.test` for a hundred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserPattern {
    before: String,
    range: Option<Range>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Range {
    first: u32,
    last: u32,
    digits: usize,
    after: String,
}

/// More accounts than this are a slip of the keyboard.
const MOST_USERS: u32 = 100_000;

impl UserPattern {
    /// The addresses that are meant, in order.
    pub(crate) fn expand(&self) -> Vec<String> {
        match &self.range {
            None => vec![self.before.clone()],
            Some(Range { first, last, digits, after }) => {
                (*first..=*last).map(|number| format!("{}{number:0digits$}{after}", self.before)).collect()
            }
        }
    }
}

impl FromStr for UserPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<UserPattern, String> {
        let Some((before, rest)) = text.split_once('[') else {
            return Ok(UserPattern { before: text.into(), range: None });
        };
        let wrong = || format!("{text:?} is no range of accounts; write it as u[0001-0100]@example.test");
        let (range, after) = rest.split_once(']').ok_or_else(wrong)?;
        let (first, last) = range.split_once('-').ok_or_else(wrong)?;
        let digits = first.len();
        let first: u32 = first.parse().map_err(|_| wrong())?;
        let last: u32 = last.parse().map_err(|_| wrong())?;
        if last < first || last - first >= MOST_USERS {
            return Err(format!("{text:?} names no account, or more than {MOST_USERS}"));
        }
        Ok(UserPattern { before: before.into(), range: Some(Range { first, last, digits, after: after.into() }) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_expand() {
        let check = |text: &str, expect: Option<&[&str]>| {
            let users = text.parse::<UserPattern>().ok().map(|pattern| pattern.expand());
            let expect = expect.map(|all| all.iter().map(|user| (*user).to_string()).collect::<Vec<_>>());
            assert_eq!(users, expect, "{text}");
        };
        check("alice@example.test", Some(&["alice@example.test"]));
        check("u[0009-0011]@x", Some(&["u0009@x", "u0010@x", "u0011@x"]));
        check("u[1-1]", Some(&["u1"]));
        check("u[2-1]@x", None);
        check("u[1-]@x", None);
        check("u[1-2@x", None);
        check("u[0-4000000000]@x", None);
    }
}
