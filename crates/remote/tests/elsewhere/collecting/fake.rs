//! A POP3 server that breaks off, lies and lacks things, as the test wants.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How it is.
#[derive(Clone)]
pub(crate) struct Manner {
    /// The connection ends before so many-th reply.
    pub(crate) breaks_after: Option<usize>,
    /// It has UIDL.
    pub(crate) uidl: bool,
    /// All messages have one name.
    pub(crate) one_name: bool,
    /// What its greeting begins with.
    pub(crate) greeting: &'static str,
    /// Lines, and messages, never end.
    pub(crate) endless: bool,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner { breaks_after: None, uidl: true, one_name: false, greeting: "+OK", endless: false }
    }
}

struct State {
    /// With the number that is its name.
    mails: Vec<(u32, Vec<u8>)>,
    next: u32,
    removed: usize,
    manner: Manner,
}

pub(crate) struct Fake {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Fake {
    pub(crate) fn start(mails: Vec<Vec<u8>>, manner: Manner) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { mails: Vec::new(), next: 0, removed: 0, manner }));
        let fake = Fake { port, state: Arc::clone(&state) };
        mails.into_iter().for_each(|mail| fake.add(mail));
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let Ok(socket) = socket else { return };
                let state = Arc::clone(&state);
                std::thread::spawn(move || {
                    let _ = talk(&socket, &state);
                });
            }
        });
        fake
    }

    pub(crate) fn url(&self) -> String {
        format!("pop3+insecure://alice@127.0.0.1:{}", self.port)
    }

    pub(crate) fn add(&self, mail: Vec<u8>) {
        let mut state = self.state.lock().unwrap();
        state.next += 1;
        let name = state.next;
        state.mails.push((name, mail));
    }

    /// It breaks off no more.
    pub(crate) fn mend(&self) {
        self.state.lock().unwrap().manner = Manner::default();
    }

    pub(crate) fn count(&self) -> usize {
        self.state.lock().unwrap().mails.len()
    }

    pub(crate) fn removed(&self) -> usize {
        self.state.lock().unwrap().removed
    }
}

fn talk(mut socket: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let (mails, manner) = {
        let state = state.lock().unwrap();
        (state.mails.clone(), state.manner.clone())
    };
    let mut lines = BufReader::new(socket.try_clone()?).lines();
    let (mut said, mut marked) = (0, Vec::new());
    let mut say = |octets: &[u8]| {
        if manner.breaks_after == Some(said) {
            return Err(std::io::Error::other("it breaks off"));
        }
        said += 1;
        socket.write_all(octets)
    };
    if manner.greeting.is_empty() {
        while say(&[b'x'; 4096]).is_ok() {}
    }
    say(format!("{} ready\r\n", manner.greeting).as_bytes())?;
    while let Some(Ok(line)) = lines.next() {
        let (verb, number) = line.split_once(' ').unwrap_or((&line, ""));
        let at = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let list = |one: &dyn Fn(usize) -> String| -> String {
            let rows: String = (0..mails.len()).map(|at| format!("{} {}\r\n", at + 1, one(at))).collect();
            format!("+OK\r\n{rows}.\r\n")
        };
        match verb {
            "USER" | "PASS" => say(b"+OK\r\n")?,
            "STLS" => say(b"+OK\r\n+OK and a reply to what was not said yet\r\n")?,
            "LIST" => say(list(&|at| mails[at].1.len().to_string()).as_bytes())?,
            "UIDL" if manner.uidl => {
                let name = |at: usize| if manner.one_name { "same".to_owned() } else { mails[at].0.to_string() };
                say(list(&name).as_bytes())?;
            }
            "RETR" => {
                let text = String::from_utf8(mails[at.unwrap()].1.clone()).unwrap();
                let text = text.replace("\r\n.", "\r\n..");
                say(format!("+OK\r\n{text}").as_bytes())?;
                while manner.endless && say(&[b'x'; 4096]).is_ok() {}
                say(b".\r\n")?;
            }
            "DELE" => {
                marked.push(mails[at.unwrap()].0);
                say(b"+OK\r\n")?;
            }
            "QUIT" => {
                let mut state = state.lock().unwrap();
                state.mails.retain(|(name, _)| !marked.contains(name));
                state.removed += marked.len();
                drop(state);
                return say(b"+OK\r\n");
            }
            _ => say(b"-ERR what\r\n")?,
        }
    }
    Ok(())
}
