//! Every form, and every way to get it wrong.

use std::time::Duration;

use super::{Command, Form, Refused, Service, parse};

fn words(line: &str) -> Vec<String> {
    line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn form(line: &str) -> Form {
    match parse("rpcinfo", &words(line), false) {
        Ok(Command::Find(asked)) => asked.form,
        other => panic!("{line}: {other:?}"),
    }
}

fn service(program: &str, version: Option<&str>) -> Service {
    Service { program: program.into(), version: version.map(Into::into) }
}

#[test]
fn every_form_is_understood() {
    let host = || Some("h".to_owned());
    let (tcp, h) = (|| Some("tcp".to_owned()), || "h".to_owned());
    let cases = [
        ("", Form::Rows { host: None, netid: None, short: false }),
        ("h", Form::Rows { host: host(), netid: None, short: false }),
        ("-T tcp h", Form::Rows { host: host(), netid: tcp(), short: false }),
        ("-s", Form::Rows { host: None, netid: None, short: true }),
        ("h -s", Form::Rows { host: host(), netid: None, short: true }),
        ("-p", Form::Mappings { host: None }),
        ("-n 65536 -p h", Form::Mappings { host: host() }),
        ("-m h more", Form::Statistics { host: host() }),
        ("-l h 1 2", Form::Addresses { host: h(), netid: None, program: "1".into(), version: "2".into() }),
        (
            "-t h nfs",
            Form::PingProtocol { protocol: "tcp", port: 0, host: h(), service: service("nfs", None) },
        ),
        (
            "-un 70000 h 1 2",
            Form::PingProtocol { protocol: "udp", port: 4464, host: h(), service: service("1", Some("2")) },
        ),
        ("-Ttcp h 1 2", Form::PingNetid { netid: "tcp".into(), host: h(), service: service("1", Some("2")) }),
        (
            "-a x -T tcp 1",
            Form::PingAddress { address: "x".into(), netid: "tcp".into(), service: service("1", None) },
        ),
        ("-b 1 2", Form::Broadcast { program: "1".into(), version: "2".into() }),
        ("-d -- 1 -2", Form::Delete { netid: None, program: "1".into(), version: "-2".into() }),
        ("-T tcp -d 1 2", Form::Delete { netid: tcp(), program: "1".into(), version: "2".into() }),
    ];
    for (line, wanted) in cases {
        assert_eq!(form(line), wanted, "{line}");
    }
}

#[test]
fn wrong_lines_are_refused_with_the_usage() {
    for line in [
        "h 1",
        "h 1 2",
        "-p -s",
        "-s -s",
        "-p h more",
        "-s h more",
        "-n 5 -p",
        "-l",
        "-l h 1",
        "-t",
        "-t h",
        "-t h 1 2 3",
        "-T tcp h 1 2 3",
        "-a x 1",
        "-a x -T tcp",
        "-a x -T tcp 1 2 3",
        "-b 1",
        "-b 1 2 3",
        "-d 1",
        "-d 1 2 3",
        "-t -u h 1",
    ] {
        let refused = Refused { lines: Vec::new(), usage: true };
        assert_eq!(parse("rpcinfo", &words(line), false), Err(refused), "{line}");
    }
}

#[test]
fn wrong_options_are_named() {
    let invalid = |letter: char| format!("rpcinfo: invalid option -- '{letter}'");
    let missing = |letter: char| format!("rpcinfo: option requires an argument -- '{letter}'");
    for (line, lines, usage) in [
        ("-v", vec![invalid('v')], true),
        ("-xp -y", vec![invalid('x'), invalid('y')], true),
        ("--x", vec![invalid('-'), invalid('x')], true),
        ("-d 1 2 -T", vec![missing('T')], true),
        ("-a", vec![missing('a')], true),
        ("-n x -p", vec!["rpcinfo: x is illegal port number".to_owned()], false),
        ("-v -nx", vec![invalid('v'), "rpcinfo: x is illegal port number".to_owned()], false),
        ("--timeout", vec!["rpcinfo: option requires an argument -- 'timeout'".to_owned()], true),
        ("--timeout=0", vec!["rpcinfo: 0 is illegal timeout".to_owned()], false),
    ] {
        assert_eq!(parse("rpcinfo", &words(line), false), Err(Refused { lines, usage }), "{line}");
    }
}

#[test]
fn long_options_may_stand_anywhere() {
    let Ok(Command::Find(asked)) = parse("rpcinfo", &words("-p --timeout 2.5 h --json"), false) else {
        panic!("a form")
    };
    assert_eq!(asked.form, Form::Mappings { host: Some("h".into()) });
    assert_eq!((asked.json, asked.timeout), (true, Some(Duration::from_millis(2500))));
    assert_eq!(parse("rpcinfo", &words("-p --help"), false), Ok(Command::Help));
    assert_eq!(parse("rpcinfo", &words("--version"), false), Ok(Command::Version));
}

#[test]
fn in_order_the_first_operand_ends_the_options() {
    let found = parse("rpcinfo", &words("h -p"), true);
    assert_eq!(found, Err(Refused { lines: Vec::new(), usage: true }), "two operands without a transport");
}

#[test]
fn audit_is_a_form_where_the_classic_tool_has_none_and_a_hosts_name_everywhere_else() {
    let form = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        match parse("rpcinfo", &words, false) {
            Ok(Command::Find(asked)) => Some(asked.form),
            _ => None,
        }
    };
    let audit = |host: &str| Some(Form::Audit { host: host.to_owned() });
    assert_eq!(form(&["audit", "host"]), audit("host"));
    assert_eq!(form(&["--json", "audit", "host"]), audit("host"));
    assert_eq!(form(&["audit", "audit"]), audit("audit"));
    let host = Some("audit".to_owned());
    assert_eq!(form(&["audit"]), Some(Form::Rows { host: host.clone(), netid: None, short: false }));
    assert_eq!(form(&["-p", "audit"]), Some(Form::Mappings { host }));
    let service = Service { program: "100000".into(), version: None };
    let ping = Form::PingNetid { netid: "tcp".into(), host: "audit".into(), service };
    assert_eq!(form(&["-T", "tcp", "audit", "100000"]), Some(ping));
    for wrong in [&["audit", "host", "more"][..], &["host", "audit"], &["-p", "audit", "host"]] {
        assert_eq!(form(wrong), None, "{wrong:?}");
    }
}
