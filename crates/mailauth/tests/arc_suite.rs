//! The published ARC suite, its validating part: `tests/data/arc` (with its licence). The signing part is in `src/arc/suite.rs`.

mod support;

use support::{Zone, crlf};
use yaml_rust2::{Yaml, YamlLoader};

#[test]
fn the_published_suite_is_validated_as_it_says() {
    let text = with_single_keys(include_str!("data/arc/arc-draft-validation-tests.yml"));
    let scenarios = YamlLoader::load_from_str(&text).expect("YAML");
    let mut run = 0;
    let mut wrong = Vec::new();
    for scenario in &scenarios {
        let mut zone = Zone::default();
        for (name, record) in scenario["txt-records"].as_hash().expect("records") {
            zone = zone.with(name.as_str().expect("name"), record.as_str().expect("record"));
        }
        for (name, test) in scenario["tests"].as_hash().expect("tests") {
            let name = name.as_str().expect("name");
            let message = test["message"].as_str().expect("message");
            let expected = match &test["cv"] {
                Yaml::String(cv) => cv.to_ascii_lowercase(),
                other => panic!("{name}: {other:?}"),
            };
            // "Nothing" in the suite is a chain that was sealed as failed; RFC 8617 §5.2 step 2: the status is "fail".
            let expected = if expected.trim().is_empty() { "fail" } else { &*expected };
            let verdict = zone.arc(&crlf(message));
            if verdict.cv.as_str() != expected {
                wrong.push(format!("{name}: {} instead of {expected}: {}", verdict.cv.as_str(), verdict.why));
            }
            run += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {run}\n{}", wrong.len(), wrong.join("\n"));
    assert!(run > 160, "only {run} tests were run");
}

/// Some tests of the suite have the name of another one, which YAML does not allow: they get one of their own.
fn with_single_keys(text: &str) -> String {
    let mut seen = Vec::new();
    let mut out = String::new();
    for line in text.lines() {
        let name = line.strip_prefix("  ").and_then(|line| line.strip_suffix(':'));
        match name.filter(|name| !name.starts_with(' ')) {
            Some(name) if seen.contains(&name) => out.push_str(&format!("  {name}_again:")),
            Some(name) => {
                seen.push(name);
                out.push_str(line);
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}
