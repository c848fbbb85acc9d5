//! What is said at the start of a server whose keytab is not as it should be.

use super::program::run;
use super::realm::servers;

#[test]
fn what_is_wrong_with_the_keytab_is_said_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let missing = folder.path().join("missing").display().to_string();
    let words = file("words", b"not a keytab");
    let empty = file("empty", &[5, 2]);
    for (keytab, expected) in [
        (&missing, "cannot be read: No such file or directory"),
        (&words, "is no keytab; write one:"),
        (&empty, "has no key of a service of mail; add the keys of smtp/HOST"),
    ] {
        let settings = file("postroad.toml", format!("[login]\nkeytab = \"{keytab}\"\n").as_bytes());
        let ran = run(env!("CARGO_BIN_EXE_postroad"), &["serve", "--settings", &settings], b"");
        assert!(!ran.success && ran.err.contains("the setting login.keytab") && ran.err.contains(expected), "{ran:?}");
    }
}

#[test]
fn mechanisms_are_offered_where_there_is_a_keytab() {
    for server in servers() {
        let at = format!("imap://localhost:{}", server.port(143));
        let said = run("curl", &["-sSv", &at, "-X", "CAPABILITY"], b"");
        assert!(said.err.contains("AUTH=GSSAPI AUTH=GSS-SPNEGO"), "{said:?}");
        assert!(server.printed().contains("tickets of Kerberos are taken"), "{}", server.printed());
        let check = server.postroad(&["check"]);
        assert!(check.out.contains("imap/localhost@EXAMPLE.TEST"), "{check:?}");
    }
}
