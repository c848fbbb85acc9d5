//! The documents name only what exists: each `path` or crate in backticks is looked up, and what of a file a
//! `path::item` names.

use std::path::Path;

use anyhow::Result;

use super::{Fault, files, shown};

/// The map stays one that is read.
const ARCHITECTURE_LINES_MAX: usize = 300;

/// The first path segments that make a backticked word a path of the tree.
const TREE: &[&str] = &["crates/", "docs/", "xtask/", "contrib/", "fuzz/", ".ci/", ".cargo/"];

pub(super) fn check(root: &Path) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "docs/flow.md",
        "docs/lessons.md",
        "docs/standards.md",
        "docs/rfc/index.tsv",
    ] {
        if !root.join(name).is_file() {
            faults.push(format!("{name}: is missing"));
        }
    }
    let mut documents = files(&root.join("docs"), "md")?;
    for entry in std::fs::read_dir(root)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            documents.push(path);
        }
    }
    for path in documents {
        let text = std::fs::read_to_string(&path)?;
        let name = shown(root, &path).to_string();
        if name == "ARCHITECTURE.md" && text.lines().count() > ARCHITECTURE_LINES_MAX {
            faults.push(format!("{name}: longer than {ARCHITECTURE_LINES_MAX} lines"));
        }
        for (line, word) in quoted(&text) {
            if let Some(gone) = missing(root, word) {
                faults.push(format!("{name}:{line}: names {gone}, which does not exist"));
            }
        }
    }
    Ok(faults)
}

/// The words in single backticks with their lines, code blocks left out.
fn quoted(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_block = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            continue;
        }
        if !in_block {
            found.extend(line.split('`').skip(1).step_by(2).map(|word| (index + 1, word)));
        }
    }
    found
}

fn missing(root: &Path, word: &str) -> Option<String> {
    if word.contains(' ') || word.contains('*') || word.contains('<') {
        return None;
    }
    if let Some(name) = word.strip_prefix("postroad-") {
        let is_crate_name = name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
        return (is_crate_name && !root.join("crates").join(name).is_dir()).then(|| word.to_string());
    }
    if !TREE.iter().any(|start| word.starts_with(start)) {
        return None;
    }
    // `path::item` and `path#anchor` name something inside a file.
    let path = word.split("::").next().unwrap_or(word).split('#').next().unwrap_or(word);
    if !root.join(path).exists() {
        return Some(path.to_string());
    }
    let item = word.rsplit_once("::").map(|(_, item)| item).filter(|_| path.ends_with(".rs"))?;
    let text = std::fs::read_to_string(root.join(path)).unwrap_or_default();
    (!text.contains(item)).then(|| word.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_gone_is_found() {
        let root = crate::root();
        assert_eq!(missing(&root, "crates/protocol/src/lib.rs"), None);
        assert_eq!(missing(&root, "crates/gone/src/lib.rs"), Some("crates/gone/src/lib.rs".into()));
        let item = |name: &str| missing(&root, &format!("xtask/src/tidy/documents.rs::{name}"));
        assert_eq!(item("a_path_that_is_gone_is_found"), None);
        assert!(item(&["never", "written"].join("_")).is_some());
        assert_eq!(missing(&root, "postroad-gone"), Some("postroad-gone".into()));
        assert_eq!(missing(&root, "postroad quickstart"), None);
        assert_eq!(quoted("see `a` and\n```\n`b`\n```\n`c`"), [(1, "a"), (5, "c")]);
    }
}
