//! DNS messages, as far as a server without recursion needs them. RFC 1035 §4.1.

/// A question.
#[derive(Debug)]
pub(super) struct Query {
    number: [u8; 2],
    /// Lower case, without the final dot; octets that are no characters are Latin-1.
    pub(super) name: String,
    pub(super) kind: u16,
    /// The question as it came: name, type and class.
    octets: Vec<u8>,
    /// The largest answer over UDP.
    room: usize,
    has_edns: bool,
    recursion: u8,
}

impl Query {
    pub(super) fn parse(octets: &[u8]) -> Option<Query> {
        let header = octets.get(..HEADER)?;
        if header[2] & RESPONSE != 0 || header[4..6] != [0, 1] {
            return None;
        }
        let (name, after) = labels(octets, HEADER)?;
        let kind = u16::from_be_bytes(octets.get(after..after + 2)?.try_into().ok()?);
        let end = after + 4;
        let question = octets.get(HEADER..end)?.to_vec();
        // The only record that may follow is OPT: the root, its type, and the room as its class.
        let options = octets.get(end..end + 5).filter(|found| found[..3] == [0, 0, OPT]);
        let room =
            options.map_or(512, |found| usize::from(u16::from_be_bytes([found[3], found[4]]))).clamp(512, MAX_UDP);
        let (number, recursion) = ([header[0], header[1]], header[2] & 1);
        Some(Query { number, name, kind, octets: question, room, has_edns: options.is_some(), recursion })
    }
}

/// An answer that grows.
pub(super) struct Answer {
    number: [u8; 2],
    question: Vec<u8>,
    records: Vec<u8>,
    count: u16,
    code: u8,
    room: usize,
    has_edns: bool,
    recursion: u8,
}

impl Answer {
    pub(super) fn to(query: &Query) -> Answer {
        Answer {
            number: query.number,
            question: query.octets.clone(),
            records: Vec::new(),
            count: 0,
            code: 0,
            room: query.room,
            has_edns: query.has_edns,
            recursion: query.recursion,
        }
    }

    /// Records so far.
    pub(super) fn len(&self) -> u16 {
        self.count
    }

    pub(super) fn code(mut self, code: u8) -> Answer {
        self.code = code;
        self
    }

    pub(super) fn add(&mut self, owner: &str, kind: u16, data: &[u8]) {
        self.records.extend(record(owner, kind, data));
        self.count += 1;
    }

    pub(super) fn finish(self, over_tcp: bool) -> Vec<u8> {
        let whole = self.encode(false);
        if over_tcp || whole.len() <= self.room { whole } else { self.encode(true) }
    }

    pub(super) fn truncated(self) -> Vec<u8> {
        self.encode(true)
    }

    fn encode(&self, is_truncated: bool) -> Vec<u8> {
        let is_denial = self.count == 0 && matches!(self.code, 0 | 3) && !is_truncated;
        let count = if is_truncated { 0 } else { self.count };
        let flags = RESPONSE | AUTHORITATIVE | self.recursion | if is_truncated { TRUNCATED } else { 0 };
        let mut octets = self.number.to_vec();
        octets.extend([flags, RECURSES | self.code, 0, 1]);
        octets.extend(count.to_be_bytes());
        octets.extend([0, u8::from(is_denial), 0, u8::from(self.has_edns)]);
        octets.extend(&self.question);
        if !is_truncated {
            octets.extend(&self.records);
        }
        if is_denial {
            // RFC 2308 §3: says how long the denial holds.
            let serials = [1_u32, 3600, 600, 86400, 1].map(u32::to_be_bytes).concat();
            octets.extend(record("", SOA, &[name("ns.invalid"), name("admin.invalid"), serials].concat()));
        }
        if self.has_edns {
            octets.extend([0, 0, OPT]);
            octets.extend(u16::try_from(MAX_UDP).unwrap_or(u16::MAX).to_be_bytes());
            octets.extend([0; 6]);
        }
        octets
    }
}

fn record(owner: &str, kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("a record has at most 65535 octets");
    let fixed = [kind.to_be_bytes(), [0, 1], [0, 0], [1, 44], length.to_be_bytes()].concat();
    [name(owner), fixed, data.to_vec()].concat()
}

/// A name as labels. Characters above ASCII are octets of Latin-1.
pub(super) fn name(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        let label: Vec<u8> = label.chars().map(|c| u8::try_from(c).expect("an octet")).collect();
        assert!(label.len() <= 63, "a label has at most 63 octets: {text}");
        octets.push(u8::try_from(label.len()).unwrap_or(63));
        octets.extend(label);
    }
    octets.push(0);
    octets
}

/// A whole name of [`name`] as text.
pub(super) fn text(octets: &[u8]) -> String {
    labels(octets, 0).map(|(text, _)| text).unwrap_or_default()
}

/// The name at an offset and the offset behind it. Questions are not compressed.
fn labels(octets: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*octets.get(at)?);
        at += 1;
        match length {
            0 => return Some((labels.join("."), at)),
            1..=63 => {
                let label = octets.get(at..at + length)?;
                labels.push(label.iter().map(|octet| char::from(octet.to_ascii_lowercase())).collect::<String>());
                at += length;
            }
            _ => return None,
        }
    }
}

const HEADER: usize = 12;
const RESPONSE: u8 = 0x80;
const AUTHORITATIVE: u8 = 0x04;
const TRUNCATED: u8 = 0x02;
const RECURSES: u8 = 0x80;
const OPT: u8 = 41;
const SOA: u16 = 6;

/// The largest answer over UDP. RFC 9715.
const MAX_UDP: usize = 1232;
