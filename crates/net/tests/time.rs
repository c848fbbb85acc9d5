//! Time-outs, on a paused clock and over pipes.

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::{Client, Lines, Test, door};
use postroad_net::{Arrival, ConnectionId, Door, Ending, LimitSettings, Stream, Times, run};
use postroad_protocol::Peer;
use tokio::io::{BufReader, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::Instant;

const PIPE: usize = 4096;

fn begin() -> (Client<DuplexStream>, Arc<Test>, Door, JoinHandle<Ending>) {
    let (near, far) = duplex(PIPE);
    let (door, ..) = door(LimitSettings::default(), Times::default());
    let world = Test::new();
    let (inner_door, inner_world) = (door.clone(), Arc::clone(&world));
    let task = tokio::spawn(async move {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let arrival = Arrival {
            peer: Peer { remote: address, local: address },
            tls: None,
            id: ConnectionId(1),
            listener: "test".into(),
        };
        let session = Lines::new(&arrival);
        run(Stream::Plain(far), &arrival, &inner_door, &*inner_world, session).await
    });
    (Client { stream: BufReader::new(near) }, world, door, task)
}

fn seconds_since(start: Instant) -> u64 {
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn patience_runs_from_the_last_input() {
    let (mut client, _, _, task) = begin();
    client.expect("hello").await;
    tokio::time::advance(Duration::from_secs(50)).await;
    // Half a line is input too.
    client.say("echo ").await;
    client.say("x\n").await;
    client.expect("x").await;
    let start = Instant::now();
    assert_eq!(client.rest().await, "TimedOut\r\n");
    drop(client);
    assert_eq!(seconds_since(start), 60);
    assert_eq!(task.await.expect("no panic"), Ending::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_long_job_is_not_the_client_being_slow() {
    let (mut client, world, _, _task) = begin();
    client.say("slow\n").await;
    client.expect("hello").await;
    world.begun.acquire().await.expect("begun").forget();
    tokio::time::advance(Duration::from_secs(3600)).await;
    world.release.add_permits(1);
    client.expect("slow is done").await;
    tokio::time::advance(Duration::from_secs(59)).await;
    client.say("echo in time\n").await;
    client.expect("in time").await;
}

#[tokio::test(start_paused = true)]
async fn waiting_ticks_but_neither_ticks_nor_news_extend_patience() {
    let (mut client, world, _, task) = begin();
    client.say("wait\n").await;
    client.expect("hello").await;
    let start = Instant::now();
    client.expect("still here").await;
    assert_eq!(seconds_since(start), 20);
    tokio::time::advance(Duration::from_secs(15)).await;
    world.news.add_permits(1);
    client.expect("news").await;
    client.expect("still here").await;
    assert_eq!(seconds_since(start), 55, "the tick counts from the last word");
    client.expect("TimedOut").await;
    assert_eq!(seconds_since(start), 60);
    drop(client);
    assert_eq!(task.await.expect("no panic"), Ending::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn output_that_nobody_takes_ends_the_connection() {
    let (mut client, _, _, task) = begin();
    client.expect("hello").await;
    let start = Instant::now();
    client.say("lines 10000\n").await;
    assert_eq!(task.await.expect("no panic"), Ending::SlowReader);
    assert_eq!(seconds_since(start), Times::default().write.as_secs());
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_does_read_is_served() {
    let (mut client, _, _, task) = begin();
    client.say("lines 30\nclose\n").await;
    let mut lines = 0;
    while lines < 32 {
        // Four lines fill the pipe.
        tokio::time::sleep(Times::default().write / 8).await;
        client.line().await;
        lines += 1;
    }
    drop(client);
    assert_eq!(task.await.expect("no panic"), Ending::Session);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_ends_the_connection() {
    let (mut client, _, _, task) = begin();
    client.say("starttls\n").await;
    client.expect("hello").await;
    client.expect("go ahead").await;
    let start = Instant::now();
    assert_eq!(task.await.expect("no panic"), Ending::Handshake("it took too long".into()));
    assert_eq!(seconds_since(start), Times::default().handshake.as_secs());
}

#[tokio::test(start_paused = true)]
async fn the_last_word_waits_for_the_client_but_not_for_long() {
    let (mut client, _, _, task) = begin();
    client.say("close\n").await;
    client.expect("hello").await;
    client.expect("bye").await;
    let start = Instant::now();
    // Still open on our side.
    assert_eq!(task.await.expect("no panic"), Ending::Session);
    assert_eq!(seconds_since(start), Times::default().linger.as_secs());
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn endings_say_what_happened() {
    let (mut client, _, _, task) = begin();
    client.expect("hello").await;
    drop(client);
    assert_eq!(task.await.expect("no panic"), Ending::Client);

    let (mut client, _, door, task) = begin();
    client.expect("hello").await;
    door.stop.stop();
    client.expect("ShuttingDown").await;
    drop(client);
    assert_eq!(task.await.expect("no panic"), Ending::Stopped);

    for (command, words) in [
        ("jobcrash\n", "crash panicked: the job crashed"),
        ("crash\n", "panicked: the session crashed"),
        ("lose\n", "lose: the test lost the session"),
    ] {
        let (mut client, _, _, task) = begin();
        client.say(command).await;
        client.expect("hello").await;
        assert_eq!(client.rest().await, "");
        drop(client);
        assert_eq!(task.await.expect("it is caught"), Ending::Fatal(words.into()));
    }
}
