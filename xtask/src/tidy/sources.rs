//! What holds of every Rust file: sizes, SQL where it belongs, no sleeping tests, no loose ends.

use std::path::Path;

use anyhow::Result;

use super::{Fault, files, shown};

/// A file must fit a sitting.
const FILE_LINES_MAX: usize = 1_000;
/// No function may be longer, tests included.
const FUNCTION_LINES_MAX: usize = 150;
/// A function should fit a screen; so many in a thousand may not.
const FUNCTION_LINES_GOOD: usize = 70;
const LONG_FUNCTIONS_PER_MILLE: usize = 25;

/// Crates with SQL of their own.
const SQL_CRATES: &[&str] = &["store", "mail", "queue", "trust", "identity", "testkit"];

pub(super) fn check(root: &Path) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    let mut functions = 0;
    let mut long = Vec::new();
    let mut paths = files(&root.join("crates"), "rs")?;
    paths.extend(files(&root.join("xtask"), "rs")?);
    for path in &paths {
        let text = std::fs::read_to_string(path)?;
        let name = shown(root, path).to_string();
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            faults.push(format!("{name}: {lines} lines; split it (at most {FILE_LINES_MAX})"));
        }
        for (start, length) in function_lengths(&text) {
            functions += 1;
            if length > FUNCTION_LINES_MAX {
                faults.push(format!("{name}:{start}: a function of {length} lines (at most {FUNCTION_LINES_MAX})"));
            } else if length > FUNCTION_LINES_GOOD {
                long.push(format!("{name}:{start} ({length})"));
            }
        }
        if !name.starts_with("xtask/") {
            faults.extend(loose_ends(&name, &text));
        }
    }
    if long.len() * 1_000 > functions * LONG_FUNCTIONS_PER_MILLE {
        faults.push(format!(
            "{} of {functions} functions are longer than {FUNCTION_LINES_GOOD} lines, more than {LONG_FUNCTIONS_PER_MILLE} in a thousand: {}",
            long.len(),
            long.join(", ")
        ));
    }
    Ok(faults)
}

/// Start line and length of each function. Formatted code closes a block at the indentation it opened with.
fn function_lengths(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let is_function =
            ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "async fn ", "pub async fn ", "const fn "]
                .iter()
                .any(|start| code.starts_with(start));
        if !is_function {
            continue;
        }
        let indentation = &line[..line.len() - code.len()];
        let closing = format!("{indentation}}}");
        // A declaration without a body ends with a semicolon before any block closes.
        let end = lines[index..].iter().position(|candidate| {
            **candidate == closing || candidate.ends_with(';') && !candidate.starts_with(&format!("{indentation} "))
        });
        if let Some(length) = end {
            found.push((index + 1, length + 1));
        }
    }
    found
}

fn loose_ends(name: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let owner = name.split('/').nth(1).unwrap_or_default();
    let is_test = name.contains("/tests/");
    for (index, line) in text.lines().enumerate() {
        let mut fault = |sentence: &str| faults.push(format!("{name}:{}: {sentence}", index + 1));
        for word in ["TODO", "FIXME", "XXX:"] {
            if line.contains(word) && !line.contains('#') {
                fault("a loose end without an issue's number");
            }
        }
        // With tokio's paused clock a sleep takes no time.
        let sleeps = line.contains("thread::sleep") || line.contains("time::sleep") && !text.contains("start_paused");
        if is_test && sleeps {
            fault("a test sleeps; wait for the event instead");
        }
        if line.contains("allow(unsafe_code)") {
            fault("unsafe code needs a decision record and a row here");
        }
        let code = line.trim_start();
        let sql = ["\"SELECT ", "\"INSERT INTO ", "\"UPDATE ", "\"DELETE FROM "];
        if !SQL_CRATES.contains(&owner)
            && !is_test
            && sql.iter().any(|start| code.contains(start))
            && line.contains('$')
        {
            fault("SQL outside the crates that own tables");
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured() {
        let text = "fn one() {\n    two();\n}\n\ntrait T {\n    fn declared(&self);\n    fn given(&self) {\n        let a = 1;\n\n    }\n}\n";
        assert_eq!(function_lengths(text), [(1, 3), (6, 1), (7, 4)]);
    }

    #[test]
    fn loose_ends_are_found() {
        assert_eq!(loose_ends("crates/imapd/src/a.rs", "let q = \"SELECT a FROM b WHERE c = $1\";").len(), 1);
        assert_eq!(loose_ends("crates/mail/src/a.rs", "let q = \"SELECT a FROM b WHERE c = $1\";").len(), 0);
        assert_eq!(loose_ends("crates/mail/src/a.rs", concat!("// TO", "DO: later")).len(), 1);
    }
}
