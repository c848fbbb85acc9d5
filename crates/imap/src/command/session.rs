//! The session's own commands: CAPABILITY, ID, LOGIN, AUTHENTICATE, ENABLE, IDLE and their like.

use std::fmt;

use crate::command::Body;
use crate::cursor::{Cursor, Rule};
use crate::error::Problem;

/// ID's parameters (RFC 2971): field names in lower case with their values; empty for `NIL`.
pub type Id = Vec<(String, Option<String>)>;

/// Bytes that no log may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// `login = "LOGIN" SP userid SP password`.
pub(super) fn login(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    let user = cursor.text("a user name")?;
    cursor.space()?;
    let password = Secret(cursor.astring("a password")?.into_owned());
    Ok(Body::Login { user, password })
}

/// `authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]`. Whether the response is base64 is asked by the mechanism, which
/// counts what is none.
pub(super) fn authenticate(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    let mechanism = cursor.word("a mechanism")?;
    let mut initial = None;
    if cursor.more() {
        initial = Some(Secret(cursor.run(|byte| byte.is_ascii_graphic()).to_vec()));
    }
    Ok(Body::Authenticate { mechanism, initial })
}

/// `enable = "ENABLE" 1*(SP capability)`.
pub(super) fn enable(cursor: &mut Cursor<'_>) -> Rule<Body> {
    let mut capabilities = Vec::new();
    cursor.space()?;
    loop {
        cursor.entry()?;
        capabilities.push(cursor.word("a capability")?);
        if !cursor.more() {
            return Ok(Body::Enable(capabilities));
        }
    }
}

/// `compress = "COMPRESS" SP algorithm` (RFC 4978 §5).
pub(super) fn compress(cursor: &mut Cursor<'_>) -> Rule<Body> {
    cursor.space()?;
    Ok(Body::Compress(cursor.word("an algorithm")?))
}

/// `id = "ID" SP id-params-list` (RFC 2971 §4). Without its list it is taken for `NIL`.
pub(super) fn id(cursor: &mut Cursor<'_>) -> Rule<Body> {
    let mut fields = Id::new();
    if !cursor.more() || cursor.eat_word("NIL") {
        return Ok(Body::Id(fields));
    }
    let start = cursor.position();
    cursor.list("NIL or a list of fields", |cursor| {
        let field = cursor.text("the name of a field")?.to_ascii_lowercase();
        cursor.space()?;
        fields.push((field, cursor.ntext("a value or NIL")?));
        Ok(())
    })?;
    if fields.len() > ID_FIELDS {
        return cursor.fault_at(start, Problem::TooMuch("fields in ID"));
    }
    Ok(Body::Id(fields))
}

/// RFC 2971 §3.3: more than 30 pairs MUST NOT be sent.
const ID_FIELDS: usize = 30;
