//! When the authority suggests to renew (RFC 9773). Pebble 2.4 says nothing of it: a stand-in tells the time of renewal, and
//! for everything else it names pebble.

use std::sync::Arc;

use postroad_net::{
    CertificateFiles, Certificates, Connection, Door, Inherited, LimitSettings, Limits, Listener, Stop, Times, Tls,
    TlsMode, accept, bind,
};
use postroad_testkit::{Pebble, run};
use postroad_web::acme::{Challenge, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{DAY, HOST, World, go, in_use, only_host, sqlite};

/// Answers every question for the directory with this text, and every other one with that; gives its URL.
async fn stand_in(folder: &std::path::Path, pebble: &Pebble, info: String, stop: Stop) -> String {
    let pair = pebble.authority().issue(&["localhost"]);
    let files = CertificateFiles { chain: folder.join("chain.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.chain, &pair.chain).expect("the folder can be written");
    std::fs::write(&files.key, &pair.key).expect("the folder can be written");
    let listener = Listener::new("authority", "127.0.0.1:0".parse().expect("an address"));
    let bound = bind(Listener { tls: TlsMode::Implicit, ..listener }, &mut Inherited::none()).expect("a socket");
    let url = format!("https://localhost:{}", bound.address.port());
    let known = run("curl", &["--silent", "--insecure", pebble.directory()], b"").good();
    let directory = known.replacen('{', &format!("{{\"renewalInfo\": \"{url}/renewal-info\","), 1);
    let tls = Tls::new(Certificates::load(vec![files]).expect("our own")).expect("TLS");
    let door = Door::new(Limits::new(LimitSettings::default(), None), Some(tls), stop, Times::default(), 1);
    let answers = Arc::new((directory, info));
    tokio::spawn(accept(bound, door, move |connection| {
        let answers = Arc::clone(&answers);
        async move {
            let Connection { mut stream, place: _place, .. } = connection;
            let mut asked = Vec::new();
            while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
                let mut piece = [0; 1024];
                match stream.read(&mut piece).await {
                    Ok(count) if count > 0 => asked.extend_from_slice(&piece[..count]),
                    _ => return,
                }
            }
            let is_info = asked.starts_with(b"GET /renewal-info/");
            let body = if is_info { &answers.1 } else { &answers.0 };
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nRetry-After: 21600\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    }));
    url
}

#[test]
fn renewed_when_the_authority_says() {
    go(async {
        let mut world = World::new();
        let test = sqlite();
        let _server = world.server(&test.store);
        let folder = tempfile::tempdir().expect("a folder");
        let stop = Stop::new();
        // Tomorrow, whatever the life of the certificate.
        let day = |seconds: i64| {
            let now = postroad_store::Timestamp::now().0 / 1_000_000 + seconds;
            run("date", &["-u", "-d", &format!("@{now}"), "+%Y-%m-%dT%H:%M:%SZ"], b"").good().trim().to_owned()
        };
        let info = format!("{{\"suggestedWindow\": {{\"start\": \"{}\", \"end\": \"{}\"}}}}", day(86_400), day(90_000));
        let url = stand_in(folder.path(), &world.pebble, info, stop.clone()).await;
        let settings = Settings { directory: format!("{url}/dir"), ..world.settings(&[Challenge::Http]) };
        let keeper = world.keeper(&test.store, settings, only_host(), "one");
        let round = keeper.round().await.expect("a round");
        assert_eq!(round.issued, [HOST], "{round:?}\n{}", world.pebble.printed());
        let first = in_use(&test.store, HOST).expect("a certificate");
        let round = keeper.round().await.expect("a round");
        let (from, to) = in_use(&test.store, HOST).expect("a certificate").window.expect("it was suggested");
        assert!(round.next.is_some_and(|next| from <= next && next <= to), "{round:?}");
        world.moved.on(DAY / 2);
        assert_eq!(keeper.round().await.expect("a round").issued, [""; 0]);
        world.moved.on(DAY);
        // The stand-in does not say what is replaced, so it is ordered without.
        assert_eq!(keeper.round().await.expect("a round").issued, [HOST], "{}", world.pebble.printed());
        assert_ne!(in_use(&test.store, HOST).expect("a certificate").serial, first.serial);
        stop.stop();
    });
}
