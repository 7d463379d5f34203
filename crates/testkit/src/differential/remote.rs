//! Random remote calls: of every form, by every caller over every transport, to services that answer in every way, that
//! are elsewhere, dead, forbidden, or not there. All from one seed.

use super::callees;
use super::case::{Arguments, Caller, Case, Credential, Place, Rpcb, Tail, Transport};
use super::random::Random;
use super::side::ALIVE_PORTS;

/// Datagrams that strangers send in one episode over each family, as in the other episodes.
const STRANGERS_DATAGRAMS: usize = 8;
/// Calls of one episode that nobody ever answers: fewer than any port mapper keeps under way for one source.
const NEVER_ANSWERED: usize = 8;

/// Programs that may be called by anybody: their numbers are not of the well-known ones.
const FREE: [u32; 3] = [600_000_031, 600_000_032, 0x2000_0000];
/// Well-known ones, some of which are called for nobody.
const KNOWN: [u32; 7] = [100_003, 100_004, 100_005, 100_011, 100_024, 100_026, 200_001];
/// One whose services are not here, or not any more.
const GONE: u32 = 600_000_039;

/// The calls of one episode, which starts with an empty table.
#[must_use]
pub(super) fn episode(seed: u64, length: usize) -> Vec<Case> {
    let random = Random::new(seed);
    let mut generator = Generator { random, strangers: [STRANGERS_DATAGRAMS; 2], never: NEVER_ANSWERED };
    let mut cases: Vec<Case> =
        FREE.into_iter().chain(KNOWN).flat_map(|program| generator.rows(program)).collect();
    cases.extend(elsewhere());
    for index in 0..length {
        cases.push(generator.case());
        if index % 40 == 39 {
            cases.push(Case::new(Caller::ROOT, 4, 12, Arguments::Void));
        }
    }
    cases
}

/// Services on another host, at a port where nobody is, and at an address that nobody can be reached at.
fn elsewhere() -> Vec<Case> {
    let rows = [(1, "10.9.8.1.4.1"), (2, "0.0.0.0.19.136"), (3, "1.2.3.4.4.1")];
    rows.into_iter().map(|(version, address)| set(GONE, version, "udp", address)).collect()
}

fn set(program: u32, version: u32, netid: &str, address: &str) -> Case {
    let (netid, address) = (netid.as_bytes().to_vec(), address.as_bytes().to_vec());
    Case::new(Caller::ROOT, 4, 1, Arguments::Rpcb(Rpcb { program, version, netid, address, owner: vec![] }))
}

#[derive(Debug)]
struct Generator {
    random: Random,
    /// What is left for strangers, by family.
    strangers: [usize; 2],
    /// What is left of calls that are never answered.
    never: usize,
}

impl Generator {
    /// Some of a program's rows.
    fn rows(&mut self, program: u32) -> Vec<Case> {
        let hosts = [
            ("udp", ["0.0.0.0", "0.0.0.0", "127.0.0.1", "10.9.8.7"]),
            ("udp6", ["::", "::", "::1", "fd00::7"]),
            ("tcp", ["0.0.0.0"; 4]),
        ];
        let mut rows = Vec::new();
        for version in [1, 2, 4] {
            for (netid, hosts) in hosts {
                if self.random.percent(70) {
                    let [high, low] = self.random.pick(&ALIVE_PORTS).to_be_bytes();
                    let address = format!("{}.{high}.{low}", self.random.pick(&hosts));
                    rows.push(set(program, version, netid, &address));
                }
            }
        }
        rows
    }

    fn case(&mut self) -> Case {
        let caller = self.caller();
        let (version, procedure) = self.random.pick(&[(2, 5), (3, 5), (4, 5), (4, 10), (4, 10), (4, 10)]);
        let mut case = Case::new(caller, version, procedure, self.arguments());
        if self.random.percent(20) {
            let (uid, gids) = self.random.pick(&[(0, 0), (1, 1), (4711, 16)]);
            case.credential = Credential::Sys { uid, name: 5, gids, more: 0, cut: 0 };
        }
        match self.random.below(40) {
            0 => case.credential = Credential::Other { flavor: self.random.pick(&[2, 6, 99]), length: 4 },
            1 => case.tail = Tail::Junk(self.random.pick(&[4, 8, 40])),
            2 if !caller.transport.is_datagram() => case.tail = Tail::Cut(self.random.pick(&[1, 4, 8])),
            _ => {}
        }
        case
    }

    fn caller(&mut self) -> Caller {
        use Transport::{Tcp, Tcp6, Udp, Udp6, Unix};
        let transport = self.random.pick(&[Udp, Udp, Udp, Udp6, Udp6, Tcp, Tcp6, Unix]);
        let place = match (transport, self.random.below(100)) {
            (_, 0..40) | (Unix, 0..60) => Place::Root,
            (_, 40..60) | (Unix, _) => Place::User,
            (_, 60..75) => Place::PrivilegedPort,
            (_, 75..85) => Place::OwnAddress,
            (Udp | Tcp, 85..88) => Place::OtherLoopback,
            (Udp | Tcp, 88..91) => Place::StrangerAtSecond,
            _ => Place::Stranger,
        };
        let caller = Caller { transport, place };
        if caller.is_stranger() && transport.is_datagram() {
            let left = &mut self.strangers[usize::from(transport.is_ipv6())];
            if *left == 0 {
                return Caller { transport, place: Place::Root };
            }
            *left -= 1;
        }
        caller
    }

    fn arguments(&mut self) -> Arguments {
        let length = self.random.pick(&[0, 0, 4, 5, 400, 400, 8_500]);
        if self.random.percent(4) && self.never > 0 {
            self.never -= 1;
            let version = self.random.pick(&[1, 2, 3]);
            return Arguments::Remote { program: GONE, version, procedure: 0, length };
        }
        let program = match self.random.below(100) {
            0..55 => self.random.pick(&FREE),
            55..90 => self.random.pick(&KNOWN),
            90..95 => 100_000,
            _ => self.random.pick(&[0, 399_999, 600_000_038, u32::MAX]),
        };
        let version = self.random.pick(&[1, 1, 1, 2, 2, 4, 3, 9]);
        let mut procedure = self.random.pick(&[
            callees::NULL,
            callees::NULL,
            callees::ECHO,
            callees::ECHO,
            callees::ECHO,
            callees::UNAVAILABLE,
            callees::NEVER,
            callees::GARBAGE,
            callees::LONG,
            callees::WHO,
        ]);
        if matches!(procedure, callees::NEVER | callees::GARBAGE) {
            if self.never == 0 {
                procedure = callees::ECHO;
            } else {
                self.never -= 1;
            }
        }
        Arguments::Remote { program, version, procedure, length }
    }
}
