//! Numbers that look random and are a pure function of what they are drawn for.

use std::hash::{BuildHasher, RandomState};

/// A number in [0, 1), uniform over different `parts`.
///
/// # Source
/// The mixing function is the finaliser of `SplitMix64` (Steele, Lea, Flood 2014), applied once for each part.
pub(crate) fn unit(parts: &[u64]) -> f64 {
    // The upper 53 bits: as many as a double holds exactly.
    (mix(parts) >> 11) as f64 / (1_u64 << 53) as f64
}

/// What [`unit`] is made of: 64 bits that look random.
pub(crate) fn mix(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |state: u64, part| scramble(state.wrapping_add(GOLDEN_GAMMA) ^ scramble(part.wrapping_add(GOLDEN_GAMMA))))
}

/// A seed that no other process has, nor this one twice: for spreading in time what many do at once, never for what is stored. Names and
/// process numbers would not do: in containers they may all be the same.
pub(crate) fn fresh_seed() -> u64 {
    RandomState::new().hash_one("seed")
}

/// A number that stands for `text` among the parts of [`unit`]; FNV-1a, so equal in every build.
pub(crate) const fn text(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0100_0000_01b3);
        index += 1;
    }
    hash
}

/// 2^64 over the golden ratio, odd: the increment of `SplitMix64`.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

fn scramble(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_fnv_1a() {
        // From the published test vectors of FNV-1a, 64 bits.
        assert_eq!(text(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(text("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(text("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn units_are_uniform() {
        let n = 20_000;
        let mut shares = [0_u32; 10];
        for index in 0..n {
            shares[(unit(&[7, index]) * 10.0) as usize] += 1;
        }
        // 2,000 expected in each tenth, deviation 42: five of them allowed.
        assert!(shares.iter().all(|n_in_tenth| n_in_tenth.abs_diff(2_000) < 212), "{shares:?}");
    }

    #[test]
    fn fresh_seeds_differ() {
        assert_ne!(fresh_seed(), fresh_seed());
    }

    #[test]
    fn order_of_parts_matters() {
        assert!((unit(&[1, 2]) - unit(&[2, 1])).abs() > f64::EPSILON);
    }
}
