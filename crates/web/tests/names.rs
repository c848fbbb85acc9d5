//! The table of metrics against the sources: what is counted is described, with the right kind, and nothing more.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use postroad_web::metrics::{Kind, NAMES};

/// Names in `counter!("..`, `gauge!(`, `histogram!(` below the folder.
fn used(folder: &Path, found: &mut BTreeMap<String, &'static str>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        if path.is_dir() {
            used(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("readable");
            // Unit tests count under made-up names.
            let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            for word in ["counter", "gauge", "histogram"] {
                for use_of in source.split(&format!("metrics::{word}!(")).skip(1) {
                    let name = use_of.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                    let name = name.unwrap_or_else(|| panic!("{}: a name that is no literal", path.display()));
                    found.insert(name.to_owned(), word);
                }
            }
        }
    }
}

#[test]
fn every_metric_is_described() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder of all crates");
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(crates).expect("a folder").map(|entry| entry.expect("an entry")) {
        let sources = entry.path().join("src");
        if sources.is_dir() {
            used(&sources, &mut found);
        }
    }
    assert!(found.len() > 10, "the sources were not found");
    // Kept by the recorder itself.
    found.insert("postroad_metrics_dropped_total".into(), "counter");
    let described: BTreeMap<String, &str> = NAMES
        .iter()
        .map(|known| {
            let kind = match known.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            (known.name.to_owned(), kind)
        })
        .collect();
    assert_eq!(described.len(), NAMES.len(), "a name stands in the table twice");
    let table = "crates/web/src/metrics/names.rs";
    let missing: Vec<_> = found.iter().filter(|(name, kind)| described.get(*name) != Some(kind)).collect();
    assert!(missing.is_empty(), "counted, but not or otherwise described in {table}: {missing:?}");
    let unused: Vec<_> = described.keys().filter(|name| !found.contains_key(*name)).collect();
    assert!(unused.is_empty(), "described in {table}, but never counted: {unused:?}");
}

/// `UPDATE_EXPECT=1 cargo test -p postroad-web` writes the page anew.
#[test]
fn the_page_of_metrics_is_up_to_date() {
    let mut page = String::from(
        "# Metrics\n\n\
         `/metrics` on the HTTP listener shows these in the Prometheus text format, to this machine and to the networks\n\
         that the settings name. Made from `crates/web/src/metrics/names.rs`; not to be edited by hand.\n\n\
         | name | kind | what |\n|---|---|---|\n",
    );
    for known in NAMES {
        let kind = match known.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        page.push_str(&format!("| `{}` | {kind} | {} |\n", known.name, known.help));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &page).expect("written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/metrics.md is out of date: UPDATE_EXPECT=1 cargo test -p postroad-web");
}
