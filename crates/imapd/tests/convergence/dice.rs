//! A small generator (xorshift): the same in every run.

pub(crate) struct Dice(u64);

impl Dice {
    /// The dice of one step: leaving out another step changes nothing here.
    pub(crate) fn of(seed: u64, step: u64) -> Dice {
        let mut dice = Dice((seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ step.wrapping_mul(0xd6e8_feb8_6659_fd93)) | 1);
        for _ in 0..4 {
            dice.roll(2);
        }
        dice
    }

    /// From 0 to `sides` - 1.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides.max(1)
    }

    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.roll(times) == 0
    }

    pub(crate) fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.roll(all.len())]
    }
}
