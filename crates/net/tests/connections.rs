//! The loop over real sockets.

mod common;

use std::time::Duration;

use common::{Client, start, start_with};
use postroad_net::{LimitSettings, Times};
use tokio::io::AsyncWriteExt;

fn limits() -> LimitSettings {
    LimitSettings::default()
}

#[tokio::test]
async fn commands_in_one_packet_are_answered_in_order() {
    let server = start(|_| {}, limits());
    let mut client = Client::connect(&server).await;
    client.say("echo one\njob two\necho three\njob four\nclose\n").await;
    assert_eq!(client.rest().await, "hello\r\none\r\ntwo\r\nthree\r\nfour\r\nbye\r\n");
}

#[tokio::test]
async fn a_client_that_closes_its_side_still_gets_its_answers() {
    let server = start(|_| {}, limits());
    let mut client = Client::connect(&server).await;
    client.say("job one\nlines 100\njob two\n").await;
    client.stream.get_mut().shutdown().await.expect("half closed");
    let rest = client.rest().await;
    assert!(rest.starts_with("hello\r\none\r\nxxx"));
    assert_eq!(rest.lines().count(), 104);
    assert!(rest.ends_with("x\r\ntwo\r\nClosed\r\n"));
}

#[tokio::test]
async fn much_output_flows_in_bounded_pieces() {
    let server = start(|_| {}, limits());
    let mut client = Client::connect(&server).await;
    client.say("lines 20000\nclose\n").await;
    assert_eq!(client.rest().await.len(), 20_000 * 1002 + "hello\r\nbye\r\n".len());
}

#[tokio::test]
async fn a_reader_that_stopped_reading_is_dropped() {
    let times = Times { write: Duration::from_millis(50), ..Times::default() };
    let server = start_with(|_| {}, limits(), times);
    let mut client = Client::connect(&server).await;
    client.expect("hello").await;
    assert_eq!(server.door.limits.open(), 1);
    // More than all the buffers between us hold.
    client.say("lines 100000\n").await;
    server.open_at_most(0).await;
}

#[tokio::test]
async fn a_panic_ends_one_connection_and_keeps_what_was_answered() {
    let server = start(|_| {}, limits());
    let mut other = Client::connect(&server).await;
    other.expect("hello").await;
    for (command, answers) in [
        ("job one\njobcrash\njob two\n", "hello\r\none\r\n"),
        ("job one\ncrash\njob two\n", "hello\r\none\r\n"),
        ("job one\nlose\njob two\n", "hello\r\none\r\n"),
    ] {
        let mut client = Client::connect(&server).await;
        client.say(command).await;
        assert_eq!(client.rest().await, answers, "{command}");
    }
    other.say("echo alive\n").await;
    other.expect("alive").await;
}

#[tokio::test]
async fn news_wake_a_waiting_session_and_input_ends_the_wait() {
    let server = start(|_| {}, limits());
    let mut client = Client::connect(&server).await;
    client.expect("hello").await;
    client.say("wait\n").await;
    for _ in 0..3 {
        server.world.news.add_permits(1);
        client.expect("news").await;
    }
    client.say("done\njob x\n").await;
    client.expect("waited").await;
    client.expect("x").await;
    server.world.news.add_permits(1);
    client.say("echo no news\n").await;
    client.expect("no news").await;
}

#[tokio::test]
async fn a_stop_finishes_the_running_job_and_no_other() {
    let server = start(|_| {}, limits());
    let mut client = Client::connect(&server).await;
    client.expect("hello").await;
    let mut idle = Client::connect(&server).await;
    idle.expect("hello").await;
    let mut waiting = Client::connect(&server).await;
    waiting.say("wait\n").await;
    waiting.expect("hello").await;
    client.say("slow\njob never\n").await;
    server.world.begun.acquire().await.expect("begun").forget();
    server.door.stop.stop();
    assert_eq!(idle.rest().await, "ShuttingDown\r\n");
    assert_eq!(waiting.rest().await, "ShuttingDown\r\n");
    drop((idle, waiting));
    assert!(!server.task.is_finished(), "it waits for the job");
    server.world.release.add_permits(1);
    assert_eq!(client.rest().await, "slow is done\r\nShuttingDown\r\n");
    drop(client);
    server.task.await.expect("no panic");
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err(), "the listener is closed");
}

#[tokio::test]
async fn the_grace_period_ends_what_does_not_end() {
    let times = Times { grace: Duration::from_millis(20), ..Times::default() };
    let server = start_with(|_| {}, limits(), times);
    let mut client = Client::connect(&server).await;
    client.say("slow\n").await;
    client.expect("hello").await;
    server.world.begun.acquire().await.expect("begun").forget();
    server.door.stop.stop();
    server.task.await.expect("no panic");
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_client_beyond_the_limit_hears_why() {
    let server =
        start(|listener| listener.busy = b"421 too many\r\n", LimitSettings { total: 2, ..LimitSettings::default() });
    let mut first = Client::connect(&server).await;
    first.expect("hello").await;
    let mut second = Client::connect(&server).await;
    second.expect("hello").await;
    let mut third = Client::connect(&server).await;
    assert_eq!(third.rest().await, "421 too many\r\n");
    first.say("close\n").await;
    assert_eq!(first.rest().await, "bye\r\n");
    drop(first);
    server.open_at_most(1).await;
    let mut fourth = Client::connect(&server).await;
    fourth.expect("hello").await;
}

fn proxied(listener: &mut postroad_net::Listener) {
    listener.proxy = vec!["127.0.0.0/8".parse().expect("a network")];
    listener.busy = b"421 too many\r\n";
}

#[tokio::test]
async fn a_proxy_names_the_client() {
    let server = start(proxied, limits());
    let mut version_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    version_2.extend([203, 0, 113, 9, 198, 51, 100, 25, 0x30, 0x39, 0, 25]);
    for header in [&b"PROXY TCP4 203.0.113.9 198.51.100.25 12345 25\r\n"[..], &version_2] {
        let mut client = Client::connect(&server).await;
        client.stream.write_all(&[header, b"peer\nclose\n"].concat()).await.expect("written");
        assert_eq!(client.rest().await, "hello\r\n203.0.113.9:12345 198.51.100.25:25\r\nbye\r\n");
    }
    for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        let mut client = Client::connect(&server).await;
        let own = client.stream.get_ref().local_addr().expect("an address");
        client.stream.write_all(&[header, b"peer\nclose\n"].concat()).await.expect("written");
        assert_eq!(client.rest().await, format!("hello\r\n{own} {}\r\nbye\r\n", server.address));
    }
}

#[tokio::test]
async fn a_proxy_without_its_header_is_not_served() {
    let server = start(proxied, limits());
    let mut client = Client::connect(&server).await;
    client.say("echo hello there, how are you\n").await;
    // Closed with unread input, so this may be a reset.
    let mut rest = String::new();
    let _ = tokio::io::AsyncReadExt::read_to_string(&mut client.stream, &mut rest).await;
    assert_eq!(rest, "");
}

#[tokio::test]
async fn a_stranger_cannot_pretend_to_be_a_proxy() {
    let server = start(|listener| listener.proxy = vec!["192.0.2.0/24".parse().expect("a network")], limits());
    let mut client = Client::connect(&server).await;
    let own = client.stream.get_ref().local_addr().expect("an address");
    client.say("peer\nclose\n").await;
    assert_eq!(client.rest().await, format!("hello\r\n{own} {}\r\nbye\r\n", server.address));
}

#[tokio::test]
async fn one_client_is_limited_also_behind_a_proxy() {
    let server = start(proxied, LimitSettings { per_client: 1, ..LimitSettings::default() });
    let header = "PROXY TCP6 2001:db8::1 2001:db8::25 12345 25\r\n";
    let mut first = Client::connect(&server).await;
    first.say(header).await;
    first.expect("hello").await;
    let mut second = Client::connect(&server).await;
    second.say(&header.replace("8::1 ", "8::2 ")).await;
    assert_eq!(second.rest().await, "421 too many\r\n");
    let mut third = Client::connect(&server).await;
    third.say(&header.replace("8::1 ", "8:0:1::1 ")).await;
    third.expect("hello").await;
}
