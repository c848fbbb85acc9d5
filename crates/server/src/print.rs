//! Standard output and error of the command line: the only place that writes to them.

use std::io::Write;

/// A line on standard output. A closed pipe is no error: whoever read has read enough.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// Text that ends its own lines.
pub(crate) fn text(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// A line on standard error.
pub(crate) fn complaint(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
