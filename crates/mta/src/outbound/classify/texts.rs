//! Words that leave no doubt, whoever says them, and what each category is told as.

use super::{Category, Class};

/// What is told instead of the category's usual words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) what: &'static str,
    pub(super) next: &'static str,
    pub(super) remedy: &'static str,
}

/// The whole of a class.
pub(super) fn class(category: Category, text: Option<&Text>, source: &'static str) -> Class {
    let usual = usual(category);
    let text = text.unwrap_or(&usual);
    Class { category, what: text.what, next: text.next, remedy: text.remedy, source }
}

/// The first row whose words are in the text, which is in lower case.
pub(super) fn by_words(words: &str) -> Option<(Category, &'static str)> {
    let row = WORDS.iter().find(|(needle, _, _)| words.contains(needle))?;
    Some((row.1, row.2))
}

const POSTFIX: &str = "Postfix: smtpd's replies";
const EXIM: &str = "Exim: its default configuration";
const QMAIL: &str = "qmail: qmail-smtpd's replies";
const SENDMAIL: &str = "Sendmail: its rule sets";
const FILTERS: &str = "Rspamd, SpamAssassin, Amavis, ClamAV, OpenDMARC: their replies";
const LISTS: &str = "lists of addresses (Spamhaus, Barracuda, SpamCop, Cloudmark, Proofpoint): their replies";
const OTHERS: &str = "words that several servers use";

/// The more telling come first: a greylist's words may stand beside those of a refusal, and a list's name beside anything.
static WORDS: &[(&str, Category, &str)] = &[
    ("greylist", Category::Greylist, POSTFIX),
    ("graylist", Category::Greylist, OTHERS),
    ("grey-list", Category::Greylist, OTHERS),
    ("gray-list", Category::Greylist, OTHERS),
    ("grey list", Category::Greylist, OTHERS),
    ("gray list", Category::Greylist, OTHERS),
    ("spamhaus", Category::Reputation, LISTS),
    ("barracudacentral", Category::Reputation, LISTS),
    ("spamcop", Category::Reputation, LISTS),
    ("sorbs.net", Category::Reputation, LISTS),
    ("cloudmark.com", Category::Reputation, LISTS),
    ("proofpoint.com", Category::Reputation, LISTS),
    ("uceprotect", Category::Reputation, LISTS),
    ("abusix", Category::Reputation, LISTS),
    ("blocked using", Category::Reputation, POSTFIX),
    ("blacklist", Category::Reputation, OTHERS),
    ("blocklist", Category::Reputation, OTHERS),
    ("block list", Category::Reputation, OTHERS),
    ("dnsbl", Category::Reputation, OTHERS),
    ("poor reputation", Category::Reputation, OTHERS),
    ("insufficient reputation", Category::Reputation, OTHERS),
    ("blocked for spamming", Category::Reputation, "Orange: its replies"),
    ("bad reputation", Category::Reputation, OTHERS),
    ("tosa@rx.t-online.de", Category::Reputation, "Deutsche Telekom: T-Online's postmaster pages"),
    ("dmarc", Category::Authentication, FILTERS),
    ("dkim", Category::Authentication, FILTERS),
    ("spf fail", Category::Authentication, FILTERS),
    ("spf check", Category::Authentication, FILTERS),
    ("spf-check", Category::Authentication, OTHERS),
    ("spf policy", Category::Authentication, "GMX and WEB.DE: their postmaster pages"),
    ("sender policy framework", Category::Authentication, OTHERS),
    ("openspf", Category::Authentication, OTHERS),
    ("anti-spoofing", Category::Authentication, "Mimecast: SMTP error codes"),
    ("not authenticated", Category::Authentication, OTHERS),
    ("unauthenticated mail", Category::Authentication, OTHERS),
    ("bad dns ptr", Category::ReverseDns, "GMX and WEB.DE: their postmaster pages"),
    ("ptr record", Category::ReverseDns, OTHERS),
    ("reverse dns", Category::ReverseDns, OTHERS),
    ("reverse lookup", Category::ReverseDns, OTHERS),
    ("cannot find your reverse hostname", Category::ReverseDns, POSTFIX),
    ("cannot find your hostname", Category::ReverseDns, POSTFIX),
    ("helo command rejected", Category::ReverseDns, POSTFIX),
    ("relay access denied", Category::Relay, POSTFIX),
    ("relaying denied", Category::Relay, SENDMAIL),
    ("relay not permitted", Category::Relay, EXIM),
    ("unable to relay", Category::Relay, "Exchange Server"),
    ("rcpthosts", Category::Relay, QMAIL),
    ("we do not relay", Category::Relay, OTHERS),
    ("authentication required", Category::Relay, OTHERS),
    ("over quota", Category::MailboxFull, OTHERS),
    ("overquota", Category::MailboxFull, OTHERS),
    ("quota exceeded", Category::MailboxFull, "Dovecot: its LMTP server"),
    ("mailbox full", Category::MailboxFull, OTHERS),
    ("mailbox is full", Category::MailboxFull, OTHERS),
    ("mailbox for user is full", Category::MailboxFull, "Dovecot: its LMTP server"),
    ("exceeded storage allocation", Category::MailboxFull, "GMX and WEB.DE: their postmaster pages"),
    ("not enough storage", Category::MailboxFull, OTHERS),
    // Before words for addresses that do not exist, which may stand beside them.
    ("account is disabled", Category::MailboxDisabled, "Mail.ru: its replies"),
    ("mailbox is frozen", Category::MailboxDisabled, OTHERS),
    ("user unknown", Category::UnknownUser, POSTFIX),
    ("unknown user", Category::UnknownUser, EXIM),
    ("unknown recipient", Category::UnknownUser, OTHERS),
    ("recipient unknown", Category::UnknownUser, OTHERS),
    ("no such user", Category::UnknownUser, OTHERS),
    ("no such recipient", Category::UnknownUser, OTHERS),
    ("no such mailbox", Category::UnknownUser, OTHERS),
    ("no such address", Category::UnknownUser, OTHERS),
    ("no mailbox here by that name", Category::UnknownUser, QMAIL),
    ("there is no mailbox", Category::UnknownUser, "this program"),
    ("unrouteable address", Category::UnknownUser, EXIM),
    ("does not exist", Category::UnknownUser, OTHERS),
    ("doesn't exist", Category::UnknownUser, OTHERS),
    ("recipient not found", Category::UnknownUser, OTHERS),
    ("recipientnotfound", Category::UnknownUser, "Exchange Server"),
    ("user not found", Category::UnknownUser, OTHERS),
    ("mailbox not found", Category::UnknownUser, OTHERS),
    ("invalid recipient", Category::UnknownUser, OTHERS),
    ("invalid mailbox", Category::UnknownUser, OTHERS),
    ("mailbox unavailable", Category::UnknownUser, OTHERS),
    ("mailbox disabled", Category::MailboxDisabled, OTHERS),
    ("account disabled", Category::MailboxDisabled, OTHERS),
    ("account has been disabled", Category::MailboxDisabled, OTHERS),
    ("is inactive", Category::MailboxDisabled, OTHERS),
    ("suspended", Category::MailboxDisabled, OTHERS),
    ("sender verify failed", Category::BadSender, EXIM),
    ("sender address rejected", Category::BadSender, POSTFIX),
    ("sender domain must", Category::BadSender, SENDMAIL),
    ("message size exceeds", Category::Size, POSTFIX),
    ("message too large", Category::Size, OTHERS),
    ("message too big", Category::Size, OTHERS),
    ("maximum message size", Category::Size, OTHERS),
    ("databytes limit", Category::Size, QMAIL),
    ("rate limit", Category::Rate, OTHERS),
    ("ratelimit", Category::Rate, OTHERS),
    ("too many connections", Category::Rate, POSTFIX),
    ("too many concurrent", Category::Rate, EXIM),
    ("too many messages", Category::Rate, OTHERS),
    ("too many recipients", Category::Rate, POSTFIX),
    ("too much mail", Category::Rate, POSTFIX),
    ("too many recent messages", Category::Rate, "Comcast: its replies"),
    ("receiving mail too quickly", Category::Rate, OTHERS),
    ("frequency limited", Category::Rate, "Tencent QQ: its help pages"),
    ("throttl", Category::Rate, OTHERS),
    ("too fast", Category::Rate, OTHERS),
    ("virus", Category::Content, FILTERS),
    ("viral", Category::Content, "Proton: its replies"),
    ("malware", Category::Content, FILTERS),
    ("infected", Category::Content, FILTERS),
    ("spam", Category::Content, FILTERS),
    ("phish", Category::Content, FILTERS),
    ("content rejected", Category::Content, OTHERS),
    ("message content", Category::Content, OTHERS),
    ("starttls", Category::Tls, OTHERS),
    ("certificate", Category::Tls, OTHERS),
    ("mail loop", Category::Loop, OTHERS),
    ("too many hops", Category::Loop, POSTFIX),
    ("loops back to", Category::Loop, POSTFIX),
    ("local policy", Category::Policy, OTHERS),
    ("policy violation", Category::Policy, OTHERS),
    ("policy reasons", Category::Policy, OTHERS),
];

/// What each category is told as.
fn usual(category: Category) -> Text {
    let (what, next, remedy) = match category {
        Category::UnknownUser => {
            ("There is no such address.", "Look for a typing error in it, and send the message again.", "")
        }
        Category::MailboxFull => {
            ("The mailbox is full.", "Reach them in another way, or try again when they have made room.", "")
        }
        Category::MailboxDisabled => ("The mailbox is out of use.", "Reach them in another way.", ""),
        Category::BadDestination => (
            "Mail cannot be sent to what stands behind the @.",
            "Look for a typing error in it, and send the message again.",
            "Look at the domain's MX records; a route (`postroad route`) can lead elsewhere.",
        ),
        Category::BadSender => (
            "Their server does not accept your own address.",
            "Your administrator can say more.",
            "See that the sender's domain has MX or address records and takes mail.",
        ),
        Category::Reputation => (
            "Their server does not trust the server that your mail comes from.",
            "Show this notice to your administrator. Reach them in another way until it is put right.",
            "Look on which list this server's address stands and ask its operator to remove it; find what was sent that \
             brought it there.",
        ),
        Category::Authentication => (
            "Their server could not verify that the message comes from who it says.",
            "Show this notice to your administrator: the domain's records in the DNS have to be put right.",
            "Publish SPF, DKIM and DMARC as `postroad dns DOMAIN` prints them, and look that they pass.",
        ),
        Category::ReverseDns => (
            "Their server does not find the name of the server that your mail comes from.",
            "Show this notice to your administrator.",
            "Have the provider of this server's address give it a PTR record with the server's name, and that name an \
             address record back.",
        ),
        Category::Rate => (
            "Their server takes no more mail at once.",
            "Send it to fewer people at a time, or later.",
            "Let fewer connections go there (`outbound.per-host`).",
        ),
        Category::Greylist => {
            ("Their server asks everybody to come back a little later.", "There is nothing that you need to do.", "")
        }
        Category::Size => {
            ("The message is too large for them.", "Send it without its attachments, or in several parts.", "")
        }
        Category::Content => (
            "Their server does not like what is in the message.",
            "Send it as plain text, without links and attachments.",
            "See whether the account that sent it is in somebody else's hands.",
        ),
        Category::Form => (
            "Their server cannot take a message of this kind.",
            "Send it as plain text, without attachments, with addresses in plain English letters.",
            "",
        ),
        Category::Relay => (
            "Their server takes mail for this address only from its own users.",
            "Look for a typing error in the address. If there is none, show this notice to your administrator.",
            "Look where the domain's mail goes: a route, or an MX record that is out of date.",
        ),
        Category::Loop => (
            "The message went in circles, because a forward leads back to where it came from, or a server on the way is \
             not set up rightly.",
            "Whoever set up the forward has to change it; reach them in another way until then.",
            "Look at forwards and routes that lead to this domain and back.",
        ),
        Category::Tls => (
            "No protected connection to their server could be agreed on.",
            "Show this notice to your administrator.",
            "Look at the certificates of both sides, and at what their DANE or MTA-STS policy wants.",
        ),
        Category::Policy => (
            "Their server does not want the message.",
            "If its words do not say how to change that, ask your administrator, and show them this notice.",
            "Its words say more than its code; ask its postmaster.",
        ),
        Category::Unreachable => (
            "Their server could not be reached.",
            "",
            "Look whether the host answers on its port from here, and whether others reach it.",
        ),
        Category::Temporary => ("Their server has a trouble of its own.", "", ""),
        Category::Other => ("", "", ""),
    };
    Text { what, next, remedy }
}
