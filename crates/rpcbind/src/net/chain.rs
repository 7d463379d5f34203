//! Connections in the order of some moment: the one that has waited longest is always first, and putting one at the
//! end or taking one out costs the same however many there are. A connection is known by its index.

/// No connection.
const NONE: u32 = u32::MAX;
/// The connection is in no chain.
const LOOSE: u32 = u32::MAX - 1;

/// The first and the last of one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    first: u32,
    last: u32,
}

/// The neighbours of every connection, for chains of one kind: a connection is in at most one of them at a time.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: Vec<Link>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
}

impl Default for Chain {
    fn default() -> Self {
        Self { first: NONE, last: NONE }
    }
}

impl Chain {
    /// The one that was put in before all others.
    pub(super) fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }
}

impl Links {
    /// Whether the connection is in a chain of this kind.
    pub(super) fn is_in(&self, index: u32) -> bool {
        self.link(index).is_some_and(|link| link.before != LOOSE)
    }

    /// Puts a connection at the end of `chain`, taking it from where it was in that chain.
    pub(super) fn put_last(&mut self, chain: &mut Chain, index: u32) {
        self.take_out(chain, index);
        let Ok(at) = usize::try_from(index) else { return };
        if self.links.len() <= at {
            self.links.resize(at.saturating_add(1), Link { before: LOOSE, after: LOOSE });
        }
        let before = chain.last;
        self.set(index, Link { before, after: NONE });
        match self.link(before) {
            Some(link) => self.set(before, Link { after: index, ..link }),
            None => chain.first = index,
        }
        chain.last = index;
    }

    /// Takes a connection out of `chain`, in which it is, or it is in none.
    pub(super) fn take_out(&mut self, chain: &mut Chain, index: u32) {
        let Some(Link { before, after }) = self.link(index).filter(|link| link.before != LOOSE) else {
            return;
        };
        self.set(index, Link { before: LOOSE, after: LOOSE });
        match self.link(before) {
            Some(link) => self.set(before, Link { after, ..link }),
            None => chain.first = after,
        }
        match self.link(after) {
            Some(link) => self.set(after, Link { before, ..link }),
            None => chain.last = before,
        }
    }

    fn link(&self, index: u32) -> Option<Link> {
        self.links.get(usize::try_from(index).ok()?).copied()
    }

    fn set(&mut self, index: u32, link: Link) {
        if let Some(place) = usize::try_from(index).ok().and_then(|at| self.links.get_mut(at)) {
            *place = link;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn listed(links: &Links, chain: Chain) -> Vec<u32> {
        let next = |index: &u32| links.link(*index).map(|link| link.after).filter(|after| *after != NONE);
        std::iter::successors(chain.first(), next).collect()
    }

    proptest! {
        #[test]
        fn chains_are_lists_without_repetition(
            steps in proptest::collection::vec((0..12_u32, 0..2_usize, any::<bool>()), 0..200)
        ) {
            let mut links = Links::default();
            let mut chains = [Chain::default(); 2];
            let mut model = [Vec::new(), Vec::new()];
            for (index, wanted, put) in steps {
                // A connection moves between chains only through none.
                let at = model.iter().position(|list| list.contains(&index)).unwrap_or(wanted);
                model[at].retain(|other| *other != index);
                if put {
                    model[at].push(index);
                    links.put_last(&mut chains[at], index);
                } else {
                    links.take_out(&mut chains[at], index);
                }
                prop_assert_eq!(links.is_in(index), put);
                for (chain, list) in chains.iter().zip(&model) {
                    prop_assert_eq!(&listed(&links, *chain), list);
                    prop_assert_eq!(chain.first(), list.first().copied());
                }
            }
        }
    }
}
