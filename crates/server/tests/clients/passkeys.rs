//! Passkeys at the real program: made and shown on its pages, with curl as the browser, and looked after on the command line.

use std::path::Path;

use postroad_testkit::Authenticator;
use postroad_testkit::authenticator::base64url;
use postroad_testkit::pages::{browse, hidden};
use serde_json::Value;

use super::program::{PASSWORD, Server, postroad, servers};
use super::provider::json;

/// Somebody at a browser with cookies.
struct Person<'a> {
    jar: &'a Path,
    base: String,
}

impl Person<'_> {
    fn open(&self, path: &str) -> String {
        browse(self.jar, &[&format!("{}{path}", self.base)])
    }

    fn send(&self, path: &str, fields: &[(&str, String)]) -> String {
        let url = format!("{}{path}", self.base);
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut arguments = vec![url.as_str()];
        for field in &fields {
            arguments.extend(["--data-urlencode", field]);
        }
        browse(self.jar, &arguments)
    }

    fn log_in(&self, who: &str) {
        let page = self.open("/login");
        let own = ["ticket", "token"].map(|name| (name, hidden(&page, name)));
        let typed = [("login", who.to_owned()), ("password", PASSWORD.to_owned())];
        let page = self.send("/login", &[&own[..], &typed].concat());
        assert!(page.contains("You are logged in as"), "{page}");
    }

    /// What a form asks of an authenticator, and its hidden fields of these names.
    fn asked<'n>(&self, page: &str, action: &str, names: &[&'n str]) -> (Value, Vec<(&'n str, String)>) {
        let form = page.split(&format!("action=\"{action}\" hidden")).nth(1).unwrap_or_else(|| panic!("{page}"));
        let asked = form.split("data-asked=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a question");
        (json(&asked.replace("&quot;", "\"")), names.iter().map(|name| (*name, hidden(form, name))).collect())
    }

    /// Makes one; its handle.
    fn make(&self, authenticator: &Authenticator, name: &str) -> String {
        let page = self.open("/account/passkey");
        let (asked, mut fields) = self.asked(&page, "/account/passkey", &["token", "question"]);
        let (client, attestation) = authenticator.make(text(&asked, "challenge"));
        fields.extend([
            ("name", name.to_owned()),
            ("client_data", base64url(&client)),
            ("attestation", base64url(&attestation)),
        ]);
        let page = self.send("/account/passkey", &fields);
        assert!(page.contains(name) && page.contains("You are logged in as"), "{page}");
        text(&asked, "handle").to_owned()
    }

    /// The page behind logging in by it alone.
    fn show(&self, authenticator: &mut Authenticator, handle: &str) -> String {
        let page = self.open("/login");
        let (asked, mut fields) = self.asked(&page, "/login/passkey", &["token", "question", "ticket"]);
        let (client, data, signature) = authenticator.sign(text(&asked, "challenge"));
        fields.extend([
            ("credential", base64url(&authenticator.credential)),
            ("client_data", base64url(&client)),
            ("data", base64url(&data)),
            ("signature", base64url(&signature)),
            ("handle", handle.to_owned()),
        ]);
        self.send("/login/passkey", &fields)
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

fn issuer(server: &Server, jar: &Path) -> String {
    let url = format!("http://127.0.0.1:{}/.well-known/openid-configuration", server.port(8080));
    text(&json(&browse(jar, &[&url])), "issuer").to_owned()
}

#[test]
fn a_passkey_is_made_shown_listed_and_taken_away() {
    for server in servers() {
        let who = server.account();
        let jars = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let base = format!("http://127.0.0.1:{}", server.port(8080));
        let [owner, other] = [0, 1].map(|nth| Person { jar: jars[nth].path(), base: base.clone() });
        owner.log_in(&who);
        let issuer = issuer(server, jars[0].path());
        let (mut laptop, phone) = (Authenticator::new(&issuer), Authenticator::new(&issuer));
        let handle = owner.make(&laptop, "Laptop");
        assert_eq!(owner.make(&phone, "Phone"), handle);
        assert!(other.show(&mut laptop, &handle).contains("You are logged in as"));
        let listed = postroad(server, &["account", "passkeys", "list", &who]).good();
        let (laptops, phones): (Vec<&str>, Vec<&str>) =
            listed.lines().filter(|line| line.contains("one device")).partition(|line| line.contains("Laptop"));
        assert!(laptops.len() == 1 && phones.len() == 1 && phones[0].contains("never"), "{listed}");
        let sessions = postroad(server, &["account", "sessions", &who]).good();
        assert_eq!(sessions.lines().filter(|line| line.contains("passkey")).count(), 2, "{sessions}");
        let id = laptops[0].split_whitespace().next().expect("an id");
        postroad(server, &["account", "passkeys", "remove", &who, id]).good();
        assert!(!postroad(server, &["account", "passkeys", "remove", &who, id]).success, "it is gone");
        assert!(!other.open("/account").contains("You are logged in as"), "what it opened ends");
        assert!(other.show(&mut laptop, &handle).contains("opens nothing here"));
        assert!(owner.open("/account").contains("You are logged in as"));
        let stands = postroad(server, &["account", "second-step", "show", &who]).good();
        assert!(stands.contains("no second step, and 1 passkeys"), "{stands}");
        postroad(server, &["account", "second-step", "reset", &who]).good();
        let listed = postroad(server, &["account", "passkeys", "list", &who]).good();
        assert!(listed.contains("no passkey"), "{listed}");
        assert!(!postroad(server, &["account", "second-step", "reset", &who]).success, "there is nothing left");
    }
}
