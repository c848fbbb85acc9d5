//! Points in time for people: `2026-11-22 09:15:07.250`, in UTC, to the millisecond, so that they sort as text.

use postroad_message::date::Date;
use postroad_store::Timestamp;

const MICROS_PER_DAY: i64 = 24 * 60 * 60 * 1_000_000;

pub(crate) fn shown(time: Timestamp) -> String {
    let Date { year, month, day } = Date::from_days(time.0.div_euclid(MICROS_PER_DAY));
    let millis = time.0.rem_euclid(MICROS_PER_DAY) / 1_000;
    let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02}.{:03}", millis % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!(shown(Timestamp(1_795_338_907_250_999)), "2026-11-22 09:15:07.250");
        assert_eq!(shown(Timestamp(-1)), "1969-12-31 23:59:59.999");
    }
}
