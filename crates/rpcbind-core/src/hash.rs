//! SipHash-1-3 under a random key, for tables whose keys strangers choose, and for numbers that strangers must not
//! foretell: who does not know the key cannot choose keys that collide. No other hash may be used for such a table.

/// The key, which has to be unpredictable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashKey([u64; 2]);

impl HashKey {
    /// The key made of these bits.
    pub(crate) const fn new(seed: [u64; 2]) -> Self {
        Self(seed)
    }

    /// The hash of ten bytes: a word and two bytes more.
    #[inline]
    pub(crate) fn hash(self, word: u64, rest: u16) -> u64 {
        let [k0, k1] = self.0;
        let mut state = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573 ^ word,
        ];
        state = round(state);
        state[0] ^= word;
        let end = (10_u64 << 56) | u64::from(rest);
        state[3] ^= end;
        state = round(state);
        state[0] ^= end;
        state[2] ^= 0xff;
        state = round(round(round(state)));
        let [a, b, c, d] = state;
        a ^ b ^ c ^ d
    }
}

#[inline]
fn round([mut a, mut b, mut c, mut d]: [u64; 4]) -> [u64; 4] {
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn it_is_siphash_1_3() {
        // From the standard library's, which has the key 0.
        let cases = [
            (0, 0, 0x0a9c_6325_141d_82e8),
            (1, 0, 0xbc66_e77f_2646_cae6),
            (0x0001_86a0_0000_0002, 0x0101, 0x8248_6426_df51_e9ca),
            (u64::MAX, u16::MAX, 0xf08c_549b_0722_aef8),
        ];
        for (word, rest, hash) in cases {
            assert_eq!(HashKey::new([0; 2]).hash(word, rest), hash, "{word:#x} {rest:#x}");
        }
    }

    #[test]
    fn keys_spread_over_a_table_and_differently_under_another_seed() {
        let places = |seed| -> Vec<u64> {
            let key = HashKey::new(seed);
            (0..10_000).map(|word| key.hash(word, 0) % 1_024).collect()
        };
        let (left, right) = (places([1, 2]), places([1, 3]));
        let mut used = left.clone();
        used.sort_unstable();
        used.dedup();
        assert!(used.len() > 1_000, "{} of 1024 places used", used.len());
        let same = left.iter().zip(&right).filter(|(left, right)| left == right).count();
        assert!(same < 40, "{same} of 10000 keys at the same place");
    }
}
