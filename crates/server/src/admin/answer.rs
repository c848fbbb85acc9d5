//! What an operation answers, and how it is printed: text that lines up for people, JSON for programs.

use serde::{Deserialize, Serialize};

/// The outcome of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// Done; a sentence that says what.
    Done { text: String },
    /// Rows under column heads; `empty` is said when there are none.
    Table { columns: Vec<String>, rows: Vec<Vec<String>>, empty: String },
    /// Names and values of one thing.
    Facts { facts: Vec<(String, String)> },
    /// Blocks of lines under a title each: stories.
    Stories { stories: Vec<Story>, empty: String },
    /// A report whose text is composed already, and its data for programs.
    Report { text: String, data: serde_json::Value },
    /// Refused: a sentence with the next step.
    Refused { text: String },
}

/// A titled block with lines of time, event and detail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Story {
    pub(crate) title: String,
    pub(crate) lines: Vec<(String, String, String)>,
}

impl Answer {
    /// A table from static heads.
    pub(crate) fn table(columns: &[&str], rows: Vec<Vec<String>>, empty: &str) -> Answer {
        Answer::Table { columns: columns.iter().map(|head| (*head).into()).collect(), rows, empty: empty.into() }
    }

    /// A sentence.
    pub(crate) fn done(text: impl Into<String>) -> Answer {
        Answer::Done { text: text.into() }
    }

    /// Whether the command succeeded.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Answer::Refused { .. })
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        match self {
            Answer::Done { text } | Answer::Refused { text } => format!("{text}\n"),
            Answer::Table { rows, empty, .. } if rows.is_empty() => format!("{empty}\n"),
            Answer::Table { columns, rows, .. } => {
                let mut all = vec![columns.clone()];
                all.extend(rows.iter().cloned());
                aligned(&all)
            }
            Answer::Facts { facts } => {
                aligned(&facts.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect::<Vec<_>>())
            }
            Answer::Report { text, .. } => text.clone(),
            Answer::Stories { stories, empty } if stories.is_empty() => format!("{empty}\n"),
            Answer::Stories { stories, .. } => {
                let blocks: Vec<String> = stories.iter().map(Story::text).collect();
                blocks.join("\n")
            }
        }
    }

    /// For programs: tables as arrays of objects named by their columns, in small letters.
    pub(crate) fn json(&self) -> serde_json::Value {
        use serde_json::{Map, Value, json};
        match self {
            Answer::Done { text } => json!({ "done": text }),
            Answer::Refused { text } => json!({ "error": text }),
            Answer::Table { columns, rows, .. } => {
                let object = |row: &Vec<String>| {
                    let pairs = columns.iter().zip(row).map(|(head, cell)| (key(head), Value::from(cell.clone())));
                    Value::Object(pairs.collect::<Map<_, _>>())
                };
                Value::Array(rows.iter().map(object).collect())
            }
            Answer::Report { data, .. } => data.clone(),
            Answer::Facts { facts } => {
                Value::Object(facts.iter().map(|(name, value)| (key(name), Value::from(value.clone()))).collect())
            }
            Answer::Stories { stories, .. } => {
                let event = |(at, event, detail): &(String, String, String)| json!({ "at": at, "event": event, "detail": detail });
                let story = |story: &Story| json!({ "trace": story.title, "events": story.lines.iter().map(event).collect::<Vec<_>>() });
                Value::Array(stories.iter().map(story).collect())
            }
        }
    }
}

impl Story {
    fn text(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .lines
            .iter()
            .map(|(at, event, detail)| vec![format!("  {at}"), event.clone(), detail.clone()])
            .collect();
        format!("{}\n{}", self.title, aligned(&rows))
    }
}

/// `NEXT STEP` as programs know it: `next-step`.
fn key(head: &str) -> String {
    head.to_lowercase().replace(' ', "-")
}

/// Columns two spaces apart, the last one ragged.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line += cell;
            if column + 1 < row.len() {
                line.extend(std::iter::repeat_n(' ', widths[column] - cell.chars().count() + 2));
            }
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let rows = vec![vec!["a".into(), "bb".into()], vec!["ccc".into(), "d".into()]];
        let table = Answer::table(&["X", "Y"], rows, "nothing");
        assert_eq!(table.text(), "X    Y\na    bb\nccc  d\n");
        assert_eq!(table.json()[1]["x"], "ccc");
        assert_eq!(Answer::table(&["LAST USED"], vec![vec!["never".into()]], "").json()[0]["last-used"], "never");
        assert_eq!(Answer::table(&["X"], Vec::new(), "nothing").text(), "nothing\n");
    }
}
