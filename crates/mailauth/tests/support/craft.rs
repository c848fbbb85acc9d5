//! Signatures with any tags, made in another way than the crate makes them: canonical forms by plain text replacement, on whole
//! messages.

#![allow(dead_code)]

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A key of the tests.
pub(crate) struct Craft {
    pair: Ed25519KeyPair,
}

impl Craft {
    pub(crate) fn new() -> Craft {
        Craft { pair: Ed25519KeyPair::generate().expect("a key") }
    }

    pub(crate) fn record(&self) -> String {
        format!("v=DKIM1; k=ed25519; p={}", self.public())
    }

    pub(crate) fn public(&self) -> String {
        STANDARD.encode(self.pair.public_key().as_ref())
    }

    /// The message with a signature in front. `tags` has `{bh}` and `{b}` where these go; `c=`, `l=` and `h=` in it are honoured.
    pub(crate) fn sign(&self, tags: &str, message: &str) -> Vec<u8> {
        self.sign_as("DKIM-Signature", tags, message)
    }

    pub(crate) fn sign_as(&self, field: &str, tags: &str, message: &str) -> Vec<u8> {
        let message = message.replace("\r\n", "\n").replace('\n', "\r\n");
        let (header, body) = message.split_once("\r\n\r\n").unwrap_or((&message, ""));
        let (header_form, body_form) = match tag(tags, "c") {
            None => ("simple", "simple"),
            Some(c) => c.split_once('/').unwrap_or((c, "simple")),
        };
        let mut body = canonical_body(body, body_form);
        if let Some(length) = tag(tags, "l").and_then(|l| l.parse::<usize>().ok()) {
            body.truncate(length);
        }
        let tags = tags.replace("{bh}", &STANDARD.encode(digest(&SHA256, body.as_bytes())));
        let mut input = selected(header, tag(&tags, "h").unwrap_or_default(), header_form);
        let unsigned = format!("{field}: {}", tags.replace("{b}", ""));
        input.push_str(canonical_field(&unsigned, header_form).trim_end_matches("\r\n"));
        let signature = self.pair.sign(digest(&SHA256, input.as_bytes()).as_ref());
        let signed = tags.replace("{b}", &STANDARD.encode(signature.as_ref()));
        format!("{field}: {signed}\r\n{message}").into_bytes()
    }
}

impl Craft {
    /// A seal over these fields, which are whole and without their line ends (RFC 8617 §5.1.1). `tags` has `{b}`.
    pub(crate) fn seal(&self, tags: &str, fields: &[&str]) -> String {
        let mut input: String = fields.iter().map(|field| canonical_field(field, "relaxed")).collect();
        let unsigned = format!("ARC-Seal: {}", tags.replace("{b}", ""));
        input.push_str(canonical_field(&unsigned, "relaxed").trim_end_matches("\r\n"));
        let signature = self.pair.sign(digest(&SHA256, input.as_bytes()).as_ref());
        format!("ARC-Seal: {}", tags.replace("{b}", &STANDARD.encode(signature.as_ref())))
    }
}

fn tag<'a>(tags: &'a str, name: &str) -> Option<&'a str> {
    tags.split(';')
        .filter_map(|part| part.split_once('='))
        .find(|(n, _)| n.trim() == name)
        .map(|(_, value)| value.trim())
}

fn selected(header: &str, names: &str, form: &str) -> String {
    let mut fields: Vec<Option<String>> = Vec::new();
    for line in header.split("\r\n") {
        match fields.last_mut() {
            Some(Some(last)) if line.starts_with([' ', '\t']) => last.push_str(&format!("\r\n{line}")),
            _ => fields.push(Some(line.to_owned())),
        }
    }
    let mut out = String::new();
    for name in names.split(':') {
        let found = fields.iter_mut().rev().find(|field| {
            let field = field.as_deref().and_then(|field| field.split_once(':'));
            field.is_some_and(|(n, _)| n.trim().eq_ignore_ascii_case(name.trim()))
        });
        if let Some(field) = found.and_then(Option::take) {
            out.push_str(&canonical_field(&field, form));
        }
    }
    out
}

fn canonical_field(field: &str, form: &str) -> String {
    if form == "simple" {
        return format!("{field}\r\n");
    }
    let (name, value) = field.split_once(':').expect("a field");
    let value = value.replace("\r\n", "");
    let words: Vec<&str> = value.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    format!("{}:{}\r\n", name.trim_end().to_lowercase(), words.join(" "))
}

/// As RFC 6376 §3.4.3 and §3.4.4 say it, line by line.
pub(crate) fn canonical_body(body: &str, form: &str) -> String {
    let mut lines: Vec<String> = body.replace("\r\n", "\n").split('\n').map(str::to_owned).collect();
    if form == "relaxed" {
        for line in &mut lines {
            let mut out = String::new();
            for c in line.trim_end_matches([' ', '\t']).chars() {
                match c {
                    ' ' | '\t' if out.ends_with(' ') => {}
                    ' ' | '\t' => out.push(' '),
                    _ => out.push(c),
                }
            }
            *line = out;
        }
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    match (lines.is_empty(), form) {
        (true, "relaxed") => String::new(),
        (true, _) => "\r\n".to_owned(),
        (false, _) => lines.join("\r\n") + "\r\n",
    }
}
