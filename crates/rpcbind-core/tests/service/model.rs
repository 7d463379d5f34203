//! The naive model of the service: a plain list of rows, and the rules written down again.

use crate::callers::HOME;
use oncrpc::Version;
use oncrpc::bind::V2;
use rpcbind_core::caller::{Caller, Namespace};
use rpcbind_core::facts::{BoundFact, OwnerFact};
use rpcbind_core::settings::Caps;

pub(crate) const CAPS: Caps = Caps { rows: 13 + 8, rows_per_uid: 5, rows_for_root: 2 };

/// A row as DUMP shows it, and the namespace it came from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) program: u32,
    pub(crate) version: u32,
    pub(crate) netid: &'static str,
    pub(crate) address: String,
    pub(crate) owner: Option<u32>,
    pub(crate) namespace: Namespace,
    pub(crate) life: Life,
}

/// What is known of a row's service: whether it is there and since when, and whether it is missed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Life {
    pub(crate) known: Option<(bool, u64)>,
    pub(crate) missed: bool,
}

/// Who calls: how, what the kernel says about it, and who that makes it. `None`: not one who may change anything.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) caller: Caller,
    pub(crate) fact: OwnerFact,
    pub(crate) identity: Option<(Option<u32>, Namespace)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) program: u32,
    pub(crate) version: u32,
    pub(crate) netid: &'static str,
    pub(crate) address: &'static str,
}

/// What the model expects of SET and UNSET.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    TooWeak,
    False,
    True,
}

pub(crate) struct Model {
    pub(crate) rows: Vec<Row>,
    pub(crate) seconds: u64,
}

/// Dead rows go when they have been dead for this long.
pub(crate) const EXPIRE_SECONDS: u64 = 60;

/// The addresses of the small world: which family, what it means, whether an ordinary user may name it.
pub(crate) fn meaning(address: &str) -> Option<(&'static str, &'static str, u16, bool)> {
    Some(match address {
        "0.0.0.0.8.8" | "0.0.0.0.08.8" => ("inet", "0.0.0.0", 2_056, true),
        "0.0.0.0.8.9" => ("inet", "0.0.0.0", 2_057, true),
        "0.0.0.0.8.1" => ("inet", "0.0.0.0", 2_049, true),
        "0.0.0.0.0.80" => ("inet", "0.0.0.0", 80, true),
        "192.0.2.130.8.8" => ("inet", "192.0.2.130", 2_056, true),
        "198.51.100.9.8.8" => ("inet", "198.51.100.9", 2_056, false),
        "::.8.8" | "0::0.8.8" => ("inet6", "::", 2_056, true),
        "::.8.9" => ("inet6", "::", 2_057, true),
        "/run/a" => ("local", "/run/a", 0, true),
        "@b" => ("local", "@b", 0, true),
        _ => return None,
    })
}

pub(crate) fn family(netid: &str) -> &'static str {
    match netid {
        "udp" | "tcp" | "sctp" => "inet",
        "udp6" | "tcp6" => "inet6",
        _ => "local",
    }
}

/// The netid as the table spells it.
pub(crate) fn known(netid: &str) -> Option<&'static str> {
    Some(match netid {
        "udp" | "UDP" => "udp",
        "tcp" => "tcp",
        "udp6" => "udp6",
        "tcp6" => "tcp6",
        "sctp" => "sctp",
        "local" => "local",
        _ => return None,
    })
}

impl Model {
    pub(crate) fn new() -> Self {
        let mut rows = Vec::new();
        for (netid, address) in [
            ("tcp6", "::.0.111"),
            ("udp6", "::.0.111"),
            ("tcp", "0.0.0.0.0.111"),
            ("udp", "0.0.0.0.0.111"),
            ("local", "/run/rpcbind.sock"),
        ] {
            for version in [4, 3, 2] {
                if version > 2 || family(netid) == "inet" {
                    let (owner, namespace, address) = (Some(0), HOME, address.to_string());
                    let life = Life::default();
                    rows.push(Row { program: 100_000, version, netid, address, owner, namespace, life });
                }
            }
        }
        Self { rows, seconds: 0 }
    }

    /// How many have died, come back and expired.
    pub(crate) fn sweep(&mut self, seconds: u64, bound: BoundFact) -> [usize; 3] {
        self.seconds += seconds;
        let now = self.seconds;
        let mut told = [0; 3];
        self.rows.retain_mut(|row| {
            let known = row.program != 100_000 && row.namespace == HOME && row.netid != "sctp";
            let there = match bound {
                BoundFact::Unknown => return true,
                BoundFact::Bound => true,
                BoundFact::Free => row.netid == "local",
            };
            if !known {
                return true;
            }
            let was = row.life.known.map(|(there, _)| there);
            if was != Some(there) {
                told[0] += usize::from(!there && !row.life.missed);
                told[1] += usize::from(there && row.life.missed);
                row.life = Life { known: Some((there, now)), missed: !there };
            }
            let expired = matches!(row.life.known, Some((false, since)) if now - since >= EXPIRE_SECONDS);
            told[2] += usize::from(expired);
            !expired
        });
        told
    }

    pub(crate) fn set(&mut self, who: &Who, wanted: &Wanted, bound: BoundFact) -> Verdict {
        let Some((owner, namespace)) = who.identity else { return Verdict::TooWeak };
        let Wanted { program, version, .. } = *wanted;
        let (Some(netid), Some((address_family, host, port, ours))) =
            (known(wanted.netid), meaning(wanted.address))
        else {
            return Verdict::False;
        };
        if program == 100_000 || address_family != family(netid) {
            return Verdict::False;
        }
        let there = self
            .rows
            .iter()
            .position(|row| (row.program, row.version, row.netid) == (program, version, netid));
        let old = there.map(|at| self.rows[at].clone());
        if let Some(old) = &old
            && meaning(&old.address) == meaning(wanted.address)
        {
            if may_change(owner, namespace, old)
                && let Some(at) = there
                && matches!(self.rows[at].life.known, Some((false, _)))
            {
                self.rows[at].life.known = None;
            }
            return Verdict::True;
        }
        let privileged = owner.is_some_and(|uid| uid < 1_000);
        let wildcard = matches!(host, "0.0.0.0" | "::") || address_family == "local";
        let reserved = program == 100_003 || (address_family != "local" && (port < 1_024 || port == 2_049));
        let may_name = if namespace == HOME { privileged || ours } else { owner == Some(0) };
        if (reserved && !privileged) || !(wildcard || may_name) {
            return Verdict::False;
        }
        if let Some(old) = &old {
            let home_root = owner == Some(0) && namespace == HOME;
            let own = old.owner == owner && old.namespace == namespace;
            let dead = old.namespace == HOME && bound == BoundFact::Free;
            let may_change = may_change(owner, namespace, old);
            let may_now = dead || (old.owner.is_none() && owner.is_some()) || (home_root && !own);
            if !(may_change && may_now) {
                return Verdict::False;
            }
        }
        let free = if owner == Some(0) { CAPS.rows } else { CAPS.rows - CAPS.rows_for_root };
        let others = self.rows.iter().enumerate().filter(|(at, _)| Some(*at) != there);
        let owned = others.filter(|(_, row)| row.owner == owner).count();
        if (old.is_none() && self.rows.len() >= free) || (owner != Some(0) && owned >= CAPS.rows_per_uid) {
            return Verdict::False;
        }
        if let Some(at) = there {
            self.rows.remove(at);
        }
        let address = wanted.address.to_string();
        let life = Life::default();
        self.rows.push(Row { program, version, netid, address, owner, namespace, life });
        Verdict::True
    }

    pub(crate) fn unset(&mut self, who: &Who, wanted: &Wanted, called: Version) -> Verdict {
        let Some((owner, namespace)) = who.identity else { return Verdict::TooWeak };
        if wanted.program == 100_000 {
            return Verdict::False;
        }
        let home_root = owner == Some(0) && namespace == HOME;
        let matching = |row: &Row| {
            let netid = match called {
                V2 => matches!(row.netid, "udp" | "tcp"),
                _ => wanted.netid.is_empty() || known(wanted.netid) == Some(row.netid),
            };
            let same = (row.program, row.version) == (wanted.program, wanted.version);
            netid && same && (row.namespace == namespace || home_root)
        };
        let removable = |row: &Row| {
            let nobodys = row.owner.is_none() && row.namespace == HOME;
            home_root || nobodys || (row.owner.is_some() && row.owner == owner)
        };
        if !self.rows.iter().filter(|row| matching(row)).all(removable) {
            return Verdict::False;
        }
        self.rows.retain(|row| !matching(row));
        Verdict::True
    }

    pub(crate) fn find(&self, wanted: &Wanted, netid: &str, exact: bool) -> Option<&Row> {
        let mut rows = self.rows.iter().filter(|row| row.program == wanted.program && row.netid == netid);
        let same = rows.clone().find(|row| row.version == wanted.version);
        if exact { same } else { same.or_else(|| rows.next_back()) }
    }
}

pub(crate) fn may_change(owner: Option<u32>, namespace: Namespace, row: &Row) -> bool {
    let home_root = owner == Some(0) && namespace == HOME;
    let own = row.owner == owner && row.namespace == namespace;
    let nobodys = row.owner.is_none() && row.namespace == HOME && namespace == HOME;
    home_root || own || nobodys
}

/// The address of a row for a caller without a hint: a wildcard becomes the address that the call came to.
pub(crate) fn answer_for(row: &Row, caller: &Caller) -> String {
    let wildcard = ["0.0.0.0.", "::.", "0::0."].into_iter().find(|start| row.address.starts_with(start));
    match (wildcard, caller.local()) {
        (Some(start), Some(local)) => {
            let port = row.address[start.len()..].replace("08", "8");
            format!("{}.{port}", local.ip())
        }
        _ => row.address.clone(),
    }
}
