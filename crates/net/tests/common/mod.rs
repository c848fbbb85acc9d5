//! A protocol of lines for the tests, and its world.
//!
//! `echo X` answers X; `job X` has a job done that answers; `slow` has a job done that the test releases; `lines N` answers
//! N long lines; `wait` waits for news; `starttls`, `compress`, `plain`, `close`, `crash`, `jobcrash`, `lose`, `facts` do what they say.

#![allow(dead_code, unreachable_pub, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use postroad_net::{
    Arrival, CertificateFiles, Certificates, Door, Fatal, Inherited, LimitSettings, Limits, Listener, Stop, Times, Tls,
    World, bind, self_made, serve,
};
use postroad_protocol::{Interrupt, Peer, Protocol, Step, TlsFacts};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

pub struct Lines {
    peer: Peer,
    tls: Option<TlsFacts>,
    input: Vec<u8>,
    output: Vec<u8>,
    greeted: bool,
    waiting: bool,
    left: usize,
    over: Option<Interrupt>,
    patience: Duration,
}

pub enum Job {
    Echo(String),
    Slow,
    News,
    Crash,
    Lose,
}

impl Lines {
    pub fn new(arrival: &Arrival) -> Lines {
        Lines {
            peer: arrival.peer,
            tls: arrival.tls.clone(),
            input: Vec::new(),
            output: Vec::new(),
            greeted: false,
            waiting: false,
            left: 0,
            over: None,
            patience: Duration::from_secs(60),
        }
    }

    pub fn say(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    fn line(&mut self) -> Option<String> {
        let end = self.input.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.input.drain(..=end).collect();
        Some(String::from_utf8(line).expect("text").trim_end().to_owned())
    }

    fn command(&mut self, line: &str) -> Option<Step<Job>> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "echo" => self.say(rest),
            "job" => return Some(Step::Do(Job::Echo(rest.to_owned()))),
            "slow" => return Some(Step::Do(Job::Slow)),
            "jobcrash" => return Some(Step::Do(Job::Crash)),
            "lose" => return Some(Step::Do(Job::Lose)),
            "crash" => panic!("the session crashed"),
            "lines" => self.left = rest.parse().expect("a number"),
            "wait" => self.waiting = true,
            "done" => {
                self.waiting = false;
                self.say("waited");
            }
            "starttls" => {
                self.say("go ahead");
                return Some(Step::StartTls);
            }
            "compress" => {
                self.say("compressed from here");
                return Some(Step::StartCompression);
            }
            "plain" => {
                self.say("the last of it");
                return Some(Step::EndCompression);
            }
            "facts" => {
                let facts = match &self.tls {
                    Some(tls) => format!(
                        "{} {} {} {}",
                        tls.version,
                        tls.cipher,
                        tls.group.as_deref().unwrap_or("-"),
                        tls.server_name.as_deref().unwrap_or("-")
                    ),
                    None => "clear".to_owned(),
                };
                self.say(&facts);
            }
            "peer" => self.say(&format!("{} {}", self.peer.remote, self.peer.local)),
            "close" => {
                self.say("bye");
                return Some(Step::Close);
            }
            other => panic!("the test said {other:?}"),
        }
        None
    }
}

impl Protocol for Lines {
    type Job = Job;

    fn input(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    fn step(&mut self) -> Step<Job> {
        if self.over.is_some() {
            return Step::Close;
        }
        if !self.greeted {
            self.greeted = true;
            self.say("hello");
        }
        loop {
            if self.left > 0 {
                self.left -= 1;
                return Step::Do(Job::Echo("x".repeat(1000)));
            }
            let Some(line) = self.line() else {
                return if self.waiting { Step::Wait(Job::News) } else { Step::Read };
            };
            if let Some(step) = self.command(&line) {
                return step;
            }
        }
    }

    fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    fn secured(&mut self, tls: TlsFacts) {
        self.input.clear();
        self.tls = Some(tls);
    }

    fn interrupt(&mut self, why: Interrupt) {
        self.over = Some(why);
        self.say(&format!("{why:?}"));
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    fn tick_every(&self) -> Option<Duration> {
        Some(Duration::from_secs(20))
    }

    fn tick(&mut self) {
        self.say("still here");
    }
}

/// `news` gets a permit for each piece of news, `release` one for each slow job; `begun` gets one when a slow job begins.
pub struct Test {
    pub news: Semaphore,
    pub release: Semaphore,
    pub begun: Semaphore,
}

impl Test {
    pub fn new() -> Arc<Test> {
        let none = || Semaphore::new(0);
        Arc::new(Test { news: none(), release: none(), begun: none() })
    }
}

impl World<Lines> for Test {
    async fn perform(&self, mut session: Lines, job: Job) -> Result<Lines, Fatal> {
        match job {
            Job::Echo(text) => session.say(&text),
            Job::News => session.say("news"),
            Job::Slow => {
                self.begun.add_permits(1);
                self.release.acquire().await.expect("never closed").forget();
                session.say("slow is done");
            }
            Job::Crash => panic!("the job crashed"),
            Job::Lose => return Err(Fatal::new("the test lost the session")),
        }
        Ok(session)
    }

    fn news(&self, _: &Lines, _: &Job) -> impl Future<Output = ()> + Send {
        let news = &self.news;
        async move { news.acquire().await.expect("never closed").forget() }
    }

    fn label(&self, job: &Job) -> &'static str {
        match job {
            Job::Echo(_) => "echo",
            Job::Slow => "slow",
            Job::News => "news",
            Job::Crash => "crash",
            Job::Lose => "lose",
        }
    }
}

pub struct Server {
    pub world: Arc<Test>,
    pub door: Door,
    pub address: std::net::SocketAddr,
    pub task: JoinHandle<()>,
    pub folder: tempfile::TempDir,
    pub certificates: Arc<Certificates>,
    pub files: CertificateFiles,
}

impl Server {
    /// Waits until no more connections are open than these.
    pub async fn open_at_most(&self, count: usize) {
        let gone = async {
            while self.door.limits.open() > count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.expect("connections end in time");
    }
}

/// What is waited for comes within this, or never. Not for tests whose clock stands.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn door(limits: LimitSettings, times: Times) -> (Door, Arc<Certificates>, CertificateFiles, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let names = ["mail.example.test".to_owned()];
    let files = self_made(folder.path(), &names, std::time::SystemTime::now()).expect("a certificate");
    let certificates = Certificates::load(vec![files.clone()]).expect("it loads");
    let tls = Tls::new(Arc::clone(&certificates)).expect("TLS");
    let door = Door::new(Limits::new(limits, None), Some(tls), Stop::new(), times, 7);
    (door, certificates, files, folder)
}

pub fn start(change: impl FnOnce(&mut Listener), limits: LimitSettings) -> Server {
    start_with(change, limits, Times::default())
}

pub fn start_with(change: impl FnOnce(&mut Listener), limits: LimitSettings, times: Times) -> Server {
    let mut listener = Listener::new("test", "127.0.0.1:0".parse().expect("an address"));
    change(&mut listener);
    let bound = bind(listener, &mut Inherited::none()).expect("a socket");
    let (door, certificates, files, folder) = door(limits, times);
    let (world, address) = (Test::new(), bound.address);
    let task = tokio::spawn(serve(bound, door.clone(), Arc::clone(&world), Lines::new));
    Server { world, door, address, task, folder, certificates, files }
}

pub struct Client<S> {
    pub stream: BufReader<S>,
}

impl Client<TcpStream> {
    pub async fn connect(server: &Server) -> Client<TcpStream> {
        Client { stream: BufReader::new(TcpStream::connect(server.address).await.expect("connected")) }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.expect("written");
        self.stream.flush().await.expect("flushed");
    }

    pub async fn expect(&mut self, line: &str) {
        assert_eq!(self.line().await, line);
    }

    pub async fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.expect("read");
        line.trim_end().to_owned()
    }

    /// What is left until the server closes.
    pub async fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest).await.expect("read");
        rest
    }
}
