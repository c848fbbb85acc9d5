//! From the greeting to the first transaction: EHLO, STARTTLS, AUTH.

use postroad_sasl::{ClientIdentity, choose};

use crate::Reply;

use super::{Capabilities, Client, Login, State, TlsWish, Trouble};

impl Client {
    /// A reply outside of transactions.
    pub(super) fn setup(&mut self, reply: Reply) {
        match self.state {
            // RFC 5321 §3.1: 554 says that there is no mail service here, 421 that there is none now.
            State::Greeting if reply.is_positive() => self.hello(),
            State::Greeting => self.fail(Trouble::Refused(reply)),
            State::Hello => self.hello_answered(reply),
            State::PlainHello if reply.is_positive() => {
                self.capabilities = Capabilities { extended: false, ..Capabilities::parse(&reply.lines()[..1]) };
                self.state = State::Ready;
            }
            State::PlainHello => self.fail(Trouble::Refused(reply)),
            State::StartTls => self.starttls_answered(reply),
            State::Login => self.login_answered(reply),
            State::LoginCancelled => self.fail(Trouble::LoginRefused(reply)),
            State::Quitting => self.state = State::Closed(None),
            State::New | State::Handshake | State::Ready | State::Running | State::Closed(_) => self.unasked(reply),
        }
    }

    /// Greets.
    pub(super) fn hello(&mut self) {
        let verb = if self.settings.lmtp { "LHLO" } else { "EHLO" };
        let line = format!("{verb} {}", self.hostname());
        self.say(&line, State::Hello);
    }

    /// Our name, of the characters that names and address literals have.
    fn hostname(&self) -> String {
        let fit = |c: &char| c.is_ascii_alphanumeric() || "-._:[]".contains(*c);
        let name: String = self.settings.hostname.chars().filter(fit).collect();
        if name.is_empty() { "localhost".to_owned() } else { name }
    }

    fn hello_answered(&mut self, reply: Reply) {
        if reply.is_positive() {
            self.capabilities = Capabilities::parse(reply.lines());
            return self.greeted();
        }
        // RFC 5321 §3.2: a server without extensions refuses EHLO, and knows HELO.
        let plain_will_do = !self.settings.lmtp
            && self.settings.login.is_none()
            && (self.tls.is_some() || self.settings.tls != TlsWish::Required);
        match reply.is_permanent() && plain_will_do {
            true => {
                let line = format!("HELO {}", self.hostname());
                self.say(&line, State::PlainHello);
            }
            false => self.fail(Trouble::Refused(reply)),
        }
    }

    /// The remote's capabilities are known: what comes next of TLS, AUTH and mail.
    fn greeted(&mut self) {
        if self.tls.is_none() {
            let offered = self.capabilities.starttls;
            match self.settings.tls {
                TlsWish::Required if !offered => return self.fail(Trouble::NoTls),
                TlsWish::Required => return self.say("STARTTLS", State::StartTls),
                TlsWish::IfOffered if offered && !self.starttls_refused => {
                    return self.say("STARTTLS", State::StartTls);
                }
                TlsWish::IfOffered | TlsWish::Never | TlsWish::Implicit => {}
            }
        }
        match self.settings.login.take() {
            Some(login) => self.begin_login(login),
            None => self.state = State::Ready,
        }
    }

    fn starttls_answered(&mut self, reply: Reply) {
        if reply.is_positive() {
            match self.replies.is_empty() {
                true => self.state = State::Handshake,
                false => self.fail(Trouble::Injected),
            }
            return;
        }
        // RFC 3207 §4: what to do then is the client's choice.
        match self.settings.tls == TlsWish::IfOffered && reply.code() != 421 {
            true => {
                self.starttls_refused = true;
                self.greeted();
            }
            false => self.fail(Trouble::Refused(reply)),
        }
    }

    fn begin_login(&mut self, login: Login) {
        // RFC 4954 §4: what shows a secret needs the protection of TLS; what only proves one lets it be guessed at.
        if self.tls.is_none() && !self.settings.clear_login {
            return self.fail(Trouble::ClearLogin);
        }
        let Ok(identity) = ClientIdentity::new(login.user, login.credential) else {
            return self.fail(Trouble::LoginUnfit);
        };
        let bindings = self.tls.as_ref().map(|tls| tls.bindings.clone()).unwrap_or_default();
        let offered = self.capabilities.auth.iter().map(String::as_str);
        let Some(mechanism) = choose(offered, &identity, &bindings, true) else {
            return self.fail(Trouble::NoAuth);
        };
        let Ok(mut client) = postroad_sasl::Client::new(mechanism, identity, &bindings) else {
            return self.fail(Trouble::LoginUnfit);
        };
        let mut line = format!("AUTH {}", mechanism.name);
        // RFC 4954 §4: an initial response that makes the line longer than 512 octets waits for its challenge.
        if let Some(initial) = client.initial() {
            match line.len() + 1 + initial.expose().len() <= INITIAL_LINE_LIMIT {
                true => {
                    line.push(' ');
                    line.push_str(initial.expose());
                }
                false => client.later(),
            }
        }
        self.login = Some(client);
        self.say(&line, State::Login);
        postroad_sasl::wipe(&mut line.into_bytes());
    }

    fn login_answered(&mut self, reply: Reply) {
        if reply.is_positive() {
            // RFC 5802 §5: what was not signed may be anybody's word.
            let known = self.login.take().is_some_and(|mut client| client.finished(None).is_ok());
            return match known {
                true => self.state = State::Ready,
                false => self.fail(Trouble::LoginUnproven),
            };
        }
        if reply.code() != 334 {
            return self.fail(Trouble::LoginRefused(reply));
        }
        let challenge = reply.lines().first().map_or("", String::as_str).as_bytes();
        let answer = self.login.as_mut().map(|client| client.answer(challenge));
        match answer {
            Some(Ok(answer)) => self.say(answer.expose(), State::Login),
            // It asks for more than there is to say.
            Some(Err(_)) | None => self.say("*", State::LoginCancelled),
        }
    }
}

/// RFC 4954 §4, without CR LF.
const INITIAL_LINE_LIMIT: usize = 510;
