//! ID (RFC 2971): also before login, where some clients ask first.
//!
//! What the client says of itself is kept for the log, bounded and without what could confuse a reader of it. No behaviour
//! depends on it.

use postroad_imap::command::Id;

use crate::error::Reply;
use crate::session::Session;
use crate::settings::Identity;

pub(crate) fn run(session: &mut Session, fields: &Id) -> Option<Reply> {
    session.client_news = client(fields);
    let identity = session.settings.identity;
    let mut writer = session.now_writer();
    match identity {
        Identity::Nothing => writer.id(&[]),
        Identity::Name => writer.id(&[("name", "Postroad"), ("vendor", "Postroad")]),
        Identity::NameAndVersion => {
            writer.id(&[("name", "Postroad"), ("version", env!("CARGO_PKG_VERSION")), ("vendor", "Postroad")]);
        }
    }
    Some(Reply::ok("ID done"))
}

/// The fields that help to find a defect, in one line.
fn client(fields: &Id) -> Option<String> {
    let told = TOLD.iter().filter_map(|name| {
        let value = fields.iter().find(|(field, _)| field == name)?.1.as_deref()?;
        let clean: String = value.chars().map(|c| if c.is_control() || c == '"' { ' ' } else { c }).collect();
        let clean: String = clean.trim().chars().take(VALUE_MAX).collect();
        (!clean.is_empty()).then(|| format!("{name}=\"{clean}\""))
    });
    let line = told.collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}

/// The fields of RFC 2971 §3.3 that are logged: those that tell the program, none that tells a place or a person.
const TOLD: [&str; 5] = ["name", "version", "vendor", "os", "os-version"];
/// Characters of a value that are logged.
const VALUE_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_say_is_bounded_and_clean() {
        let field = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        let long = "x".repeat(1000);
        for (fields, expected) in [
            (vec![], None),
            (vec![("name".to_owned(), None)], None),
            (vec![field("address", "22 Acacia Avenue")], None),
            (
                vec![field("version", "1.5"), field("name", "sodr"), field("os", "a\r\nb\"c")],
                Some("name=\"sodr\" version=\"1.5\" os=\"a  b c\"".to_owned()),
            ),
            (vec![field("name", &long)], Some(format!("name=\"{}\"", &long[..VALUE_MAX]))),
            (vec![field("name", " \u{1b} ")], None),
        ] {
            assert_eq!(client(&fields), expected, "{fields:?}");
        }
    }
}
