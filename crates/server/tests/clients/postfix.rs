//! Postfix as the sending server: a whole instance of its own in a temporary folder, which must be run as root
//! (Postfix insists); as another user its test client `smtp-source` stands in.

use postroad_testkit::postfix::{Postfix, Setup, can_run};

use super::lines::Lines;
use super::program::{PASSWORD, message, run, servers};

#[test]
fn hands_mail_over() {
    for server in servers() {
        let to = server.account();
        let mut imap = Lines::connect(server.port(143));
        imap.hear();
        imap.imap(&format!("LOGIN {to} \"{PASSWORD}\""));
        imap.imap("SELECT INBOX");
        imap.say("a IDLE");
        imap.until(|line| line.starts_with('+'));

        let postfix = if can_run() {
            let relay_to = Some(([127, 0, 0, 1], server.port(25)).into());
            let postfix = Postfix::start(&Setup { relay_to, ..Setup::default() });
            postfix.sendmail("carol@elsewhere.test", &to, &message("carol@elsewhere.test", &to, "from Postfix"));
            Some(postfix)
        } else {
            let place = format!("inet:127.0.0.1:{}", server.port(25));
            run("/usr/sbin/smtp-source", &["-f", "carol@elsewhere.test", "-t", &to, "-S", "from Postfix", &place], b"")
                .good();
            None
        };

        // The mail is heard of in IDLE: nothing polls.
        imap.until(|line| line == "* 1 EXISTS");
        imap.say("DONE");
        imap.until(|line| line.starts_with("a OK"));
        let fetched = imap.imap("FETCH 1 BODY.PEEK[]");
        assert!(fetched.iter().any(|line| line == "Subject: from Postfix"), "{fetched:?}");
        if let Some(postfix) = postfix {
            assert!(fetched.iter().any(|line| line.contains("TLSv1.3")), "Postfix used no TLS: {fetched:?}");
            assert!(fetched.iter().any(|line| line == ".A line with a dot."), "{fetched:?}\n{}", postfix.log());
        }
    }
}
