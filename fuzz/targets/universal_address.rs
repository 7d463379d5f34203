//! Universal addresses and socket addresses as strangers write them (RFC 5665 section 5.2.3): whatever parses has a
//! text, and that text parses to the same address; a scope is left out of the text on purpose.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oncrpc::bind::sockaddr::{self, Sockaddr};
use oncrpc::bind::{AddressText, Family, UniversalAddress};

fuzz_target!(|bytes: &[u8]| {
    for family in [Family::Inet, Family::Inet6, Family::Local] {
        if let Some(address) = UniversalAddress::parse(bytes, family) {
            assert!(bytes.len() <= AddressText::CAPACITY);
            assert_comes_back(&address, family);
        }
        if let Some(address) = sockaddr::parse(bytes, family) {
            assert_comes_back(&address, family);
        }
    }
});

fn assert_comes_back(address: &UniversalAddress<'_>, family: Family) {
    let text = address.text();
    let again = UniversalAddress::parse(text.as_bytes(), family).expect("our own text parses");
    assert_eq!((again.host(), again.port()), (address.host(), address.port()));
    assert_eq!(again.text().as_bytes(), text.as_bytes());

    let layout = Sockaddr::new(address);
    assert_eq!(sockaddr::parse(layout.as_bytes(), family), Some(*address));
}
