//! Look-ups and lists in the life of a port mapper: they find what is there, and nothing else.

use super::*;

/// What can be asked about one service.
#[derive(Clone, Copy)]
enum Question {
    Address(Version),
    ExactAddress,
    AddressList,
    Port,
}

impl Life {
    /// GETADDR, GETVERSADDR, GETADDRLIST and GETPORT.
    pub(super) fn look_up(&mut self, bytes: &mut Bytes<'_>) {
        let who = caller(bytes.byte());
        let question = bytes.one_of(&[
            Question::Address(V4),
            Question::ExactAddress,
            Question::AddressList,
            Question::Port,
            Question::Address(V3),
        ]);
        let wanted = wanted(bytes);
        let message = match question {
            Question::Address(version) => rpcb_call(version, bind::GETADDR, &wanted),
            Question::ExactAddress => rpcb_call(V4, bind::GETVERSADDR, &wanted),
            Question::AddressList => rpcb_call(V4, bind::GETADDRLIST, &wanted),
            Question::Port => mapping_call(bind::GETPORT, &wanted, 0),
        };
        let (reply, change) = self.send(&who, 0, &message);
        assert_eq!(change, None);
        let Some(results) = answer(&reply) else { return };
        let netid = netid_of(who.transport());
        match question {
            Question::Address(_) => self.assert_is_address(results, self.any_version(&wanted, netid)),
            Question::ExactAddress => self.assert_is_address(results, self.exact(&wanted, netid)),
            Question::AddressList => self.assert_is_list(results, &wanted, netid),
            Question::Port => {
                let netid = if wanted.netid == "tcp" { Netid::TCP } else { Netid::UDP };
                let registered = self.any_version(&wanted, netid).map(|row| self.parse(&row.address, netid));
                let port = registered.and_then(|address| address.port()).unwrap_or(0);
                assert_eq!(results, u32::from(port).to_be_bytes());
            }
        }
    }

    fn exact(&self, wanted: &Wanted<'_>, netid: Netid) -> Option<&Row> {
        self.rows.iter().find(|row| key(row) == (wanted.program, wanted.version, netid))
    }

    /// The version that was asked for, else the one that came last.
    fn any_version(&self, wanted: &Wanted<'_>, netid: Netid) -> Option<&Row> {
        let last = self.rows.iter().rfind(|row| (row.program, row.netid) == (wanted.program, netid));
        self.exact(wanted, netid).or(last)
    }

    fn assert_is_address(&self, results: &[u8], row: Option<&Row>) {
        let text = Reader::new(results).opaque(128).expect("an address or nothing");
        match row {
            Some(row) => self.assert_leads_to(text, row),
            None => assert_eq!(text, b""),
        }
    }

    /// Exactly this version, on every transport of the family that the question came by.
    fn assert_is_list(&self, results: &[u8], wanted: &Wanted<'_>, netid: Netid) {
        let netids = self.service.netids();
        let family = netids.family(netid).filter(|family| *family != Family::Local);
        let listed: Vec<_> = List::<Entry<'_>>::new(Reader::new(results)).map(Result::unwrap).collect();
        let is_meant = |row: &&Row| {
            (row.program, row.version) == (wanted.program, wanted.version)
                && family.is_some()
                && netids.family(row.netid) == family
        };
        let rows: Vec<&Row> = self.rows.iter().filter(is_meant).collect();
        assert_eq!(listed.len(), rows.len());
        for row in rows {
            let name = netids.name(row.netid).as_bytes();
            let entry = listed.iter().find(|entry| entry.netid == name).expect("every row is listed");
            self.assert_leads_to(entry.address, row);
        }
    }

    /// An address that is answered has the port of the row, and its host, unless that is the wildcard.
    fn assert_leads_to(&self, text: &[u8], row: &Row) {
        let text = std::str::from_utf8(text).expect("addresses are text");
        let (answered, registered) = (self.parse(text, row.netid), self.parse(&row.address, row.netid));
        assert_eq!(answered.port(), registered.port());
        let is_wildcard = registered.socket().is_some_and(|socket| socket.ip().is_unspecified());
        assert!(is_wildcard || *text == *row.address);
    }

    fn parse<'a>(&self, text: &'a str, netid: Netid) -> UniversalAddress<'a> {
        let family = self.service.netids().family(netid).expect("a netid of the table");
        UniversalAddress::parse(text.as_bytes(), family).expect("an address")
    }

    /// DUMP lists every row, in the order of registration.
    pub(super) fn dump(&mut self) {
        let unix = Caller::Unix { uid: Some(1000), namespace: HOME };
        let (reply, _) = self.send(&unix, 0, &call(V3, bind::DUMP, &[]));
        let results = answer(&reply).expect("unix sockets are never refused");
        let listed: Vec<_> = List::<Rpcb<'_>>::new(Reader::new(results)).map(Result::unwrap).collect();
        assert_eq!(listed.len(), self.rows.len());
        for (listed, row) in listed.iter().zip(&self.rows) {
            assert_eq!((listed.program, listed.version), (row.program, row.version));
            assert_eq!(listed.netid, self.service.netids().name(row.netid).as_bytes());
            assert_eq!(listed.address, row.address.as_bytes());
        }
        let (reply, _) = self.send(&unix, 0, &call(V2, bind::DUMP, &[]));
        let results = answer(&reply).expect("unix sockets are never refused");
        let listed = List::<Mapping>::new(Reader::new(results)).map(Result::unwrap);
        let listed: Vec<_> = listed.map(|row| (row.program, row.version, row.protocol)).collect();
        let mapping = |row: &Row| match row.netid {
            Netid::UDP => Some((row.program, row.version, Protocol::UDP)),
            Netid::TCP => Some((row.program, row.version, Protocol::TCP)),
            _ => None,
        };
        assert_eq!(listed, self.rows.iter().filter_map(mapping).collect::<Vec<_>>());
    }
}

/// Services are looked up on the transport that the question comes by.
fn netid_of(transport: Transport) -> Netid {
    match transport {
        Transport::Udp => Netid::UDP,
        Transport::Tcp => Netid::TCP,
        Transport::Udp6 => Netid::UDP6,
        Transport::Tcp6 => Netid::TCP6,
        Transport::Local => Netid::LOCAL,
    }
}
