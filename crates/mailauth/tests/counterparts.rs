//! Others' mail is verified here, and ours by others: OpenDKIM and dkimpy, as Debian has them.
//!
//! Neither asks the DNS here: OpenDKIM takes keys from a file (`TestPublicKeys`), dkimpy from a function.

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use postroad_mailauth::arc::{self, Sealing, Validation};
use postroad_mailauth::dkim::{self, Signing, Status};
use postroad_mailauth::key::{Algorithm, SigningKey};
use support::{Zone, crlf, relaxed, split};

const MESSAGE: &str = "\
Received: from a by b; now
From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>
To: a@b.example,
\tc@d.example
Subject:  A long   subject
 on two lines\t
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <1@example.org>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
List-Unsubscribe: <https://example.org/u/1>
List-Unsubscribe-Post: List-Unsubscribe=One-Click

Dear all,

 this  is\tthe text.\t
.
\t
From here on: grüße


";

const NAME: &str = "s1._domainkey.example.org";
/// Debian's own Python, for which the modules are packaged.
const PYTHON: &str = "/usr/bin/python3";

/// A folder of one test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("postroad-mailauth-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(program: &str, arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} did not start ({error}): cargo xtask test installs it"));
    child.stdin.take().expect("piped").write_all(input).expect("written");
    let output = child.wait_with_output().expect("ended");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{program}: {text}");
    text
}

fn keys() -> [SigningKey; 2] {
    [SigningKey::rsa().expect("a key"), SigningKey::ed25519().expect("a key")]
}

fn pem(key: &SigningKey) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(key.to_pkcs8().expect("a key"));
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
}

fn sign(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let (header, body) = split(message);
    let now = 1_700_000_000;
    let signing = Signing { domain: "example.org", selector: "s1", now, valid_for: None };
    let field = dkim::sign(key, &signing, header, &relaxed(body)).expect("signed");
    [field.as_bytes(), message].concat()
}

/// What OpenDKIM says of a message when it is asked twice for more words.
fn opendkim(folder: &Path, settings: &str, message: &str) -> String {
    let folder = Folder(folder.join("opendkim"));
    fs::create_dir_all(&folder.0).expect("a folder");
    let settings = folder.file("opendkim.conf", format!("{settings}\nSyslog no\nRequireSafeKeys no\n").as_bytes());
    run("/usr/sbin/opendkim", &["-x", &settings, "-t", message, "-v", "-v"], b"")
}

#[test]
fn opendkim_verifies_ours() {
    let folder = Folder::new("opendkim-verifies");
    for key in keys() {
        let keys = folder.file("keys", format!("{NAME} {}\n", key.record()).as_bytes());
        let settings = format!("Mode v\nTestPublicKeys {keys}");
        for message in [crlf(MESSAGE), crlf("From: a@example.org\nDate: today\n\n")] {
            let signed = sign(&key, &message);
            let said = opendkim(&folder.0, &settings, &folder.file("good", &signed));
            assert!(said.contains("dkim=pass"), "{:?}: {said}", key.algorithm());
            let changed = String::from_utf8(signed).expect("UTF-8").replace("From: ", "From: x");
            let said = opendkim(&folder.0, &settings, &folder.file("bad", changed.as_bytes()));
            assert!(!said.contains("dkim=pass") && said.contains("dkim="), "{said}");
        }
    }
}

#[test]
fn what_opendkim_signs_is_verified() {
    let folder = Folder::new("opendkim-signs");
    for key in keys() {
        let pem = folder.file("key.pem", pem(&key).as_bytes());
        for form in ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"] {
            // Its Ed25519 signatures over simple header fields do not hold at OpenDKIM itself nor at dkimpy.
            if form.starts_with("simple") && key.algorithm() == Algorithm::Ed25519Sha256 {
                continue;
            }
            // What OpenDKIM reads from a file it tidies, as milters see header fields: simple is of that.
            let message = match form.starts_with("simple") {
                true => crlf(&MESSAGE.replace(":  A", ": A").replace("lines\t", "lines")),
                false => crlf(MESSAGE),
            };
            let path = folder.file("message", &message);
            let algorithm = key.algorithm().name();
            let settings = format!(
                "Mode s\nDomain example.org\nSelector s1\nKeyFile {pem}\nCanonicalization {form}\n\
                 SignatureAlgorithm {algorithm}\nOverSignHeaders From,Cc"
            );
            let said = opendkim(&folder.0, &settings, &path);
            let (_, value) = said.split_once("hname='DKIM-Signature' hvalue='").expect(&said);
            let (value, _) = value.split_once('\'').expect("an end");
            let field = crlf(&format!("DKIM-Signature: {value}\n"));
            let signed = [&*field, &message].concat();
            let outcomes = Zone::default().today().with(NAME, &key.record()).dkim(&signed);
            assert_eq!(outcomes[0].status, Status::Pass, "{form} {algorithm}: {outcomes:?}");
            let changed = [&*field, b"Cc: evil@example\r\n", &message].concat();
            let outcomes = Zone::default().today().with(NAME, &key.record()).dkim(&changed);
            assert_eq!(outcomes[0].status, Status::Fail, "{form} {algorithm}: {outcomes:?}");
        }
    }
}

#[test]
fn dkimpy_verifies_ours() {
    let script = "import dkim, sys
name, record = sys.argv[1].encode(), sys.argv[2].encode()
asked = lambda n, timeout=5: record if n.rstrip(b'.') == name else None
print('verified', dkim.verify(sys.stdin.buffer.read(), dnsfunc=asked))
";
    for key in keys() {
        for message in [crlf(MESSAGE), crlf("From: a@example.org\nDate: today\n\n")] {
            let signed = sign(&key, &message);
            let said = run(PYTHON, &["-c", script, NAME, &key.record()], &signed);
            assert!(said.contains("verified True"), "{:?}: {said}", key.algorithm());
            let changed = String::from_utf8(signed).expect("UTF-8").replace("From: ", "From: x");
            let said = run(PYTHON, &["-c", script, NAME, &key.record()], changed.as_bytes());
            assert!(said.contains("verified False"), "{said}");
        }
    }
}

#[test]
fn what_dkimpy_signs_is_verified() {
    let script = "import dkim, sys
form, algorithm, key = (a.encode() for a in sys.argv[1:4])
header, body = form.split(b'/')
message = sys.stdin.buffer.read()
signature = dkim.sign(message, b's1', b'example.org', key, canonicalize=(header, body), signature_algorithm=algorithm,
    length=len(sys.argv) > 4)
sys.stdout.buffer.write(signature + message)
";
    for key in keys() {
        use base64::Engine;
        let der = key.to_pkcs8().expect("a key");
        let algorithm = key.algorithm().name();
        // dkimpy takes an Ed25519 key as the base64 of its seed, the end of its PKCS#8.
        let secret = match algorithm {
            "rsa-sha256" => pem(&key),
            _ => base64::engine::general_purpose::STANDARD.encode(&der[der.len() - 32..]),
        };
        for form in ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"] {
            let signed = run(PYTHON, &["-c", script, form, algorithm, &secret], &crlf(MESSAGE));
            let outcomes = Zone::default().today().with(NAME, &key.record()).dkim(signed.as_bytes());
            assert_eq!(outcomes[0].status, Status::Pass, "{form}: {outcomes:?}\n{signed}");
            let changed = signed.replace("subject", "object");
            let outcomes = Zone::default().today().with(NAME, &key.record()).dkim(changed.as_bytes());
            assert_eq!(outcomes[0].status, Status::Fail, "{form}: {outcomes:?}");
            // With l=: what is appended is told of.
            let signed = run(PYTHON, &["-c", script, form, algorithm, &secret, "length"], &crlf(MESSAGE));
            let outcomes = Zone::default().today().with(NAME, &key.record()).dkim((signed + "more\r\n").as_bytes());
            assert_eq!(outcomes[0].status, Status::Pass, "{form}: {outcomes:?}");
            assert!(outcomes[0].unsigned_octets >= 6, "{form}: {outcomes:?}");
        }
    }
}

/// `arc_verify` and `arc_sign` know RSA alone.
#[test]
fn chains_of_ours_and_of_dkimpy_hold_at_each_other() {
    let verify = "import dkim, sys
name, record = sys.argv[1].encode(), sys.argv[2].encode()
asked = lambda n, timeout=5: record if n.rstrip(b'.') == name else None
print('chain', dkim.arc_verify(sys.stdin.buffer.read(), dnsfunc=asked))
";
    let seal = "import dkim, sys
message = sys.stdin.buffer.read()
fields = dkim.arc_sign(message, b's1', b'example.org', sys.argv[1].encode(), b'mx.example.org')
sys.stdout.buffer.write(b''.join(fields) + message)
";
    let key = SigningKey::rsa().expect("a key");
    let mut zone = Zone::default().today().with(NAME, &key.record());
    let ours = |message: &[u8]| {
        let cv = zone.arc(message).cv;
        let (header, body) = split(message);
        let results = format!("mx.example.org; arc={};\r\n spf=pass smtp.mailfrom=example.org", cv.as_str());
        let sealing = Sealing { domain: "example.org", selector: "s1", now: 1_700_000_000, results: &results, cv };
        let fields = arc::seal(&key, &sealing, header, &relaxed(body)).expect("sealed").expect("sealed");
        let results = format!("Authentication-Results: mx.example.org; arc={}\r\n", Validation::Pass.as_str());
        [results.as_bytes(), fields.as_bytes(), message].concat()
    };
    let mut ours = ours;
    let theirs = |message: &[u8]| run(PYTHON, &["-c", seal, &pem(&key)], message).into_bytes();
    let said = |message: &[u8]| run(PYTHON, &["-c", verify, NAME, &key.record()], message);

    let one = ours(&crlf(MESSAGE));
    assert!(said(&one).contains("chain (b'pass'"), "{}", said(&one));
    let two = theirs(&one);
    let three = ours(&two);
    assert!(said(&three).contains("chain (b'pass'"), "{}", said(&three));
    let mut zone = Zone::default().today().with(NAME, &key.record());
    for (message, hops) in [(&one, 1), (&two, 2), (&three, 3)] {
        let verdict = zone.arc(message);
        assert_eq!((verdict.cv, verdict.sets.len()), (Validation::Pass, hops), "{}", verdict.why);
    }
    let changed = String::from_utf8(three).expect("UTF-8").replace("subject", "object");
    assert!(said(changed.as_bytes()).contains("chain (b'fail'"));
    assert_eq!(zone.arc(changed.as_bytes()).cv, Validation::Fail);
}

#[test]
fn keys_of_opendkim_genkey_are_read() {
    let folder = Folder::new("genkey");
    let path = folder.0.to_str().expect("UTF-8");
    run("/usr/sbin/opendkim-genkey", &["-b", "2048", "-d", "example.org", "-s", "s1", "-D", path], b"");
    let key = SigningKey::from_pem(&fs::read_to_string(folder.0.join("s1.private")).expect("a key")).expect("a key");
    let public = fs::read_to_string(folder.0.join("s1.txt")).expect("a record");
    let record: String = public.split('"').skip(1).step_by(2).collect();
    let record = postroad_mailauth::key::Record::parse(record.as_bytes()).expect("a record");
    assert!(record.belongs_to(&key), "{public}");
}
