//! A journal of the daemon's that is about to be written anew.

/// The length in bytes from which that happens.
const REWRITE_FROM: u64 = 256 << 10;

/// Has the same row registered and unregistered, by `change(true)` and `change(false)`, until one more registration has
/// the journal of this length written anew. Answers whether the row stays registered. Panics where the length does not
/// grow as it should.
pub fn grow_to_the_brink(len: impl Fn() -> u64, mut change: impl FnMut(bool)) -> bool {
    let before = len();
    change(true);
    let set = len() - before;
    change(false);
    let pair = len() - before;
    assert!(set > 0 && pair > set, "{set} bytes for a SET, {pair} with UNSET");
    while len() + pair <= REWRITE_FROM {
        change(true);
        change(false);
    }
    // The rest, for which a pair is too much.
    let stays = len() + set <= REWRITE_FROM;
    if stays {
        change(true);
    }
    assert!(len() <= REWRITE_FROM && len() + set > REWRITE_FROM, "{} of {REWRITE_FROM}", len());
    stays
}
