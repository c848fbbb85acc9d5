//! GENURLAUTH, RESETKEY and URLFETCH (RFC 4467 §7; RFC 5524 for URLFETCH's second form). URLs stay text: [`crate::url`]
//! reads them.

use crate::command::Body;
use crate::cursor::{Cursor, Rule};
use crate::error::Problem;
use crate::mailbox::MailboxName;

/// What GENURLAUTH asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenUrlAuth {
    /// The URL to be completed.
    pub url: String,
    /// By which mechanism, in upper case.
    pub mechanism: String,
}

/// RESETKEY's arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetKey {
    /// Which mailbox; `None` for all.
    pub mailbox: Option<MailboxName>,
    /// Mechanisms named, in upper case.
    pub mechanisms: Vec<String>,
}

/// A URL of URLFETCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlFetch {
    /// The URL.
    pub url: String,
    /// `None`: its octets, plainly. Else what to tell, in this order, without doubles (RFC 5524 §3).
    pub items: Option<Vec<UrlItem>>,
}

/// What the second form of URLFETCH tells (RFC 5524 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlItem {
    /// `BODY`: the octets as they are.
    Body,
    /// `BINARY`: without the transfer encoding.
    Binary,
    /// `BODYPARTSTRUCTURE`: what BODYSTRUCTURE tells of this part.
    Structure,
}

/// `genurlauth = "GENURLAUTH" 1*(SP url-rump SP mechanism)`.
pub(super) fn gen_url_auth(cursor: &mut Cursor<'_>) -> Rule<Body> {
    let mut all = Vec::new();
    cursor.space()?;
    loop {
        cursor.entry()?;
        let url = cursor.text("a URL")?;
        cursor.space()?;
        let mechanism = cursor.word("a mechanism")?;
        all.push(GenUrlAuth { url, mechanism });
        if !cursor.more() {
            return Ok(Body::GenUrlAuth(all));
        }
    }
}

/// `resetkey = "RESETKEY" [SP mailbox *(SP mechanism)]`.
pub(super) fn reset_key(cursor: &mut Cursor<'_>) -> Rule<Body> {
    let mut reset = ResetKey { mailbox: None, mechanisms: Vec::new() };
    if cursor.more() {
        reset.mailbox = Some(cursor.mailbox()?);
    }
    while cursor.more() {
        cursor.entry()?;
        reset.mechanisms.push(cursor.word("a mechanism")?);
    }
    Ok(Body::ResetKey(reset))
}

/// `urlfetch = "URLFETCH" 1*(SP (url-full / "(" url-full *(SP param) ")"))`.
pub(super) fn url_fetch(cursor: &mut Cursor<'_>) -> Rule<Body> {
    let mut all = Vec::new();
    cursor.space()?;
    loop {
        cursor.entry()?;
        if !cursor.open() {
            all.push(UrlFetch { url: cursor.text("a URL")?, items: None });
        } else {
            let url = cursor.text("a URL")?;
            let mut items = Vec::new();
            while !cursor.close() {
                cursor.space()?;
                cursor.entry()?;
                let item = item(cursor)?;
                if !items.contains(&item) {
                    items.push(item);
                }
            }
            all.push(UrlFetch { url, items: Some(items) });
        }
        if !cursor.more() {
            return Ok(Body::UrlFetch(all));
        }
    }
}

fn item(cursor: &mut Cursor<'_>) -> Rule<UrlItem> {
    let start = cursor.position();
    Ok(match cursor.word("BODY, BINARY or BODYPARTSTRUCTURE")?.as_str() {
        "BODY" => UrlItem::Body,
        "BINARY" => UrlItem::Binary,
        "BODYPARTSTRUCTURE" => UrlItem::Structure,
        _ => return cursor.fault_at(start, Problem::Expected("BODY, BINARY or BODYPARTSTRUCTURE")),
    })
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Syntax, parse};

    #[test]
    fn commands_are_read() {
        let syntax = Syntax { utf8: false, limits: Limits::default() };
        for (command, expected) in [
            (
                "a GENURLAUTH \"x\" internal y INTERNAL ",
                "GenUrlAuth([GenUrlAuth { url: \"x\", mechanism: \"INTERNAL\" }, GenUrlAuth { url: \"y\", mechanism: \"INTERNAL\" }])",
            ),
            ("a RESETKEY", "ResetKey(ResetKey { mailbox: None, mechanisms: [] })"),
            (
                "a RESETKEY INBOX internal",
                "ResetKey(ResetKey { mailbox: Some(MailboxName(\"INBOX\")), mechanisms: [\"INTERNAL\"] })",
            ),
            (
                "a URLFETCH x y",
                "UrlFetch([UrlFetch { url: \"x\", items: None }, UrlFetch { url: \"y\", items: None }])",
            ),
            (
                "a URLFETCH (x BINARY BodyPartStructure BINARY) y",
                "UrlFetch([UrlFetch { url: \"x\", items: Some([Binary, Structure]) }, UrlFetch { url: \"y\", items: None }])",
            ),
            ("a URLFETCH (x)", "UrlFetch([UrlFetch { url: \"x\", items: Some([]) }])"),
            ("a URLFETCH", "expected more before the end of the line at octet 10"),
            ("a URLFETCH (x TEXT)", "expected BODY, BINARY or BODYPARTSTRUCTURE at octet 14"),
            ("a GENURLAUTH x", "expected more before the end of the line at octet 14"),
        ] {
            let found = match parse(command.as_bytes(), &syntax) {
                Ok(command) => format!("{:?}", command.body),
                Err(error) => error.to_string(),
            };
            assert_eq!(found, expected, "{command}");
        }
    }
}
