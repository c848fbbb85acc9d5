//! What providers mean by their own codes: rows of whose host, which enhanced code, which words.

use postroad_smtp::Enhanced;

use super::Category;
use super::texts::Text;

/// A provider's own code.
pub(super) struct Row {
    pub(super) category: Category,
    /// Words for this row alone.
    pub(super) text: Option<&'static Text>,
    pub(super) source: &'static str,
}

/// The row that fits. The words of a provider are also known by themselves, since they travel in quotations of others; its
/// enhanced codes are known at its own hosts only.
pub(super) fn find(host: &str, enhanced: Option<Enhanced>, words: &str) -> Option<Row> {
    let provider = PROVIDERS.iter().find(|provider| {
        let is_host = |name: &str| host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        provider.hosts.iter().any(|name| is_host(name)) || provider.marks.iter().any(|mark| words.contains(mark))
    })?;
    let by_words = provider.words.iter().find(|(needle, _, _)| words.contains(needle));
    let by_code = || {
        let Enhanced(_, subject, detail) = enhanced?;
        provider.codes.iter().find(|((s, from, to), _, _)| *s == subject && (*from..=*to).contains(&detail))
    };
    let (category, text) = match by_words {
        Some((_, category, text)) => (*category, *text),
        None => by_code().map(|(_, category, text)| (*category, *text))?,
    };
    Some(Row { category, text, source: provider.source })
}

/// A subject, and details from one to another: `X.7.606` to `X.7.649`.
type Codes = (u16, u16, u16);

struct Provider {
    /// Names of hosts end with these.
    hosts: &'static [&'static str],
    /// Words that only this provider's hosts say.
    marks: &'static [&'static str],
    words: &'static [(&'static str, Category, Option<&'static Text>)],
    codes: &'static [(Codes, Category, Option<&'static Text>)],
    source: &'static str,
}

static PROVIDERS: [Provider; 4] = [
    Provider {
        hosts: &["google.com", "googlemail.com", "gmail.com"],
        marks: &[" - gsmtp", " - gcdp", "support.google.com/mail"],
        words: &[
            ("out of storage", Category::MailboxFull, None),
            ("over quota", Category::MailboxFull, None),
            ("receiving mail too quickly", Category::Rate, None),
            ("receiving mail at a rate", Category::Rate, None),
            ("potential security issue", Category::Content, None),
            ("not rfc 5322 compliant", Category::Form, None),
            ("likely unsolicited mail", Category::Reputation, None),
            ("unusual rate of unsolicited mail", Category::Reputation, None),
            ("very low reputation", Category::Reputation, None),
            ("suspicious due to the", Category::Reputation, None),
            ("does not have a ptr record", Category::ReverseDns, None),
        ],
        codes: &[
            ((7, 23, 23), Category::ReverseDns, None),
            ((7, 25, 25), Category::ReverseDns, None),
            ((7, 26, 27), Category::Authentication, Some(&SPF)),
            ((7, 28, 28), Category::Rate, None),
            ((7, 29, 29), Category::Tls, None),
            ((7, 30, 30), Category::Authentication, Some(&DKIM)),
            ((7, 31, 31), Category::Authentication, Some(&DMARC)),
            ((7, 32, 32), Category::Authentication, Some(&ALIGNMENT)),
            ((7, 40, 40), Category::Authentication, Some(&DMARC)),
            ((7, 0, 0), Category::Reputation, None),
        ],
        source: "Google: SMTP error reference (support.google.com/a/answer/3726730), email sender guidelines (answer/81126)",
    },
    Provider {
        hosts: &["outlook.com", "hotmail.com", "office365.com", "live.com", "msn.com"],
        marks: &["aka.ms/", "go.microsoft.com/fwlink", "resolver.adr", "resolver.rst", "storedrv."],
        words: &[
            ("as(201806281)", Category::UnknownUser, None),
            ("resolver.adr.", Category::UnknownUser, None),
            ("storedrv.deliver; mailbox full", Category::MailboxFull, None),
            ("recipsizelimit", Category::Size, None),
            ("(s3150)", Category::Reputation, Some(&MICROSOFT_LIST)),
            ("(s3140)", Category::Reputation, Some(&MICROSOFT_LIST)),
            ("banned sending ip", Category::Reputation, Some(&MICROSOFT_LIST)),
            ("rate limited due to ip reputation", Category::Reputation, Some(&MICROSOFT_LIST)),
            ("required authentication level", Category::Authentication, Some(&ALL_THREE)),
            ("thread limit exceeded", Category::Rate, None),
            ("organization queue quota exceeded", Category::Rate, None),
            ("limit for the number of messages", Category::Rate, None),
        ],
        codes: &[
            ((1, 10, 10), Category::UnknownUser, None),
            ((4, 1, 1), Category::UnknownUser, None),
            ((4, 14, 14), Category::Loop, None),
            ((7, 23, 23), Category::Authentication, Some(&SPF)),
            ((7, 57, 57), Category::Relay, None),
            ((7, 64, 64), Category::Relay, None),
            ((7, 320, 325), Category::Tls, None),
            ((7, 509, 509), Category::Authentication, Some(&DMARC)),
            ((7, 515, 515), Category::Authentication, Some(&ALL_THREE)),
            ((7, 501, 503), Category::Content, None),
            ((7, 511, 514), Category::Reputation, Some(&MICROSOFT_LIST)),
            ((7, 606, 649), Category::Reputation, Some(&MICROSOFT_LIST)),
            ((7, 650, 699), Category::Rate, None),
            ((7, 500, 599), Category::Rate, None),
            ((7, 705, 705), Category::Rate, None),
            ((7, 708, 750), Category::Reputation, Some(&MICROSOFT_LIST)),
        ],
        source: "Microsoft: email non-delivery reports in Exchange Online (learn.microsoft.com), Outlook.com (postmaster.live.com)",
    },
    Provider {
        hosts: &["yahoodns.net", "yahoo.com", "aol.com", "yahooinc.com"],
        marks: &["senders.yahooinc.com", "postmaster.yahooinc.com", "help.yahoo.com"],
        words: &[
            ("[gl0", Category::Greylist, None),
            ("[tss0", Category::Reputation, None),
            ("[ts0", Category::Reputation, None),
            ("[bl2", Category::Reputation, None),
            ("[ipts0", Category::Reputation, None),
            ("user complaints", Category::Reputation, None),
            ("doesn't have a yahoo", Category::UnknownUser, None),
            ("not a valid recipient", Category::UnknownUser, None),
            ("account is disabled", Category::MailboxDisabled, None),
        ],
        codes: &[((7, 9, 9), Category::Authentication, Some(&ALL_THREE)), ((7, 0, 0), Category::Reputation, None)],
        source: "Yahoo: SMTP error codes (senders.yahooinc.com/smtp-error-codes)",
    },
    Provider {
        hosts: &["icloud.com", "apple.com"],
        marks: &["support.apple.com", "[hm0", "[cs01]"],
        words: &[
            ("over quota", Category::MailboxFull, None),
            ("[cs01]", Category::Content, None),
            ("[hm0", Category::Policy, None),
        ],
        codes: &[],
        source: "Apple: postmaster information for iCloud Mail (support.apple.com/HT204137)",
    },
];

static SPF: Text = Text {
    what: "Their server could not verify that the message comes from who it says (SPF).",
    next: "Show this notice to your administrator: the DNS of your domain has to name this server.",
    remedy: "Publish an SPF record that has this server's addresses (`postroad dns DOMAIN` prints it), and see that DKIM signs.",
};
static DKIM: Text = Text {
    what: "Their server wants mail that is signed (DKIM), and found no signature that it could verify.",
    next: "Show this notice to your administrator: mail of your domain has to be signed.",
    remedy: "See that the key in the DNS is the one that signs (`postroad dns DOMAIN` prints the record), and that the From \
             domain is one of this server's.",
};
static DMARC: Text = Text {
    what: "Their server wants your domain to say how its mail can be verified (DMARC), or found that this message fails it.",
    next: "Show this notice to your administrator: your domain needs a DMARC record, and mail that passes it.",
    remedy: "Publish a DMARC record, `p=none` to begin with (`postroad dns DOMAIN` prints it); the From domain has to be the \
             domain that SPF or DKIM verifies.",
};
static ALIGNMENT: Text = Text {
    what: "The domain in From is not the one that SPF or DKIM verifies.",
    next: "Send with an address of your own domain in From.",
    remedy: "See that mail with this From domain is signed with that domain's key.",
};
static ALL_THREE: Text = Text {
    what: "Their server takes mail of your domain only when SPF and DKIM pass and a DMARC record is there.",
    next: "Show this notice to your administrator: the domain's records in the DNS have to be put right.",
    remedy: "Publish SPF, DKIM and DMARC (`postroad dns DOMAIN` prints all three) and look that they pass.",
};
static MICROSOFT_LIST: Text = Text {
    what: "Microsoft does not take mail from this server's address at the moment.",
    next: "Show this notice to your administrator. Reach them in another way until it is put right.",
    remedy: "Ask to be delisted at https://sender.office.com (Exchange Online) or https://olcsupport.office.com \
             (Outlook.com), and look at SNDS for the reason.",
};
