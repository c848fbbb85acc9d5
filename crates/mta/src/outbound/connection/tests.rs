//! Hosts that stall, over a pipe, on a clock that moves when nothing else does.

use postroad_smtp::client::{Fate, TlsWish};
use postroad_smtp::{Address, ForwardPath, RcptTo};
use postroad_store::{BlobId, Locks, Store};
use postroad_testkit::TestStore;
use tokio::io::{AsyncBufReadExt, BufReader, DuplexStream, duplex};

use super::super::halt::Brake;
use super::*;

/// A host that answers so many commands and then says nothing more, but goes on reading, or does not.
async fn host(pipe: DuplexStream, answers: usize, reads_on: bool) {
    let (reader, mut writer) = tokio::io::split(pipe);
    let mut reader = BufReader::new(reader);
    let replies = ["220 h\r\n", "250 h\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"];
    for (number, reply) in replies.iter().take(answers).enumerate() {
        let mut line = String::new();
        // The greeting answers nothing.
        if number > 0 && reader.read_line(&mut line).await.is_err() {
            return;
        }
        if writer.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
    let mut line = Vec::new();
    while reads_on && reader.read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
        line.clear();
    }
    std::future::pending::<()>().await;
}

fn stored(store: &Store, bytes: &[u8]) -> BlobId {
    let mut upload = store.upload();
    upload.write(bytes).expect("it is taken");
    let prepared = upload.finish(Vec::new()).expect("it is stored");
    let put = store.write_blocking(Locks::none(), move |tx| tx.blob_put(&prepared));
    put.expect("it is stored").value
}

fn to(address: &str) -> Transaction {
    let path = ForwardPath::Address(address.parse::<Address>().expect("an address"));
    Transaction::new(None, 3_000_000, vec![RcptTo::new(path)])
}

fn settings() -> Settings {
    Settings { tls: TlsWish::Never, ..Settings::new("us.test") }
}

fn peer() -> Peer {
    Peer { host: "h".into(), address: SocketAddr::from(([192, 0, 2, 1], 25)), trust: Trust::Anybody }
}

fn tls() -> Tls {
    Tls::new(None).expect("TLS")
}

/// What is said of the one recipient, and after how many seconds.
async fn attempt(test: &TestStore, answers: usize, reads_on: bool, halt: &Halt) -> (String, u64) {
    let (ours, theirs) = duplex(16 * 1024);
    let task = tokio::spawn(host(theirs, answers, reads_on));
    let blob = stored(&test.store, "x\r\n".repeat(1_000_000).as_bytes());
    let mut source = Source::open(&test.store, blob, None).await.expect("it can be read");
    let began = Instant::now();
    let said = match Connection::open(ours, peer(), settings(), &tls(), halt).await {
        Err(Unopened::Session(failure, _)) => format!("not opened: {failure}"),
        Err(Unopened::Handshake(broken)) => broken.why,
        Ok(mut connection) => match connection.send(to("bob@there.test"), &mut source, halt).await {
            Sent::Report(report) => match &report.recipients[0] {
                Fate::Unsent(failure) => format!("unsent: {failure}"),
                Fate::Unknown(failure) => format!("unknown: {failure}"),
                other => format!("{other:?}"),
            },
            other => format!("{other:?}"),
        },
    };
    task.abort();
    (said, began.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn who_stalls_is_waited_for_as_long_as_the_phase_allows() {
    let test = TestStore::memory(&[]);
    let brake = Brake::new();
    for (answers, reads_on, expected, seconds) in [
        (0, true, "not opened: the remote was silent for too long before its greeting", 300),
        (1, true, "not opened: the remote was silent for too long after EHLO", 300),
        (2, true, "unsent: the remote was silent for too long after MAIL", 300),
        (3, true, "unsent: the remote was silent for too long after RCPT", 300),
        (4, true, "unsent: the remote was silent for too long after DATA", 120),
        (5, false, "unsent: the remote was silent for too long in the middle of the message", 180),
        (5, true, "unknown: the remote was silent for too long after the whole message, before its answer", 600),
    ] {
        let (said, took) = attempt(&test, answers, reads_on, &brake.handle()).await;
        assert_eq!((said.as_str(), took), (expected, seconds), "{answers} answers");
    }
}

#[tokio::test(start_paused = true)]
async fn the_brake_ends_it_wherever_it_stands() {
    let test = TestStore::memory(&[]);
    for (answers, reads_on, expected) in [
        (0, true, "not opened: sending was given up before its greeting"),
        (2, true, "unsent: sending was given up after MAIL"),
        (5, false, "unsent: sending was given up in the middle of the message"),
        (5, true, "unknown: sending was given up after the whole message, before its answer"),
    ] {
        let brake = Brake::new();
        let halt = brake.handle();
        let pulled = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            brake.pull();
        };
        let ((said, took), ()) = tokio::join!(attempt(&test, answers, reads_on, &halt), pulled);
        assert_eq!((said.as_str(), took), (expected, 60), "{answers} answers");
    }
}

/// A host that takes the message in drops: never silent for long enough to be given up.
async fn dripping(pipe: DuplexStream) {
    let (mut reader, mut writer) = tokio::io::split(pipe);
    let mut drop = [0; 512];
    for reply in ["220 h\r\n", "250 h\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"] {
        if writer.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
        let read = reader.read(&mut drop).await;
        if read.is_err() {
            return;
        }
    }
    while reader.read(&mut drop).await.is_ok_and(|count| count > 0) {
        tokio::time::sleep(Duration::from_secs(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_never_silent_and_never_done_is_given_up_in_time() {
    let test = TestStore::memory(&[]);
    let brake = Brake::new();
    let (ours, theirs) = duplex(1024);
    let task = tokio::spawn(dripping(theirs));
    let blob = stored(&test.store, "x\r\n".repeat(1_000_000).as_bytes());
    let mut source = Source::open(&test.store, blob, None).await.expect("it can be read");
    let began = Instant::now();
    let halt = brake.handle().until(began + Duration::from_secs(3_600));
    let opened = Connection::open(ours, peer(), settings(), &tls(), &halt).await;
    let sent = opened.expect("it greets").send(to("bob@there.test"), &mut source, &halt).await;
    let Sent::Report(report) = sent else { panic!("{sent:?}") };
    let Fate::Unsent(failure) = &report.recipients[0] else { panic!("{report:?}") };
    assert_eq!(failure.to_string(), "sending was given up in the middle of the message");
    assert_eq!(began.elapsed().as_secs(), 3_600);
    assert!(halt.is_pulled() && halt.is_late());
    brake.pull();
    assert!(!halt.is_late(), "the brake is another reason");
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_whole_message_is_waited_for_however_late_it_is() {
    let test = TestStore::memory(&[]);
    let brake = Brake::new();
    let halt = brake.handle().until(Instant::now() + Duration::from_secs(60));
    let (said, took) = attempt(&test, 5, true, &halt).await;
    assert_eq!(said, "unknown: the remote was silent for too long after the whole message, before its answer");
    assert_eq!(took, 600);
}
