//! offlineimap: keeps a Maildir in step by remembering UIDs and flags.

use std::path::{Path, PathBuf};

use super::program::{PASSWORD, Server, run_in};

/// A configuration for `who`, in this home. The Maildirs are in `offline/`, levels in levels: with dots between them
/// it would take `Other Users/bob@example.test` apart.
pub(crate) fn configure(server: &Server, who: &str, home: &Path) -> PathBuf {
    let text = format!(
        "[general]\naccounts = here\nmetadata = {home}/offlineimap\nui = basic\n\n\
         [Account here]\nlocalrepository = near\nremoterepository = far\n\n\
         [Repository near]\ntype = Maildir\nlocalfolders = {home}/offline\nsep = /\n\n\
         [Repository far]\ntype = IMAP\nremotehost = 127.0.0.1\nremoteport = {port}\nssl = no\nstarttls = no\n\
         remoteuser = {who}\nremotepass = {PASSWORD}\n",
        home = home.display(),
        port = server.port(143),
    );
    let file = home.join("offlineimaprc");
    std::fs::write(&file, text).expect("written");
    file
}

/// Brings both sides in step, once. What it warns of is a failure.
pub(crate) fn sync(configuration: &Path, home: &Path) {
    let file = configuration.display().to_string();
    let ran = run_in(home, "offlineimap", &["-c", &file, "-o"], b"");
    let said = format!("{}\n{}", ran.out, ran.err);
    assert!(!said.contains("ERROR") && !said.contains("WARNING") && !said.contains("Traceback"), "{said}");
    ran.good();
}
