//! Untagged data: mailboxes, searches, sizes, quotas.

use std::fmt;

use crate::command::{List, PartialRange, StatusItem, Tag};
use crate::encode::Writer;
use crate::flags::Flag;
use crate::mailbox::{MailboxName, SEPARATOR, SpecialUse};
use crate::set::{NumberSet, Numbering};
use crate::utf7::to_utf7;

/// An attribute in LIST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailboxAttribute {
    /// `\Noselect`; `\NonExistent` implies it.
    NoSelect,
    /// `\NonExistent` (RFC 5258).
    NonExistent,
    /// `\NoAccess` (RFC 5465 §3.1): known, but nothing is told of it.
    NoAccess,
    /// `\Noinferiors`.
    NoInferiors,
    /// `\HasChildren`.
    HasChildren,
    /// `\HasNoChildren`.
    HasNoChildren,
    /// `\Marked`.
    Marked,
    /// `\Unmarked`.
    Unmarked,
    /// `\Subscribed`.
    Subscribed,
    /// `\Remote`.
    Remote,
    /// `\Inbox`: only XLIST tells it.
    Inbox,
    /// A special use.
    Use(SpecialUse),
}

/// Extended data of a LIST response (RFC 5258 §6, RFC 9051 §6.3.9.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListExtra {
    /// `("CHILDINFO" ("SUBSCRIBED"))`.
    ChildInfoSubscribed,
    /// `("OLDNAME" ("name"))`.
    OldName(MailboxName),
}

/// One LIST, LSUB or XLIST response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListResponse<'a> {
    /// What is said of it.
    pub attributes: &'a [MailboxAttribute],
    /// Its name; `None` answers the question for the separator: `"/" ""`.
    pub name: Option<&'a MailboxName>,
    /// Extended data.
    pub extra: &'a [ListExtra],
}

/// One item of a STATUS response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusValue {
    /// A number.
    Number(StatusItem, u64),
    /// `MAILBOXID (id)`.
    MailboxId(String),
}

/// What a search found, for [`Writer::esearch`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchAnswer {
    /// `MIN`.
    pub min: Option<u32>,
    /// `MAX`.
    pub max: Option<u32>,
    /// `ALL`; an empty set is left out (RFC 4731 §3.1).
    pub all: Option<Results>,
    /// `PARTIAL`: what was asked for, and what there is of it (RFC 9394 §3.1).
    pub partial: Option<(PartialRange, Results)>,
    /// `COUNT`.
    pub count: Option<u64>,
    /// `MODSEQ` (RFC 7162 §3.1.10).
    pub mod_seq: Option<u64>,
    /// `RELEVANCY`: a score from 1 to 100 for each message, in the order of ALL (RFC 6203 §4).
    pub relevancy: Option<Vec<u8>>,
}

/// Numbers that were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Results {
    /// In the order of the mailbox.
    Set(NumberSet),
    /// In an order of their own (RFC 5267 §3.1).
    Order(Vec<u32>),
}

impl Results {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        match self {
            Results::Set(numbers) => numbers.is_empty(),
            Results::Order(numbers) => numbers.is_empty(),
        }
    }
}

impl fmt::Display for Results {
    /// `sequence-set`. RFC 5267 §3.2: a range stands only for numbers that rise.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = match self {
            Results::Set(numbers) => return write!(f, "{numbers}"),
            Results::Order(numbers) => numbers,
        };
        for (index, run) in numbers.chunk_by(|a, b| a.checked_add(1) == Some(*b)).enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match run {
                [first, .., last] => write!(f, "{comma}{first}:{last}")?,
                [only] => write!(f, "{comma}{only}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

/// The namespaces: prefixes, each with separator `/`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces<'a> {
    /// One's own.
    pub personal: &'a [&'a str],
    /// Other users'.
    pub others: &'a [&'a str],
    /// Shared.
    pub shared: &'a [&'a str],
    /// What prefixes are in the language of the client: `TRANSLATION` (RFC 5255 §3.4).
    pub translations: &'a [(&'a str, &'a str)],
}

/// `quota-resource` (RFC 9208 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaResource<'a> {
    /// `STORAGE` (in units of 1024 octets), `MESSAGE`, ..
    pub name: &'a str,
    /// How much is used.
    pub usage: u64,
    /// How much may be.
    pub limit: u64,
}

impl MailboxAttribute {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            MailboxAttribute::NoSelect => "\\Noselect",
            MailboxAttribute::NonExistent => "\\NonExistent",
            MailboxAttribute::NoAccess => "\\NoAccess",
            MailboxAttribute::NoInferiors => "\\Noinferiors",
            MailboxAttribute::HasChildren => "\\HasChildren",
            MailboxAttribute::HasNoChildren => "\\HasNoChildren",
            MailboxAttribute::Inbox => "\\Inbox",
            MailboxAttribute::Marked => "\\Marked",
            MailboxAttribute::Unmarked => "\\Unmarked",
            MailboxAttribute::Subscribed => "\\Subscribed",
            MailboxAttribute::Remote => "\\Remote",
            MailboxAttribute::Use(special_use) => special_use.as_str(),
        }
    }
}

impl Writer<'_> {
    /// `* CAPABILITY ..`.
    pub fn capability(&mut self, capabilities: &[&str]) {
        self.put(format_args!("* CAPABILITY {}\r\n", capabilities.join(" ")));
    }

    /// `* ENABLED ..`, which may be empty.
    pub fn enabled(&mut self, capabilities: &[&str]) {
        self.raw(b"* ENABLED");
        for capability in capabilities {
            self.put(format_args!(" {capability}"));
        }
        self.end_line();
    }

    /// `* FLAGS (..)`.
    pub fn flags(&mut self, flags: &[Flag]) {
        self.raw(b"* FLAGS ");
        self.in_parentheses(flags, |writer, flag| writer.raw(flag.as_str().as_bytes()));
        self.end_line();
    }

    /// `* n EXISTS`.
    pub fn exists(&mut self, count: u32) {
        self.put(format_args!("* {count} EXISTS\r\n"));
    }

    /// `* n RECENT` (RFC 3501).
    pub fn recent(&mut self, count: u32) {
        self.put(format_args!("* {count} RECENT\r\n"));
    }

    /// `* n EXPUNGE`.
    pub fn expunge(&mut self, sequence: u32) {
        self.put(format_args!("* {sequence} EXPUNGE\r\n"));
    }

    /// `* VANISHED uids`, or `* VANISHED (EARLIER) uids` (RFC 7162 §3.2.10). Nothing for the empty set.
    pub fn vanished(&mut self, earlier: bool, uids: &NumberSet) {
        if !uids.is_empty() {
            let earlier = if earlier { "(EARLIER) " } else { "" };
            self.put(format_args!("* VANISHED {earlier}{uids}\r\n"));
        }
    }

    /// `* LIST (..) "/" name`.
    pub fn list(&mut self, response: &ListResponse<'_>) {
        self.mailbox_line("LIST", response);
    }

    /// `* LSUB (..) "/" name`.
    pub fn lsub(&mut self, response: &ListResponse<'_>) {
        self.mailbox_line("LSUB", response);
    }

    /// `* XLIST (..) "/" name`, or LIST, as the command was.
    pub fn list_as(&mut self, command: &List, response: &ListResponse<'_>) {
        self.mailbox_line(if command.xlist { "XLIST" } else { "LIST" }, response);
    }

    fn mailbox_line(&mut self, name: &str, response: &ListResponse<'_>) {
        self.put(format_args!("* {name} "));
        self.in_parentheses(response.attributes, |writer, attribute| writer.raw(attribute.as_str().as_bytes()));
        self.put(format_args!(" \"{SEPARATOR}\" "));
        match response.name {
            Some(name) => self.mailbox(name),
            None => self.raw(b"\"\""),
        }
        if !response.extra.is_empty() {
            self.raw(b" ");
            self.in_parentheses(response.extra, |writer, extra| match extra {
                ListExtra::ChildInfoSubscribed => writer.raw(b"\"CHILDINFO\" (\"SUBSCRIBED\")"),
                ListExtra::OldName(name) => {
                    writer.raw(b"\"OLDNAME\" (");
                    writer.mailbox(name);
                    writer.raw(b")");
                }
            });
        }
        self.end_line();
    }

    /// `* STATUS name (..)`.
    pub fn status(&mut self, name: &MailboxName, values: &[StatusValue]) {
        self.raw(b"* STATUS ");
        self.mailbox(name);
        self.raw(b" ");
        self.in_parentheses(values, |writer, value| match value {
            StatusValue::Number(item, number) => writer.put(format_args!("{} {number}", item.as_str())),
            StatusValue::MailboxId(id) => writer.put(format_args!("MAILBOXID ({id})")),
        });
        self.end_line();
    }

    /// `* SEARCH n ..` and `(MODSEQ n)`; also when nothing was found.
    pub fn search(&mut self, numbers: &NumberSet, mod_seq: Option<u64>) {
        self.raw(b"* SEARCH");
        for number in numbers.iter() {
            self.put(format_args!(" {number}"));
        }
        if let (false, Some(mod_seq)) = (numbers.is_empty(), mod_seq) {
            self.put(format_args!(" (MODSEQ {mod_seq})"));
        }
        self.end_line();
    }

    /// `* ESEARCH (TAG "..") [UID] ..` (RFC 9051 §7.3.4).
    pub fn esearch(&mut self, tag: &Tag, numbering: Numbering, answer: &SearchAnswer) {
        self.raw(b"* ESEARCH (TAG ");
        self.string(tag.as_str().as_bytes());
        self.raw(b")");
        self.esearch_data(numbering, answer);
    }

    /// `* ESEARCH ..` of one of several mailboxes (RFC 7377 §2.1): with its name and UIDVALIDITY, in UIDs.
    pub fn esearch_in(&mut self, tag: &Tag, mailbox: &MailboxName, uid_validity: u32, answer: &SearchAnswer) {
        self.raw(b"* ESEARCH (TAG ");
        self.string(tag.as_str().as_bytes());
        self.raw(b" MAILBOX ");
        self.mailbox(mailbox);
        self.put(format_args!(" UIDVALIDITY {uid_validity})"));
        self.esearch_data(Numbering::Uid, answer);
    }

    fn esearch_data(&mut self, numbering: Numbering, answer: &SearchAnswer) {
        match numbering {
            Numbering::Uid => self.raw(b" UID"),
            Numbering::Sequence => {}
        }
        if let Some(min) = answer.min {
            self.put(format_args!(" MIN {min}"));
        }
        if let Some(max) = answer.max {
            self.put(format_args!(" MAX {max}"));
        }
        if let Some(count) = answer.count {
            self.put(format_args!(" COUNT {count}"));
        }
        if let Some(all) = answer.all.as_ref().filter(|all| !all.is_empty()) {
            self.put(format_args!(" ALL {all}"));
        }
        if let Some((range, results)) = &answer.partial {
            match results.is_empty() {
                true => self.put(format_args!(" PARTIAL ({range} NIL)")),
                false => self.put(format_args!(" PARTIAL ({range} {results})")),
            }
        }
        if let Some(mod_seq) = answer.mod_seq {
            self.put(format_args!(" MODSEQ {mod_seq}"));
        }
        if let Some(scores) = answer.relevancy.as_ref().filter(|scores| !scores.is_empty()) {
            let scores: Vec<String> = scores.iter().map(u8::to_string).collect();
            self.put(format_args!(" RELEVANCY ({})", scores.join(" ")));
        }
        self.end_line();
    }

    /// `* NAMESPACE ..`.
    pub fn namespace(&mut self, namespaces: &Namespaces<'_>) {
        self.raw(b"* NAMESPACE");
        for prefixes in [namespaces.personal, namespaces.others, namespaces.shared] {
            if prefixes.is_empty() {
                self.raw(b" NIL");
                continue;
            }
            self.raw(b" (");
            for prefix in prefixes {
                self.raw(b"(");
                self.string(if self.utf8 { (*prefix).to_owned() } else { to_utf7(prefix) }.as_bytes());
                self.put(format_args!(" \"{SEPARATOR}\""));
                if let Some((_, translation)) = namespaces.translations.iter().find(|(other, _)| other == prefix) {
                    // RFC 5255 §3.4: in modified UTF-7 always.
                    self.raw(b" \"TRANSLATION\" (");
                    self.string(to_utf7(translation).as_bytes());
                    self.raw(b")");
                }
                self.raw(b")");
            }
            self.raw(b")");
        }
        self.end_line();
    }

    /// `* ID (..)`, `NIL` when empty.
    pub fn id(&mut self, fields: &[(&str, &str)]) {
        self.raw(b"* ID ");
        if fields.is_empty() {
            self.raw(b"NIL");
        } else {
            self.in_parentheses(fields, |writer, (name, value)| {
                writer.string(name.as_bytes());
                writer.raw(b" ");
                writer.string(value.as_bytes());
            });
        }
        self.end_line();
    }

    /// `* QUOTA root (..)`.
    pub fn quota(&mut self, root: &str, resources: &[QuotaResource<'_>]) {
        self.raw(b"* QUOTA ");
        self.astring(root.as_bytes());
        self.raw(b" ");
        self.in_parentheses(resources, |writer, resource| {
            writer.put(format_args!("{} {} {}", resource.name, resource.usage, resource.limit));
        });
        self.end_line();
    }

    /// `* QUOTAROOT mailbox root ..`.
    pub fn quota_root(&mut self, mailbox: &MailboxName, roots: &[&str]) {
        self.raw(b"* QUOTAROOT ");
        self.mailbox(mailbox);
        for root in roots {
            self.raw(b" ");
            self.astring(root.as_bytes());
        }
        self.end_line();
    }
}
