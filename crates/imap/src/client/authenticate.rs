//! AUTHENTICATE from the client's side (RFC 9051 §6.2.2, RFC 4959): one answer for each challenge.

use postroad_sasl::{Client, Secret};

/// An exchange that is going on.
#[derive(Debug)]
pub(super) struct Exchange {
    client: Client,
    /// Challenges so far.
    heard: usize,
}

impl Exchange {
    /// Begins: the command's words. With `at_once` the server takes the first words with it (SASL-IR).
    pub(super) fn begin(mut client: Client, at_once: bool) -> (Exchange, Secret) {
        let name = client.mechanism().name;
        let initial = client.initial();
        let command = match (&initial, at_once) {
            (Some(words), true) => format!("AUTHENTICATE {name} {}", words.expose()),
            (Some(_) | None, _) => format!("AUTHENTICATE {name}"),
        };
        if !at_once {
            client.later();
        }
        (Exchange { client, heard: 0 }, Secret::new(command))
    }

    /// What is said to a challenge; `*` gives up.
    pub(super) fn answer(&mut self, challenge: &[u8]) -> Secret {
        self.heard += 1;
        if self.heard > CHALLENGES_MAX {
            return Secret::new("*".into());
        }
        self.client.answer(challenge).unwrap_or_else(|_| Secret::new("*".into()))
    }

    /// The server says that it went well; whether it has shown what the mechanism wants of it (SCRAM: that it knows the
    /// password too).
    pub(super) fn is_proved(&mut self) -> bool {
        self.client.finished(None).is_ok()
    }

    /// Whether words of the server show what was said to it in confidence.
    pub(super) fn is_repeated_in(&self, text: &str) -> bool {
        self.client.is_repeated_in(text)
    }
}

/// No mechanism has so many.
const CHALLENGES_MAX: usize = 10;
