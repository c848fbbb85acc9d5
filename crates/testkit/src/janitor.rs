//! Removes a folder when this process ends, however it ends: a shell waits for the end of a pipe that this
//! process holds. Folders of values that are never dropped (statics, killed tests) go this way.

use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::run::ended;

/// Removes its folder when dropped, or when the process ends.
#[derive(Debug)]
pub(crate) struct Janitor {
    child: Child,
    held: Option<ChildStdin>,
}

impl Janitor {
    pub(crate) fn of(folder: &Path) -> Janitor {
        Janitor::of_daemon(folder, &[])
    }

    /// Runs this program before, which stops a daemon that lives in the folder.
    pub(crate) fn of_daemon(folder: &Path, stop: &[&str]) -> Janitor {
        let mut child = Command::new("sh")
            .args(["-c", SWEEP, "janitor"])
            .arg(folder)
            .args(stop)
            .current_dir("/")
            .stdin(Stdio::piped())
            .spawn()
            .expect("sh is installed");
        let held = child.stdin.take();
        Janitor { child, held }
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.held.take());
        // A panic within a panic would end the process: then the folder may stay.
        if !std::thread::panicking() {
            ended(&mut self.child, "the end of a daemon and of its folder");
        }
    }
}

/// A server that is being killed may still write while the first sweep goes on.
const SWEEP: &str = r#"
trap '' INT HUP TERM
read -r _
folder=$1
shift
[ $# = 0 ] || "$@" >/dev/null 2>&1
rm -rf "$folder" 2>/dev/null || { sleep 1; rm -rf "$folder"; }
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_goes_with_its_janitor() {
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        std::fs::write(folder.join("file"), "content").expect("it can be written");
        let janitor = Janitor::of(&folder);
        assert!(folder.exists());
        drop(janitor);
        assert!(!folder.exists());
    }
}
