//! Services that come and go on one machine, and what has to be registered: who has registered a program last, by what
//! each service is known to register, and where it really listens.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use testkit::services::{self, Owner, Service, ServiceKind};
use testkit::{Daemon, DaemonKind, Namespace, programs, wait};

use crate::listening::{Listening, port};
use crate::shown::{self, Line, Row};

const INET: &[&str] = &["tcp", "tcp6", "udp", "udp6"];
const ALL: &[&str] = &["tcp", "tcp6", "udp", "udp6", "local"];
const USER: u32 = 1_000;
/// The kernel chooses ports from here on, for each life of a service from as many: no port of a service that has died
/// is another's by chance.
const FIRST_PORT: usize = 12_000;
const PORTS: usize = 400;
/// Between two looks, which cost some processes each.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(160);

/// An ordinary user's program, as libtirpc's `svc_create`, `svc_reg` and `rpcb_set` make it: some of its rows are
/// unregistered before they are registered, some are not.
const PEER: ServiceKind = ServiceKind {
    name: "peer",
    program: "/run/testkit/tirpc_peer",
    arguments: &["stay", "/run/peer/one"],
    uid: Some(USER),
    rows: &[(600_000_001, &[1], ALL), (600_000_001, &[2], INET), (600_000_002, &[1], INET)],
    owner: Owner::Uid(USER),
    unregisters: false,
    detaches: false,
    files: &[],
};

/// Ganesha's ports must not be those that others are given by chance.
const fn ganesha(files: &'static [(&'static str, &'static str)]) -> ServiceKind {
    ServiceKind { files, ..services::GANESHA }
}

macro_rules! ganesha_conf {
    ($nfs:literal, $quota:literal) => {
        concat!(
            "NFS_CORE_PARAM { Protocols = 3, 4; mount_path_pseudo = true; NFS_Port = ",
            $nfs,
            "; Rquota_Port = ",
            $quota,
            "; }\nNFSv4 { Graceless = true; RecoveryRoot = \"/run/ganesha\"; }\n",
            "EXPORT { Export_Id = 1; Path = /run/export; Pseudo = /export; Access_Type = RW; SecType = sys;",
            " Protocols = 3, 4; Transports = UDP, TCP; FSAL { Name = VFS; } }\n"
        )
    };
}

/// Each service in its odd and in its even lives. Ports that are not given are the kernel's choice.
pub(crate) const SERVICES: [[ServiceKind; 2]; 4] = [
    [services::STATD, services::STATD],
    [services::MOUNTD, services::MOUNTD],
    [
        ganesha(&[("/run/ganesha.conf", ganesha_conf!("2049", "4875")), ("/run/export/hello", "hello\n")]),
        ganesha(&[("/run/ganesha.conf", ganesha_conf!("4049", "4876"))]),
    ],
    [PEER, ServiceKind { arguments: &["stay", "/run/peer/two"], ..PEER }],
];

/// Program, version, netid: there is one row of each.
type Key = (u32, u32, String);

/// One of the services.
#[derive(Debug, Default)]
struct Slot {
    lives: usize,
    running: Option<Service>,
}

/// A machine with the daemon, and the services on it.
pub(crate) struct Day {
    home: Namespace,
    daemon: Option<Daemon>,
    slots: [Slot; 4],
    /// Of all of them.
    lives: usize,
    /// What is registered, and by which life of which service.
    registered: BTreeMap<Key, (usize, usize)>,
    steps: Vec<String>,
    dead_expire: bool,
}

impl Day {
    /// The daemon alone.
    pub(crate) fn begin(configuration: &str) -> Self {
        let home = Namespace::new().unwrap();
        home.write("/etc/rpcbind.toml", configuration).unwrap();
        programs::tirpc_peer(&home).unwrap();
        home.expect("install", &["-d", "-o", &USER.to_string(), "/run/peer"]).unwrap();
        let daemon = Daemon::start(&home, &DaemonKind::ours(crate::RPCBIND)).unwrap();
        Self {
            home,
            daemon: Some(daemon),
            slots: Default::default(),
            lives: 0,
            registered: BTreeMap::new(),
            steps: Vec::new(),
            dead_expire: configuration.contains("expire"),
        }
    }

    /// A service starts, or comes back. It takes the place of whatever was registered for its programs.
    pub(crate) fn start(&mut self, service: usize) {
        let name = self.begin_life(service);
        self.check(&format!("{name} started"));
    }

    /// A service is killed while clients are connected to it. Its rows stay.
    pub(crate) fn kill(&mut self, service: usize) {
        let (name, clients) = self.end_life(service);
        self.check(&format!("{name} killed"));
        drop(clients);
    }

    /// A service is killed and comes back at once, before anybody could find out, with our daemon killed in between or
    /// not.
    pub(crate) fn restart(&mut self, service: usize, with_the_daemon: bool) {
        let (name, clients) = self.end_life(service);
        if with_the_daemon {
            self.bounce();
        }
        self.begin_life(service);
        let what = if with_the_daemon { "restarted with the daemon" } else { "restarted" };
        self.check(&format!("{name} {what}"));
        drop(clients);
    }

    /// A service ends in order.
    pub(crate) fn stop(&mut self, service: usize) {
        let running = self.slots[service].running.take().unwrap();
        let kind = running.kind.clone();
        running.stop().unwrap();
        if kind.unregisters {
            self.forget(&kind);
        }
        self.check(&format!("{} stopped", kind.name));
    }

    /// Our daemon is killed and started again.
    pub(crate) fn kill_the_daemon(&mut self) {
        self.bounce();
        self.check("the daemon killed");
    }

    fn begin_life(&mut self, service: usize) -> &'static str {
        self.lives += 1;
        let first = FIRST_PORT + self.lives * PORTS;
        let ports = format!("{first} {}", first + PORTS - 1);
        self.home.write("/proc/sys/net/ipv4/ip_local_port_range", &ports).unwrap();
        let slot = &mut self.slots[service];
        let kind = &SERVICES[service][slot.lives % 2];
        slot.lives += 1;
        slot.running = Some(kind.start(&self.home).unwrap());
        let life = (service, slot.lives);
        self.forget(kind);
        self.registered.extend(keys(kind).map(|key| (key, life)));
        kind.name
    }

    fn end_life(&mut self, service: usize) -> (&'static str, Vec<TcpStream>) {
        let running = self.slots[service].running.take().unwrap();
        let name = running.kind.name;
        let clients = self.connected(&running);
        running.kill().unwrap();
        (name, clients)
    }

    fn bounce(&mut self) {
        self.daemon.take().unwrap().kill().unwrap();
        self.daemon = Some(Daemon::start(&self.home, &DaemonKind::ours(crate::RPCBIND)).unwrap());
    }

    /// A service unregisters its programs, whoever has registered them last.
    fn forget(&mut self, kind: &ServiceKind) {
        self.registered.retain(|(program, ..), _| !kind.rows.iter().any(|(own, ..)| own == program));
    }

    /// One connection to each TCP port of a service.
    fn connected(&self, service: &Service) -> Vec<TcpStream> {
        let listening = Listening::on(&self.home).unwrap();
        let ports = listening.of(process(&service.kind)).filter(|(kind, _)| *kind == "tcp");
        let connect =
            |port| TcpStream::connect(("127.0.0.1", port)).or_else(|_| TcpStream::connect(("::1", port)));
        self.home.within(|| ports.map(|(_, port)| connect(port).unwrap()).collect()).unwrap()
    }

    /// What is shown comes to be what listens.
    fn check(&mut self, step: &str) {
        self.steps.push(step.to_owned());
        let (mut last, mut pause, mut tried) = (String::new(), FIRST_PAUSE, None::<Instant>);
        let checked = wait::until(step, || {
            if tried.is_some_and(|tried| tried.elapsed() < pause) {
                return Ok(None);
            }
            let fault = self.fault()?;
            pause = (pause * 2).min(PAUSE_MAX);
            tried = Some(Instant::now());
            Ok(fault.map_or(Some(()), |fault| {
                last = fault;
                None
            }))
        });
        if let Err(error) = checked {
            let said = self.daemon.as_ref().map(Daemon::stderr).unwrap_or_default();
            panic!("{error}: {last}\nafter {:?}\n{said}", self.steps);
        }
    }

    /// The first thing that is not as it has to be.
    fn fault(&self) -> io::Result<Option<String>> {
        let listening = Listening::on(&self.home)?;
        let rows = shown::rows(&self.home)?;
        let wrong = rows.iter().find_map(|row| self.wrong(row, &listening));
        if let Some(fault) =
            wrong.or_else(|| self.missing(&rows)).or_else(|| self.unregistered(&listening, &rows))
        {
            return Ok(Some(fault));
        }
        let mut expected: Vec<Line> = rows.iter().filter_map(line).collect();
        expected.sort();
        let mappings = shown::mappings(&self.home)?;
        let fault = format!("rpcinfo -p: {mappings:?} instead of {expected:?}");
        Ok((mappings != Ok(expected)).then_some(fault))
    }

    /// What is wrong with a row: it has to be registered, by its service's user, and it has to be marked dead when
    /// nothing listens there. Where its service is running, that has to listen there.
    fn wrong(&self, row: &Row, listening: &Listening) -> Option<String> {
        let listener = listening.at(&row.netid, &row.address);
        let key = (row.program, row.version, row.netid.clone());
        let Some(life) = self.registered.get(&key) else { return Some(format!("not to be there: {row:?}")) };
        let kind = &SERVICES[life.0][(life.1 - 1) % 2];
        if row.owner != kind.owner.text() {
            return Some(format!("not as {}: {row:?}", kind.owner.text()));
        }
        if self.is_running(*life) && listener != Some(process(kind)) {
            return Some(format!("{listener:?} listens and not {} at {row:?}", kind.name));
        }
        if row.dead != listener.is_none() {
            return Some(format!("{listener:?} listens at {row:?}"));
        }
        (row.dead && self.dead_expire).then(|| format!("to expire: {row:?}"))
    }

    /// A row that is not there. Where the dead expire, those of services that are not running may be missing.
    fn missing(&self, rows: &[Row]) -> Option<String> {
        let is_there = |(program, version, netid): &Key| {
            rows.iter().any(|row| (row.program, row.version, &row.netid) == (*program, *version, netid))
        };
        let mut needed =
            self.registered.iter().filter(|(_, life)| !self.dead_expire || self.is_running(**life));
        needed.find(|(key, _)| !is_there(key)).map(|missing| format!("not there: {missing:?}"))
    }

    fn is_running(&self, (service, life): (usize, usize)) -> bool {
        let slot = &self.slots[service];
        slot.running.is_some() && slot.lives == life
    }

    /// Where a service listens without being registered, although nobody has taken its place.
    fn unregistered(&self, listening: &Listening, rows: &[Row]) -> Option<String> {
        for (service, slot) in self.slots.iter().enumerate() {
            let Some(running) = &slot.running else { continue };
            let life = (service, slot.lives);
            if keys(&running.kind).any(|key| self.registered.get(&key) != Some(&life)) {
                continue;
            }
            for (kind, own) in listening.of(process(&running.kind)) {
                let is_it =
                    |row: &&Row| row.netid.trim_end_matches('6') == kind && port(&row.address) == Some(own);
                if rows.iter().find(is_it).is_none() {
                    return Some(format!(
                        "{} listens on {kind} {own} and is not found there",
                        running.kind.name
                    ));
                }
            }
        }
        None
    }
}

/// The rows that a service registers.
fn keys(kind: &ServiceKind) -> impl Iterator<Item = Key> {
    kind.registered().into_iter().map(|row| (row.program, row.version, row.netid))
}

/// The name of a service's process.
fn process(kind: &ServiceKind) -> &'static str {
    kind.program.rsplit('/').next().unwrap_or_default()
}

/// The line of `rpcinfo -p` for a row, when it is one of version 2's.
fn line(row: &Row) -> Option<Line> {
    let is_shown = ["tcp", "udp"].contains(&&*row.netid);
    is_shown.then(|| Some((row.program, row.version, row.netid.clone(), port(&row.address)?))).flatten()
}
