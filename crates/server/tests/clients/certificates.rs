//! Certificates of clients in place of passwords (EXTERNAL): pinned to an account, or with its address in them by an authority that the
//! server believes; curl shows them over SMTP, IMAP and POP3.

use std::path::Path;

use postroad_testkit::{Process, postgres};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};

use super::program::{PASSWORD, Ran, message, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_postroad");

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// A certificate and its key in one file, for a mail address, by an authority or by itself.
fn certificate(folder: &Path, name: &str, address: &str, by: Option<&Authority>) -> String {
    let mut params = CertificateParams::default();
    params.subject_alt_names.push(SanType::Rfc822Name(address.try_into().expect("ASCII")));
    let key = KeyPair::generate().expect("a key");
    let made = match by {
        Some(authority) => params.signed_by(&key, authority),
        None => params.self_signed(&key),
    };
    let file = folder.join(name);
    std::fs::write(&file, made.expect("a certificate").pem() + &key.serialize_pem()).expect("written");
    file.display().to_string()
}

/// The same server again, whose listeners ask for certificates and that believes these authorities.
fn serve(first: &mut Process, authorities: &Path) -> Process {
    first.stop();
    let file = first.data().join("postroad.toml");
    let text = std::fs::read_to_string(&file).expect("settings");
    let (asks, asking) = ("client-certificates = false", "client-certificates = true");
    let believes = format!("[login]\nclient-authorities = \"{}\"\n", authorities.display());
    assert!(text.contains(asks) && text.contains("[login]\n"), "{text}");
    std::fs::write(&file, text.replace(asks, asking).replace("[login]\n", &believes)).expect("written");
    Process::start(PROGRAM, &["serve", "--data", &first.data().display().to_string()])
}

#[test]
fn a_certificate_opens_what_it_is_for_and_a_strangers_nothing() {
    for database in [None, Some(postgres::fresh_database())] {
        let more: Vec<&str> = database.iter().flat_map(|url| ["--database", url]).collect();
        let mut first = Process::quickstart(PROGRAM, PASSWORD, &more);
        let folder = tempfile::tempdir().expect("a folder");
        let (ours, theirs) = (authority(), authority());
        let authorities = folder.path().join("authorities.pem");
        std::fs::write(&authorities, ours.pem()).expect("written");
        let _server = serve(&mut first, &authorities);
        let data = first.data().display().to_string();
        let postroad = |arguments: &[&str]| run(PROGRAM, &[arguments, &["--data", &data]].concat(), b"").good();

        let (alice, bob) = ("alice@example.test", "bob@example.test");
        let pinned = certificate(folder.path(), "pinned.pem", "somebody@elsewhere.test", None);
        postroad(&["client-certificate", "add", alice, "laptop", &pinned]);
        let vouched = certificate(folder.path(), "vouched.pem", alice, Some(&ours));
        let stranger = certificate(folder.path(), "stranger.pem", alice, None);
        let foreign = certificate(folder.path(), "foreign.pem", alice, Some(&theirs));
        let of_bob = certificate(folder.path(), "bob.pem", bob, Some(&ours));

        let external = |scheme: &str, port: u16, file: &str, user: &str| -> Ran {
            let url = format!("{scheme}://localhost:{}/", first.address(port).port());
            let user = format!("{user}:");
            let base = ["-sS", "-k", "--cert", file, "--login-options", "AUTH=EXTERNAL", "-u", &user, &url];
            let sending = ["--mail-from", alice, "--mail-rcpt", alice, "-T", "-"];
            let more = if scheme == "smtps" { &sending[..] } else { &[] };
            run("curl", &[&base[..], more].concat(), message(alice, alice, "by certificate").as_bytes())
        };
        for (scheme, port) in [("smtps", 465), ("imaps", 993), ("pop3s", 995)] {
            for (file, user, opens) in [
                (&pinned, alice, true),
                (&vouched, alice, true),
                (&vouched, bob, false),
                (&pinned, bob, false),
                (&of_bob, alice, false),
                (&stranger, alice, false),
                (&foreign, alice, false),
            ] {
                let ran = external(scheme, port, file, user);
                assert_eq!(ran.success, opens, "{scheme} {file} {user}: {ran:?}");
            }
        }
        postroad(&["client-certificate", "remove", alice, "laptop"]);
        assert!(!external("imaps", 993, &pinned, alice).success, "a certificate that was taken away");
        // Without a certificate there is no such mechanism.
        let url = format!("imaps://localhost:{}/", first.address(993).port());
        let none = ["-sS", "-k", "--login-options", "AUTH=EXTERNAL", "-u", "alice@example.test:", &url];
        assert!(!run("curl", &none, b"").success);
    }
}
