//! What the remote offers (RFC 5321 §4.1.1.1): the reply to EHLO, taken apart.

/// What the remote offers. After HELO, nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// The remote's own name, as it says.
    pub name: String,
    /// EHLO or LHLO was accepted.
    pub extended: bool,
    /// SIZE (RFC 1870).
    pub size: bool,
    /// The largest message in octets; `None` when the remote names no limit.
    pub size_limit: Option<u64>,
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// 8BITMIME (RFC 6152).
    pub eight_bit_mime: bool,
    /// CHUNKING (RFC 3030).
    pub chunking: bool,
    /// BINARYMIME (RFC 3030), which is of use with CHUNKING only.
    pub binary_mime: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// REQUIRETLS (RFC 8689).
    pub requiretls: bool,
    /// ENHANCEDSTATUSCODES (RFC 2034). They are recognised without it too.
    pub enhanced_codes: bool,
    /// AUTH (RFC 4954): the names of the mechanisms in upper case.
    pub auth: Vec<String>,
    /// LIMITS (RFC 9422).
    pub limits: Limits,
    /// DELIVERBY (RFC 2852): the least by-time in seconds, 0 when none is named.
    pub deliver_by: Option<u64>,
    /// FUTURERELEASE (RFC 4865): the longest hold in seconds.
    pub future_release: Option<u64>,
    /// MT-PRIORITY (RFC 6710).
    pub priority: bool,
    /// RRVS (RFC 7293).
    pub valid_since: bool,
    /// NO-SOLICITING (RFC 3865).
    pub no_soliciting: bool,
}

/// LIMITS (RFC 9422 §4); what is not named is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// MAILMAX: transactions on a connection.
    pub mail_max: Option<u64>,
    /// RCPTMAX: recipients of a transaction. Whoever makes the transactions splits by it.
    pub rcpt_max: Option<u64>,
    /// RCPTDOMAINMAX: domains of the recipients of a transaction.
    pub rcpt_domain_max: Option<u64>,
}

impl Capabilities {
    /// From the lines of the reply to EHLO, without codes. What is not understood is left out.
    pub fn parse(lines: &[String]) -> Capabilities {
        let mut capabilities = Capabilities { extended: true, ..Capabilities::default() };
        if let Some(first) = lines.first() {
            capabilities.name = first.split_whitespace().next().unwrap_or_default().to_owned();
        }
        for line in lines.iter().skip(1) {
            capabilities.line(line);
        }
        capabilities
    }

    /// `ehlo-line = ehlo-keyword *( SP ehlo-param )`. Some write `SIZE=1000` and `AUTH=PLAIN LOGIN`: the `=` is taken as a blank.
    fn line(&mut self, line: &str) {
        let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty());
        let Some(keyword) = words.next() else { return };
        match keyword.to_ascii_uppercase().as_str() {
            "SIZE" => {
                self.size = true;
                // RFC 1870 §4: zero, or no number, is no fixed limit.
                self.size_limit = words.next().and_then(|word| word.parse().ok()).filter(|limit| *limit > 0);
            }
            "PIPELINING" => self.pipelining = true,
            "8BITMIME" => self.eight_bit_mime = true,
            "CHUNKING" => self.chunking = true,
            "BINARYMIME" => self.binary_mime = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "DSN" => self.dsn = true,
            "STARTTLS" => self.starttls = true,
            "REQUIRETLS" => self.requiretls = true,
            "ENHANCEDSTATUSCODES" => self.enhanced_codes = true,
            "AUTH" => words.for_each(|word| self.mechanism(word)),
            "LIMITS" => self.limits.read(&line[keyword_end(line)..]),
            "DELIVERBY" => self.deliver_by = Some(words.next().and_then(|word| word.parse().ok()).unwrap_or(0)),
            "FUTURERELEASE" => self.future_release = words.next().and_then(|word| word.parse().ok()),
            "MT-PRIORITY" => self.priority = true,
            "RRVS" => self.valid_since = true,
            "NO-SOLICITING" => self.no_soliciting = true,
            _ => {}
        }
    }

    fn mechanism(&mut self, name: &str) {
        let name = name.to_ascii_uppercase();
        if self.auth.len() < MECHANISMS_LIMIT && name.len() <= MECHANISM_LIMIT && !self.auth.contains(&name) {
            self.auth.push(name);
        }
    }
}

impl Limits {
    /// `limits-param = limit-name "=" limit-value`; what is not a number above zero is left out.
    fn read(&mut self, params: &str) {
        for param in params.split_whitespace() {
            let Some((name, value)) = param.split_once('=') else { continue };
            let value = value.parse().ok().filter(|value| *value > 0);
            match name.to_ascii_uppercase().as_str() {
                "MAILMAX" => self.mail_max = value,
                "RCPTMAX" => self.rcpt_max = value,
                "RCPTDOMAINMAX" => self.rcpt_domain_max = value,
                _ => {}
            }
        }
    }
}

/// Where the parameters of a line begin.
fn keyword_end(line: &str) -> usize {
    let start = line.len() - line.trim_start().len();
    line[start..].find([' ', '\t', '=']).map_or(line.len(), |at| start + at)
}

/// Mechanisms that are kept.
const MECHANISMS_LIMIT: usize = 32;
/// RFC 4422 §3.1 allows 20.
const MECHANISM_LIMIT: usize = 40;
