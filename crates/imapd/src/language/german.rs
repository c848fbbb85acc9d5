//! German.

use std::borrow::Cow;

use crate::target::{OTHERS, SHARED};

/// The sentence in German; what is not in the table as it is.
pub(super) fn say(english: &str) -> Cow<'_, str> {
    if let Some((command, "done")) = english.rsplit_once(' ') {
        return Cow::Owned(format!("{command} erledigt"));
    }
    match WORDS.binary_search_by(|(other, _)| other.cmp(&english)) {
        Ok(at) => Cow::Borrowed(WORDS[at].1),
        // `SELECT: log in first`
        Err(_) => match english.split_once(": ").map(|(what, why)| (what, why, say(why))) {
            Some((what, why, said)) if said != why => Cow::Owned(format!("{what}: {said}")),
            Some(_) | None => Cow::Borrowed(english),
        },
    }
}

/// Prefixes of namespaces.
pub(super) const PREFIXES: &[(&str, &str)] = &[(OTHERS, "Andere Benutzer/"), (SHARED, "Gemeinsame Postfächer/")];

/// Sentences that people may come to read, in the order of their English.
const WORDS: &[(&str, &str)] = &[
    ("DONE was expected", "DONE wurde erwartet"),
    ("I speak none of these languages", "Ich spreche keine dieser Sprachen"),
    ("Postroad is ready", "Postroad ist bereit"),
    ("STARTTLS is not offered: there is no certificate", "STARTTLS wird nicht angeboten: es gibt kein Zertifikat"),
    ("Still here", "Immer noch da"),
    ("TLS is there already", "TLS ist schon da"),
    ("VANISHED needs ENABLE QRESYNC first", "VANISHED braucht zuerst ENABLE QRESYNC"),
    ("a defect of this server; it was logged", "ein Fehler dieses Servers; er wurde aufgeschrieben"),
    (
        "a mailbox cannot be renamed into another account",
        "ein Postfach kann nicht in ein anderes Konto umbenannt werden",
    ),
    ("a mailbox has one special use here", "ein Postfach hat hier nur eine besondere Aufgabe"),
    (
        "a password is taken only under TLS: use STARTTLS or port 993",
        "ein Passwort wird nur unter TLS angenommen: STARTTLS oder Port 993 verwenden",
    ),
    ("another mailbox has this special use", "ein anderes Postfach hat diese besondere Aufgabe"),
    ("autologout: nothing was heard for too long", "abgemeldet: zu lange war nichts zu hören"),
    ("begin TLS now", "jetzt mit TLS beginnen"),
    ("cannot go on after that", "danach geht es nicht weiter"),
    ("flags that stay", "Markierungen, die bleiben"),
    ("goodbye", "auf Wiedersehen"),
    ("it does not exist", "es gibt es nicht"),
    ("it exists already", "es gibt es schon"),
    ("log in first", "zuerst anmelden"),
    ("moved", "verschoben"),
    ("name or password are wrong", "Name oder Passwort sind falsch"),
    ("no updates are sent for one of these tags", "zu einem dieser Namen wird nichts gemeldet"),
    ("nothing to copy", "nichts zu kopieren"),
    ("quotas are set by the administrator", "Kontingente legt die Verwaltung fest"),
    ("say ENABLE QRESYNC first", "zuerst ENABLE QRESYNC sagen"),
    ("select a mailbox first", "zuerst ein Postfach öffnen"),
    (
        "some messages had changed and were left alone",
        "einige Nachrichten hatten sich geändert und blieben, wie sie sind",
    ),
    ("some of these messages have been deleted elsewhere", "einige dieser Nachrichten wurden anderswo gelöscht"),
    (
        "some part has a transfer encoding that I do not know",
        "ein Teil hat eine Übertragungskodierung, die ich nicht kenne",
    ),
    ("stored data is damaged; it was logged", "gespeicherte Daten sind beschädigt; es wurde aufgeschrieben"),
    ("the account is over its quota", "das Kontingent des Kontos ist ausgeschöpft"),
    ("the account is suspended", "das Konto ist gesperrt"),
    ("the last change", "die letzte Änderung"),
    ("the mail store is busy; try again", "die Ablage ist beschäftigt; bitte noch einmal versuchen"),
    (
        "the mail store is not available; try again later",
        "die Ablage ist nicht erreichbar; bitte später noch einmal versuchen",
    ),
    ("the mailbox has a new key", "das Postfach hat einen neuen Schlüssel"),
    ("the mailbox is busy; try again", "das Postfach ist beschäftigt; bitte noch einmal versuchen"),
    ("the mailbox is empty", "das Postfach ist leer"),
    ("the mailbox is open for reading only", "das Postfach ist nur zum Lesen geöffnet"),
    ("the mailbox's id", "die Kennung des Postfachs"),
    ("the message is empty: nothing was appended", "die Nachricht ist leer: nichts wurde abgelegt"),
    ("the message is too big", "die Nachricht ist zu groß"),
    ("the new message is there", "die neue Nachricht ist da"),
    ("the next UID", "die nächste UID"),
    ("the patterns of one LIST are too long", "die Muster eines LIST sind zu lang"),
    ("the previous mailbox is closed", "das vorige Postfach ist geschlossen"),
    ("the selected mailbox was deleted", "das geöffnete Postfach wurde gelöscht"),
    (
        "the server has no room left; try again later",
        "der Server hat keinen Platz mehr; bitte später noch einmal versuchen",
    ),
    ("the server stops; come back soon", "der Server hält an; bitte bald wiederkommen"),
    ("there are not so many messages in this mailbox", "so viele Nachrichten sind nicht in diesem Postfach"),
    ("there is no such comparator", "diesen Vergleich gibt es nicht"),
    ("there is no such mailbox", "dieses Postfach gibt es nicht"),
    ("there is no such message", "diese Nachricht gibt es nicht"),
    ("there is no such quota root", "diese Wurzel von Kontingenten gibt es nicht"),
    ("this app password is not for IMAP", "dieses App-Passwort gilt nicht für IMAP"),
    ("this mailbox exists already", "dieses Postfach gibt es schon"),
    ("this mechanism is not offered", "dieses Verfahren wird nicht angeboten"),
    ("this message has been deleted elsewhere", "diese Nachricht wurde anderswo gelöscht"),
    (
        "this name holds no messages, only other mailboxes",
        "unter diesem Namen liegen keine Nachrichten, nur andere Postfächer",
    ),
    ("this password, token or ticket has expired", "dieses Passwort, Token oder Ticket ist abgelaufen"),
    ("this special use cannot be had here", "diese besondere Aufgabe gibt es hier nicht"),
    ("too many commands that are none", "zu viele Befehle, die keine sind"),
    ("too many failed logins", "zu viele misslungene Anmeldungen"),
    ("too many results are followed already", "es werden schon zu viele Ergebnisse verfolgt"),
    ("too much happened unheard; connect again", "zu viel geschah ungehört; bitte neu verbinden"),
    ("welcome", "willkommen"),
    ("what signs URLs", "was URLs unterschreibt"),
    ("you are logged in already", "schon angemeldet"),
    ("you have not the right to do this with this mailbox", "dazu fehlt das Recht an diesem Postfach"),
    ("you may no longer read the selected mailbox", "das geöffnete Postfach darf nicht mehr gelesen werden"),
    ("you may not make mailboxes there", "dort dürfen keine Postfächer angelegt werden"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_found() {
        assert!(WORDS.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order, each once");
        assert!(WORDS.iter().all(|(english, german)| say(english) == *german));
        assert_eq!(say("SEARCH done"), "SEARCH erledigt");
        assert_eq!(say("something else"), "something else");
    }
}
