//! Reports as large receivers send them, written anew after the facts of their forms; and our own, there and back.

use super::*;
use crate::report::{Error, Limits};

/// As a large mailbox provider writes: RFC 7489's form, no namespace, `pct`.
const OLD: &str = r#"<?xml version="1.0" encoding="UTF-8" ?>
<feedback>
  <version>1.0</version>
  <report_metadata>
    <org_name>big.test</org_name><email>noreply-dmarc@big.test</email>
    <extra_contact_info>https://big.test/answer/2466580</extra_contact_info>
    <report_id>1234567890</report_id>
    <date_range><begin>1763769600</begin><end>1763855999</end></date_range>
  </report_metadata>
  <policy_published><domain>Example.ORG</domain><adkim>r</adkim><aspf>s</aspf><p>reject</p><sp>none</sp><pct>100</pct><np>quarantine</np></policy_published>
  <record>
    <row><source_ip>192.0.2.1</source_ip><count>17</count>
      <policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>
    <identifiers><header_from>example.org</header_from></identifiers>
    <auth_results>
      <dkim><domain>example.org</domain><result>pass</result><selector>r1</selector></dkim>
      <spf><domain>bounce.example.net</domain><result>pass</result></spf>
    </auth_results>
  </record>
</feedback>"#;

/// With a namespace of its own, prefixes, a schema, white space, a result by another name, an override, a row without an
/// address, and things that nobody knows.
const ODD: &str = r#"<d:feedback xmlns:d="http://dmarc.org/dmarc-xml/0.1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <d:report_metadata><d:org_name>A &amp; B&#33;</d:org_name><d:report_id>&lt;x.1&gt;</d:report_id>
    <d:date_range><d:begin> 1763769600000 </d:begin><d:end>1763855999.5</d:end></d:date_range><d:error>late</d:error></d:report_metadata>
  <d:policy_published><d:domain>example.org.</d:domain><d:p>nonsense</d:p><d:fo/></d:policy_published>
  <d:record><d:row><d:source_ip>2001:db8::1</d:source_ip>
    <d:policy_evaluated><d:disposition>quarantine</d:disposition><d:dkim>fail</d:dkim><d:spf>FAIL</d:spf>
    <d:reason><d:type>Forwarded</d:type><d:comment><![CDATA[a <b>]]></d:comment></d:reason></d:policy_evaluated></d:row>
    <d:identifiers><d:envelope_to>far.test</d:envelope_to><d:header_from>example.org</d:header_from></d:identifiers>
    <d:auth_results><d:spf><d:domain>x.test</d:domain><d:scope>helo</d:scope><d:result>hardfail</d:result></d:spf></d:auth_results>
    <d:more><d:more/></d:more></d:record>
  <d:record><d:row><d:source_ip>nowhere</d:source_ip></d:row></d:record>
</d:feedback>"#;

fn read(xml: &str) -> Result<Report, Error> {
    Report::read(xml.as_bytes(), &Limits::default())
}

#[test]
fn the_old_form_is_read() {
    let report = read(OLD).expect("a report");
    assert_eq!((report.organization.as_str(), report.id.as_str()), ("big.test", "1234567890"));
    assert_eq!((report.begin, report.end, report.skipped), (1_763_769_600, 1_763_855_999, 0));
    let expected = Published {
        domain: "example.org".into(),
        policy: Policy::Reject,
        subdomains: Some(Policy::None),
        nonexistent: Some(Policy::Quarantine),
        spf_alignment: Alignment::Strict,
        ..Published::default()
    };
    assert_eq!(report.published, expected);
    let signature =
        Signature { domain: "example.org".into(), selector: "r1".into(), result: "pass".into(), words: String::new() };
    let [record] = report.records.as_slice() else { panic!("{:?}", report.records) };
    assert_eq!((record.count, record.dkim, record.spf, record.passes()), (17, true, false, true));
    assert_eq!((record.source.to_string(), record.header_from.as_str()), ("192.0.2.1".into(), "example.org"));
    assert_eq!(record.signatures, [signature]);
}

#[test]
fn strange_forms_are_read() {
    let report = read(ODD).expect("a report");
    assert_eq!((report.organization.as_str(), report.id.as_str(), report.skipped), ("A & B!", "x.1", 1));
    assert_eq!((report.begin, report.end), (1_763_769_600, 1_763_855_999));
    assert_eq!((report.published.domain.as_str(), report.published.policy), ("example.org", Policy::None));
    assert_eq!(report.errors, ["late"]);
    let record = &report.records[0];
    assert_eq!((record.count, record.disposition, record.passes()), (1, Disposition::Quarantine, false));
    assert_eq!(record.reasons, [Reason { kind: "forwarded".into(), comment: "a <b>".into() }]);
    assert_eq!((record.senders[0].result.as_str(), record.senders[0].helo), ("fail", true));
}

#[test]
fn what_is_no_report_or_too_much_is_refused() {
    let deep = "<feedback>".repeat(17);
    let laughs = "<!DOCTYPE f [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><feedback><version>&b;</version></feedback>";
    for (xml, expected) in [
        (laughs, Error::Hostile("XML with a document type")),
        ("<feedback><version>&b;</version></feedback>", Error::Hostile("XML with entities of its own")),
        (deep.as_str(), Error::Hostile("XML that is deeper than a report")),
        ("", Error::Malformed("it is no aggregate report".into())),
        ("<html><p>no</p></html>", Error::Malformed("it is no aggregate report".into())),
        ("<feedback></feedback>", Error::Malformed("it names no domain".into())),
        ("<feedback><record>", Error::Malformed("it ends in the middle".into())),
    ] {
        assert_eq!(read(xml), Err(expected), "{xml}");
    }
    let few = Limits { records: 1, ..Limits::default() };
    let two = OLD.replace("</feedback>", "<record></record></feedback>");
    assert_eq!(Report::read(two.as_bytes(), &few), Err(Error::TooLarge("rows in the report")));
    assert!(read(&OLD.replace("</row>", "</wor>")).is_err());
}

/// Each size that a stranger chooses has a bound, with the limits that the server has.
#[test]
fn huge_reports_cost_no_more_than_large_ones() {
    let wrapped = |rows: String| OLD.replace("</feedback>", &format!("{rows}</feedback>"));
    let row = "<record><row><source_ip>192.0.2.1</source_ip></row></record>";
    let many = read(&wrapped(row.repeat(10_000))).expect("a large report");
    assert_eq!(many.records.len(), 10_001);
    assert_eq!(read(&wrapped("<record/>".repeat(50_000))), Err(Error::TooLarge("rows in the report")));
    // A row with more results than any, in rows without number.
    let results = format!("<record><auth_results>{}</auth_results></record>", "<dkim/>".repeat(1_000));
    let one = read(&wrapped(results.replace("<record>", &row.replace("</record>", "")))).expect("a report");
    assert_eq!(one.records[1].signatures.len(), 100);
    assert_eq!(read(&wrapped(results.repeat(2_500))), Err(Error::TooLarge("results in the report")));
    let reasons =
        format!("<record><row><policy_evaluated>{}</policy_evaluated></row></record>", "<reason/>".repeat(100));
    assert_eq!(read(&wrapped(reasons.repeat(2_500))), Err(Error::TooLarge("results in the report")));
    // Texts and names are cut off, whatever they are made of.
    let long = OLD.replace("1234567890", &"&amp;x ".repeat(100_000));
    assert!(read(&long).expect("a report").id.len() <= Limits::default().text);
    let odd = OLD.replace("<version>1.0</version>", &format!("<{0}>x</{0}>", "v".repeat(100_000)));
    assert!(read(&odd).is_ok());
    let whole = format!("{OLD}{}", " ".repeat(Limits::default().inflated));
    assert_eq!(read(&whole), Err(Error::TooLarge("the report")));
}

#[test]
fn what_is_written_is_read_again() {
    for xml in [OLD, ODD] {
        let mut report = read(xml).expect("a report");
        report.skipped = 0;
        report.generator = "Postroad <&>".into();
        report.errors.push("a\u{fffd}b".into());
        let written = report.write();
        assert_eq!(read(&written), Ok(report), "{written}");
    }
}
