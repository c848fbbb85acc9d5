//! A Maildir as years of use leave it, and what is in one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Maildir++: `日本語`, `Résumés/2019 & 2020` and `a.b` among them.
const FOLDERS: [&str; 9] = [
    "",
    ".Sent",
    ".Work",
    ".Work.2019",
    ".Work.2019.a&AC4-b",
    ".&ZeVnLIqe-",
    ".R&AOk-sum&AOk-s",
    ".R&AOk-sum&AOk-s.2019 &- 2020",
    ".INBOX-like",
];
const LETTERS: [&str; 10] = ["", "S", "FS", "RS", "RSa", "Sac", "DS", "PSb", "STc", "FRSabc"];
const KEYWORDS: &str = "0 $Label1\n1 work\n2 NonJunk\n";

/// Writes so many messages.
pub(crate) fn generate(root: &Path, messages: usize) {
    for folder in FOLDERS {
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(root.join(folder).join(part)).expect("a folder can be made");
        }
        fs::write(root.join(folder).join("dovecot-keywords"), KEYWORDS).expect("a file can be written");
    }
    let mut noise = Noise(42);
    let odd = odd_ones();
    assert!(odd.len() < messages, "there is room for the odd ones");
    for number in 0..messages {
        let ordinary = || message(number, &mut noise);
        let bytes = odd.get(number).cloned().unwrap_or_else(ordinary);
        let seconds = 1_100_000_000 + number as u64 * 7_919;
        let name = format!("{seconds}.M{number}P7.host,S={}", bytes.len());
        let folder = root.join(FOLDERS[number % FOLDERS.len()]);
        let path = match number % 23 {
            // No program has shown it yet.
            22 => folder.join("new").join(name),
            _ => folder.join("cur").join(format!("{name}:2,{}", LETTERS[number % LETTERS.len()])),
        };
        fs::write(&path, bytes).expect("a file can be written");
        let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, (number as u32 % 1_000_000) * 1_000);
        let file = fs::File::options().append(true).open(&path).expect("it was just written");
        file.set_modified(time).expect("times can be set");
    }
}

/// What other programs leave behind.
fn odd_ones() -> Vec<Vec<u8>> {
    let mut odd: Vec<Vec<u8>> = [
        &b""[..],
        b"\n",
        b"\r\n",
        b"Subject: header only\n",
        b"Subject: header only, no newline",
        b"Subject: header only\n\n",
        b"Subject: no newline at the end\n\nthe last line",
        b"Subject: CRLF\r\nFrom: a@example.org\r\n\r\nbody\r\n",
        b"Subject: CRLF\r\n\r\nno newline at the end",
        b"Subject: both\r\nFrom: a@example.org\n\r\nbody\n",
        b"Subject: bare CR\n\na\rb\n\rc\r",
        b"Subject: bare CR before CRLF\r\n\r\na\r\r\nb\r",
        b"Subject: NUL\0in the header\n\n\0\0body\0\n",
        b"From someone Tue Mar  5 10:10:10 2019\nSubject: begins with a From_ line\n\nbody\n",
        b"Subject: From lines\n\nFrom a@b Tue Mar  5 10:10:10 2019\n>From a\n>>From b\n\nFrom c\n",
        b"no header at all\n",
        b"\n\nbegins with blank lines\n",
        b": no name\n folded nothing\n\nbody\n",
        b"Status: RO\nX-Status: F\nX-Postroad: 5\nContent-Length: 3\n\nbody that is longer\n",
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\n--x\n--x--\n--y\n",
        b"Subject: the same twice\n\nbody\n",
    ]
    .map(<[u8]>::to_vec)
    .into();
    odd.push([&b"Subject: every byte\n\n"[..], &(0..=255).collect::<Vec<u8>>()].concat());
    odd.push([&b"Subject: a long line\n\n"[..], &b"x".repeat(100_000), b"\n"].concat());
    let line = |newline: &str| format!("a line of a message that is streamed, as large ones are{newline}");
    odd.push((String::from("Subject: large\n\n") + &line("\n").repeat(25_000)).into_bytes());
    odd.push((String::from("Subject: large\r\n\r\n") + &line("\r\n").repeat(25_000)).into_bytes());
    odd.push((String::from("Subject: large\n\n") + &line("\r\n").repeat(25_000)).into_bytes());
    // The same bytes again in the folder of the first: folders take turns.
    while odd.len() % FOLDERS.len() != 20 % FOLDERS.len() {
        odd.push(b"Subject: filler\n\n".to_vec());
    }
    odd.push(b"Subject: the same twice\n\nbody\n".to_vec());
    odd
}

/// A message of ordinary form with LF, of half a KB to 60 KB, small ones more often.
fn message(number: usize, noise: &mut Noise) -> Vec<u8> {
    let size = match noise.below(20) {
        0 => 20_000 + noise.below(40_000),
        1..=4 => 5_000 + noise.below(15_000),
        _ => 500 + noise.below(4_500),
    };
    let mut bytes = format!(
        "Return-Path: <sender{0}@example.org>\nReceived: from host.example.org (host.example.org [192.0.2.{1}])\n\tby \
         mx.example.test; Tue, 05 Mar 2019 10:10:10 +0000\nFrom: Sender {0} <sender{0}@example.org>\nTo: \
         alice@example.test\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= number {number}\nMessage-ID: \
         <{number}@example.org>\nDate: Tue, 05 Mar 2019 10:10:10 +0000\n",
        number % 97,
        number % 251
    )
    .into_bytes();
    match number % 7 {
        0 => attachment(&mut bytes, size, noise),
        1 => {
            bytes.extend_from_slice(
                b"Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\n",
            );
            text(&mut bytes, size, "na\u{ef}ve Gr\u{fc}\u{df}e".chars().map(|c| c as u8).collect(), noise);
        }
        2 => {
            bytes.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n");
            text(&mut bytes, size, "日本語のテキスト ü".into(), noise);
        }
        _ => {
            bytes.extend_from_slice(b"References: <");
            bytes.extend_from_slice(format!("{}@example.org>\n\n", number / 10 * 10).as_bytes());
            text(&mut bytes, size, b"From here on it is plain text".to_vec(), noise);
        }
    }
    if number.is_multiple_of(31) {
        bytes.pop();
    }
    bytes
}

fn attachment(bytes: &mut Vec<u8>, size: usize, noise: &mut Noise) {
    bytes.extend_from_slice(
        b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=_b\"\n\n--=_b\nContent-Type: text/plain\n\nsee \
          attached\n--=_b\nContent-Type: application/octet-stream; name=a.bin\nContent-Transfer-Encoding: base64\n\n",
    );
    while bytes.len() < size {
        let line: String = (0..76).map(|_| char::from(ALPHABET[noise.below(64)])).collect();
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(b"--=_b--\n");
}

fn text(bytes: &mut Vec<u8>, size: usize, words: Vec<u8>, noise: &mut Noise) {
    while bytes.len() < size {
        bytes.extend_from_slice(&words);
        bytes.extend_from_slice(format!(" {:x} {:x}\n", noise.next(), noise.next()).as_bytes());
    }
}

/// Lengths and hashes of messages.
pub(crate) type Sums = Vec<(usize, String)>;

/// Everything in a Maildir: by folder, date, letters of flags and names of keywords the sums of the bytes, sorted.
pub(crate) fn sums(root: &Path) -> BTreeMap<(String, SystemTime, Vec<String>), Sums> {
    let mut found: BTreeMap<_, Sums> = BTreeMap::new();
    let mut folders: Vec<PathBuf> = entries(root).into_iter().filter(|path| path.join("cur").is_dir()).collect();
    folders.push(root.to_owned());
    for folder in folders {
        let name = folder.strip_prefix(root).expect("it is below").display().to_string();
        let list = fs::read_to_string(folder.join("dovecot-keywords")).unwrap_or_default();
        let keywords: Vec<&str> = list.lines().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
        for path in ["cur", "new"].iter().flat_map(|part| entries(&folder.join(part))) {
            let file = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            let letters = file.split_once(":2,").map_or("", |(_, letters)| letters);
            let mut marks: Vec<String> = letters.chars().map(|letter| mark(letter, &keywords)).collect();
            marks.sort();
            let bytes = fs::read(&path).expect("it can be read");
            let date = fs::metadata(&path).expect("it is there").modified().expect("it has a time");
            found
                .entry((name.clone(), date, marks))
                .or_default()
                .push((bytes.len(), blake3::hash(&bytes).to_hex().to_string()));
        }
    }
    found.values_mut().for_each(|sums| sums.sort_unstable());
    found
}

fn mark(letter: char, keywords: &[&str]) -> String {
    match letter {
        'a'..='z' => keywords[letter as usize - 'a' as usize].to_owned(),
        flag => flag.to_string(),
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).expect("it can be read");
    found.map(|entry| entry.expect("it can be read").path()).collect()
}

/// Numbers that are the same each time (a linear congruence).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 20
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
