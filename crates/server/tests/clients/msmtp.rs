//! msmtp: a sendmail replacement that verifies our certificate.

use super::program::{PASSWORD, message, run_in, servers};

#[test]
fn submits_with_verified_tls() {
    for server in servers() {
        let (from, to) = (server.account(), server.account());
        let home = tempfile::tempdir().expect("a folder");
        for (port, starttls) in [(587, "on"), (465, "off")] {
            let settings = format!(
                "host localhost\nport {}\ntls on\ntls_starttls {starttls}\ntls_trust_file {}/tls/self-made.pem\n\
                 auth on\nuser {from}\npassword \"{PASSWORD}\"\nfrom {from}\n",
                server.port(port),
                server.data()
            );
            let file = home.path().join("msmtprc");
            std::fs::write(&file, settings).expect("written");
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
            let file = file.display().to_string();
            let text = message(&from, &to, "by msmtp");
            run_in(home.path(), "msmtp", &["-C", &file, "--", &to], text.as_bytes()).good();
        }
    }
}
