//! What an audit of a port mapper saw, as data, and what is to be thought of it. Nothing is asked here.
//! Field names are the names in the JSON document, which `docs/json.md` describes.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::escape::Text;

/// The request over UDP whose replies are compared: a call without arguments and credentials, in bytes.
pub const REQUEST: usize = 40;
/// The headers of IPv4 and UDP, in bytes.
const HEADERS: f64 = 28.0;

/// All that was seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Audit {
    /// The address that was asked, with its port.
    pub asked: String,
    /// The questions with their answers, in the order in which they were asked.
    pub probes: Vec<Probe>,
    /// The largest reply over UDP to a request of 40 bytes, in bytes.
    pub largest_reply: usize,
    /// That reply as a multiple of its request.
    pub factor: f64,
    /// The same with the headers of IPv4 and UDP.
    pub wire_factor: f64,
    /// The versions of program 100000 that answered over any transport.
    pub versions: Vec<u32>,
    /// Registered programs that a stranger should not reach; empty too when the list was refused.
    pub exposed: Vec<Exposed>,
    /// What is to be thought of it.
    pub findings: Vec<Finding>,
    /// Whether none of the findings is a danger.
    pub passed: bool,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probe {
    /// What was called.
    pub call: &'static str,
    /// The version of program 100000.
    pub version: u32,
    /// `udp` or `tcp`, whatever the family.
    pub transport: &'static str,
    /// The request in bytes, without a record mark.
    pub request: usize,
    /// The reply in bytes, likewise; 0 when there was none.
    pub reply: usize,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// An error or a refusal came back.
    Refused,
    /// Nothing came back in time.
    Silent,
    /// The host cannot be reached over this transport.
    Unreachable,
}

/// A registered program that strangers have used against hosts, or that tells them much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exposed {
    /// Program.
    pub program: u32,
    /// Its name.
    pub service: String,
    /// The transports that it is registered on.
    pub netids: Vec<Text>,
    /// What it gives to a stranger.
    pub gives: &'static str,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A stranger can use the host against others.
    Danger,
    /// A stranger learns or reaches something.
    Notice,
}

/// Something to be thought of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// In words.
    pub finding: String,
}

/// A row that the host listed, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Program.
    pub program: u32,
    /// Version.
    pub version: u32,
    /// Netid.
    pub netid: Text,
}

/// Number, name, what a stranger gets of it.
const EXPOSURE: [(u32, &str, &str); 12] = [
    (100_001, "rstatd", "load and traffic of the host"),
    (100_002, "rusersd", "who is logged in"),
    (100_004, "ypserv", "the maps of the domain, password hashes among them"),
    (100_005, "mountd", "the list of exports and of who mounts them"),
    (100_007, "ypbind", "the domain's name and server, which some versions let strangers set"),
    (100_008, "walld", "messages to every terminal"),
    (100_009, "yppasswdd", "guesses at passwords"),
    (100_011, "rquotad", "quotas, users' numbers with them"),
    (100_012, "sprayd", "traffic on demand"),
    (100_026, "bootparam", "names and paths of diskless clients"),
    (100_069, "ypxfrd", "whole maps of the domain"),
    (150_001, "pcnfsd", "guesses at passwords"),
];

impl Audit {
    /// What a host at this address is, by what it answered and by the rows that it listed.
    #[must_use]
    pub fn new(asked: String, probes: Vec<Probe>, rows: &[Listed]) -> Self {
        let comparable = probes.iter().filter(|probe| probe.transport == "udp" && probe.request == REQUEST);
        let largest_reply = comparable.map(|probe| probe.reply).max().unwrap_or(0);
        let answered = probes.iter().filter(|probe| probe.outcome == Outcome::Answered);
        let mut versions: Vec<u32> = answered.map(|probe| probe.version).collect();
        versions.sort_unstable();
        versions.dedup();
        let mut audit = Self {
            asked,
            largest_reply,
            factor: factor(largest_reply, 0.0),
            wire_factor: if largest_reply == 0 { 0.0 } else { factor(largest_reply, HEADERS) },
            versions,
            exposed: exposed(rows),
            findings: Vec::new(),
            passed: true,
            probes,
        };
        audit.judge();
        audit
    }

    fn judge(&mut self) {
        let mut findings = Vec::new();
        let mut add = |severity, finding: String| findings.push(Finding { severity, finding });
        if self.largest_reply > REQUEST {
            let factor = self.factor;
            add(
                Severity::Danger,
                format!(
                    "a forged request makes it send {factor:.2} times as much to a third party: it can be used \
                     for reflected denial of service"
                ),
            );
        }
        if self.is_answered("CALLIT") || self.is_answered("INDIRECT") {
            let way = "it calls other services for strangers, who then seem to call from this host";
            add(Severity::Danger, way.into());
        }
        for (transport, words) in [("udp", "UDP"), ("tcp", "TCP")] {
            let is_list = |probe: &&Probe| probe.call == "DUMP" && probe.transport == transport;
            if self.probes.iter().filter(is_list).any(|probe| probe.outcome == Outcome::Answered) {
                let finding = format!("it lists all registrations to strangers over {words}");
                add(Severity::Notice, finding);
            }
        }
        if !self.exposed.is_empty() {
            let names: Vec<&str> = self.exposed.iter().map(|exposed| exposed.service.as_str()).collect();
            add(Severity::Notice, format!("programs that strangers should not reach: {}", names.join(", ")));
        }
        if self.is_answered("NULL") {
            add(Severity::Notice, "no access list keeps this caller out".into());
        }
        self.passed = findings.iter().all(|finding| finding.severity != Severity::Danger);
        self.findings = findings;
    }

    fn is_answered(&self, call: &str) -> bool {
        self.probes.iter().any(|probe| probe.call == call && probe.outcome == Outcome::Answered)
    }

    /// Whether anything answered at all.
    #[must_use]
    pub fn heard_something(&self) -> bool {
        self.probes.iter().any(|probe| matches!(probe.outcome, Outcome::Answered | Outcome::Refused))
    }
}

#[expect(clippy::cast_precision_loss, reason = "lengths of datagrams are small")]
fn factor(reply: usize, headers: f64) -> f64 {
    let factor = (reply as f64 + headers) / (REQUEST as f64 + headers);
    (factor * 100.0).round() / 100.0
}

fn exposed(rows: &[Listed]) -> Vec<Exposed> {
    let mut by_program: BTreeMap<u32, Vec<Text>> = BTreeMap::new();
    for Listed { program, netid, .. } in rows {
        let netids = by_program.entry(*program).or_default();
        if !netids.contains(netid) {
            netids.push(netid.clone());
        }
    }
    let known = |(program, netids)| {
        let (_, service, gives) = EXPOSURE.iter().find(|(known, ..)| *known == program)?;
        Some(Exposed { program, service: (*service).to_owned(), netids, gives })
    };
    by_program.into_iter().filter_map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(call: &'static str, transport: &'static str, reply: usize, outcome: Outcome) -> Probe {
        let request = if call == "CALLIT" { 56 } else { REQUEST };
        Probe { call, version: 2, transport, request, reply, outcome }
    }

    fn words(audit: &Audit) -> Vec<(Severity, &str)> {
        audit.findings.iter().map(|finding| (finding.severity, finding.finding.as_str())).collect()
    }

    #[test]
    fn replies_over_udp_that_are_longer_than_their_request_are_a_danger() {
        let list = |len| probe("DUMP", "udp", len, Outcome::Answered);
        let audit = Audit::new("192.0.2.1:111".into(), vec![list(488)], &[]);
        assert_eq!((audit.largest_reply, audit.factor, audit.wire_factor), (488, 12.2, 7.59));
        assert!(!audit.passed && words(&audit)[0].1.contains("12.20 times"), "{audit:?}");
        let audit = Audit::new("192.0.2.1:111".into(), vec![list(40)], &[]);
        assert!(audit.passed && audit.factor <= 1.0, "{audit:?}");
    }

    #[test]
    fn lists_over_tcp_have_no_factor() {
        let audit = Audit::new(String::new(), vec![probe("DUMP", "tcp", 5_000, Outcome::Answered)], &[]);
        assert_eq!((audit.largest_reply, audit.factor, audit.wire_factor, audit.passed), (0, 0.0, 0.0, true));
        assert_eq!(words(&audit), [(Severity::Notice, "it lists all registrations to strangers over TCP")]);
    }

    #[test]
    fn calls_for_others_are_a_danger_when_they_are_made() {
        for (outcome, passed) in
            [(Outcome::Answered, false), (Outcome::Refused, true), (Outcome::Silent, true)]
        {
            let audit = Audit::new(String::new(), vec![probe("CALLIT", "udp", 36, outcome)], &[]);
            assert_eq!(audit.passed, passed, "{outcome:?}");
        }
    }

    #[test]
    fn programs_with_known_exposure_are_named_with_their_transports() {
        let row = |program, netid: &str| Listed { program, version: 1, netid: Text(netid.into()) };
        let rows = [row(100_000, "tcp"), row(100_005, "udp"), row(100_005, "tcp"), row(100_005, "udp")];
        let audit = Audit::new(String::new(), Vec::new(), &rows);
        assert_eq!(audit.exposed.len(), 1);
        assert_eq!(audit.exposed[0].netids, [Text("udp".into()), Text("tcp".into())]);
        assert_eq!(words(&audit), [(Severity::Notice, "programs that strangers should not reach: mountd")]);
    }

    #[test]
    fn a_host_that_says_nothing_was_not_heard() {
        let audit = Audit::new(String::new(), vec![probe("NULL", "udp", 0, Outcome::Silent)], &[]);
        assert!(audit.passed && audit.findings.is_empty() && !audit.heard_something());
        let audit = Audit::new(String::new(), vec![probe("NULL", "udp", 20, Outcome::Refused)], &[]);
        assert!(audit.heard_something() && audit.findings.is_empty());
    }
}
