//! SEARCH (RFC 9051 §6.4.4) with ESEARCH, SEARCHRES, PARTIAL (RFC 9394), CONTEXT (RFC 5267), WITHIN (RFC 5032),
//! CONDSTORE and OBJECTID keys.

use std::fmt;

use encoding_rs::Encoding;

use crate::command::fetch::FetchItem;
use crate::command::gmail::{self, Label, Near};
use crate::command::{Body, notify};
use crate::cursor::{Cursor, Rule};
use crate::date::Date;
use crate::error::Problem;
use crate::flags::Keyword;
use crate::set::{MessageSet, Numbering};

/// SEARCH or UID SEARCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// What the answer's numbers are.
    pub numbering: Numbering,
    /// `RETURN (..)`: `None` when not given; the empty list means ALL (RFC 4731 §3.1).
    pub returns: Option<SearchReturn>,
    /// What to find. Strings are already decoded from the command's CHARSET.
    pub key: SearchKey,
    /// `UPDATE (items)`: what to tell of new messages that match (RFC 5465 §7).
    pub push: Vec<FetchItem>,
}

/// `search-return-opts`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchReturn {
    /// `MIN`.
    pub min: bool,
    /// `MAX`.
    pub max: bool,
    /// `ALL`, also when the list was empty.
    pub all: bool,
    /// `COUNT`.
    pub count: bool,
    /// `SAVE` (RFC 5182).
    pub save: bool,
    /// `PARTIAL range` (RFC 9394 §3.1); never with `all`.
    pub partial: Option<PartialRange>,
    /// `UPDATE`: tell how the result changes from now on (RFC 5267 §4.3).
    pub update: bool,
    /// `CONTEXT`: a hint that more searches of this kind will come (RFC 5267 §4.2).
    pub context: bool,
    /// `RELEVANCY`: how well each message matches (RFC 6203 §4).
    pub relevancy: bool,
}

impl SearchReturn {
    /// Whether something is told at once: not when SAVE is all that is asked for (RFC 5182 §2.1).
    pub fn is_answered(&self) -> bool {
        *self != SearchReturn { save: true, ..SearchReturn::default() }
    }
}

/// `partial-range` (RFC 9394 §4): places in a result, counted from 1. The answer repeats it, the lower place first:
/// `4:2` is `2:4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialRange {
    /// One end.
    pub from: u32,
    /// The other, which may be the lower one.
    pub to: u32,
    /// Counted from the end: `-1` is the last.
    pub from_end: bool,
}

impl PartialRange {
    /// Which of `count` results these are, counted from 0: an empty range where there are none.
    pub fn of(&self, count: usize) -> std::ops::Range<usize> {
        let (low, high) = (self.from.min(self.to) as usize, self.from.max(self.to) as usize);
        match self.from_end {
            false => (low - 1).min(count)..high.min(count),
            true => count - high.min(count)..count - (low - 1).min(count),
        }
    }
}

impl fmt::Display for PartialRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.from_end { "-" } else { "" };
        write!(f, "{sign}{}:{sign}{}", self.from.min(self.to), self.from.max(self.to))
    }
}

/// `search-key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchKey {
    /// `ALL`.
    All,
    /// A list of keys, all of which must hold.
    And(Vec<SearchKey>),
    /// `OR a b`.
    Or(Box<SearchKey>, Box<SearchKey>),
    /// `NOT a`. Also for the `UN..` keys: `UNSEEN` is `Not(Seen)`.
    Not(Box<SearchKey>),
    /// Message sequence numbers, or `$`.
    Sequence(MessageSet),
    /// `UID set`.
    Uid(MessageSet),
    /// `UIDAFTER uid` (RFC 9738 §3.2): messages with a greater UID.
    UidAfter(u32),
    /// `UIDBEFORE uid`: messages with a lesser UID.
    UidBefore(u32),
    /// `FILTER name` (RFC 5466 §3.1): the search of this name, in the client's spelling.
    Filter(String),
    /// `FUZZY key` (RFC 6203 §3).
    Fuzzy(Box<SearchKey>),
    /// `ANSWERED`.
    Answered,
    /// `DELETED`.
    Deleted,
    /// `DRAFT`.
    Draft,
    /// `FLAGGED`.
    Flagged,
    /// `SEEN`.
    Seen,
    /// `RECENT` (RFC 3501; `NEW` is `RECENT UNSEEN`, `OLD` is `NOT RECENT`).
    Recent,
    /// `KEYWORD k`; `UNKEYWORD` is its negation.
    Keyword(Keyword),
    /// `BCC text`.
    Bcc(String),
    /// `CC text`.
    Cc(String),
    /// `FROM text`.
    From(String),
    /// `TO text`.
    To(String),
    /// `SUBJECT text`.
    Subject(String),
    /// `BODY text`.
    Body(String),
    /// `TEXT text`: header or body.
    Text(String),
    /// `HEADER name text`; an empty text finds every message that has the field.
    Header(String, String),
    /// `BEFORE date`: the internal date, disregarding time and zone.
    Before(Date),
    /// `ON date`.
    On(Date),
    /// `SINCE date`.
    Since(Date),
    /// `SENTBEFORE date`: the Date field.
    SentBefore(Date),
    /// `SENTON date`.
    SentOn(Date),
    /// `SENTSINCE date`.
    SentSince(Date),
    /// `LARGER n`.
    Larger(u64),
    /// `SMALLER n`.
    Smaller(u64),
    /// `OLDER seconds` (RFC 5032).
    Older(u32),
    /// `YOUNGER seconds`.
    Younger(u32),
    /// `MODSEQ [entry] n` (RFC 7162 §3.1.5). The entry name is checked and dropped: one modseq serves all.
    ModSeq(u64),
    /// `EMAILID id` (RFC 8474 §5.3).
    EmailId(String),
    /// `THREADID id`.
    ThreadId(String),
    /// `SAVEDBEFORE date` (RFC 8514 §4.3): the day it came into this mailbox, disregarding time and zone.
    SavedBefore(Date),
    /// `SAVEDON date`.
    SavedOn(Date),
    /// `SAVEDSINCE date`.
    SavedSince(Date),
    /// `X-GM-MSGID n` (Gmail's X-GM-EXT-1): its object id as a number.
    GmailMessage(u64),
    /// `X-GM-THRID n`: its conversation's.
    GmailThread(u64),
    /// `X-GM-LABELS label`.
    Label(Label),
    /// `X-GM-RAW text`: the keys that it means.
    GmailRaw(Box<SearchKey>),
    /// `label:name` within `X-GM-RAW`: spaces and `/` may be `-`, and case does not matter.
    LabelLike(String),
    /// `has:attachment` within `X-GM-RAW`.
    HasAttachment,
    /// `filename:text` within `X-GM-RAW`: a part's file name has the text.
    FileName(String),
    /// `has:userlabels` within `X-GM-RAW`: a label that is not one of Gmail's own.
    UserLabels,
    /// `AROUND` within `X-GM-RAW`.
    Near(Box<Near>),
}

impl SearchKey {
    /// Whether message sequence numbers are among the keys.
    pub fn names_numbers(&self) -> bool {
        if let SearchKey::And(keys) = self {
            return keys.iter().any(SearchKey::names_numbers);
        }
        if let SearchKey::Or(first, second) = self {
            return first.names_numbers() || second.names_numbers();
        }
        if let SearchKey::Not(key) | SearchKey::Fuzzy(key) = self {
            return key.names_numbers();
        }
        matches!(self, SearchKey::Sequence(MessageSet::Set(_)))
    }
}

/// `search = "SEARCH" [search-return-opts] SP search-program`.
pub(super) fn search(cursor: &mut Cursor<'_>, numbering: Numbering) -> Rule<Body> {
    cursor.space()?;
    program(cursor, numbering).map(Body::Search)
}

/// `[search-return-opts SP] search-program`.
pub(super) fn program(cursor: &mut Cursor<'_>, numbering: Numbering) -> Rule<Search> {
    let (mut returns, mut push) = (None, Vec::new());
    if cursor.eat_word("RETURN") {
        cursor.space()?;
        let (options, items) = return_options(cursor)?;
        (returns, push) = (Some(options), items);
        cursor.space()?;
    }
    let mut charset = None;
    if cursor.eat_word("CHARSET") {
        cursor.space()?;
        charset = self::charset(cursor)?;
        cursor.space()?;
    }
    Ok(Search { numbering, returns, key: keys(cursor, charset)?, push })
}

/// A stored search, as the value of its entry has it: `search-key *(SP search-key)` in UTF-8 (RFC 5466 §3.2).
///
/// # Errors
/// [`ParseError`](crate::ParseError), without a tag: what is wrong with it.
pub fn stored(value: &[u8], syntax: &crate::command::Syntax) -> Result<SearchKey, crate::ParseError> {
    let mut cursor = Cursor::new(value, syntax);
    cursor.skip_spaces();
    let whole = keys(&mut cursor, None).and_then(|key| cursor.end().map(|()| key));
    whole.map_err(|fault| crate::ParseError { tag: None, problem: fault.problem, position: fault.position })
}

/// Whether a command is a SEARCH that names a charset: after ENABLE UTF8=ACCEPT that is an error (RFC 6855 §3).
pub fn names_charset(frame: &[u8], syntax: &crate::command::Syntax) -> bool {
    let mut cursor = Cursor::new(frame, syntax);
    if crate::command::table::tag(&mut cursor).is_err() || cursor.space().is_err() {
        return false;
    }
    if cursor.eat_word("UID") && cursor.space().is_err() {
        return false;
    }
    if !cursor.eat_word("SEARCH") || cursor.space().is_err() {
        return false;
    }
    if cursor.eat_word("RETURN") && (cursor.space().is_err() || return_options(&mut cursor).is_err()) {
        return false;
    }
    cursor.skip_spaces();
    cursor.eat_word("CHARSET")
}

/// `search-criteria = charset 1*(SP search-key)` (RFC 5256 §5): here the charset must be there.
pub(super) fn criteria(cursor: &mut Cursor<'_>) -> Rule<SearchKey> {
    let charset = charset(cursor)?;
    cursor.space()?;
    keys(cursor, charset)
}

/// `search-key *(SP search-key)`.
fn keys(cursor: &mut Cursor<'_>, charset: Option<&'static Encoding>) -> Rule<SearchKey> {
    let mut keys = Keys { charset, depth: cursor.syntax().limits.depth };
    let mut all = vec![keys.key(cursor)?];
    while cursor.more() {
        all.push(keys.key(cursor)?);
    }
    Ok(together(all))
}

/// The charset's name. US-ASCII is `None`: such text may as well be UTF-8.
fn charset(cursor: &mut Cursor<'_>) -> Rule<Option<&'static Encoding>> {
    let start = cursor.position();
    let label = cursor.text("the name of a charset")?;
    match Encoding::for_label_no_replacement(label.as_bytes()) {
        Some(_) if label.eq_ignore_ascii_case("US-ASCII") => Ok(None),
        Some(charset) => Ok(Some(charset)),
        None => cursor.fault_at(start, Problem::BadCharset(label)),
    }
}

/// `search-return-opts`.
pub(super) fn return_options(cursor: &mut Cursor<'_>) -> Rule<(SearchReturn, Vec<FetchItem>)> {
    let (mut returns, mut push) = (SearchReturn::default(), Vec::new());
    let start = cursor.position();
    cursor.list("return options", |cursor| {
        let start = cursor.position();
        match cursor.word("a return option")?.as_str() {
            "MIN" => returns.min = true,
            "MAX" => returns.max = true,
            "ALL" => returns.all = true,
            "COUNT" => returns.count = true,
            "SAVE" => returns.save = true,
            // RFC 5465 §7.
            "UPDATE" => (returns.update, push) = (true, notify::items(cursor)?),
            "CONTEXT" => returns.context = true,
            "RELEVANCY" => returns.relevancy = true,
            "PARTIAL" if returns.partial.is_none() => {
                cursor.space()?;
                returns.partial = Some(partial_range(cursor)?);
            }
            _ => {
                let options = "MIN, MAX, ALL, COUNT, SAVE, PARTIAL with a range, UPDATE, CONTEXT or RELEVANCY";
                return cursor.fault_at(start, Problem::Expected(options));
            }
        }
        Ok(())
    })?;
    // RFC 4731 §3.1: an empty list is ALL.
    returns.all |= returns == SearchReturn::default();
    // RFC 9394 §3.1.
    if returns.all && returns.partial.is_some() {
        return cursor.fault_at(start, Problem::Expected("either ALL or PARTIAL"));
    }
    Ok((returns, push))
}

/// `partial-range = nz-number ":" nz-number / MINUS nz-number ":" MINUS nz-number` (RFC 9394 §4).
pub(super) fn partial_range(cursor: &mut Cursor<'_>) -> Rule<PartialRange> {
    let from_end = cursor.eat(b'-');
    let from = cursor.nz_number("a range like 1:100 or -1:-100")?;
    if !cursor.eat(b':') || cursor.eat(b'-') != from_end {
        return cursor.expected("a range like 1:100 or -1:-100");
    }
    let to = cursor.nz_number("a range like 1:100 or -1:-100")?;
    Ok(PartialRange { from, to, from_end })
}

fn together(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.pop() {
        Some(only) if keys.is_empty() => only,
        Some(last) => {
            keys.push(last);
            SearchKey::And(keys)
        }
        None => SearchKey::All,
    }
}

/// What keys have in common while they are read.
struct Keys {
    charset: Option<&'static Encoding>,
    depth: usize,
}

impl Keys {
    /// `search-key`.
    fn key(&mut self, cursor: &mut Cursor<'_>) -> Rule<SearchKey> {
        cursor.entry()?;
        match cursor.peek() {
            Some(b'(') => self.within(cursor, |keys, cursor| {
                let mut all = Vec::new();
                cursor.list("search keys", |cursor| {
                    all.push(keys.key(cursor)?);
                    Ok(())
                })?;
                if all.is_empty() { cursor.expected("a search key") } else { Ok(together(all)) }
            }),
            Some(b'$' | b'*' | b'0'..=b'9') => cursor.message_set().map(SearchKey::Sequence),
            Some(_) | None => {
                let start = cursor.position();
                let word = cursor.word("a search key")?;
                let Some((_, form)) = FORMS.iter().find(|(name, _)| *name == word) else {
                    return cursor.fault_at(start, Problem::Expected("a search key"));
                };
                self.argument(cursor, form)
            }
        }
    }

    /// One level deeper.
    fn within(
        &mut self,
        cursor: &mut Cursor<'_>,
        rule: impl FnOnce(&mut Self, &mut Cursor<'_>) -> Rule<SearchKey>,
    ) -> Rule<SearchKey> {
        if self.depth == 0 {
            return cursor.fault_at(cursor.position(), Problem::TooMuch("search keys within each other"));
        }
        self.depth -= 1;
        let key = rule(self, cursor)?;
        self.depth += 1;
        Ok(key)
    }

    /// What follows a key's name.
    fn argument(&mut self, cursor: &mut Cursor<'_>, form: &Form) -> Rule<SearchKey> {
        if let Form::Is(key) = form {
            return Ok(key());
        }
        cursor.space()?;
        match form {
            Form::Is(key) => Ok(key()),
            Form::Text(key) => self.text(cursor).map(key),
            Form::Date(key) => date(cursor).map(key),
            Form::Octets(key) => cursor.number(i64::MAX.cast_unsigned(), "a number of octets").map(key),
            Form::Seconds(key) => cursor.nz_number("a number of seconds").map(key),
            Form::Number(key) => cursor.nz_number("a UID").map(key),
            Form::Keyword(key) => keyword(cursor).map(key),
            Form::Id(key) => cursor.text("an object id").map(key),
            Form::Header => {
                let field = cursor.text("the name of a header field")?;
                cursor.space()?;
                Ok(SearchKey::Header(field, self.text(cursor)?))
            }
            Form::ModSeq => mod_seq(cursor),
            Form::Uid => cursor.message_set().map(SearchKey::Uid),
            Form::Filter if self.charset.is_some_and(|charset| charset != encoding_rs::UTF_8) => {
                cursor.fault_at(cursor.position(), Problem::FilterCharset)
            }
            Form::Filter => filter_name(cursor).map(SearchKey::Filter),
            Form::Gmail(key) => cursor.number(u64::MAX, "a number of 64 bits").map(key),
            Form::Label => gmail::label(cursor).map(SearchKey::Label),
            Form::Raw => self.raw(cursor),
            Form::Fuzzy => self.within(cursor, |keys, cursor| Ok(SearchKey::Fuzzy(Box::new(keys.key(cursor)?)))),
            Form::Not => self.within(cursor, |keys, cursor| Ok(not(keys.key(cursor)?))),
            Form::Or => self.within(cursor, |keys, cursor| {
                let first = keys.key(cursor)?;
                cursor.space()?;
                Ok(SearchKey::Or(Box::new(first), Box::new(keys.key(cursor)?)))
            }),
        }
    }

    /// A search in Gmail's words: it nests no deeper, and has no more keys, than the limits allow any other.
    fn raw(&self, cursor: &mut Cursor<'_>) -> Rule<SearchKey> {
        let start = cursor.position();
        let text = self.text(cursor)?;
        let key = gmail::raw(&text, self.depth, cursor.syntax().limits.list);
        key.map(|key| SearchKey::GmailRaw(Box::new(key))).or_else(|problem| cursor.fault_at(start, problem))
    }

    /// `astring` in the charset. Without one it is UTF-8, and what is not is taken for Latin 1 as it was meant.
    fn text(&self, cursor: &mut Cursor<'_>) -> Rule<String> {
        let start = cursor.position();
        let bytes = cursor.astring("a text to look for")?;
        if let Some(charset) = self.charset {
            return match charset.decode_without_bom_handling_and_without_replacement(&bytes) {
                Some(text) => Ok(text.into_owned()),
                None => cursor.fault_at(start, Problem::Expected("text in the charset that CHARSET names")),
            };
        }
        Ok(match std::str::from_utf8(&bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(&bytes).0.into_owned(),
        })
    }
}

/// `filter-name = 1*<any ATOM-CHAR except "/">` (RFC 5466 §4).
fn filter_name(cursor: &mut Cursor<'_>) -> Rule<String> {
    let start = cursor.position();
    match cursor.atom("the name of a filter")? {
        name if name.contains('/') => cursor.fault_at(start, Problem::Expected("the name of a filter, without /")),
        name => Ok(name.to_owned()),
    }
}

/// `flag-keyword`.
fn keyword(cursor: &mut Cursor<'_>) -> Rule<Keyword> {
    let start = cursor.position();
    match Keyword::new(cursor.atom("a keyword")?) {
        Ok(keyword) => Ok(keyword),
        Err(_) => cursor.fault_at(start, Problem::Expected("a keyword")),
    }
}

/// `date = date-text / DQUOTE date-text DQUOTE`.
fn date(cursor: &mut Cursor<'_>) -> Rule<Date> {
    let start = cursor.position();
    let text = cursor.astring("a date like 1-Feb-1994")?;
    match Date::parse(&text) {
        Some(date) => Ok(date),
        None => cursor.fault_at(start, Problem::Expected("a date like 1-Feb-1994")),
    }
}

/// `search-modsequence = "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer` (RFC 7162 §3.1.5).
fn mod_seq(cursor: &mut Cursor<'_>) -> Rule<SearchKey> {
    if cursor.peek() == Some(b'"') {
        let start = cursor.position();
        if !cursor.string("an entry name")?.to_ascii_lowercase().starts_with(b"/flags/") {
            return cursor.fault_at(start, Problem::Expected("an entry name that begins with /flags/"));
        }
        cursor.space()?;
        if !["PRIV", "SHARED", "ALL"].iter().any(|kind| cursor.eat_word(kind)) {
            return cursor.expected("priv, shared or all");
        }
        cursor.space()?;
    }
    cursor.mod_sequence().map(SearchKey::ModSeq)
}

fn not(key: SearchKey) -> SearchKey {
    SearchKey::Not(Box::new(key))
}

/// What a key's name is followed by, and what that makes.
enum Form {
    Is(fn() -> SearchKey),
    Text(fn(String) -> SearchKey),
    Date(fn(Date) -> SearchKey),
    Octets(fn(u64) -> SearchKey),
    Seconds(fn(u32) -> SearchKey),
    Number(fn(u32) -> SearchKey),
    Keyword(fn(Keyword) -> SearchKey),
    Id(fn(String) -> SearchKey),
    Header,
    ModSeq,
    Uid,
    Filter,
    Gmail(fn(u64) -> SearchKey),
    Label,
    Raw,
    Fuzzy,
    Not,
    Or,
}

const FORMS: &[(&str, Form)] = &[
    ("ALL", Form::Is(|| SearchKey::All)),
    ("ANSWERED", Form::Is(|| SearchKey::Answered)),
    ("BCC", Form::Text(SearchKey::Bcc)),
    ("BEFORE", Form::Date(SearchKey::Before)),
    ("BODY", Form::Text(SearchKey::Body)),
    ("CC", Form::Text(SearchKey::Cc)),
    ("DELETED", Form::Is(|| SearchKey::Deleted)),
    ("DRAFT", Form::Is(|| SearchKey::Draft)),
    ("EMAILID", Form::Id(SearchKey::EmailId)),
    ("FILTER", Form::Filter),
    ("FLAGGED", Form::Is(|| SearchKey::Flagged)),
    ("FROM", Form::Text(SearchKey::From)),
    ("FUZZY", Form::Fuzzy),
    ("HEADER", Form::Header),
    ("KEYWORD", Form::Keyword(SearchKey::Keyword)),
    ("LARGER", Form::Octets(SearchKey::Larger)),
    ("MODSEQ", Form::ModSeq),
    ("NEW", Form::Is(|| SearchKey::And(vec![SearchKey::Recent, not(SearchKey::Seen)]))),
    ("NOT", Form::Not),
    ("OLD", Form::Is(|| not(SearchKey::Recent))),
    ("OLDER", Form::Seconds(SearchKey::Older)),
    ("ON", Form::Date(SearchKey::On)),
    ("OR", Form::Or),
    ("RECENT", Form::Is(|| SearchKey::Recent)),
    ("SAVEDATESUPPORTED", Form::Is(|| SearchKey::All)),
    ("SAVEDBEFORE", Form::Date(SearchKey::SavedBefore)),
    ("SAVEDON", Form::Date(SearchKey::SavedOn)),
    ("SAVEDSINCE", Form::Date(SearchKey::SavedSince)),
    ("SEEN", Form::Is(|| SearchKey::Seen)),
    ("SENTBEFORE", Form::Date(SearchKey::SentBefore)),
    ("SENTON", Form::Date(SearchKey::SentOn)),
    ("SENTSINCE", Form::Date(SearchKey::SentSince)),
    ("SINCE", Form::Date(SearchKey::Since)),
    ("SMALLER", Form::Octets(SearchKey::Smaller)),
    ("SUBJECT", Form::Text(SearchKey::Subject)),
    ("TEXT", Form::Text(SearchKey::Text)),
    ("THREADID", Form::Id(SearchKey::ThreadId)),
    ("TO", Form::Text(SearchKey::To)),
    ("UID", Form::Uid),
    ("UIDAFTER", Form::Number(SearchKey::UidAfter)),
    ("UIDBEFORE", Form::Number(SearchKey::UidBefore)),
    ("UNANSWERED", Form::Is(|| not(SearchKey::Answered))),
    ("UNDELETED", Form::Is(|| not(SearchKey::Deleted))),
    ("UNDRAFT", Form::Is(|| not(SearchKey::Draft))),
    ("UNFLAGGED", Form::Is(|| not(SearchKey::Flagged))),
    ("UNKEYWORD", Form::Keyword(|keyword| not(SearchKey::Keyword(keyword)))),
    ("UNSEEN", Form::Is(|| not(SearchKey::Seen))),
    ("X-GM-LABELS", Form::Label),
    ("X-GM-MSGID", Form::Gmail(SearchKey::GmailMessage)),
    ("X-GM-RAW", Form::Raw),
    ("X-GM-THRID", Form::Gmail(SearchKey::GmailThread)),
    ("YOUNGER", Form::Seconds(SearchKey::Younger)),
];
