//! What is asked of rtnetlink: two questions about links and one about addresses. `netlink-packet-route` has one type
//! for all its messages, and with it comes the code that writes every kind of link: as much as a seventh of the daemon.

use netlink_packet_core::{DefaultNla, Emitable, NetlinkSerializable};
use netlink_packet_route::address::AddressHeader;
use netlink_packet_route::link::LinkHeader;

const RTM_GETLINK: u16 = 18;
const RTM_GETADDR: u16 = 22;
const IFLA_EXT_MASK: u16 = 29;
/// Without the counters of packets and bytes.
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;

/// One question: a header, and at most one attribute.
#[derive(Debug)]
pub(super) struct RouteRequest<H> {
    kind: u16,
    header: H,
    attribute: Option<DefaultNla>,
}

impl RouteRequest<LinkHeader> {
    /// All links.
    pub(super) fn links() -> Self {
        let mask = RTEXT_FILTER_SKIP_STATS.to_ne_bytes().to_vec();
        Self {
            kind: RTM_GETLINK,
            header: LinkHeader::default(),
            attribute: Some(DefaultNla::new(IFLA_EXT_MASK, mask)),
        }
    }

    /// The link with this index.
    pub(super) fn link(index: u32) -> Self {
        let header = LinkHeader { index, ..LinkHeader::default() };
        Self { kind: RTM_GETLINK, header, attribute: None }
    }
}

impl RouteRequest<AddressHeader> {
    /// All addresses.
    pub(super) fn addresses() -> Self {
        Self { kind: RTM_GETADDR, header: AddressHeader::default(), attribute: None }
    }
}

impl<H: Emitable> NetlinkSerializable for RouteRequest<H> {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.header.buffer_len().saturating_add(self.attribute.as_ref().map_or(0, Emitable::buffer_len))
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let Some((header, attribute)) = buffer.split_at_mut_checked(self.header.buffer_len()) else { return };
        self.header.emit(header);
        if let Some(of_request) = &self.attribute {
            of_request.emit(attribute);
        }
    }
}
