//! An account's mail goes on, marked, and its failure is told without its new address.

use postroad_testkit::Remote;
use postroad_testkit::remote::Manner;

use crate::town::{message, towns};

#[test]
fn a_forward_is_set_followed_shown_and_removed() {
    for town in towns() {
        let (from, to, at) = (town.account(), town.account(), town.host());
        let domain = town.domain_at(at);
        let hidden = format!("hidden@{domain}");
        let remote = Remote::start(at, Manner::default());
        let said = town.cli(&["forward", "set", &to, &hidden, "--keep"]);
        assert_eq!(said.trim(), format!("mail for {to} goes on to {hidden}; a copy stays here"));
        assert!(town.cli(&["forward", "show", "--json"]).contains(&hidden));
        town.submit(&from, &[&to], &message(&from, &to, "on"));
        let received = remote.wait_for(1).remove(0);
        let text = String::from_utf8(received.bytes).expect("ASCII");
        assert!(text.starts_with(&format!("Delivered-To: {to}\r\n")), "{text}");
        assert!(received.mail.starts_with(&format!("<{from}>")), "{}", received.mail);
        town.wait_for_inbox(&to, 1);
        town.wait_until_gone(&domain);
        drop(remote);

        // The next host does not know it; the sender only knows whom they wrote to.
        let words = format!("550 5.1.1 <{hidden}>: unknown");
        let remote = Remote::start(at, Manner::default().refusing(&hidden, &words));
        town.submit(&from, &[&to], &message(&from, &to, "off"));
        let notice = town.wait_for_notice(&from);
        assert!(notice.contains(&format!("Final-Recipient: rfc822; {to}\r\n")), "{notice}");
        assert!(notice.contains(&format!("550 5.1.1 <{to}>: unknown")), "{notice}");
        assert!(!notice.contains(&hidden), "{notice}");
        assert!(town.cli(&["trace", &hidden]).contains(&words), "the administrator sees it");
        town.wait_for_inbox(&to, 2);
        drop(remote);

        let refused = town.try_cli(&["forward", "set", &to, &to]);
        assert!(!refused.success, "{refused:?}");
        town.cli(&["forward", "remove", &to]);
        assert_eq!(town.cli(&["forward", "show", &to]).trim(), format!("mail for {to} is not forwarded"));
    }
}
