//! Mail that is from whom it says.

use super::place::{HOME, STRANGER, message, places, signed_by_dkimpy, signed_by_opendkim, world};

/// Somebody else brings it, so that SPF fails; the signature is what DMARC passes by.
#[test]
fn signatures_of_opendkim_and_dkimpy_pass() {
    for place in places() {
        for (id, sign) in
            [("opendkim", signed_by_opendkim as fn(&str, &std::path::Path) -> String), ("dkimpy", signed_by_dkimpy)]
        {
            let to = place.account();
            let text = message("boss@bank.test", &to, id);
            let signed = sign(&text, world().keys.path());
            place.bring(STRANGER, "bounce@bank.test", &to, signed.as_bytes()).good();
            let read = place.read(&to, "INBOX");
            let results = results(&read);
            assert_eq!(results.len(), 1, "{read}");
            for part in ["dkim=pass", "header.d=bank.test", "dmarc=pass", "header.from=bank.test", "spf=fail"] {
                assert!(results[0].contains(part), "{id}: {part}: {}", results[0]);
            }
            let story = place.cli(&["trace", &to]);
            for line in ["pass by bank.test with", "pass for bank.test, p=reject", "pass: 198.51.100.9 nine.isp.test"] {
                assert!(story.contains(line), "{line}: {story}");
            }

            // A word more, and it is not what was signed.
            let altered = signed.replace("Last line", "Very last line");
            let refused = place.bring(STRANGER, "bounce@bank.test", &to, altered.as_bytes());
            assert!(!refused.success && refused.out.contains("550 5.7.26 "), "{refused:?}");
        }
    }
}

#[test]
fn mail_from_home_passes_by_its_address() {
    for place in places() {
        let to = place.account();
        place.bring(HOME, "boss@bank.test", &to, message("boss@bank.test", &to, "home").as_bytes()).good();
        let read = place.read(&to, "INBOX");
        let results = results(&read);
        for part in ["spf=pass", "smtp.mailfrom=", "dkim=none", "dmarc=pass", "iprev=pass", "mail.bank.test"] {
            assert!(results[0].contains(part), "{part}: {}", results[0]);
        }
        assert!(read.contains("from mail.bank.test (mail.bank.test [192.0.2.25])"), "{read}");
    }
}

/// RFC 8601 §5: nobody tells our users in our name what we found; what others say of themselves stays.
#[test]
fn nobody_else_speaks_in_our_name() {
    for place in places() {
        let to = place.account();
        place.bring(HOME, "boss@bank.test", &to, message("boss@bank.test", &to, "name").as_bytes()).good();
        let ours = results(&place.read(&to, "INBOX"))[0].clone();
        let name = ours.trim_start_matches("Authentication-Results:").trim_start();
        let name = name.split([';', ' ', '\r', '\n']).next().expect("a name");

        let to = place.account();
        let forged = format!(
            "Authentication-Results: {name};\n\tdmarc=pass header.from=shop.test\n\
             authentication-results:\n {name} (really) 1; spf=pass\n\
             Authentication-Results: elsewhere.test; dkim=pass header.d=shop.test\n\
             ARC-Authentication-Results: i=1; {name}; dmarc=pass\n{}",
            message("x@watch.test", &to, "forged")
        );
        place.bring(STRANGER, "x@watch.test", &to, forged.as_bytes()).good();
        let read = place.read(&to, "INBOX");
        let found = results(&read);
        assert_eq!(found.len(), 2, "{read}");
        assert!(found[0].contains(name) && found[0].contains("dmarc=fail"), "{read}");
        assert!(found[1].contains("elsewhere.test; dkim=pass"), "{read}");
        assert!(read.contains(&format!("ARC-Authentication-Results: i=1; {name}; dmarc=pass\r\n")), "{read}");
        assert!(read.find("Authentication-Results: ").expect("ours") < read.find("Received: ").expect("ours"));
    }
}

/// The `Authentication-Results` fields of a message, with their folds.
fn results(message: &str) -> Vec<String> {
    let header = message.split("\r\n\r\n").next().expect("a header");
    let mut fields: Vec<String> = Vec::new();
    for line in header.split_inclusive("\r\n") {
        match fields.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => last.push_str(line),
            Some(_) | None => fields.push(line.to_owned()),
        }
    }
    fields.retain(|field| field.to_ascii_lowercase().starts_with("authentication-results:"));
    fields
}
