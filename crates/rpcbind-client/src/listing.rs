//! The lists that a port mapper answers with, kept as they came and walked on demand.
//! A list is checked to its end when it arrives; it is one message, so it can be neither endless nor cyclic.

use oncrpc::bind::stat::{AddressCount, Counters, RemoteCount, VERSIONS, VersionTable};
use oncrpc::bind::{Entry, Mapping, Rpcb};
use oncrpc::xdr::{Decode, List, Reader};

use crate::CallError;

/// The most elements of one list that are taken.
pub const MAX_ROWS: usize = 100_000;

macro_rules! listing {
    ($(#[$doc:meta])* $name:ident, $element:ident $(<$lifetime:lifetime>)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            results: Vec<u8>,
            count: usize,
        }

        impl $name {
            pub(crate) fn new(results: Vec<u8>) -> Result<Self, CallError> {
                let count = checked::<$element $(<$lifetime>)?>(&results)?;
                Ok(Self { results, count })
            }

            /// The number of elements, at most [`MAX_ROWS`].
            #[must_use]
            pub const fn len(&self) -> usize {
                self.count
            }

            /// Whether there is no element.
            #[must_use]
            pub const fn is_empty(&self) -> bool {
                self.count == 0
            }

            /// The elements in the port mapper's order.
            pub fn iter(&self) -> impl Iterator<Item = $element $(<$lifetime>)?> {
                // It was checked to its end: there is no error to lose.
                List::new(Reader::new(&self.results)).map_while(Result::ok)
            }
        }
    };
}

listing! {
    /// The rows of DUMP in versions 3 and 4 (RFC 1833 section 2.1, `rpcblist`).
    Rows, Rpcb<'_>
}
listing! {
    /// The rows of DUMP in version 2 (RFC 1833 section 3.1, `pmaplist`).
    Mappings, Mapping
}
listing! {
    /// The addresses of GETADDRLIST (RFC 1833 section 2.1, `rpcb_entry_list`).
    Entries, Entry<'_>
}

fn checked<'a, T: Decode<'a>>(results: &'a [u8]) -> Result<usize, CallError> {
    let mut walk = List::<T>::new(Reader::new(results));
    let mut count = 0;
    for element in walk.by_ref() {
        element.map_err(CallError::Results)?;
        count += 1;
        if count > MAX_ROWS {
            return Err(CallError::TooMany { max: MAX_ROWS });
        }
    }
    walk.reader().finish().map_err(CallError::Results)?;
    Ok(count)
}

/// The results of GETSTAT (RFC 1833 section 2.1, `rpcb_stat_byvers`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    results: Vec<u8>,
}

/// What GETSTAT says about one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionStatistics<'a> {
    /// Calls and successes.
    pub counters: Counters,
    /// Look-ups by service, at most [`MAX_ROWS`].
    pub addresses: Vec<AddressCount<'a>>,
    /// Remote calls by procedure, at most [`MAX_ROWS`].
    pub remote: Vec<RemoteCount<'a>>,
}

impl Statistics {
    pub(crate) fn new(results: Vec<u8>) -> Result<Self, CallError> {
        let mut reader = Reader::new(&results);
        for _ in 0..VERSIONS {
            let table = VersionTable::decode(&mut reader).map_err(CallError::Results)?;
            if table.addresses.count() > MAX_ROWS || table.remote.count() > MAX_ROWS {
                return Err(CallError::TooMany { max: MAX_ROWS });
            }
        }
        reader.finish().map_err(CallError::Results)?;
        Ok(Self { results })
    }

    /// The tables of versions 2, 3 and 4 in this order.
    #[must_use]
    pub fn versions(&self) -> [VersionStatistics<'_>; VERSIONS] {
        let mut reader = Reader::new(&self.results);
        std::array::from_fn(|_| match VersionTable::decode(&mut reader) {
            Ok(table) => VersionStatistics {
                counters: table.counters,
                addresses: table.addresses.map_while(Result::ok).collect(),
                remote: table.remote.map_while(Result::ok).collect(),
            },
            // It was checked to its end when it came.
            Err(_) => {
                VersionStatistics { counters: Counters::default(), addresses: Vec::new(), remote: Vec::new() }
            }
        })
    }
}
