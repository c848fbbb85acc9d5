//! DEFLATE on a connection (RFC 4978), with a client that does it by hand.

mod common;

use std::io;

use common::{Client, Server, start};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use postroad_net::LimitSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Squeezed {
    stream: TcpStream,
    writing: Compress,
    reading: Decompress,
    heard: Vec<u8>,
}

impl Squeezed {
    async fn connect(server: &Server) -> Squeezed {
        let mut client = Client::connect(server).await;
        client.expect("hello").await;
        client.say("compress\n").await;
        client.expect("compressed from here").await;
        Squeezed {
            stream: client.stream.into_inner(),
            writing: Compress::new(Compression::best(), false),
            reading: Decompress::new(false),
            heard: Vec::new(),
        }
    }

    fn squeeze(&mut self, text: &[u8], how: FlushCompress) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 1000);
        self.writing.compress_vec(text, &mut out, how).expect("compressed");
        out
    }

    async fn say(&mut self, text: &str) {
        let squeezed = self.squeeze(text.as_bytes(), FlushCompress::Sync);
        self.stream.write_all(&squeezed).await.expect("written");
    }

    /// Expands what comes until it ends so and was flushed; how many octets came over the wire.
    async fn until(&mut self, end: &str) -> (String, usize) {
        let mut wire = Vec::new();
        // One octet after the other: what is behind the flush may be plain.
        while !(self.heard.ends_with(end.as_bytes()) && wire.ends_with(&[0, 0, 0xff, 0xff])) {
            let octet = self.stream.read_u8().await.expect("more comes");
            wire.push(octet);
            self.heard.reserve(70_000);
            self.reading.decompress_vec(&[octet], &mut self.heard, FlushDecompress::Sync).expect("a stream");
        }
        (String::from_utf8(std::mem::take(&mut self.heard)).expect("text"), wire.len())
    }
}

fn server() -> Server {
    start(|_| {}, LimitSettings::default())
}

#[tokio::test]
async fn both_directions_are_compressed_and_flushed() {
    let server = server();
    let mut client = Squeezed::connect(&server).await;
    client.say("echo one\n").await;
    assert_eq!(client.until("one\r\n").await.0, "one\r\n");
    client.say("echo two\njob three\n").await;
    assert_eq!(client.until("three\r\n").await.0, "two\r\nthree\r\n");
    client.say("lines 2000\njob end\n").await;
    let (text, wire) = client.until("end\r\n").await;
    assert_eq!(text.len(), 2000 * 1002 + 5);
    assert!(wire < text.len() / 20, "{wire} octets for {}", text.len());
    // Octet by octet, and in the middle of a wait.
    let squeezed = client.squeeze(b"wait\n", FlushCompress::Sync);
    for octet in squeezed {
        client.stream.write_all(&[octet]).await.expect("written");
    }
    server.world.news.add_permits(1);
    assert_eq!(client.until("news\r\n").await.0, "news\r\n");
    client.say("done\nclose\n").await;
    assert_eq!(client.until("bye\r\n").await.0, "waited\r\nbye\r\n");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_silent_for_long_reads_the_same_stream() {
    let server = server();
    let mut client = Squeezed::connect(&server).await;
    for number in 0..5 {
        client.say(&format!("echo the same words again and again {number}\n")).await;
        let expected = format!("the same words again and again {number}\r\n");
        assert_eq!(client.until(&expected).await.0, expected);
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    }
}

#[tokio::test]
async fn what_comes_behind_the_end_of_the_compression_is_plain() {
    let server = server();
    for how in [FlushCompress::Sync, FlushCompress::Full, FlushCompress::Finish] {
        let mut client = Squeezed::connect(&server).await;
        // In one write, as a client that does not wait for the answer does it.
        let mut all = client.squeeze(b"echo one\nplain\n", how);
        all.extend_from_slice(b"echo two\n");
        client.stream.write_all(&all).await.expect("written");
        assert_eq!(client.until("the last of it\r\n").await.0, "one\r\nthe last of it\r\n", "{how:?}");
        let mut plain = [0; 5];
        client.stream.read_exact(&mut plain).await.expect("read");
        assert_eq!(&plain, b"two\r\n", "{how:?}");
        // And again from the start.
        client.stream.write_all(b"compress\n").await.expect("written");
        let mut answer = [0; 22];
        client.stream.read_exact(&mut answer).await.expect("read");
        assert_eq!(&answer, b"compressed from here\r\n");
        (client.writing, client.reading) = (Compress::new(Compression::fast(), false), Decompress::new(false));
        client.say("echo three\n").await;
        assert_eq!(client.until("three\r\n").await.0, "three\r\n");
    }
}

#[tokio::test]
async fn what_is_no_stream_ends_the_connection() {
    let server = server();
    let mut client = Squeezed::connect(&server).await;
    client.stream.write_all(b"echo in clear\r\necho in clear\r\n").await.expect("written");
    let mut rest = Vec::new();
    // A reset tells the same.
    let ended: io::Result<usize> = client.stream.read_to_end(&mut rest).await;
    assert!(ended.is_err() || !String::from_utf8_lossy(&rest).contains("in clear"));
}

#[tokio::test]
async fn a_stream_that_ends_is_a_client_that_closed() {
    let server = server();
    let mut client = Squeezed::connect(&server).await;
    let last = client.squeeze(b"echo one\n", FlushCompress::Finish);
    client.stream.write_all(&last).await.expect("written");
    assert_eq!(client.until("Closed\r\n").await.0, "one\r\nClosed\r\n");
}
