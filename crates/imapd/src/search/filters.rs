//! FILTER keys (RFC 5466): searches with a name, kept as annotations of the server.
//!
//! A private filter stands before a shared one of the same name. Filters may name filters; one that comes to name itself, or
//! names one that is not there, makes the search fail with UNDEFINED-FILTER and the name. Names are looked up when the
//! search begins: a result that is followed goes on with what they meant then.
//!
//! What it never does: let a short search unfold into a long one without end ([`KEYS_MAX`]).

use std::borrow::Cow;

use postroad_imap::command::search::stored;
use postroad_imap::command::{Search, SearchKey};
use postroad_imap::{ResponseCode, Syntax};
use postroad_mail::metadata::Annotation;
use postroad_store::ReadTx;

use crate::commands::of_server;
use crate::error::Error;
use crate::session::Session;

/// What the paths of filters begin with.
pub(crate) const VALUES: &str = "/filters/values/";

/// A search whose FILTER keys are what they stand for.
pub(crate) fn in_search<'s>(session: &Session, tx: &ReadTx, search: &'s Search) -> Result<Cow<'s, Search>, Error> {
    Ok(match expanded(session, tx, &search.key)? {
        Cow::Borrowed(_) => Cow::Borrowed(search),
        Cow::Owned(key) => Cow::Owned(Search { key, ..search.clone() }),
    })
}

/// A key whose FILTER keys are what they stand for. No statement without FILTER keys, one with them.
pub(crate) fn expanded<'k>(session: &Session, tx: &ReadTx, key: &'k SearchKey) -> Result<Cow<'k, SearchKey>, Error> {
    if !names_any(key) {
        return Ok(Cow::Borrowed(key));
    }
    let there = of_server(session, tx)?;
    let mut unfolding = Unfolding { there: &there, syntax: syntax(session), within: Vec::new(), keys: 0 };
    unfolding.key(key).map(Cow::Owned)
}

/// Whether a value can be kept under a filter's name.
///
/// Errors: `NO [CANNOT]`, and what is wrong with it.
pub(crate) fn check(session: &Session, name: &str, value: &[u8]) -> Result<(), Error> {
    let search = format!("FILTER {name}");
    match stored(search.as_bytes(), &syntax(session)) {
        Ok(SearchKey::Filter(read)) if read == name => {}
        Ok(_) | Err(_) => return Err(Error::no(ResponseCode::Cannot, "this cannot be the name of a filter")),
    }
    match stored(value, &syntax(session)) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::no(ResponseCode::Cannot, format!("the filter is no search: {error}"))),
    }
}

/// RFC 5466 §3.2: filters are UTF-8.
fn syntax(session: &Session) -> Syntax {
    Syntax { utf8: true, limits: session.framer.syntax().limits.clone() }
}

fn names_any(key: &SearchKey) -> bool {
    match key {
        SearchKey::Filter(_) => true,
        SearchKey::And(keys) => keys.iter().any(names_any),
        SearchKey::Or(first, second) => names_any(first) || names_any(second),
        SearchKey::Not(inner) | SearchKey::Fuzzy(inner) => names_any(inner),
        _ => false,
    }
}

struct Unfolding<'a> {
    there: &'a [Annotation],
    syntax: Syntax,
    /// The filters that are being unfolded, the outermost first.
    within: Vec<String>,
    /// Keys so far.
    keys: usize,
}

impl Unfolding<'_> {
    fn key(&mut self, key: &SearchKey) -> Result<SearchKey, Error> {
        self.keys += 1;
        if self.keys > KEYS_MAX {
            return Err(Error::no(ResponseCode::Limit, "the filters unfold into too many keys"));
        }
        Ok(match key {
            SearchKey::Filter(name) => self.filter(name)?,
            SearchKey::And(keys) => SearchKey::And(keys.iter().map(|inner| self.key(inner)).collect::<Result<_, _>>()?),
            SearchKey::Or(first, second) => SearchKey::Or(Box::new(self.key(first)?), Box::new(self.key(second)?)),
            SearchKey::Not(inner) => SearchKey::Not(Box::new(self.key(inner)?)),
            SearchKey::Fuzzy(inner) => SearchKey::Fuzzy(Box::new(self.key(inner)?)),
            other => other.clone(),
        })
    }

    fn filter(&mut self, name: &str) -> Result<SearchKey, Error> {
        let undefined = |text: &'static str| Error::no(ResponseCode::UndefinedFilter(name.to_owned()), text);
        let folded = name.to_ascii_lowercase();
        if self.within.contains(&folded) {
            return Err(undefined("this filter is defined by itself"));
        }
        if self.within.len() >= DEPTH_MAX {
            // RFC 5466 §3.1: as if it were not there.
            return Err(undefined("too many filters within each other"));
        }
        let named = |one: &&Annotation| one.entry.path.strip_prefix(VALUES) == Some(folded.as_str());
        let found = self.there.iter().filter(named).max_by_key(|one| one.entry.private);
        let Some(found) = found else { return Err(undefined("there is no such filter")) };
        // One of the settings that is no search is none.
        let key = stored(&found.value, &self.syntax).map_err(|_| undefined("this filter is no search"))?;
        self.within.push(folded);
        let key = self.key(&key);
        self.within.pop();
        key
    }
}

/// Filters that name filters, so many deep.
const DEPTH_MAX: usize = 10;
/// Keys that a search with filters has in all.
const KEYS_MAX: usize = 2_000;
