//! Large messages in an S3-compatible store: from the settings to the clients, and while it is gone.

use std::net::SocketAddr;
use std::path::Path;

use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::client::Client;
use crate::world::{ALICE, Server, message};

const LARGE: usize = 5_000_000;

/// Serves a folder as an object store. Ends with the runtime.
fn serve(root: &Path, at: SocketAddr) -> (Runtime, SocketAddr) {
    let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).expect("the folder is there"));
    builder.set_auth(SimpleAuth::from_single("key", "secret"));
    let service = builder.build();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind(at)).expect("the port is free");
    let at = listener.local_addr().expect("it is bound");
    runtime.spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
                // A connection that breaks is the client's to notice.
                let _ = served.await;
            });
        }
    });
    (runtime, at)
}

/// Message `number` comes whole over IMAP and POP3.
fn comes_out(server: &Server, number: usize, text: &str) {
    let mut whole = String::new();
    let mut imap = Client::inbox(server.at(143), ALICE);
    for line in imap.imap(&format!("FETCH {number} BODY.PEEK[]")).good() {
        whole += &line;
        whole += "\r\n";
    }
    assert!(whole.contains(text), "message {number} over IMAP");
    let mut reader = Client::pop3(server.at(110), ALICE);
    assert!(reader.line(&format!("RETR {number}")).starts_with("+OK"));
    let mut whole = String::new();
    loop {
        let line = reader.hear();
        if line == "." {
            break;
        }
        whole += &line;
        whole += "\r\n";
    }
    assert!(whole.ends_with(text), "message {number} over POP3");
}

#[test]
fn large_mail_goes_through_a_bucket_and_waits_while_it_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let bucket = folder.path().join("s3/mail");
    std::fs::create_dir_all(&bucket).expect("a bucket is a folder");
    let (runtime, at) = serve(&folder.path().join("s3"), "127.0.0.1:0".parse().expect("an address"));
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "secret\n").expect("written");
    let server = Server::serve(folder.path(), |_| {
        format!(
            "[blobs]\ns3-bucket = \"mail\"\ns3-endpoint = \"http://{at}\"\ns3-region = \"nowhere\"\n\
             s3-access-key = \"key\"\ns3-secret-key-file = \"{}\"\n",
            secret.display()
        )
    });
    let (one, two) = (message("one", LARGE), message("two", LARGE));
    let mut smtp = Client::smtp(server.at(25));
    let reply = smtp.deliver(ALICE, &one);
    assert!(reply.starts_with("250 "), "{reply}");
    let kept = std::fs::read_dir(&bucket).expect("it is there").count();
    assert!(kept > 0, "the message is in the bucket");
    comes_out(&server, 1, &one);

    runtime.shutdown_background();
    let mut imap = Client::inbox(server.at(143), ALICE);
    let reply = smtp.deliver(ALICE, &two);
    assert!(reply.starts_with("451 4.3.0 "), "{reply}");
    let answer = imap.append(&two);
    assert!(answer.tagged.starts_with("NO [UNAVAILABLE] "), "{answer:?}");
    let answer = imap.imap("FETCH 1 BODY.PEEK[]");
    assert!(answer.tagged.starts_with("NO [UNAVAILABLE] "), "{answer:?}");
    let mut reader = Client::pop3(server.at(110), ALICE);
    let answer = reader.line("RETR 1");
    assert!(answer.starts_with("-ERR [SYS/TEMP] "), "{answer}");
    server.logged(&["storing a message failed", "the object store", &at.to_string()]);
    // Small mail does not need it.
    let reply = smtp.deliver(ALICE, &message("small", 1_000));
    assert!(reply.starts_with("250 "), "{reply}");

    let (runtime, _) = serve(&folder.path().join("s3"), at);
    let reply = smtp.deliver(ALICE, &two);
    assert!(reply.starts_with("250 "), "{reply}");
    comes_out(&server, 1, &one);
    comes_out(&server, 3, &two);
    imap.imap("NOOP").good();
    assert_eq!(imap.subjects(), ["one", "small", "two"]);
    let spool = folder.path().join("data/spool/tmp");
    assert_eq!(std::fs::read_dir(spool).expect("it is there").count(), 0, "nothing stays behind");
    runtime.shutdown_background();
}
