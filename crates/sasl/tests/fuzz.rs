//! Anything in, no panic; whatever ends in a check has a name and a password.

use postroad_sasl::{Exchange, MECHANISMS, Turn};

#[test]
fn fuzz_exchanges() {
    postroad_fuzz::check!(2000).with_type::<(Option<Vec<u8>>, Vec<Vec<u8>>)>().for_each(|(initial, lines)| {
        for row in &MECHANISMS {
            let (mut exchange, mut turn) = Exchange::begin(row, initial.as_deref());
            for line in lines {
                match turn {
                    Turn::Challenge(_) => turn = exchange.answer(line),
                    Turn::Check(_) | Turn::Failed(_) => break,
                }
            }
            if let Turn::Check(check) = turn {
                assert!(!check.authcid.is_empty() && !check.password.expose().is_empty());
            }
        }
    });
}
