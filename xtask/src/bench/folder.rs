//! The temporary folder of a run, and the guard that cleans up after it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Runs what `stop.sh` and then `sweep.sh` collected when its standard input ends: at the end of the run, however that came.
const GUARD: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
sh "$1/stop.sh" >/dev/null 2>&1
sh "$1/sweep.sh" >/dev/null 2>&1
rm -rf "$1"
"#;

/// A folder that is removed, with all servers in it stopped, when the value is dropped or the process dies.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    guard: Child,
}

impl Folder {
    /// A new folder below `parent` or the system's folder for such things.
    pub(super) fn make(parent: Option<&Path>) -> Result<Folder> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let path = parent.join(format!("postroad-bench-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        let path = path.canonicalize()?;
        // The servers' own users must be able to pass through.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        let guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("sh does not start")?;
        Ok(Folder { path, guard })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A new folder in it.
    pub(super) fn sub(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    /// Adds a line of shell to what is run at the end: it stops something.
    pub(super) fn stop_with(&self, line: &str) -> Result<()> {
        self.append("stop.sh", line)
    }

    /// Adds a line of shell that is run when everything was told to stop.
    pub(super) fn sweep_with(&self, line: &str) -> Result<()> {
        self.append("sweep.sh", line)
    }

    fn append(&self, name: &str, line: &str) -> Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path.join(name))?;
        writeln!(file, "{line}")?;
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // Nothing can be done about a guard that fails, and the servers are its matter.
        drop(self.guard.wait());
    }
}
