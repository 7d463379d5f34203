//! Where a key's row is: an open hash table of slot numbers, at most half full, which never keeps a key itself. Whoever
//! asks brings the hash and says which slot is meant. The hash has to be one that strangers cannot foresee.

use super::rows::Slot;
use alloc::vec;
use alloc::vec::Vec;

/// Cells of the smallest table.
const CELLS_MIN: usize = 16;

/// Eight bytes a cell: 0 for an empty one, or the low half of the hash above the slot's number.
#[derive(Debug)]
pub(super) struct Index {
    cells: Vec<u64>,
    used: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self { cells: vec![0; CELLS_MIN], used: 0 }
    }
}

impl Index {
    /// The number of keys.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// The slot under this hash that `is` the one meant.
    #[inline]
    pub(super) fn find(&self, hash: u64, is: impl Fn(Slot) -> bool) -> Option<Slot> {
        let mut at = self.home(hash);
        loop {
            let cell = self.cell(at);
            if cell == 0 {
                return None;
            }
            if let Some(slot) = slot_of(cell).filter(|slot| is_under(cell, hash) && is(*slot)) {
                return Some(slot);
            }
            at = self.after(at);
        }
    }

    /// Adds a slot under a hash. There must be none for the same key.
    pub(super) fn add(&mut self, hash: u64, slot: Slot) {
        if self.used >= self.cells.len() / 2 {
            self.grow();
        }
        self.used = self.used.saturating_add(1);
        self.place(cell_of(hash, slot));
    }

    /// Has another slot stand for a key.
    pub(super) fn replace(&mut self, hash: u64, old: Slot, new: Slot) {
        if let Some(at) = self.position(hash, old) {
            self.set(at, cell_of(hash, new));
        }
    }

    /// Removes a slot. The cells behind it move up, so that no search ends early and nothing is left of it.
    pub(super) fn remove(&mut self, hash: u64, slot: Slot) {
        let Some(mut hole) = self.position(hash, slot) else { return };
        self.used = self.used.saturating_sub(1);
        let mut at = hole;
        loop {
            at = self.after(at);
            let cell = self.cell(at);
            if cell == 0 {
                break;
            }
            let from_home = self.distance(self.home(cell >> 32), at);
            if from_home >= self.distance(hole, at) {
                self.set(hole, cell);
                hole = at;
            }
        }
        self.set(hole, 0);
    }

    fn position(&self, hash: u64, slot: Slot) -> Option<usize> {
        let wanted = cell_of(hash, slot);
        let mut at = self.home(hash);
        loop {
            match self.cell(at) {
                0 => return None,
                cell if cell == wanted => return Some(at),
                _ => at = self.after(at),
            }
        }
    }

    fn grow(&mut self) {
        let larger = vec![0; self.cells.len().saturating_mul(2)];
        for cell in core::mem::replace(&mut self.cells, larger) {
            if cell != 0 {
                self.place(cell);
            }
        }
    }

    fn place(&mut self, cell: u64) {
        let mut at = self.home(cell >> 32);
        while self.cell(at) != 0 {
            at = self.after(at);
        }
        self.set(at, cell);
    }

    /// Where the search for a hash begins. The number of cells is a power of two.
    fn home(&self, hash: u64) -> usize {
        usize::try_from(hash & u64::from(u32::MAX)).unwrap_or(0) & self.mask()
    }

    fn after(&self, at: usize) -> usize {
        at.wrapping_add(1) & self.mask()
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & self.mask()
    }

    fn mask(&self) -> usize {
        self.cells.len().wrapping_sub(1)
    }

    fn cell(&self, at: usize) -> u64 {
        self.cells.get(at).copied().unwrap_or(0)
    }

    fn set(&mut self, at: usize, cell: u64) {
        if let Some(place) = self.cells.get_mut(at) {
            *place = cell;
        }
    }
}

fn cell_of(hash: u64, slot: Slot) -> u64 {
    hash << 32 | u64::from(slot.number())
}

fn slot_of(cell: u64) -> Option<Slot> {
    Slot::from_number(u32::try_from(cell & u64::from(u32::MAX)).ok()?)
}

fn is_under(cell: u64, hash: u64) -> bool {
    cell >> 32 == hash & u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    /// Hashes that crowd: at both ends of any table, equal ones, and ones that differ above its mask only.
    fn hash() -> impl Strategy<Value = u64> {
        prop_oneof![0..4_u64, 0xffff_fffc..=0xffff_ffff_u64, any::<u64>()]
            .prop_flat_map(|low| (Just(low), prop_oneof![Just(0), Just(1_u64 << 40), Just(1 << 31)]))
            .prop_map(|(low, high)| low ^ high)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_added_replaced_and_removed_everything_else_is_found(
            steps in prop::collection::vec((1..41_u32, hash(), 0..4_u8), 1..300),
        ) {
            let mut index = Index::default();
            // Hash and slot by key. A key's slot is its number, or another one once it was replaced.
            let mut plain: BTreeMap<u32, (u64, u32)> = BTreeMap::new();
            let slot = |number| Slot::from_number(number).unwrap();
            for (key, hash, what) in steps {
                match (plain.get(&key).copied(), what) {
                    (None, _) => {
                        index.add(hash, slot(key));
                        plain.insert(key, (hash, key));
                    }
                    (Some((hash, old)), 0) => {
                        index.replace(hash, slot(old), slot(key | 1_024));
                        plain.insert(key, (hash, key | 1_024));
                    }
                    (Some((hash, old)), _) => {
                        index.remove(hash, slot(old));
                        plain.remove(&key);
                        prop_assert_eq!(index.find(hash, |found| found == slot(old)), None);
                    }
                }
                prop_assert_eq!(index.len(), plain.len());
                prop_assert!(plain.len() <= index.cells.len() / 2);
                prop_assert_eq!(index.cells.iter().filter(|cell| **cell != 0).count(), plain.len());
                for (hash, number) in plain.values() {
                    let found = index.find(*hash, |found| found == slot(*number));
                    prop_assert_eq!(found, Some(slot(*number)));
                }
            }
        }
    }
}
