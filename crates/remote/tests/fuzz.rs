//! Anything a server says, no panic, bounded memory, and the same however it is cut.

use postroad_remote::pop3::session::{Event, LINE_MAX, Session};

/// What a session makes of a server's octets, each piece joined with the next.
fn heard(octets: &[u8], cut: usize) -> Vec<Event> {
    let mut session = Session::default();
    if cut % 2 == 1 {
        session.pipeline();
    }
    let mut events: Vec<Event> = Vec::new();
    let mut commands = ["CAPA", "LIST", "RETR 1", "DELE 1", "QUIT"].into_iter().cycle();
    let mut outcome = Ok(());
    for part in octets.chunks(cut.max(1)) {
        session.input(part);
        loop {
            match session.step() {
                Ok(Some(event)) => match (events.last_mut(), event) {
                    (Some(Event::Piece(before)), Event::Piece(more)) => before.extend(more),
                    (_, event) => events.push(event),
                },
                Ok(None) => break,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        if outcome.is_err() {
            break;
        }
        // Refused while something is under way.
        let _ = session.ask(commands.next().expect("it goes round"));
        assert!(session.take_output().len() < LINE_MAX);
    }
    events
}

#[test]
fn fuzz_anything_a_server_says() {
    postroad_fuzz::check!(2_000).with_type::<(Vec<u8>, u8)>().for_each(|(octets, cut)| {
        let _ = heard(octets, usize::from(*cut));
        let _ = heard(&[b"+OK\r\n", octets.as_slice()].concat(), usize::from(*cut));
    });
}

#[test]
fn fuzz_a_message_is_the_same_however_it_is_cut() {
    postroad_fuzz::check!(2_000).with_type::<(Vec<u8>, u8)>().for_each(|(octets, cut)| {
        let body = |cut: usize| {
            let mut session = Session::default();
            session.input(b"+OK\r\n");
            assert!(matches!(session.step(), Ok(Some(Event::Reply(_)))));
            session.ask("RETR 1").expect("said");
            session.input(b"+OK\r\n");
            assert!(matches!(session.step(), Ok(Some(Event::Reply(_)))));
            let mut whole = Vec::new();
            for part in octets.chunks(cut.max(1)) {
                session.input(part);
                loop {
                    match session.step() {
                        Ok(Some(Event::Piece(piece))) => whole.extend(piece),
                        Ok(Some(Event::End)) => return (whole, true),
                        Ok(Some(Event::Reply(_)) | None) | Err(_) => break,
                    }
                }
            }
            (whole, false)
        };
        assert_eq!(body(usize::from(*cut)), body(octets.len()));
    });
}
