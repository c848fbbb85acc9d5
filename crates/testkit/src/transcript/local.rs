//! Sessions replayed in process: no sockets, no runtime; the stage performs their jobs.

use std::collections::BTreeMap;

use postroad_protocol::{Interrupt, Protocol, Step, TlsFacts};

use super::replay::Wire;
use super::{Directive, Open};

/// The world of a transcript: opens sessions and performs their jobs, synchronously.
pub trait Stage<P: Protocol> {
    /// Makes the session that `@open` or the first line asks for.
    fn open(&mut self, open: &Open) -> Result<P, String>;

    /// Does the job and gives the session back.
    fn perform(&mut self, session: P, job: P::Job) -> P;

    /// Does what a directive of the transcript says.
    fn directive(&mut self, directive: &Directive) -> Result<(), String> {
        Err(format!("this stage knows no @{}", directive.name))
    }
}

/// All sessions of one transcript and their stage.
pub struct Local<P: Protocol, S> {
    stage: S,
    sessions: BTreeMap<u32, Running<P>>,
}

struct Running<P: Protocol> {
    /// Empty only while a step runs.
    session: Option<P>,
    output: Vec<u8>,
    waits_for: Option<P::Job>,
    closed: bool,
}

impl<P: Protocol, S: Stage<P>> Local<P, S> {
    /// No session is open yet.
    pub fn new(stage: S) -> Local<P, S> {
        Local { stage, sessions: BTreeMap::new() }
    }

    fn running(&mut self, session: u32) -> Result<(&mut S, &mut Running<P>), String> {
        let running = self.sessions.get_mut(&session).ok_or_else(|| format!("session {session} is not open"))?;
        Ok((&mut self.stage, running))
    }
}

impl<P: Protocol> Running<P> {
    /// Drains the session's steps as the connection loop does.
    fn run(&mut self, stage: &mut impl Stage<P>) -> Result<(), String> {
        for _ in 0..MAX_STEPS {
            let mut session = self.session.take().ok_or("the stage lost the session")?;
            let step = session.step();
            self.output.extend(session.take_output());
            match step {
                Step::Do(job) => session = stage.perform(session, job),
                Step::StartTls => session.secured(handshake()),
                // What is compressed is the wire's own affair; transcripts show the octets before and behind it.
                Step::StartCompression | Step::EndCompression => {}
                Step::Read => return self.rest(session, None),
                Step::Wait(job) => return self.rest(session, Some(job)),
                Step::Close => {
                    self.closed = true;
                    return self.rest(session, None);
                }
            }
            self.session = Some(session);
        }
        Err(format!("the session took more than {MAX_STEPS} steps without reading"))
    }

    fn rest(&mut self, mut session: P, waits_for: Option<P::Job>) -> Result<(), String> {
        self.output.extend(session.take_output());
        self.session = Some(session);
        self.waits_for = waits_for;
        Ok(())
    }

    /// Tells a waiting session of news.
    fn news(&mut self, stage: &mut impl Stage<P>) -> Result<(), String> {
        if let Some(job) = self.waits_for.take() {
            let session = self.session.take().ok_or("the stage lost the session")?;
            self.session = Some(stage.perform(session, job));
            self.run(stage)?;
        }
        Ok(())
    }
}

impl<P: Protocol, S: Stage<P>> Wire for Local<P, S> {
    fn open(&mut self, open: &Open) -> Result<(), String> {
        let session = self.stage.open(open)?;
        let mut running = Running { session: Some(session), output: Vec::new(), waits_for: None, closed: false };
        running.run(&mut self.stage)?;
        self.sessions.insert(open.session, running);
        Ok(())
    }

    fn is_open(&self, session: u32) -> bool {
        self.sessions.contains_key(&session)
    }

    fn send(&mut self, session: u32, bytes: &[u8]) -> Result<(), String> {
        let (stage, running) = self.running(session)?;
        if running.closed {
            return Err(format!("session {session} is closed and cannot be sent anything"));
        }
        running.waits_for = None;
        // The loop reads in bounded pieces; a session may rely on that.
        for piece in bytes.chunks(PIECE) {
            if running.closed {
                break;
            }
            running.session.as_mut().ok_or("the stage lost the session")?.input(piece);
            running.run(stage)?;
        }
        Ok(())
    }

    fn line(&mut self, session: u32) -> Result<Option<Vec<u8>>, String> {
        let (stage, running) = self.running(session)?;
        if running.output.is_empty() {
            running.news(stage)?;
        }
        Ok(take_line(&mut running.output))
    }

    fn unread(&mut self, session: u32) -> Result<Option<Vec<u8>>, String> {
        let (_, running) = self.running(session)?;
        Ok(take_line(&mut running.output))
    }

    fn closed(&mut self, session: u32) -> Result<bool, String> {
        Ok(self.running(session)?.1.closed)
    }

    fn interrupt(&mut self, session: u32, why: Interrupt) -> Result<(), String> {
        let (stage, running) = self.running(session)?;
        running.session.as_mut().ok_or("the stage lost the session")?.interrupt(why);
        running.run(stage)
    }

    fn directive(&mut self, directive: &Directive) -> Result<(), String> {
        self.stage.directive(directive)
    }
}

/// Takes one line without its CRLF, or what is left when there is none.
pub(super) fn take_line(output: &mut Vec<u8>) -> Option<Vec<u8>> {
    if output.is_empty() {
        return None;
    }
    let end = output.windows(2).position(|pair| pair == b"\r\n");
    let mut line: Vec<u8> = output.drain(..end.map_or(output.len(), |end| end + 2)).collect();
    if end.is_some() {
        line.truncate(line.len() - 2);
    }
    Some(line)
}

/// What every handshake in a transcript establishes.
fn handshake() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3",
        cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
        group: Some("X25519MLKEM768".to_owned()),
        server_name: None,
        ..TlsFacts::default()
    }
}

const MAX_STEPS: usize = 100_000;
const PIECE: usize = 16 * 1024;
