//! The replayer against a toy session: what matches passes, what differs is shown where it differs.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use postroad_protocol::{Interrupt, Protocol, Step, TlsFacts};
use postroad_testkit::transcript::{self, Directive, Open, Stage};

/// Repeats lines; `wait` waits for news, `tls` starts TLS, `quit` closes.
#[derive(Default)]
struct Echo {
    greeted: bool,
    input: Vec<u8>,
    output: Vec<u8>,
    waits: bool,
    closing: bool,
}

enum Job {
    Count,
    News,
}

impl Protocol for Echo {
    type Job = Job;

    fn input(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.waits = false;
    }

    fn step(&mut self) -> Step<Job> {
        if !self.greeted {
            self.greeted = true;
            self.output.extend(b"hello\r\n");
        }
        if self.closing {
            return Step::Close;
        }
        let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") else {
            return if self.waits { Step::Wait(Job::News) } else { Step::Read };
        };
        let line: Vec<u8> = self.input.drain(..end + 2).take(end).collect();
        match line.as_slice() {
            b"count" => return Step::Do(Job::Count),
            b"wait" => self.waits = true,
            b"tls" => {
                self.output.extend(b"go ahead\r\n");
                return Step::StartTls;
            }
            b"quit" => {
                self.output.extend(b"bye\r\n");
                self.closing = true;
            }
            other => {
                self.output.extend(other);
                self.output.extend(b"\r\n");
            }
        }
        self.step()
    }

    fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    fn secured(&mut self, tls: TlsFacts) {
        self.output.extend(format!("secured by {}\r\n", tls.version).bytes());
    }

    fn interrupt(&mut self, _: Interrupt) {
        self.output.extend(b"interrupted\r\n");
        self.closing = true;
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(1)
    }
}

#[derive(Default)]
struct Counter {
    count: u32,
    news: Vec<String>,
}

impl Stage<Echo> for Counter {
    fn open(&mut self, open: &Open) -> Result<Echo, String> {
        match open.words.first().map(String::as_str) {
            None => Ok(Echo::default()),
            Some("silent") => Ok(Echo { greeted: true, ..Echo::default() }),
            Some(other) => Err(format!("no session is {other}")),
        }
    }

    fn perform(&mut self, mut session: Echo, job: Job) -> Echo {
        match job {
            Job::Count => {
                self.count += 1;
                session.output.extend(format!("count {}\r\n", self.count).bytes());
            }
            Job::News => {
                for news in self.news.drain(..) {
                    session.output.extend(format!("news: {news}\r\n").bytes());
                }
            }
        }
        session
    }

    fn directive(&mut self, directive: &Directive) -> Result<(), String> {
        match (directive.name.as_str(), &directive.block) {
            ("news", Some(block)) => self.news.extend(block.lines().map(str::to_owned)),
            ("news", None) => self.news.push(directive.words.join(" ")),
            _ => return Err("only @news".to_owned()),
        }
        Ok(())
    }
}

const GOOD: &str = r"# Two sessions, pipelining, kept words, news.
S: hello
C: one
C: two
S~: two
S~: one
C: count
S: count {n}
C: again {=n}
S: again 1
C!: a\x01b\r\nc\r\n
S: a\x01b
S: c
@block text <<END
line
END
C: {len=text}
S: 6
C=: text
S: line
C<<END
x
y
END
S*: y
@open 2 silent
C2: wait
@quiet 2
@news <<END
mail {=n}
END
S2: news: mail {=n}
C2: tls
S2: go ahead
S2: secured by TLSv1.3
@interrupt 2 timed-out
S2: interrupted
@closed 2
C: quit
S: bye
@closed 1
";

#[test]
fn a_conversation_goes_as_written() {
    let text = GOOD.replace("mail {=n}\nEND", "mail 1\nEND");
    transcript::check(&text, Counter::default());
    let outcome = transcript::replay(&text, Counter::default());
    assert_eq!(outcome.updated, text, "what matches is left as it is written");
}

#[test]
fn a_difference_is_marked_and_can_be_written_down() {
    let cases = [
        ("S: hello\nC: a\nS: b\n", "S: hello\nC: a\n>>>> expected `S: b`\nS: a\n", "S: hello\nC: a\nS: a\n"),
        ("C: a\nS: a\n", ">>>> this answer is not written down\nS: hello\nC: a\nS: a\n", "S: hello\nC: a\nS: a\n"),
        ("S: hello\nS: more\n", "S: hello\n>>>> expected `S: more`, but session 1 says nothing\n", "S: hello\n"),
        (
            "S: hello\nC2: x\n",
            "S: hello\n>>>> this answer is not written down\nS2: hello\nC2: x\n>>>> this answer is not written down\nS2: x\n",
            "S: hello\nS2: hello\nC2: x\nS2: x\n",
        ),
    ];
    for (text, conversation, updated) in cases {
        let outcome = transcript::replay(text, Counter::default());
        assert!(outcome.problem.is_some(), "{text}");
        assert_eq!(outcome.conversation, conversation);
        assert_eq!(outcome.updated, updated);
        assert!(outcome.can_update);
    }
    for broken in ["S: hello\nhm\n", "@open 1 loud\n", "@unknown\n", "S: hello\nC: quit\nS: bye\nC: x\n"] {
        let outcome = transcript::replay(broken, Counter::default());
        assert!(outcome.problem.is_some() && !outcome.can_update, "{broken}");
    }
}

#[test]
fn the_same_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the replayer connects");
        stream.write_all(b"hello\r\n").expect("it reads");
        let reader = BufReader::new(stream.try_clone().expect("a second handle"));
        for line in reader.lines() {
            let line = line.expect("text");
            stream.write_all(format!("{line}\r\n").as_bytes()).expect("it reads");
            if line == "bye" {
                return;
            }
        }
    });
    transcript::check_tcp("S: hello\nC: a\nC: b\nS: a\nS: {*}\nC: bye\nS: bye\n@closed 1\n", |_| {
        TcpStream::connect(address).map_err(|error| error.to_string())
    });
    server.join().expect("the server ends");
}
