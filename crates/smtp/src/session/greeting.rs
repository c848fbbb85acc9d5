//! The greeting, the EHLO reply and what is offered when.

use postroad_sasl::Mechanism;

use crate::{ClearAuth, Helo, HeloForm, Reply, Role};

use super::Session;

impl<W> Session<W> {
    /// RFC 5321 §4.2: `"220 " Domain SP text`.
    pub(super) fn greeting(&self) -> Reply {
        let protocol = match self.role() {
            Role::Relay | Role::Submission => "ESMTP",
            Role::Lmtp => "LMTP",
        };
        Reply::plain(220, format!("{} {protocol} Postroad ready", self.settings.hostname))
    }

    /// The reply to EHLO, HELO or LHLO (RFC 5321 §4.1.1.1).
    pub(super) fn hello(&self, helo: &Helo) -> Reply {
        let hostname = &self.settings.hostname;
        let mut lines = match helo.form {
            HeloForm::Domain | HeloForm::Literal(_) => format!("{hostname} greets {}", helo.name),
            HeloForm::Odd | HeloForm::Missing => format!("{hostname} greets you"),
        };
        if helo.extended {
            for line in self.extensions() {
                lines.push('\n');
                lines.push_str(&line);
            }
        }
        Reply::plain(250, lines)
    }

    /// The EHLO keywords with their parameters.
    fn extensions(&self) -> Vec<String> {
        let settings = &self.settings;
        let mut lines = vec![
            "PIPELINING".to_owned(),
            format!("SIZE {}", settings.size_limit),
            "8BITMIME".to_owned(),
            "BINARYMIME".to_owned(),
            "CHUNKING".to_owned(),
            "SMTPUTF8".to_owned(),
            "ENHANCEDSTATUSCODES".to_owned(),
            "DSN".to_owned(),
            format!("LIMITS MAILMAX={} RCPTMAX={}", settings.transactions_limit, settings.recipients_limit),
        ];
        lines.extend(self.offer.lines(self.tls.is_some()));
        // RFC 4468 §3.3: only who logged in has messages here.
        if self.offer.burl && self.identity.is_some() {
            lines.push(format!("BURL imap imap://{}", settings.hostname));
        }
        if settings.starttls && self.tls.is_none() {
            lines.push("STARTTLS".to_owned());
        }
        // RFC 4954 §3: only what can be used now is listed.
        let names: Vec<&str> = self.offered().iter().map(|row| row.name).collect();
        if !names.is_empty() && self.identity.is_none() {
            lines.push(format!("AUTH {}", names.join(" ")));
            if settings.auth_equals_line {
                lines.push(format!("AUTH={}", names.join(" ")));
            }
        }
        lines
    }

    /// The mechanisms that may be used on this connection as it is.
    pub(super) fn offered(&self) -> Vec<&'static Mechanism> {
        postroad_sasl::offered(&self.settings.mechanisms, self.tls.as_ref(), self.secrets_may_pass())
    }

    pub(super) fn secrets_may_pass(&self) -> bool {
        self.tls.is_some()
            || match self.settings.clear_auth {
                ClearAuth::Never => false,
                ClearAuth::Loopback => self.peer().is_loopback(),
                ClearAuth::Always => true,
            }
    }
}
