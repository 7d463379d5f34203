//! The text of each thing that can be found, to the byte.

use super::render;
use crate::escape::Text;
use crate::found::{
    Address, Answer, Found, Known, Liveness, Lookups, Mapping, Program, RemoteCalls, Reply, Row,
    VersionStatistics,
};

fn text(text: &str) -> Text {
    Text(text.into())
}

fn row(program: u32, version: u32, netid: &str, address: &str, service: Option<&str>) -> Row {
    let service = service.map(str::to_owned);
    let (netid, address, owner) = (text(netid), text(address), text("superuser"));
    Row { program, version, netid, address, service, owner, known: Known::default() }
}

#[test]
fn rows_have_columns_that_long_values_shift() {
    let rows = vec![
        row(100_000, 4, "tcp6", "::.0.111", Some("portmapper")),
        row(u32::MAX, u32::MAX, "much-too-long", "an address longer than its column", None),
    ];
    let wanted = "   program version netid     address                service    owner
    100000    4    tcp6      ::.0.111               portmapper superuser
42949672954294967295    much-too-long an address longer than its column -          superuser
";
    assert_eq!(render(&Found::Rows(rows)), wanted);
}

#[test]
fn columns_are_counted_in_bytes() {
    let found = Found::Rows(vec![row(1, 1, "gr\u{fc}n", "a", None)]);
    assert!(
        render(&found)
            .ends_with("\n         1    1    gr\u{fc}n     a                      -          superuser\n")
    );
}

#[test]
fn nothing_is_said_in_one_line() {
    let nothing = "No remote programs registered.\n";
    for found in [Found::Rows(Vec::new()), Found::Programs(Vec::new()), Found::Mappings(Vec::new())] {
        assert_eq!(render(&found), nothing);
    }
    let none = Found::Addresses { program: 1, version: 1, service: None, addresses: Vec::new() };
    assert_eq!(render(&none), nothing);
}

#[test]
fn programs_list_versions_and_netids_last_first() {
    let rows = vec![
        row(100_000, 4, "tcp", "0.0.0.0.0.111", Some("portmapper")),
        row(300_000, 2_147_483_648, "udp", "x", None),
        row(100_000, 3, "tcp", "0.0.0.0.0.111", Some("portmapper")),
        row(100_000, 3, "local", "/run/rpcbind.sock", Some("portmapper")),
    ];
    let wanted = "   program version(s) netid(s)                         service     owner
    100000  3,4       local,tcp                        portmapper  superuser
    300000  -2147483648udp                              -           superuser
";
    assert_eq!(render(&Found::Programs(Program::gather(rows))), wanted);
}

#[test]
fn a_list_of_netids_ends_after_255_bytes() {
    let rows = (0..40).map(|number| row(1, 1, &format!("netid-{number:03}"), "", None)).collect();
    let shown = render(&Found::Programs(Program::gather(rows)));
    let line = shown.lines().nth(1).expect("a program");
    let list: String = (0..40).rev().map(|number| format!("netid-{number:03},")).collect();
    assert_eq!(line, format!("         1  1         {} -           superuser", &list[..255]));
}

#[test]
fn mappings_name_udp_and_tcp_and_end_after_the_port_without_a_name() {
    let mapping = |protocol, port, service: Option<&str>| Mapping {
        program: 100_000,
        version: 2,
        protocol,
        port,
        service: service.map(str::to_owned),
        known: Known::default(),
    };
    let found = vec![mapping(6, 111, Some("portmapper")), mapping(17, 70_000, None), mapping(132, 5, None)];
    let wanted = "   program vers proto   port  service
    100000    2   tcp    111  portmapper
    100000    2   udp  70000
    100000    2   132      5
";
    assert_eq!(render(&Found::Mappings(found)), wanted);
}

#[test]
fn addresses_show_family_protocol_and_class() {
    let address = |protocol: &str, semantics| Address {
        netid: text("x"),
        family: text("inet"),
        protocol: text(protocol),
        semantics,
        address: text("127.0.0.1.0.111"),
    };
    let addresses = vec![address("tcp", 3), address("udp", 1), address("x", 2), address("-", 4)];
    let service = Some("portmapper".to_owned());
    let wanted = "   program vers  tp_family/name/class    address\t\t  service
    100000  4    inet/tcp/cots_ord       127.0.0.1.0.111          portmapper   
    100000  4    inet/udp/clts           127.0.0.1.0.111          portmapper   
    100000  4    inet/x/cots             127.0.0.1.0.111          portmapper   
    100000  4    inet/-/cots_ord         127.0.0.1.0.111          portmapper   
";
    assert_eq!(render(&Found::Addresses { program: 100_000, version: 4, service, addresses }), wanted);
}

#[test]
fn answers_and_replies_are_one_line_each() {
    let answer = |available| Found::Answer(Answer { program: 100_003, version: 3, available, error: None });
    assert_eq!(render(&answer(true)), "program 100003 version 3 ready and waiting\n");
    assert_eq!(render(&answer(false)), "program 100003 version 3 is not available\n");
    let reply = |host| Found::Reply(Reply { address: text("192.0.2.1.8.1"), host });
    assert_eq!(render(&reply(None)), "192.0.2.1.8.1\tunknown\n");
    assert_eq!(render(&reply(Some(text("a.example")))), "192.0.2.1.8.1\ta.example\n");
    assert_eq!(render(&Found::Deleted { program: 1, version: 1 }), "");
}

fn statistics(version: u32, calls: [i32; 13]) -> VersionStatistics {
    let lookup = |program, service: Option<&str>, success, failure| Lookups {
        program,
        version: 1,
        netid: text("udp"),
        service: service.map(str::to_owned),
        success,
        failure,
    };
    let remote = RemoteCalls {
        program: u32::MAX,
        version: 1,
        procedure: 2,
        netid: text("udp"),
        service: None,
        success: 4,
        failure: 5,
        indirect: 6,
    };
    VersionStatistics {
        version,
        calls: calls.to_vec(),
        set: 7,
        unset: 8,
        lookups: vec![lookup(100_003, Some("nfs"), 1_000_000, 2), lookup(200_001, None, 3, 0)],
        remote_calls: vec![remote],
    }
}

#[test]
fn statistics_widen_their_columns_and_list_what_was_counted() {
    let counted = [1, 12, 13, 5_000_000, 2, 3, 1, 1, 2, 4, 5, 6, 7];
    let versions = [2, 3, 4].map(|version| statistics(version, counted));
    let wanted = "PORTMAP (version 2) statistics
NULL    SET     UNSET   GETPORT         DUMP    CALLIT  
1       7/12    8/13    1000003/5000000 2       4/3     

PMAP_RMTCALL call statistics
prog\t\tvers\tproc\tnetid\tsuccess\tfailure
-1              1\t2\tudp\t4\t5

PMAP_GETPORT call statistics
prog\t\tvers\tnetid\t  success\tfailure
nfs             1\tudp\t  1000000     \t2
200001          1\tudp\t  3           \t0

RPCBIND (version 3) statistics
NULL    SET     UNSET   GETADDR         DUMP    CALLIT  TIME    U2T     T2U     
1       7/12    8/13    1000003/5000000 2       4/3     1       1       2       

RPCB_RMTCALL (version 3) call statistics
prog\t\tvers\tproc\tnetid\tsuccess\tfailure
-1              1\t2\tudp\t4\t5

RPCB_GETADDR (version 3) call statistics
prog\t\tvers\tnetid\t  success\tfailure
nfs             1\tudp\t  1000000     \t2
200001          1\tudp\t  3           \t0

RPCBIND (version 4) statistics
NULL    SET     UNSET   GETADDR         DUMP    CALLIT  TIME    U2T     T2U     
1       7/12    8/13    1000003/5000006 2       4/3     1       1       2       
VERADDR INDRECT GETLIST GETSTAT 
4       5       6       7       

RPCB_RMTCALL (version 4) call statistics
prog\t\tvers\tproc\tnetid\tindirect success failure
-1              1\t2\tudp\t6\t 4\t5

RPCB_GETADDR (version 4) call statistics
prog\t\tvers\tnetid\t  success\tfailure
nfs             1\tudp\t  1000000     \t2
200001          1\tudp\t  3           \t0
";
    assert_eq!(render(&Found::Statistics(versions.to_vec())), wanted);
}

#[test]
fn lists_that_were_never_asked_for_are_left_out() {
    let versions = [2, 3, 4].map(|version| statistics(version, [0; 13]));
    let shown = render(&Found::Statistics(versions.to_vec()));
    assert!(!shown.contains("call statistics"), "{shown}");
    assert!(shown.ends_with("\nVERADDR INDRECT GETLIST GETSTAT \n0       0       0       0       \n"));
}

fn known(liveness: Liveness, seconds: u32) -> Known {
    Known { liveness: Some(liveness), liveness_seconds: Some(seconds) }
}

#[test]
fn nothing_is_shown_of_services_while_none_is_dead() {
    let mut rows = vec![row(1, 1, "tcp", "x", None), row(2, 1, "tcp", "y", None)];
    let plain = (render(&Found::Rows(rows.clone())), render(&Found::Programs(Program::gather(rows.clone()))));
    for row in &mut rows {
        row.known = known(Liveness::Alive, 7);
    }
    let told = (render(&Found::Rows(rows.clone())), render(&Found::Programs(Program::gather(rows))));
    assert_eq!(told, plain);
}

#[test]
fn a_dead_service_brings_a_column() {
    let mut rows = vec![
        row(100_000, 4, "tcp", "0.0.0.0.0.111", Some("portmapper")),
        row(100_024, 1, "udp", "0.0.0.0.128.2", Some("status")),
        row(100_024, 1, "tcp", "0.0.0.0.128.2", Some("status")),
    ];
    rows[1].known = known(Liveness::Dead, 35);
    rows[2].known = known(Liveness::Alive, 3_600);
    let wanted = "   program version netid     address                service    owner      liveness
    100000    4    tcp       0.0.0.0.0.111          portmapper superuser  -
    100024    1    udp       0.0.0.0.128.2          status     superuser  dead for 35 s
    100024    1    tcp       0.0.0.0.128.2          status     superuser  alive
";
    assert_eq!(render(&Found::Rows(rows.clone())), wanted);
    let wanted = "   program version(s) netid(s)                         service     owner       dead
    100000  4         tcp                              portmapper  superuser   -
    100024  1         tcp,udp                          status      superuser   1
";
    assert_eq!(render(&Found::Programs(Program::gather(rows))), wanted);
}

#[test]
fn a_dead_service_brings_a_column_to_version_2_too() {
    let mapping = |port, service: Option<&str>, known| Mapping {
        program: 100_024,
        version: 1,
        protocol: 17,
        port,
        service: service.map(str::to_owned),
        known,
    };
    let found = vec![
        mapping(111, Some("portmapper"), Known::default()),
        mapping(32_770, None, known(Liveness::Dead, 7_200)),
        mapping(5, Some("status"), known(Liveness::Alive, 1)),
    ];
    let wanted = "   program vers proto   port  service     liveness
    100024    1   udp    111  portmapper  -
    100024    1   udp  32770              dead for 2 h
    100024    1   udp      5  status      alive
";
    assert_eq!(render(&Found::Mappings(found)), wanted);
}

#[test]
fn durations_are_shown_in_the_largest_unit_of_which_there_are_two() {
    let cases = [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7_199, "119 min"),
        (7_200, "2 h"),
        (172_799, "47 h"),
        (172_800, "2 days"),
        (u32::MAX, "49710 days"),
    ];
    for (seconds, shown) in cases {
        let mut dead = row(1, 1, "tcp", "x", None);
        dead.known = known(Liveness::Dead, seconds);
        let text = render(&Found::Rows(vec![dead]));
        assert!(text.ends_with(&format!(" dead for {shown}\n")), "{text}");
    }
}
