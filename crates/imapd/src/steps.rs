//! What the session does next: bytes to events, events to commands, commands to jobs.
//!
//! Standards: RFC 9051 §2.2, §3, §5.4; RFC 2177 (IDLE); RFC 7888 (literals).

use std::time::Duration;

use postroad_imap::{Body, Event, Problem, Refusal, Refused, ResponseCode, Status, Tag};
use postroad_protocol::{Interrupt, Protocol, SignedIn, Step, TlsFacts};
use postroad_store::{Locks, ModSeq, Timestamp};

use crate::append::{Access as Needs, Appending, Next, Supply};
use crate::capability;
use crate::commands::{self, Access};
use crate::error::Reply;
use crate::job::{Job, Login};
use crate::login::Authenticating;
use crate::session::{Cursor, Session, Switch};
use crate::settings::{BAD_COMMANDS_MAX, IDLE_PATIENCE_MIN};

/// What the session is at.
#[derive(Debug, Default)]
pub(crate) enum Phase {
    /// The greeting is to be said.
    Greeting,
    /// Between commands.
    #[default]
    Ready,
    /// A command needs a job, or is in it.
    Working(Running),
    /// AUTHENTICATE asked something.
    Authenticating(Authenticating),
    /// What a client shows of itself waits to be verified; `None` once the world has it.
    LoggingIn(Box<Authenticating>, Option<Box<Login>>),
    /// A failed login is held back for a while.
    Penalty(Tag, Reply, Duration),
    /// APPENDs are coming.
    Appending(Box<Appending>),
    /// IDLE.
    Idle(Idle),
    /// STARTTLS was answered.
    StartTls,
    /// The last words are said.
    Closing,
}

/// A command that needs jobs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) tag: Tag,
    /// The row's, for metrics.
    pub(crate) name: &'static str,
    pub(crate) body: Body,
    pub(crate) cursor: Cursor,
    /// Its next job writes.
    pub(crate) writes: bool,
    pub(crate) stage: Stage,
    /// When the client was told last how far it is; at first, when its first job ran.
    pub(crate) progress_at: Option<Timestamp>,
}

/// Where a command is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The view is to be brought up to date.
    Before,
    /// The handler works.
    Main,
    /// The handler is done: what else happened is to be told, then this.
    After(Reply),
}

/// A client that waits for news.
#[derive(Debug)]
pub(crate) struct Idle {
    pub(crate) tag: Tag,
    /// What was heard of the account. -1 until the first look; the highest there is after a look that failed,
    /// so that only a tick leads to the next.
    pub(crate) heard: ModSeq,
    /// The same of the account that logged in, while a mailbox of another is selected: its keys for URLs (RFC 4467 §7).
    pub(crate) heard_login: ModSeq,
    /// A look goes on: there is more to tell.
    pub(crate) more: bool,
}

impl Protocol for Session {
    type Job = Job;

    fn input(&mut self, bytes: &[u8]) {
        self.framer.feed(bytes);
    }

    fn step(&mut self) -> Step<Job> {
        loop {
            match self.switch.take() {
                Some(Switch::On) => return Step::StartCompression,
                Some(Switch::Off) => return Step::EndCompression,
                None => {}
            }
            if self.claims_next && !matches!(self.phase, Phase::Closing) {
                return Step::Do(self.data_job(true, "claim"));
            }
            let tells = self.has_more_to_tell();
            match &mut self.phase {
                Phase::Greeting => {
                    self.greet();
                    self.phase = Phase::Ready;
                }
                Phase::Closing => return Step::Close,
                Phase::StartTls => return Step::StartTls,
                Phase::Working(running) => {
                    let (writes, name) = (running.writes, running.name);
                    return Step::Do(self.data_job(writes, name));
                }
                Phase::LoggingIn(_, login) => {
                    return match login.take() {
                        Some(login) => Step::Do(Job::Login(*login)),
                        None => Step::Read,
                    };
                }
                Phase::Penalty(_, _, delay) => return Step::Do(Job::Pause(*delay)),
                Phase::Appending(_) => {
                    if let Some(step) = self.appending() {
                        return step;
                    }
                }
                Phase::Idle(idle) if idle.more => return Step::Do(Job::Read("idle")),
                Phase::Ready if tells => return Step::Do(Job::Read("notify")),
                Phase::Ready | Phase::Authenticating(_) | Phase::Idle(_) => {
                    let event = self.framer.next_event();
                    if event == Event::NeedInput {
                        return self.wait();
                    }
                    self.event(event);
                }
            }
        }
    }

    fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn secured(&mut self, tls: TlsFacts) {
        // RFC 9051 §6.2.1: what came in clear behind STARTTLS counts for nothing.
        self.framer.clear();
        self.tls = Some(tls);
        self.phase = Phase::Ready;
    }

    fn interrupt(&mut self, why: Interrupt) {
        let text = match why {
            Interrupt::TimedOut => "autologout: nothing was heard for too long",
            Interrupt::ShuttingDown => "the server stops; come back soon",
            Interrupt::Closed => "goodbye",
            Interrupt::CutOff => "what you signed in with was taken away",
        };
        let code = (why == Interrupt::ShuttingDown).then_some(ResponseCode::Unavailable);
        self.say_bye(code, text);
    }

    fn signed_in(&self) -> Option<SignedIn> {
        let login = self.login.as_ref()?;
        Some(SignedIn { account: login.holder().0, by: login.credential(), into: login.account().0 })
    }

    fn patience(&self) -> Duration {
        match (&self.phase, &self.login) {
            (Phase::Idle(_), _) => self.settings.patience.max(IDLE_PATIENCE_MIN),
            (_, Some(_)) => self.settings.patience,
            (_, None) => self.settings.patience_before_login,
        }
    }

    fn tick_every(&self) -> Option<Duration> {
        let listens = match self.phase {
            Phase::Idle(_) => true,
            Phase::Ready => self.notify.is_some(),
            Phase::Greeting
            | Phase::Working(_)
            | Phase::Authenticating(_)
            | Phase::LoggingIn(..)
            | Phase::Penalty(..)
            | Phase::Appending(_)
            | Phase::StartTls
            | Phase::Closing => false,
        };
        listens.then_some(self.settings.idle_tick)
    }

    fn tick(&mut self) {
        if let Some(notify) = &mut self.notify {
            notify.tick();
        }
        let Phase::Idle(idle) = &mut self.phase else { return };
        // A look at each tick heals a hint that was lost, and a look that failed.
        idle.more = self.view.is_some() || self.enabled.annotations.is_some() || self.notify.is_some();
        self.now_writer().untagged(Status::Ok, None, "Still here");
    }
}

impl Session {
    fn greet(&mut self) {
        let capabilities = capability::list(self).join(" ");
        let code = ResponseCode::Capability(capabilities);
        self.now_writer().untagged(Status::Ok, Some(&code), "Postroad is ready");
    }

    /// `* BYE`, then the end. In the middle of a literal only the end: every word would be taken for a part of
    /// the message.
    pub(crate) fn say_bye(&mut self, code: Option<ResponseCode>, text: &str) {
        let pushes = self.pushing.as_ref().is_some_and(|pushing| pushing.is_in_literal());
        if pushes || matches!(&self.phase, Phase::Working(running) if running.cursor.is_in_literal()) {
            self.phase = Phase::Closing;
            return;
        }
        self.now_writer().untagged(Status::Bye, code.as_ref(), text);
        self.phase = Phase::Closing;
    }

    fn data_job(&self, writes: bool, name: &'static str) -> Job {
        match (&self.login, writes) {
            (Some(_), true) => Job::Write(Locks::accounts(self.locks()), name),
            (Some(_), false) | (None, _) => Job::Read(name),
        }
    }

    fn wait(&self) -> Step<Job> {
        if matches!(self.phase, Phase::Idle(_) | Phase::Ready)
            && let Some(accounts) = self.listens()
        {
            return Step::Wait(Job::Idle { accounts });
        }
        match (&self.phase, &self.view) {
            (Phase::Idle(idle), Some(view)) => {
                let mut accounts = vec![(view.account, idle.heard)];
                let login = self.login.as_ref().map(|login| login.account());
                accounts.extend(login.filter(|login| *login != view.account).map(|login| (login, idle.heard_login)));
                Step::Wait(Job::Idle { accounts })
            }
            (Phase::Idle(Idle { heard: since, .. }), None) if self.enabled.annotations.is_some() => match &self.login {
                Some(login) => Step::Wait(Job::Idle { accounts: vec![(login.account(), *since)] }),
                None => Step::Read,
            },
            _ => Step::Read,
        }
    }

    /// Whether a look goes on before the next command.
    fn has_more_to_tell(&self) -> bool {
        let pushes = self.pushing.is_some() || (self.view.is_some() && !self.fresh.is_empty());
        pushes || self.notify.as_ref().is_some_and(|notify| notify.more)
    }

    /// APPENDs go on. `None`: look again.
    fn appending(&mut self) -> Option<Step<Job>> {
        let job = |session: &Session, needs| match needs {
            Needs::Read => Job::Read("append"),
            Needs::Disk => Job::Disk,
            Needs::Write => session.data_job(true, "append"),
        };
        match self.append_step(Supply::More) {
            Some(Next::Job(needs)) => return Some(Step::Do(job(self, needs))),
            Some(Next::Again) => return None,
            None => {}
        }
        let event = self.framer.next_event();
        if event != Event::NeedInput {
            self.append_event(event);
            return None;
        }
        match self.append_step(Supply::Dry) {
            Some(Next::Job(needs)) => Some(Step::Do(job(self, needs))),
            Some(Next::Again) => None,
            None => Some(Step::Read),
        }
    }

    pub(crate) fn event(&mut self, event: Event) {
        match event {
            Event::NeedInput => {}
            Event::Continue => self.now_writer().continuation("OK"),
            Event::Command(frame) => self.command(&frame),
            Event::Line(line) => self.line(&line),
            Event::AppendStart(_)
            | Event::AppendMessage(_)
            | Event::AppendLiteral(_)
            | Event::AppendChunk(_)
            | Event::AppendUrl(_)
            | Event::AppendMessageEnd
            | Event::AppendEnd => self.append_event(event),
            Event::Refused(refused) => self.refused(&refused),
        }
    }

    fn command(&mut self, frame: &[u8]) {
        // iOS sends an empty line before a command, and others after a literal: no command, no answer.
        if frame.trim_ascii().is_empty() {
            return;
        }
        let command = match postroad_imap::parse(frame, self.framer.syntax()) {
            Ok(command)
                if self.enabled.utf8 && postroad_imap::command::search::names_charset(frame, self.framer.syntax()) =>
            {
                // RFC 6855 §3.
                let reply = Reply::bad("with UTF8=ACCEPT SEARCH names no charset");
                return self.complain(Some(&command.tag), &reply);
            }
            Ok(command) => command,
            Err(error) => {
                let charsets = || ResponseCode::BadCharset(vec!["UTF-8".into(), "US-ASCII".into()]);
                let reply = match &error.problem {
                    Problem::BadCharset(_) => Reply::no(charsets(), error.to_string()),
                    Problem::FilterCharset => Reply::new(Status::Bad, Some(charsets()), error.to_string()),
                    // RFC 6154 §3.
                    Problem::UnknownUse(_) => Reply::no(ResponseCode::UseAttr, error.to_string()),
                    Problem::Unsearchable(what) => Reply::no(ResponseCode::Cannot, *what),
                    Problem::UnknownCommand(_) | Problem::Expected(_) | Problem::TooMuch(_) => {
                        Reply::bad(error.to_string())
                    }
                };
                return self.complain(error.tag.as_ref(), &reply);
            }
        };
        let (name, states, access) = {
            let row = commands::row(&command.body);
            (row.name, row.states, row.access(self))
        };
        if !states.allow(self) {
            let reply = Reply::bad(format!("{}: {}", name.to_ascii_uppercase(), states.why_not(self)));
            return self.complain(Some(&command.tag), &reply);
        }
        if self.enabled.uid_only && commands::names_numbers(&command.body) {
            // RFC 9586 §3.2.
            let text = "after ENABLE UIDONLY messages are named by UID";
            let reply = Reply::new(Status::Bad, Some(ResponseCode::UidRequired), text);
            return self.complain(Some(&command.tag), &reply);
        }
        self.more_locks.clear();
        match access {
            Access::None => {
                let Some(reply) = commands::run_now(self, &command.tag, &command.body) else { return };
                if reply.status != Status::Bad {
                    self.bad_commands = 0;
                }
                self.complain(Some(&command.tag), &reply);
            }
            Access::Read | Access::Write => {
                let writes = access == Access::Write;
                let mut running = Running::new(command.tag, name, command.body);
                running.writes = writes;
                self.phase = Phase::Working(running);
            }
        }
    }

    /// A raw line: an answer in AUTHENTICATE, or DONE.
    fn line(&mut self, line: &[u8]) {
        match std::mem::take(&mut self.phase) {
            Phase::Authenticating(authenticating) => self.authenticate_line(authenticating, line),
            // A stray empty line is no answer.
            Phase::Idle(idle) if line.is_empty() => {
                self.framer.expect_line();
                self.phase = Phase::Idle(idle);
            }
            Phase::Idle(idle) => {
                let reply = if line.trim_ascii().eq_ignore_ascii_case(b"DONE") {
                    Reply::ok("IDLE done")
                } else {
                    Reply::bad("DONE was expected")
                };
                self.answer(&idle.tag, &reply);
            }
            other @ (Phase::Greeting
            | Phase::Ready
            | Phase::Working(_)
            | Phase::LoggingIn(..)
            | Phase::Penalty(..)
            | Phase::Appending(_)
            | Phase::StartTls
            | Phase::Closing) => self.phase = other,
        }
    }

    fn refused(&mut self, refused: &Refused) {
        // A line that was no command belongs to the command that asked for it.
        let asked = match &self.phase {
            Phase::Appending(_) => None,
            Phase::Authenticating(authenticating) => Some(authenticating.tag().clone()),
            Phase::Idle(idle) => Some(idle.tag.clone()),
            Phase::Greeting
            | Phase::Ready
            | Phase::Working(_)
            | Phase::LoggingIn(..)
            | Phase::Penalty(..)
            | Phase::StartTls
            | Phase::Closing => None,
        };
        self.phase = Phase::Ready;
        let reply = refusal(&refused.why);
        self.complain(refused.tag.as_ref().or(asked.as_ref()), &reply);
        if refused.close {
            self.say_bye(None, "cannot go on after that");
        }
    }

    /// Answers what was no command, and ends a session that sends nothing else.
    pub(crate) fn complain(&mut self, tag: Option<&Tag>, reply: &Reply) {
        match tag {
            Some(tag) => self.answer(tag, reply),
            None => self.now_writer().untagged(reply.status, reply.code.as_ref(), &reply.text),
        }
        if reply.status == Status::Bad {
            self.bad_commands += 1;
            if self.bad_commands >= BAD_COMMANDS_MAX {
                self.say_bye(None, "too many commands that are none");
            }
        }
    }
}

/// What a client is told whose command the framer did not take.
pub(crate) fn refusal(why: &Refusal) -> Reply {
    let text = why.to_string();
    match why {
        Refusal::LineTooLong | Refusal::Append(_) => Reply::bad(text),
        Refusal::LiteralTooBig => Reply::new(Status::Bad, Some(ResponseCode::TooBig), text),
        Refusal::MessageTooBig => Reply::no(ResponseCode::TooBig, text),
        Refusal::TooManyMessages(most) => Reply::no(ResponseCode::MessageLimit(*most, None), text),
        Refusal::TooManyParts => Reply::no(ResponseCode::Limit, text),
    }
}
