//! Requests and answers over a socket.

use std::io::{BufReader, BufWriter, Read, Write};
use std::sync::mpsc;

use postroad_archive::wire::{self, Kind};
use tokio::sync::oneshot;

use super::{Answer, Grants, Local, Opening, Request};
use crate::{Error, Result};

/// A request with its octets, and whom to answer.
type Asked = (Request, Vec<u8>, oneshot::Sender<Result<(Answer, Vec<u8>)>>);

/// The caller's end. Requests are answered in their order; dropping it ends the work.
#[derive(Debug, Clone)]
pub struct Desk {
    to: mpsc::SyncSender<Asked>,
}

impl Desk {
    /// Over a socket whose other end is [`serve`]. The first answer tells what is known.
    pub fn connect(stream: std::os::unix::net::UnixStream) -> Result<(Desk, Answer)> {
        let mut from = BufReader::with_capacity(BUFFER, stream.try_clone()?);
        let (answer, _) = read_answer(&mut from)?;
        if let Answer::Refused(why) = answer {
            return Err(Error::Here(why));
        }
        let (to, asked) = mpsc::sync_channel::<Asked>(WAITING_MAX);
        std::thread::Builder::new().name("desk".into()).spawn(move || {
            let mut out = BufWriter::with_capacity(BUFFER, &stream);
            while let Ok((request, octets, reply)) = asked.recv() {
                let answer = exchange(&mut out, &mut from, &request, &octets);
                let broken = answer.is_err();
                // Who asked may have given up.
                let _ = reply.send(answer);
                if broken {
                    break;
                }
            }
            let _ = out.flush();
            let _ = stream.shutdown(std::net::Shutdown::Both);
        })?;
        Ok((Desk { to }, answer))
    }

    /// Asks, and gives what will have the answer.
    pub fn begin(&self, request: Request, octets: Vec<u8>) -> Result<Waiting> {
        let (reply, answer) = oneshot::channel();
        // As many may wait as one caller asks at once: this does not block.
        self.to.send((request, octets, reply)).map_err(|_| gone())?;
        Ok(Waiting(answer))
    }

    /// Asks and waits.
    pub async fn ask(&self, request: Request) -> Result<Answer> {
        self.begin(request, Vec::new())?.answer().await
    }
}

/// An answer that will come.
#[derive(Debug)]
pub struct Waiting(oneshot::Receiver<Result<(Answer, Vec<u8>)>>);

impl Waiting {
    /// Waits for it. Errors: `Here` with the store's own words.
    pub async fn answer(self) -> Result<Answer> {
        self.octets().await.map(|(answer, _)| answer)
    }

    /// The same with the octets that came along.
    pub async fn octets(self) -> Result<(Answer, Vec<u8>)> {
        match self.0.await.map_err(|_| gone())?? {
            (Answer::Refused(why), _) => Err(Error::Here(why)),
            (Answer::Later(why), _) => Err(Error::Network(why)),
            answer => Ok(answer),
        }
    }
}

fn gone() -> Error {
    Error::Here("the server's side has ended; run the same command again to go on".into())
}

fn exchange(out: &mut impl Write, from: &mut impl Read, request: &Request, octets: &[u8]) -> Result<(Answer, Vec<u8>)> {
    let sent = wire::write_message(out, request, octets)
        .and_then(|()| out.flush().map_err(|error| postroad_archive::Error::Peer(error.to_string())));
    sent.map_err(|_| gone())?;
    read_answer(from)
}

fn read_answer(from: &mut impl Read) -> Result<(Answer, Vec<u8>)> {
    let (_, frame) = wire::read(from).map_err(|_| gone())?;
    let (answer, octets) = wire::split_message::<Answer>(&frame)?;
    Ok((answer, octets.to_vec()))
}

/// Answers a caller until it goes. Blocks.
pub fn serve(
    store: &postroad_store::Store,
    account: postroad_store::AccountId,
    opening: &Opening,
    clock: impl Fn() -> postroad_store::Timestamp,
    grants: &dyn Grants,
    from: impl Read,
    to: impl Write,
) -> Result<()> {
    let mut from = BufReader::with_capacity(BUFFER, from);
    let mut to = BufWriter::with_capacity(BUFFER, to);
    let mut local = match Local::open(store, account, opening, clock()) {
        Ok((local, answer)) => {
            write_answer(&mut to, &answer, &[])?;
            local
        }
        Err(error) => return write_answer(&mut to, &Answer::Refused(error.to_string()), &[]),
    };
    loop {
        // A caller that goes, or is killed, has nothing more to ask.
        let Ok((Kind::Message, frame)) = wire::read(&mut from) else { return Ok(()) };
        let (request, octets) = wire::split_message::<Request>(&frame)?;
        let answered = match request {
            Request::Token => {
                grants.token(&opening.place).map(|token| (Answer::Octets, token.unwrap_or_default().into_bytes()))
            }
            Request::Granted => grants.keep(&opening.place, octets).map(|()| (Answer::Done, Vec::new())),
            request => local.answer(clock(), request, octets),
        };
        let (answer, out) = match answered {
            Ok(answered) => answered,
            Err(Error::Network(why)) => (Answer::Later(why), Vec::new()),
            Err(error) => (Answer::Refused(error.to_string()), Vec::new()),
        };
        write_answer(&mut to, &answer, &out)?;
    }
}

fn write_answer(to: &mut impl Write, answer: &Answer, octets: &[u8]) -> Result<()> {
    wire::write_message(to, answer, octets)?;
    to.flush().map_err(Error::from)
}

/// Requests that may wait for the thread.
const WAITING_MAX: usize = 64;
const BUFFER: usize = 256 * 1024;
