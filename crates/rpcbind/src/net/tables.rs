//! The shared lists that connections are in the middle of reading: how many different ones are kept alive that way is
//! bounded. Lists are told apart by where they are.

use std::sync::{Arc, Weak};

/// Different lists that connections may be in the middle of.
const TABLES_MAX: usize = 4;

/// The lists being read, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Tables {
    tables: Vec<Weak<[u8]>>,
}

impl Tables {
    /// Notes that a list is being read. Answers the oldest list when that is one too many: its readers have to go.
    pub(super) fn note(&mut self, table: &Arc<[u8]>) -> Option<Weak<[u8]>> {
        self.forget_unread();
        if self.tables.iter().any(|known| is_same(known, table)) {
            return None;
        }
        self.tables.push(Arc::downgrade(table));
        (self.tables.len() > TABLES_MAX).then(|| self.tables.remove(0))
    }

    /// Lets go of lists that nobody has any more: their memory is freed only now.
    pub(super) fn forget_unread(&mut self) {
        self.tables.retain(|table| table.strong_count() > 0);
    }
}

/// Whether a noted list is this one.
pub(super) fn is_same(noted: &Weak<[u8]>, table: &Arc<[u8]>) -> bool {
    std::ptr::addr_eq(noted.as_ptr(), Arc::as_ptr(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_list_makes_the_first_ones_readers_go() {
        let lists: Vec<Arc<[u8]>> = (0..5).map(|number| Arc::from([number].as_slice())).collect();
        let mut tables = Tables::default();
        for list in &lists[..4] {
            assert!(tables.note(list).is_none());
            assert!(tables.note(list).is_none(), "a list counts once");
        }
        let oldest = tables.note(&lists[4]).unwrap();
        assert!(is_same(&oldest, &lists[0]));
    }

    #[test]
    fn lists_that_nobody_has_do_not_count() {
        let mut tables = Tables::default();
        for number in 0..20_u8 {
            let list: Arc<[u8]> = Arc::from([number].as_slice());
            assert!(tables.note(&list).is_none());
        }
        tables.forget_unread();
        assert!(tables.tables.is_empty());
    }
}
