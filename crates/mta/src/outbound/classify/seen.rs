//! Replies that hosts were really seen to give, from collections that anybody can look into; what they mean.

use super::Category::{self, *};
use super::tests::of;

/// `fm/smtp-codes` at GitHub, `data/codes`: the first digits say which file.
const CODES: &str = "github.com/fm/smtp-codes";
/// `sisimai/set-of-emails` at GitHub, `maildir/bsd/rhost-…`: notices as they came, with names taken out.
const NOTICES: &str = "github.com/sisimai/set-of-emails";
/// Threads in which administrators quote what they got.
const HESTIA: &str = "github.com/hestiacp/hestiacp/issues/2901";
const PURELYMAIL: &str = "github.com/Purelymail/purelymail-issues/issues/394";
const CPANEL: &str = "support.cpanel.net, article 4403952239511";

const GOOGLE: &str = "gmail-smtp-in.l.google.com";
const MICROSOFT: &str = "far-test.mail.protection.outlook.com";
const OUTLOOK: &str = "hotmail-com.olc.protection.outlook.com";
const YAHOO: &str = "mta7.am0.yahoodns.net";
const APPLE: &str = "mx01.mail.icloud.com";

/// Where it was seen, whose host, the reply, its meaning.
type Seen = (&'static str, &'static str, &'static str, Category);

const SEEN: &[Seen] = &[
    (
        CODES,
        GOOGLE,
        "421 4.7.0 [192.0.2.1] Our system has detected that this message is suspicious due to the very low reputation of the \
         sending domain. To best protect our users from spam, the message has been blocked. Please visit \
         https://support.google.com/mail/answer/188131 for more information. - gsmtp",
        Reputation,
    ),
    (
        CODES,
        GOOGLE,
        "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being \
         delivered. Please resend your message at a later time. - gsmtp",
        Rate,
    ),
    (CODES, GOOGLE, "451 4.3.0 Mail server temporarily rejected message. - gsmtp", Temporary),
    (
        CODES,
        GOOGLE,
        "452 4.2.2 The email account that you tried to reach is over quota. Please direct the recipient to \
         https://support.google.com/mail/?p=OverQuotaTemp - gsmtp",
        MailboxFull,
    ),
    (
        CODES,
        GOOGLE,
        "553 5.1.2 The recipient address <bob@far.test> is not a valid RFC-5321 address. - gsmtp",
        BadDestination,
    ),
    (
        NOTICES,
        GOOGLE,
        "550 5.2.1 The email account that you tried to reach is disabled. g0000000000ggg.00",
        MailboxDisabled,
    ),
    (
        NOTICES,
        GOOGLE,
        "550 5.1.1 The email account that you tried to reach does not exist. Please try\ndouble-checking the recipient's email \
         address for typos or\nunnecessary spaces. Learn more at\nhttps://support.google.com/mail/?p=NoSuchUser \
         e22-n7GpZmsf093195.222 - gsmtp",
        UnknownUser,
    ),
    (
        NOTICES,
        GOOGLE,
        "550 5.7.26 The MAIL FROM domain [mail4.example.com] has an SPF record with a\nhard fail policy (-all) but it fails to \
         pass SPF checks with the ip:\n[192.0.2.24]. To best protect our users from spam and phishing,\nthe message has been \
         blocked.",
        Authentication,
    ),
    (
        NOTICES,
        GOOGLE,
        "550 5.7.26 This mail has been blocked because the sender is unauthenticated.\nGmail requires all senders to \
         authenticate with either SPF or DKIM.",
        Authentication,
    ),
    (
        NOTICES,
        GOOGLE,
        "552 5.2.2 The recipient's inbox is out of storage space and inactive. Please\ndirect the recipient to\n\
         https://support.google.com/mail/?p=OverQuotaPerm c2-202229zmZBNM3agi23.222 - gsmtp",
        MailboxFull,
    ),
    (
        NOTICES,
        GOOGLE,
        "550 5.7.25 [192.0.2.202] The IP address sending this message does not have a\nPTR record setup, or the corresponding \
         forward DNS entry does not\npoint to the sending IP.",
        ReverseDns,
    ),
    (
        NOTICES,
        GOOGLE,
        "550 5.7.1 This message is not RFC 5322 compliant. There are multiple Subject\nheaders. To reduce the amount of spam \
         sent to Gmail, this message has\nbeen blocked.",
        Form,
    ),
    (
        PURELYMAIL,
        GOOGLE,
        "550 5.7.26 Unauthenticated email from far.test is not accepted due to domain's DMARC policy. Please contact the \
         administrator of far.test domain if this was a legitimate mail. - gsmtp",
        Authentication,
    ),
    (
        HESTIA,
        OUTLOOK,
        "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since \
         part of their network is on our block list (S3140). You can also refer your provider to \
         http://mail.live.com/mail/troubleshooting.aspx#errors. [DM6NAM12FT008.eop-nam12.prod.protection.outlook.com]",
        Reputation,
    ),
    (CODES, OUTLOOK, "421 4.3.2 Service not available [outlook.com]", Temporary),
    (CODES, OUTLOOK, "450 4.7.3 Organization queue quota exceeded. [outlook.com]", Rate),
    (CODES, OUTLOOK, "451 4.3.2 Temporary server error. Please try again later ATTR17 [outlook.com]", Temporary),
    (CODES, OUTLOOK, "452 4.3.1 Insufficient system resources (TSTE) [outlook.com]", Temporary),
    (
        CODES,
        OUTLOOK,
        "550 5.5.0 Requested action not taken: mailbox unavailable. [#.eop-nam12.prod.protection.outlook.com]",
        UnknownUser,
    ),
    (
        CODES,
        OUTLOOK,
        "554 5.2.122 The recipient has exceeded their limit for the number of messages they can receive per hour.",
        Rate,
    ),
    (CODES, MICROSOFT, "554 5.4.14 Hop count exceeded - possible mail loop ATTR34", Loop),
    (CODES, MICROSOFT, "451 4.7.0 Temporary server error. Please try again later. PRX4 NextHop: far.test", Temporary),
    (
        NOTICES,
        MICROSOFT,
        "550 5.7.606 Access denied, banned sending IP [198.51.100.222]. To request removal from this list please visit \
         https://sender.office.com/ and follow the directions. (AS16012609)",
        Reputation,
    ),
    (
        NOTICES,
        MICROSOFT,
        "550 5.4.1 [bob@far.test]: Recipient address rejected: Access denied [NEKOCHAN.cat-neko22.prod.protection.outlook.com]",
        UnknownUser,
    ),
    (
        NOTICES,
        MICROSOFT,
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
        UnknownUser,
    ),
    (
        NOTICES,
        MICROSOFT,
        "550 5.7.509 Access denied, sending domain [EXAMPLE.JP] does not pass DMARC verification and has a DMARC policy of reject.",
        Authentication,
    ),
    (
        NOTICES,
        MICROSOFT,
        "451 4.7.650 The mail server [192.0.2.25] has been temporarily rate limited due to IP reputation. For e-mail delivery \
         information, see https://postmaster.live.com (S3113)",
        Reputation,
    ),
    (
        NOTICES,
        YAHOO,
        "554 5.7.9 Message not accepted for policy reasons. See https://postmaster.verizonmedia.com/error-codes",
        Authentication,
    ),
    (
        CPANEL,
        YAHOO,
        "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints - 4.16.55.1; \
         see https://postmaster.verizonmedia.com/error-codes",
        Reputation,
    ),
    (
        NOTICES,
        YAHOO,
        "554 delivery error: dd This user doesn't have a yahoo.com account (bob@yahoo.com) [0] - mta1061.mail.ne1.yahoo.com",
        UnknownUser,
    ),
    (CODES, YAHOO, "450 User is receiving mail too quickly", Rate),
    (CODES, YAHOO, "550 relaying denied for <bob@far.test>", Relay),
    (CODES, YAHOO, "552 1 Requested mail action aborted, mailbox not found", UnknownUser),
    (
        CODES,
        YAHOO,
        "451 mta1.mail.ne1.yahoo.com Resources temporarily unavailable. Please try again later [#4.16.1].",
        Temporary,
    ),
    (CODES, APPLE, "550 5.1.1 <bob@icloud.com>: user does not exist", UnknownUser),
    (CODES, APPLE, "552 5.2.2 <bob@icloud.com>: user is overquota", MailboxFull),
    (CODES, APPLE, "451 4.7.1 Service unavailable - try again later", Temporary),
    (NOTICES, APPLE, "550 5.1.1 <bob@icloud.com>: inactive email address", UnknownUser),
    (NOTICES, APPLE, "550 5.1.6 recipient no longer on server: bob@far.test", UnknownUser),
    (
        NOTICES,
        APPLE,
        "554 5.7.1 Your message was rejected due to libsisimai.org's DMARC policy. See https://support.apple.com/en-us/HT204137 for info",
        Authentication,
    ),
    (
        NOTICES,
        "mx.orange.test",
        "550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]",
        UnknownUser,
    ),
    (
        NOTICES,
        "mx.orange.test",
        "550 mwinf5c04 ME Adresse IP source bloquee pour incident de spam. Client host blocked for spamming issues. OFR006_102",
        Reputation,
    ),
    (
        NOTICES,
        "mx.orange.test",
        "421 mwinf5c77 ME Service refuse. Veuillez essayer plus tard. Service refused, please try later. OFR_999 [999]",
        Temporary,
    ),
    (
        CODES,
        "mx.orange.test",
        "552 5.1.1 Boite du destinataire pleine. Recipient overquota. OFR_417 [417]",
        MailboxFull,
    ),
    (NOTICES, "mx.qq.test", "550 Ip frequency limited [... Blocked IP 192.0.2.22].", Rate),
    (NOTICES, "mx.qq.test", "550 Connection frequency limited [... Blocked IP 192.0.2.22].", Rate),
    (
        NOTICES,
        "mx.qq.test",
        "550 DMARC check failed. http://service.mail.qq.com/cgi-bin/help?subtype=1&&no=1001508&&id=16.",
        Authentication,
    ),
    (NOTICES, "mx.zoho.test", "550 5.1.1 User does not exist - <bob@zoho.example.com>", UnknownUser),
    (NOTICES, "mx.zoho.test", "554 5.7.1 Email cannot be delivered. Reason: Email flagged as Spam.", Content),
    (NOTICES, "mx.mimecast.test", "554 email rejected due to security policies - MCSpamSignature.sa.2.2", Content),
    (NOTICES, "mx.mail.test", "550 Mailbox is frozen. See http://mail.i.ua/err/3/", MailboxDisabled),
    (
        CODES,
        "mx.mail.test",
        "550 Message was not accepted -- invalid mailbox. Local mailbox bob@mail.ru is unavailable: account is disabled",
        MailboxDisabled,
    ),
    (CODES, "mx.yandex.test", "450 4.2.1 The recipient has exceeded message rate limit. Try again later.", Rate),
    (CODES, "mx.yandex.test", "552 5.2.2 Mailbox size limit exceeded", MailboxFull),
    (
        CODES,
        "mx.yandex.test",
        "554 5.7.1 [1] Message rejected under suspicion of SPAM; https://ya.cc/1IrBc ##",
        Content,
    ),
    (CODES, "mx.rackspace.test", "421 Too many concurrent connections from this client (G2)", Rate),
    (CODES, "mx.rackspace.test", "450 4.7.1 Client host 192.0.2.1 has no PTR record (G1F)", ReverseDns),
    (CODES, "mx.rackspace.test", "451 4.7.1 Received too many messages from a new or untrusted IP (G28)", Rate),
    (CODES, "mx.comcast.test", "452 4.1.1 <bob@comcast.net> too many recent messages; Try again later", Rate),
    (CODES, "mx.comcast.test", "550 5.1.1 Not our Customer", UnknownUser),
    (CODES, "mx.gmx.test", "550 Requested action not taken: mailbox unavailable", UnknownUser),
    (
        CODES,
        "mx.gmx.test",
        "552 Requested mail action aborted: exceeded storage allocation Quota exceeded.",
        MailboxFull,
    ),
    (
        CODES,
        "mx.gmx.test",
        "550 <bob@far.test>: Reject due to SPF policy. The originating IP of the message is not permitted by the domain owner.",
        Authentication,
    ),
    (CODES, "mx.godaddy.test", "421 Temporarily rejected. Reverse DNS for 192.0.2.1 failed. IB108", ReverseDns),
    (
        CODES,
        "mx.godaddy.test",
        "552 1 - 2 Message size exceeds maximum permitted. Please reduce message size, and retry.",
        Size,
    ),
    (
        CODES,
        "mx.titan.test",
        "450 4.2.0 <bob@far.test>: Recipient address rejected: greylisted: please retry after sometime",
        Greylist,
    ),
    (
        CODES,
        "mx.titan.test",
        "421 4.7.0: Sender IP rejected: sending IP has insufficient reputation.  Please retry later.",
        Reputation,
    ),
    (CODES, "mx.free.test", "550 spam detected", Content),
    (CODES, "mx.t-online.test", "550 5.7.0 Message considered as spam or virus, rejected", Content),
    (CODES, "mx.proton.test", "554 5.7.1 We do not accept viral traffic", Content),
    (
        CODES,
        "mx.infomaniak.test",
        "550 5.7.1 rejected by DMARC policy for example.com (in reply to end of DATA command),",
        Authentication,
    ),
    (
        CODES,
        "mx.hostpoint.test",
        "550 SPF-check failed: example.com doesn't allow sending mails from 192.0.2.1",
        Authentication,
    ),
    (
        CODES,
        "mx.trendmicro.test",
        "450 4.1.8 Sender address rejected: Domain not found (in reply to RCPT TO command))",
        BadSender,
    ),
];

#[test]
fn what_hosts_were_seen_to_say() {
    let wrong: Vec<String> = SEEN
        .iter()
        .filter_map(|(seen, host, reply, expected)| {
            let found = of(reply, host).category;
            (found != *expected).then(|| format!("{found:?}, not {expected:?}: {host}: {reply} (seen at {seen})"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
