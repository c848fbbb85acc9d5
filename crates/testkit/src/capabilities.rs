//! A table that says which capability is told in which place of a protocol: `NAME STANDARD PLACES WHY`, separated by tabs, below a
//! line of headings. `PLACES` are names with spaces between, or `everywhere`, or `nowhere`.

use std::collections::BTreeSet;

/// The table, read.
#[derive(Debug)]
pub struct Capabilities(Vec<Row>);

#[derive(Debug)]
struct Row {
    name: &'static str,
    places: Vec<&'static str>,
}

impl Capabilities {
    /// Reads a table whose places are these.
    ///
    /// # Panics
    /// For a row of no standard, one that does not say why it is not told everywhere, and one of a place that there is not.
    pub fn read(text: &'static str, places: &[&str]) -> Capabilities {
        let row = |line: &'static str| {
            let columns: Vec<&str> = line.split('\t').collect();
            let [name, standard, told, note] = columns[..] else { panic!("four columns: {line:?}") };
            assert!(!standard.is_empty(), "{name} is of no standard");
            let told: Vec<&str> = told.split(' ').collect();
            assert!(told == ["everywhere"] || !note.is_empty(), "{name} says not why");
            for place in &told {
                let known = ["everywhere", "nowhere"].contains(place) || places.contains(place);
                assert!(known, "{name}: there is no place {place}");
            }
            Row { name, places: told }
        };
        Capabilities(text.lines().skip(1).map(row).collect())
    }

    /// Whether the table speaks of it.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|row| row.name == name)
    }

    /// # Panics
    /// When this is not what the table says is told in a place.
    pub fn check(&self, place: &str, told: &BTreeSet<String>) {
        let here = self.0.iter().filter(|row| row.places == ["everywhere"] || row.places.contains(&place));
        let expected: BTreeSet<String> = here.map(|row| row.name.to_owned()).collect();
        let missing: Vec<&String> = expected.difference(told).collect();
        let surplus: Vec<&String> = told.difference(&expected).collect();
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "{place}: not told {missing:?}, not in the table {surplus:?}"
        );
    }
}
