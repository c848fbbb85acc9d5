//! What the framer finds while APPENDs are under way.

use postroad_imap::command::{Append, LiteralKind};
use postroad_imap::{AppendLiteral, Event, Refused, ResponseCode, Status};

use super::{Appending, Command, Feed, KEYWORDS_MAX, Message, Url};
use crate::error::{Error, Reply};
use crate::session::Session;
use crate::settings::APPEND_CHUNK;
use crate::steps::Phase;

impl Session {
    /// An event of the framer that belongs to an APPEND, or that came while one is under way.
    pub(crate) fn append_event(&mut self, event: Event) {
        let mut appending = match std::mem::take(&mut self.phase) {
            Phase::Appending(appending) => appending,
            _ => {
                self.more_locks.clear();
                Box::default()
            }
        };
        self.append_hears(&mut appending, event);
        self.phase = Phase::Appending(appending);
    }

    fn append_hears(&mut self, appending: &mut Appending, event: Event) {
        match event {
            Event::NeedInput => {}
            Event::AppendStart(append) => self.append_start(appending, append),
            Event::AppendMessage(head) => {
                if let Err(error) = Message::new(&head).and_then(|message| appending.begin(message)) {
                    self.append_fails(appending, error.reply());
                }
            }
            Event::AppendLiteral(literal) => self.append_literal(appending, literal),
            Event::AppendChunk(octets) => appending.feed(Feed::Octets(octets)),
            Event::AppendUrl(url) => appending.feed(Feed::Url(Box::new(Url::new(url)))),
            Event::AppendMessageEnd => appending.feed(Feed::End),
            Event::AppendEnd => {
                if let Some(command) = appending.coming() {
                    command.ended = true;
                }
            }
            Event::Refused(refused) if appending.coming().is_some() => append_refused(appending, &refused),
            // A URL comes as a literal.
            Event::Continue if appending.coming().is_some() => self.now_writer().continuation("OK"),
            other @ (Event::Continue | Event::Refused(_) | Event::Command(_) | Event::Line(_)) => {
                appending.held = Some(other);
            }
        }
    }

    fn append_start(&mut self, appending: &mut Appending, append: Append) {
        // A REPLACE names its message by what the client was told, and tells that it is gone: it shares with nobody.
        let alone = append.replaces.is_some() || appending.commands.iter().any(|one| one.append.replaces.is_some());
        if alone && !appending.commands.is_empty() {
            appending.held = Some(Event::AppendStart(append));
            return;
        }
        let why = match (&self.login, &self.view, append.replaces) {
            (None, _, _) => Some(Reply::bad("log in first")),
            // RFC 8508 §3.5.
            (Some(_), None, Some(_)) => Some(Reply::bad("select a mailbox first")),
            (Some(_), Some(view), Some(_)) if view.read_only => {
                Some(Reply::no(ResponseCode::ReadOnly, "the mailbox is open for reading only"))
            }
            (Some(_), _, _) => None,
        };
        appending.commands.push_back(Command::new(append));
        if let Some(why) = why {
            self.append_fails(appending, why);
        }
    }

    fn append_literal(&mut self, appending: &mut Appending, literal: AppendLiteral) {
        let Some(command) = appending.coming() else { return };
        let whole = matches!(literal.kind, LiteralKind::Message | LiteralKind::Utf8Message);
        if whole && literal.size == 0 {
            // RFC 3502 §6.3.11: this is how a client changes its mind.
            let reply = Reply::new(Status::No, None, "the message is empty: nothing was appended");
            return self.append_fails(appending, reply);
        }
        let utf8 = matches!(literal.kind, LiteralKind::Utf8Message | LiteralKind::Utf8Part);
        if utf8 && !self.enabled.utf8() {
            // RFC 6855 §3.
            return self.append_fails(appending, Reply::bad("UTF8 needs ENABLE UTF8=ACCEPT first"));
        }
        command.octets = command.octets.saturating_add(literal.size);
        if let Some(message) = command.messages.last_mut() {
            message.size = message.size.saturating_add(literal.size);
            if message.size > self.settings.message_size_max {
                let reply = Reply::no(ResponseCode::TooBig, "the message is too big");
                return self.append_fails(appending, reply);
            }
        }
        // Who does not wait is heard out: what is wrong is found when the message is filed.
        if literal.synchronising || literal.size > APPEND_CHUNK as u64 {
            appending.asked = Some(literal);
        } else {
            self.framer.accept_append();
        }
    }
}

impl Appending {
    /// The next message of the command that is coming.
    fn begin(&mut self, message: Message) -> Result<(), Error> {
        let Some(command) = self.coming() else { return Ok(()) };
        command.keywords = command.keywords.saturating_add(message.keyword_octets());
        if command.keywords > KEYWORDS_MAX {
            return Err(Error::no(ResponseCode::Limit, "so many keywords are too much at once"));
        }
        command.messages.push(message);
        Ok(())
    }

    /// Something for the message that is coming.
    fn feed(&mut self, feed: Feed) {
        if let Some(command) = self.coming() {
            command.push(feed);
        }
    }
}

fn append_refused(appending: &mut Appending, refused: &Refused) {
    appending.asked = None;
    if let Some(command) = appending.coming() {
        command.close = refused.close;
        command.fail(crate::steps::refusal(&refused.why));
    }
}
