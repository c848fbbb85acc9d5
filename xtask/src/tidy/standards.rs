//! `docs/rfc/index.tsv` is the register of standards: what we claim, where it is, which test shows it.
//! `docs/standards.md` is generated from it and never edited.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, bail};

use super::Fault;

const INDEX: &str = "docs/rfc/index.tsv";
const PAGE: &str = "docs/standards.md";

struct Row<'a> {
    area: &'a str,
    standard: &'a str,
    title: &'a str,
    state: &'a str,
    code: &'a str,
    proof: &'a str,
}

/// Writes the page anew.
pub(crate) fn write(root: &Path) -> Result<()> {
    let index = std::fs::read_to_string(root.join(INDEX))?;
    std::fs::write(root.join(PAGE), page(&rows(&index)?))?;
    Ok(())
}

pub(super) fn check(root: &Path) -> Result<Vec<Fault>> {
    let Ok(index) = std::fs::read_to_string(root.join(INDEX)) else {
        return Ok(vec![format!("{INDEX}: is missing")]);
    };
    let rows = rows(&index)?;
    let mut faults = Vec::new();
    for row in &rows {
        for path in row.code.split_whitespace().chain(row.proof.split_whitespace()) {
            if !root.join(path).exists() {
                faults.push(format!("{INDEX}: {} names {path}, which does not exist", row.standard));
            }
        }
        if row.state != "none" && (row.code.is_empty() || row.proof.is_empty()) {
            faults.push(format!("{INDEX}: {} claims `{}` without code and proof", row.standard, row.state));
        }
    }
    if std::fs::read_to_string(root.join(PAGE)).unwrap_or_default() != page(&rows) {
        faults.push(format!("{PAGE}: is not what {INDEX} says; run `cargo xtask standards`"));
    }
    Ok(faults)
}

fn rows(index: &str) -> Result<Vec<Row<'_>>> {
    let mut rows = Vec::new();
    for (number, line) in index.lines().enumerate().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [area, standard, title, state, code, proof] = columns[..] else {
            bail!("{INDEX}:{}: a row has six columns: area, standard, title, state, code, proof", number + 1);
        };
        if !["whole", "part", "none"].contains(&state) {
            bail!("{INDEX}:{}: the state is whole, part or none, not {state:?}", number + 1);
        }
        rows.push(Row { area, standard, title, state, code, proof });
    }
    Ok(rows)
}

fn page(rows: &[Row<'_>]) -> String {
    let mut page = String::from(
        "# Standards\n\nGenerated from `docs/rfc/index.tsv` by `cargo xtask standards`. A row claims only what its proof shows:\n\
         *whole* is all that the standard asks of a server of our kind, *part* is less, and the title says what.\n",
    );
    let mut area = "";
    for row in rows {
        if row.area != area {
            area = row.area;
            let _ = write!(page, "\n## {area}\n\n| standard | what | state | code | proof |\n|---|---|---|---|---|\n");
        }
        let paths = |list: &str| list.split_whitespace().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} |",
            row.standard,
            row.title,
            row.state,
            paths(row.code),
            paths(row.proof)
        );
    }
    page
}
