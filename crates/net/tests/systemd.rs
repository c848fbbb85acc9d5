//! The service manager's side: this test binary starts itself again as the service would be started.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use postroad_net::{Inherited, Listener, Stop, bind, ready, stopping, watchdog};

/// This binary, about to run one of the ignored tests below after the shell line.
fn child(shell: &str, test: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell} exec \"$0\" --exact --ignored --test-threads=1 {test}")]);
    command.arg(std::env::current_exe().expect("this binary"));
    command
}

#[test]
fn a_socket_handed_over_is_served() {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("an address");
    // A client that came before the service was up is not refused.
    let mut client = TcpStream::connect(address).expect("connected");
    let output = child("exec 3<&0; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=smtp;", "child_with_a_socket")
        .env("POSTROAD_TEST_ADDRESS", address.to_string())
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let mut word = String::new();
    std::io::Read::read_to_string(&mut client, &mut word).expect("an answer");
    assert_eq!(word, "served\r\n");
}

#[tokio::test]
#[ignore = "started by a_socket_handed_over_is_served"]
async fn child_with_a_socket() {
    let expected: SocketAddr = std::env::var("POSTROAD_TEST_ADDRESS").expect("set").parse().expect("an address");
    let mut inherited = Inherited::from_environment();
    assert_eq!(inherited.left(), [format!("smtp ({expected})")]);
    let elsewhere = Listener::new("smtp", "127.0.0.1:0".parse().expect("an address"));
    let bound = bind(elsewhere, &mut inherited).expect("the socket");
    assert_eq!(bound.address, expected, "the name decides");
    assert!(inherited.left().is_empty());
    let stop = Stop::new();
    let limits = postroad_net::Limits::new(postroad_net::LimitSettings::default(), None);
    let door = postroad_net::Door::new(limits, None, stop.clone(), postroad_net::Times::default(), 1);
    postroad_net::accept(bound, door, move |mut connection| {
        let stop = stop.clone();
        async move {
            tokio::io::AsyncWriteExt::write_all(&mut connection.stream, b"served\r\n").await.expect("written");
            stop.stop();
        }
    })
    .await;
}

#[test]
fn the_service_manager_hears_how_we_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    let mut running = child("export WATCHDOG_PID=$$;", "child_that_notifies")
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .stdout(Stdio::null())
        .spawn()
        .expect("it runs");
    let mut heard = Vec::new();
    while heard.last().is_none_or(|last| last != "STOPPING=1") {
        let mut space = [0; 256];
        let length = socket.recv(&mut space).expect("a word in time");
        heard.push(String::from_utf8_lossy(&space[..length]).trim().to_owned());
    }
    assert!(running.wait().expect("it ends").success());
    let beats = heard.iter().filter(|word| *word == "WATCHDOG=1").count();
    assert_eq!(heard.first().map(String::as_str), Some("READY=1"), "{heard:?}");
    assert!(beats >= 2, "{heard:?}");
    assert_eq!(heard.len(), beats + 2, "{heard:?}");
}

#[tokio::test(start_paused = true)]
#[ignore = "started by the_service_manager_hears_how_we_are"]
async fn child_that_notifies() {
    ready();
    let stop = Stop::new();
    let beating = tokio::spawn(watchdog(stop.clone()));
    // The clock is paused: this takes no time.
    tokio::time::sleep(Duration::from_millis(350)).await;
    stop.stop();
    beating.await.expect("no panic");
    stopping();
}
