//! Random calls: of every procedure and version, by every caller over every transport, mostly right, some spoilt in
//! one way. The values come from a small world, so that calls meet the rows that others made. All from one seed.

use super::case::{Arguments, Caller, Case, Credential, Framing, Place, Rpcb, Tail, Transport, Verifier};
use super::random::Random;
use super::{rare, values};

/// Datagrams that strangers send in one episode over each family: fewer than a port mapper that limits what leaves for
/// strangers answers at once, errors included.
const STRANGERS_DATAGRAMS: usize = 14;
/// Calls at the end of an episode that may change program 100000, which nothing but a new start puts right.
const LAST: usize = 8;
/// Rows that a crowded episode starts with: too many for one datagram, even as version 2 lists them.
const CROWD: u32 = 460;

/// The calls of one episode, which starts with an empty table. Every eleventh seed makes a crowded one, every fourth
/// ends with what chance brings together too seldom.
#[must_use]
pub fn episode(seed: u64, length: usize) -> Vec<Case> {
    let mut generator =
        Generator { random: Random::new(seed), datagrams: [STRANGERS_DATAGRAMS; 2], last: false };
    let mut cases = Vec::new();
    let crowded = seed % 11 == 3;
    if crowded {
        cases.extend((0..CROWD).map(one_of_the_crowd));
    }
    for index in 0..length {
        generator.last = index + LAST >= length;
        cases.push(generator.case());
        if index % 50 == 49 || (crowded && index % 10 == 9) {
            let version = generator.random.pick(&[2, 4]);
            cases.push(Case::new(Caller::ROOT, version, 4, Arguments::Void));
        }
        if crowded && index % 10 == 4 {
            let transport = generator.random.pick(&[Transport::Udp, Transport::Udp6]);
            let caller = Caller { transport, place: Place::Root };
            cases.push(Case::new(caller, generator.random.pick(&[2, 2, 3, 4]), 4, Arguments::Void));
        }
    }
    if seed % 4 == 2 {
        cases.extend(rare::calls());
    }
    cases
}

fn one_of_the_crowd(number: u32) -> Case {
    let protocol = if number.is_multiple_of(2) { 6 } else { 17 };
    let mapping = Arguments::Mapping { program: 300_000 + number, version: 1, protocol, port: 1025 };
    Case::new(Caller::ROOT, 2, 1, mapping)
}

#[derive(Debug)]
struct Generator {
    random: Random,
    /// What is left for strangers, by family.
    datagrams: [usize; 2],
    last: bool,
}

impl Generator {
    fn case(&mut self) -> Case {
        let caller = self.caller();
        let version = self.random.pick(&[2, 2, 3, 4, 4]);
        let procedure = self.procedure(version);
        let arguments = self.arguments(version, procedure);
        let mut case = Case::new(caller, version, procedure, arguments);
        if self.random.percent(20) {
            let uid = self.random.pick(&[0, 1, 4711]);
            let gids = self.random.pick(&[0, 1, 16]);
            let name = self.random.pick(&[0, 5, 255]);
            case.credential = Credential::Sys { uid, name, gids, more: 0, cut: 0 };
        }
        if self.random.percent(14) {
            self.spoil(&mut case);
        } else if self.random.percent(10) {
            case.framing = match self.random.below(2) {
                0 => Framing::Writes(2 + self.random.below(6)),
                _ => Framing::Fragments(2 + self.random.below(6)),
            };
        }
        case
    }

    fn caller(&mut self) -> Caller {
        let transport = self.random.pick(&[
            Transport::Unix,
            Transport::Unix,
            Transport::Udp,
            Transport::Udp,
            Transport::Tcp,
            Transport::Tcp,
            Transport::Udp6,
            Transport::Tcp6,
        ]);
        let drawn = self.random.below(100);
        let place = match (transport, drawn) {
            (_, 0..30) | (Transport::Unix, 0..60) => Place::Root,
            (_, 30..50) | (Transport::Unix, _) => Place::User,
            (_, 50..75) => Place::PrivilegedPort,
            (_, 75..84) => Place::OwnAddress,
            (Transport::Udp | Transport::Tcp, 84..90) => Place::OtherLoopback,
            (Transport::Udp | Transport::Tcp, 90..94) => Place::StrangerAtSecond,
            _ => Place::Stranger,
        };
        let caller = Caller { transport, place };
        if !(caller.is_stranger() && transport.is_datagram()) {
            return caller;
        }
        let left = &mut self.datagrams[usize::from(transport.is_ipv6())];
        if *left == 0 {
            return Caller { transport, place: Place::Root };
        }
        *left -= 1;
        caller
    }

    fn procedure(&mut self, version: u32) -> u32 {
        let drawn = self.random.below(100);
        let highest = match version {
            2 => 5,
            3 => 8,
            _ => 12,
        };
        let procedure = match drawn {
            0..3 => 0,
            3..29 => 1,
            29..43 => 2,
            43..64 => 3,
            64..67 => 4,
            67..73 => 5,
            73..75 => 6,
            75..80 => 7,
            80..85 => 8,
            85..89 => 9,
            89..93 => 10,
            93..98 => 11,
            98 => 12,
            _ => self.random.pick(&[6, 9, 13, 14, u32::MAX]),
        };
        // What a version does not have is tried too, but seldom.
        if procedure > highest && drawn != 99 && self.random.percent(90) { 3 } else { procedure }
    }

    fn arguments(&mut self, version: u32, procedure: u32) -> Arguments {
        match (version, procedure) {
            (2, 1..=3) => self.mapping(),
            (_, 5 | 10) => self.remote(),
            (2..=4, 0 | 4 | 6 | 12) => Arguments::Void,
            (_, 7) => Arguments::Text(values::any_address(&mut self.random)),
            (_, 8) => values::netbuf(&mut self.random),
            (3 | 4, 1) => self.row(),
            (3 | 4, 2) => self.row_or_rows(),
            (3 | 4, 3 | 9 | 11) => self.question(),
            _ => Arguments::Void,
        }
    }

    fn program(&mut self, for_change: bool) -> u32 {
        let share = match (for_change, self.last) {
            (true, true) => 40,
            (true, false) => 0,
            (false, _) => 12,
        };
        if self.random.percent(share) {
            return 100_000;
        }
        let drawn = self.random.below(100);
        match drawn {
            0..75 => 200_001 + u32::try_from(self.random.below(5)).unwrap_or(0),
            75..96 => self.random.pick(&[100_003, 100_005, 100_024, 100_021]),
            96..98 => self.random.pick(&[0, u32::MAX, 99_999]),
            _ => 200_000 + self.random.word() % 1000,
        }
    }

    fn version_of_a_program(&mut self) -> u32 {
        if self.random.percent(6) {
            return self.random.pick(&[0, 0, 0, 5, 77, u32::MAX]);
        }
        self.random.pick(&[1, 1, 2, 3, 4])
    }

    fn mapping(&mut self) -> Arguments {
        let (program, version) = (self.program(true), self.version_of_a_program());
        let protocol = if self.random.percent(5) {
            self.random.pick(&[0, 1, 7, 256 + 17, u32::MAX])
        } else {
            self.random.pick(&[6, 17])
        };
        let port = if self.random.percent(10) {
            self.random.pick(&[0, 70_000, 65_536, u32::MAX, 1])
        } else {
            u32::from(values::port(&mut self.random))
        };
        Arguments::Mapping { program, version, protocol, port }
    }

    fn row(&mut self) -> Arguments {
        let (program, version) = (self.program(true), self.version_of_a_program());
        let (netid, address) = values::netid_and_address(&mut self.random);
        let owner = self.random.pick(&[&b"superuser"[..], b"0", b"", b"unknown", b"4711"]).to_vec();
        Arguments::Rpcb(Rpcb { program, version, netid, address, owner })
    }

    /// A row, or all of a program's version.
    fn row_or_rows(&mut self) -> Arguments {
        let mut arguments = self.row();
        if let Arguments::Rpcb(rpcb) = &mut arguments
            && self.random.percent(25)
        {
            rpcb.netid.clear();
        }
        arguments
    }

    fn question(&mut self) -> Arguments {
        let (program, version) = (self.program(false), self.version_of_a_program());
        let (netid, _) = values::netid_and_address(&mut self.random);
        let address = values::hint(&mut self.random);
        Arguments::Rpcb(Rpcb { program, version, netid, address, owner: b"libtirpc".to_vec() })
    }

    fn remote(&mut self) -> Arguments {
        let (program, version) = (self.program(false), self.version_of_a_program());
        let procedure = self.random.pick(&[0, 0, 1, 2, 3, 4, 5]);
        let length = self.random.pick(&[0, 0, 4, 5, 400, 8_500]);
        Arguments::Remote { program, version, procedure, length }
    }

    /// Spoils one thing.
    fn spoil(&mut self, case: &mut Case) {
        let random = &mut self.random;
        match random.below(12) {
            0 => match random.below(8) {
                0 => case.header.message_type = random.pick(&[1, 2, u32::MAX]),
                1 | 2 => case.header.rpc_version = random.pick(&[0, 1, 3, u32::MAX]),
                3 => case.header.program = random.pick(&[0, 99_999, 100_001, 100_003]),
                _ => case.header.version = random.pick(&[0, 1, 5, u32::MAX]),
            },
            1 => case.credential = Credential::None(random.pick(&[1, 4, 400, 401])),
            2 | 3 => {
                let gids = random.pick(&[0, 3, 16, 17, 90]);
                let name = random.pick(&[5, 5, 256, 300]);
                let (more, cut) = random.pick(&[(0, 0), (4, 0), (0, 4), (0, 20), (0, 1)]);
                case.credential = Credential::Sys { uid: 0, name, gids, more, cut };
            }
            4 => {
                let flavor = random.pick(&[2, 3, 6, 7, 99, u32::MAX]);
                case.credential = Credential::Other { flavor, length: random.pick(&[0, 4, 40, 400, 404]) };
            }
            5 => {
                let length = random.pick(&[0, 4, 8, 400, 401, 404]);
                case.verifier = Verifier { flavor: random.pick(&[0, 1, 2, 3, 6, 99]), length };
            }
            6 => case.arguments = self.arguments_of_another(),
            7 | 8 => case.tail = Tail::Cut(random.pick(&[1, 2, 4, 4, 8, 12, 16, 24, 40])),
            9 => case.tail = Tail::Junk(random.pick(&[1, 4, 8, 400])),
            10 => {
                case.framing = match random.below(4) {
                    0 => Framing::EmptyRecordFirst,
                    1 => Framing::Announced(random.pick(&[9_001, 9_004, 65_536, 0x7fff_ffff])),
                    _ => Framing::Writes(40 + random.below(40)),
                };
            }
            _ => self.lengthen(case),
        }
    }

    fn arguments_of_another(&mut self) -> Arguments {
        match self.random.below(5) {
            0 => Arguments::Void,
            1 => self.mapping(),
            2 => self.row(),
            3 => self.remote(),
            _ => values::netbuf(&mut self.random),
        }
    }

    /// One string far too long.
    fn lengthen(&mut self, case: &mut Case) {
        let length = self.random.pick(&[33, 109, 129, 200, 1_000, 8_000, 8_900, 9_001]);
        let long = vec![b'x'; length];
        let which = self.random.below(3);
        match &mut case.arguments {
            Arguments::Rpcb(rpcb) => match which {
                0 => rpcb.netid = long,
                1 => rpcb.address = long,
                _ => rpcb.owner = long,
            },
            Arguments::Text(text) => *text = long,
            Arguments::Netbuf { bytes, .. } => *bytes = long,
            _ => case.tail = Tail::Junk(length),
        }
    }
}
