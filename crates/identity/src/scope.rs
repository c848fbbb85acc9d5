//! What a token may be used for.
//!
//! Standards: RFC 6749 §3.3, OpenID Connect Core 1.0 §5.4 and §11.

use postroad_mail::Service;

/// One scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// All of mail, whatever the protocol (the profile for open public clients, draft-ietf-mailmaint-oauth-public §3.9).
    Mail,
    /// Mail over IMAP.
    Imap,
    /// Mail over POP3.
    Pop,
    /// Sending mail: submission.
    Smtp,
    /// Filter rules: ManageSieve.
    Sieve,
    /// Everything of mail over JMAP.
    Jmap,
    /// Who somebody is: an `id_token`.
    Openid,
    /// The address, in the id_token's company.
    Email,
    /// The display name.
    Profile,
    /// Access while nobody sits before the screen: a refresh token.
    OfflineAccess,
}

impl Scope {
    /// All, in the order in which they are shown.
    pub const ALL: [Scope; 10] = [
        Scope::Mail,
        Scope::Imap,
        Scope::Pop,
        Scope::Smtp,
        Scope::Sieve,
        Scope::Jmap,
        Scope::Openid,
        Scope::Email,
        Scope::Profile,
        Scope::OfflineAccess,
    ];

    /// As it stands in requests.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Mail => "urn:ietf:params:oauth:scope:mail",
            Scope::Imap => "mail:imap",
            Scope::Pop => "mail:pop",
            Scope::Smtp => "mail:smtp",
            Scope::Sieve => "mail:sieve",
            Scope::Jmap => "mail:jmap",
            Scope::Openid => "openid",
            Scope::Email => "email",
            Scope::Profile => "profile",
            Scope::OfflineAccess => "offline_access",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.name() == name)
    }

    /// For people: what whoever consents allows.
    pub fn meaning(self) -> &'static str {
        match self {
            Scope::Mail => "read, file, delete and send your mail, in every way there is",
            Scope::Imap => "read, file and delete your mail (IMAP)",
            Scope::Pop => "fetch and delete your mail (POP3)",
            Scope::Smtp => "send mail in your name",
            Scope::Sieve => "change your filter rules",
            Scope::Jmap => "read, file, delete and send your mail (JMAP)",
            Scope::Openid => "know that it is you",
            Scope::Email => "know your mail address",
            Scope::Profile => "know your name",
            Scope::OfflineAccess => "go on doing so until you cut it off",
        }
    }

    /// What of mail it opens.
    fn services(self) -> &'static [Service] {
        match self {
            Scope::Mail => &[Service::Imap, Service::Pop3, Service::Smtp, Service::Sieve, Service::Jmap],
            Scope::Imap => &[Service::Imap],
            Scope::Pop => &[Service::Pop3],
            Scope::Smtp => &[Service::Smtp],
            Scope::Sieve => &[Service::Sieve],
            Scope::Jmap => &[Service::Jmap],
            Scope::Openid | Scope::Email | Scope::Profile | Scope::OfflineAccess => &[],
        }
    }
}

/// A set of scopes, sorted, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Those that a request names and that exist. RFC 6749 §3.3: a server may leave out what it does not know; the
    /// answer then says what was granted.
    pub fn parse(text: &str) -> Scopes {
        text.split_ascii_whitespace().take(NAMES_MAX).filter_map(Scope::from_name).collect()
    }

    /// All there are.
    pub fn all() -> Scopes {
        Scope::ALL.into_iter().collect()
    }

    /// Whether this one is among them.
    pub fn has(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// Whether they open a service.
    pub fn allow(&self, service: Service) -> bool {
        self.0.iter().any(|scope| scope.services().contains(&service))
    }

    /// Whether they open anything of mail.
    pub fn open_mail(&self) -> bool {
        self.0.iter().any(|scope| !scope.services().is_empty())
    }

    /// Whether all of `others` are among them.
    pub fn cover(&self, others: &Scopes) -> bool {
        others.0.iter().all(|scope| self.has(*scope))
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(&self, others: &Scopes) -> Scopes {
        self.0.iter().copied().filter(|scope| others.has(*scope)).collect()
    }

    /// Without one.
    #[must_use]
    pub fn without(&self, one: Scope) -> Scopes {
        self.0.iter().copied().filter(|scope| *scope != one).collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Scopes {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort_unstable();
        scopes.dedup();
        Scopes(scopes)
    }
}

impl std::fmt::Display for Scopes {
    /// As in requests and answers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|scope| scope.name()).collect();
        f.write_str(&names.join(" "))
    }
}

/// More names than this are not read.
const NAMES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_sorted_and_shown() {
        for (text, shown) in [
            ("", ""),
            ("mail:smtp mail:imap mail:imap", "mail:imap mail:smtp"),
            ("openid https://mail.google.com/ unknown offline_access", "openid offline_access"),
            ("openid urn:ietf:params:oauth:scope:mail", "urn:ietf:params:oauth:scope:mail openid"),
            ("MAIL:IMAP", ""),
        ] {
            assert_eq!(Scopes::parse(text).to_string(), shown, "{text}");
        }
        assert_eq!(Scopes::parse(&"unknown ".repeat(1_000)), Scopes::default());
        assert_eq!(Scopes::parse(&Scopes::all().to_string()), Scopes::all());
    }

    #[test]
    fn each_service_has_its_scope() {
        for (scope, service) in
            [("mail:imap", Service::Imap), ("mail:pop", Service::Pop3), ("mail:smtp", Service::Smtp)]
        {
            for other in Service::ALL {
                assert_eq!(Scopes::parse(scope).allow(other), other == service, "{scope} {other}");
            }
        }
        assert!(Scopes::parse("urn:ietf:params:oauth:scope:mail").allow(Service::Sieve));
        assert!(!Service::ALL.into_iter().any(|service| Scopes::parse("openid email offline_access").allow(service)));
    }
}
