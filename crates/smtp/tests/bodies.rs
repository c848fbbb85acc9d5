//! The receiver: stuffing and receiving are inverse for every cut; known bad line ends are found.

use postroad_smtp::{BareNewlines, BodyFault, BodyMode, BodyReceiver};

fn receiver(mode: BodyMode) -> BodyReceiver {
    BodyReceiver::new(mode, BareNewlines::Refuse, 998, 1_000_000)
}

/// What a client sends for a message of whole lines.
fn stuff(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

fn receive(wire: &[u8], cut: usize) -> (Vec<u8>, Option<usize>, Option<BodyFault>) {
    let mut receiver = receiver(BodyMode::Dots);
    let (mut out, mut used) = (Vec::new(), 0);
    for piece in wire.chunks(cut) {
        let (taken, ended) = receiver.receive(piece, &mut out);
        used += taken;
        if ended {
            return (out, Some(used), receiver.fault());
        }
    }
    (out, None, receiver.fault())
}

#[test]
fn stuffing_and_receiving_are_inverse() {
    postroad_fuzz::check!(2000).with_type::<Vec<(u8, u8)>>().for_each(|words| {
        let mut message = Vec::new();
        for (word, count) in words {
            match word % 4 {
                0 => message.extend_from_slice(b"\r\n"),
                1 => message.push(b'.'),
                2 => message.extend(std::iter::repeat_n(b'x', usize::from(count % 9))),
                _ => message.push(0),
            }
        }
        if !message.is_empty() {
            message.extend_from_slice(b"\r\n");
        }
        let mut wire = stuff(&message);
        let whole = wire.len();
        wire.extend_from_slice(b"QUIT\r\n");
        for cut in [1, 2, 3, 5, 1_000] {
            let (got, used, fault) = receive(&wire, cut);
            assert_eq!((got.as_slice(), used, fault), (message.as_slice(), Some(whole), None), "cut {cut}");
        }
    });
}

#[test]
fn only_crlf_dot_crlf_ends_and_lone_line_ends_are_found() {
    use BodyFault::BareNewline;
    for (wire, end, fault) in [
        (".\r\n", Some(3), None),
        ("..\r\n.\r\n", Some(7), None),
        ("a\r\n.\r\n", Some(6), None),
        ("a.\r\n", None, None),
        ("a\n.\r\n", None, Some(BareNewline)),
        ("a\r\n.\n", None, Some(BareNewline)),
        ("a\n.\n", None, Some(BareNewline)),
        ("a\r.\r\n", None, Some(BareNewline)),
        ("a\r\n.\rb", None, Some(BareNewline)),
        ("a\r\n.\r\r\n", None, Some(BareNewline)),
        ("a\r\r\n.\r\n", Some(7), Some(BareNewline)),
        ("\r\n.\r\n", Some(5), None),
        ("\n.\r\n.\r\n", Some(7), Some(BareNewline)),
        ("a\r", None, None),
    ] {
        for cut in [1, 2, 3, 100] {
            let (_, used, found) = receive(wire.as_bytes(), cut);
            assert_eq!((used, found), (end, fault), "{wire:?} cut {cut}");
        }
    }
}

#[test]
fn a_line_of_exactly_the_limit_passes() {
    for (length, fault) in [(998, None), (999, Some(BodyFault::LineTooLong))] {
        let wire = format!("{}\r\n.\r\n", "x".repeat(length));
        for cut in [1, 7, 10_000] {
            assert_eq!(receive(wire.as_bytes(), cut).2, fault, "{length} cut {cut}");
        }
    }
}

#[test]
fn counted_lines_keep_dots_and_binary_keeps_all() {
    let text = b".\r\n..\r\n.\r\n";
    let mut out = Vec::new();
    let mut lines = receiver(BodyMode::Lines);
    assert_eq!(lines.receive(text, &mut out), (text.len(), false));
    lines.finish();
    assert_eq!((out.as_slice(), lines.fault(), lines.size()), (text.as_slice(), None, text.len() as u64));
    let raw = b"\r\r\n\n\0.\r";
    let mut out = Vec::new();
    let mut binary = receiver(BodyMode::Binary);
    binary.receive(raw, &mut out);
    binary.finish();
    assert_eq!((out.as_slice(), binary.fault()), (raw.as_slice(), None));
}
