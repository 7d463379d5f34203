//! Debian's rpcbind and the two files: what it wrote we read and write again to the byte, and what we wrote it loads.

#![expect(clippy::expect_used, reason = "a test's own functions are tests too")]

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;

use oncrpc::bind::{Netids, Rpcb};
use oncrpc::xdr::{Encode, List, Reader, Writer};
use oncrpc::{Program, Version};
use rpcbind::privilege::User;
use rpcbind::state::directory::Directory;
use rpcbind::state::prepare::{PrepareError, prepare};
use rpcbind::warmstart::{self, PMAP_FILE, RPCB_FILE};
use rpcbind_core::caller::Namespace as Cookie;
use rpcbind_core::registry::{Owner, Row};
use rustix::thread::{Gid, Uid, set_thread_res_gid, set_thread_res_uid};
use testkit::{Daemon, DaemonKind, Namespace};

const DIRECTORY: &str = "/run/rpcbind";

/// Program, version, netid, address, and the uid that registers it.
const SERVICES: [(u32, u32, &str, &str, u32); 8] = [
    (100_003, 3, "tcp", "0.0.0.0.8.1", 0),
    (100_003, 4, "tcp6", "::.8.1", 0),
    (100_021, 4, "udp", "0.0.0.0.200.7", 0),
    (100_021, 4, "udp6", "::.200.7", 0),
    (100_024, 1, "udp", "0.0.0.0.3.4", 106),
    (536_870_913, 1, "tcp", "127.0.0.1.4.5", 1000),
    (536_870_913, 1, "local", "/run/a-service.sock", 1000),
    (536_870_914, 7, "udp", "192.0.2.1.255.255", 4_000_000_000),
];

#[test]
fn the_c_daemons_files_are_written_again_to_the_byte_and_it_loads_what_we_wrote() {
    testkit::require!("/sbin/rpcbind", "/usr/sbin/rpcinfo");
    let home = Namespace::new().expect("a private namespace");
    let user = User::find(false, None).expect("a user");
    let daemon = Daemon::start(&home, &DaemonKind::debian()).expect("the C daemon");
    home.within(register).expect("entered");
    let shown = show(&home);
    assert!(daemon.stop().expect("stopped").status.success());

    // As the daemon does: root prepares the directory, and its user reads and writes.
    let trusted = User::trusted(None).expect("users");
    let again = || {
        let prepared = prepare(Path::new(DIRECTORY), &trusted, Some(&user)).expect("prepared");
        assert!(prepared.volatile && prepared.left.is_empty(), "{:?}", prepared.left);
        become_user(&user);
        let directory = Directory::new(prepared.directory);
        let start = warmstart::read(&directory);
        assert!(start.faults.is_empty(), "{:?}", start.faults);
        let [Some(rpcb), Some(pmap)] = &start.contents else { panic!("the C daemon wrote both files") };
        assert_eq!(start.rows.len(), SERVICES.len());
        let rows = rows(rpcb);
        let written = warmstart::write(&directory, rows.iter(), &Netids::default()).expect("written");
        assert!(written[0] == *rpcb, "{RPCB_FILE}: not the bytes that the C daemon wrote");
        assert!(written[1] == *pmap, "{PMAP_FILE}: not the bytes that the C daemon wrote");
        // And a service that came while ours ran.
        let mut more = rows.clone();
        more.push(Row {
            program: Program(536_870_915),
            owner: Owner::Uid(1000),
            ..rows[rows.len() - 1].clone()
        });
        warmstart::write(&directory, more.iter(), &Netids::default()).expect("written");
        assert_eq!(start.rows[5].owner, Owner::Uid(1000));
        assert_eq!(start.rows[7].owner, Owner::Uid(4_000_000_000));
        assert_eq!(start.rows[0].owner, Owner::Uid(0));
    };
    home.within(again).expect("entered");

    // The files are ours now; the C daemon takes them for its own.
    let daemon = Daemon::start(&home, &DaemonKind::debian()).expect("the C daemon");
    let (text, mappings, rows) = show(&home);
    let (last, others) = rows.split_last().expect("rows");
    assert_eq!(others, shown.2);
    assert_eq!((last.program, last.netid.as_str(), last.owner.as_str()), (536_870_915, "udp", "1000"));
    let but_last =
        |text: &str| text.lines().filter(|line| !line.contains("536870915")).collect::<Vec<_>>().join("\n");
    assert_eq!(but_last(&text), shown.0.trim_end());
    assert_eq!(but_last(&mappings), shown.1.trim_end());
    assert_eq!(mappings.lines().last().expect("a line").split_whitespace().nth(3), Some("65535"));
    assert!(daemon.stop().expect("stopped").status.success());
}

#[test]
fn a_missing_state_directory_is_made_for_the_user_and_one_of_a_port_mapper_is_taken_over() {
    testkit::require!();
    let home = Namespace::new().expect("a private namespace");
    let user = User { name: "mapper".into(), uid: 4711, gid: 4712 };
    let test = || {
        let owner = |path: &str| {
            let about = std::fs::symlink_metadata(path).expect("there");
            (about.uid(), about.gid(), about.mode() & 0o7777)
        };
        let path = Path::new("/run/state");
        let made = prepare(path, &[0], Some(&user)).expect("made");
        assert!(made.left.is_empty());
        assert_eq!(owner("/run/state"), (4711, 4712, 0o755));
        // Again, and with files: of the former user, of root, and of somebody who is neither.
        chown(path, Some(102), Some(65534)).expect("given");
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o770)).expect("mode");
        for (name, uid) in [("rpcbind.xdr", 102), ("journal", 0), ("stranger", 1000), ("twice", 0)] {
            let file = path.join(name);
            std::fs::write(&file, name).expect("written");
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("mode");
            chown(&file, Some(uid), Some(uid)).expect("given");
        }
        std::fs::hard_link("/run/state/twice", "/run/other-name").expect("linked");
        std::fs::write("/run/victim", "precious").expect("written");
        symlink("/run/victim", "/run/state/link").expect("linked");
        let fifo = std::process::Command::new("mkfifo").arg("/run/state/fifo").status().expect("mkfifo");
        assert!(fifo.success());
        let taken = prepare(path, &[0, 102], Some(&user)).expect("taken over");
        let mut left = taken.left;
        left.sort();
        let left: Vec<(&str, &str)> = left.iter().map(|(name, why)| (name.as_str(), *why)).collect();
        assert_eq!(
            left,
            [
                ("fifo", "not a regular file"),
                ("link", "cannot be opened"),
                ("stranger", "owned by somebody else"),
                ("twice", "has several links"),
            ]
        );
        assert_eq!(owner("/run/state"), (4711, 4712, 0o755));
        assert_eq!(owner("/run/state/rpcbind.xdr"), (4711, 4712, 0o600));
        assert_eq!(owner("/run/state/journal"), (4711, 4712, 0o600));
        assert_eq!(owner("/run/state/stranger").0, 1000);
        assert_eq!(owner("/run/other-name").0, 0);
        assert_eq!(owner("/run/victim").0, 0);
    };
    home.within(test).expect("entered");
}

#[test]
fn a_directory_of_somebody_else_is_refused_and_left_alone() {
    testkit::require!();
    let home = Namespace::new().expect("a private namespace");
    let user = User { name: "mapper".into(), uid: 4711, gid: 4712 };
    let test = || {
        let refused = |path: &str| prepare(Path::new(path), &[0, 102], Some(&user)).expect_err("refused");
        std::fs::create_dir("/run/theirs").expect("made");
        chown("/run/theirs", Some(1000), None).expect("given");
        let said = refused("/run/theirs").to_string();
        assert_eq!(said, "/run/theirs: owned by uid 1000, which is neither ours nor a port mapper's user");
        assert_eq!(std::fs::metadata("/run/theirs").expect("there").uid(), 1000);

        symlink("/run/lock", "/run/link").expect("linked");
        assert!(matches!(refused("/run/link"), PrepareError::Step { step: "open", .. }));
        std::fs::write("/run/file", "").expect("written");
        assert!(matches!(refused("/run/file"), PrepareError::Step { step: "open", .. }));
        assert!(matches!(refused("/run/no/such/parent"), PrepareError::Step { step: "create", .. }));
        // Root's, but plainly in other use: a slip in the configuration must not give these away.
        for shared in ["/run", "/run/lock"] {
            assert!(matches!(refused(shared), PrepareError::Shared { .. }), "{shared}");
            assert_eq!(std::fs::metadata(shared).expect("there").uid(), 0);
        }
    };
    home.within(test).expect("entered");
}

#[test]
fn without_root_the_directory_has_to_be_ours_already() {
    testkit::require!();
    let home = Namespace::new().expect("a private namespace");
    let user = User { name: "mapper".into(), uid: 4711, gid: 4712 };
    let test = || {
        std::fs::create_dir("/run/ours").expect("made");
        chown("/run/ours", Some(4711), Some(4712)).expect("given");
        become_user(&user);
        assert!(prepare(Path::new("/run/ours"), &[0], None).expect("ours").volatile);
        assert!(matches!(prepare(Path::new("/run/rpcbind"), &[0], None), Err(PrepareError::Owner { .. })));
        assert!(matches!(
            prepare(Path::new("/run/missing"), &[0], None),
            Err(PrepareError::Step { step: "open", .. })
        ));
    };
    home.within(test).expect("entered");
}

/// The thread that calls becomes the user, for good: it is the test's last.
fn become_user(user: &User) {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_thread_res_gid(gid, gid, gid).expect("gid");
    set_thread_res_uid(uid, uid, uid).expect("uid");
}

/// What people see, and what programs read.
fn show(home: &Namespace) -> (String, String, Vec<testkit::table::Row>) {
    let form = |arguments: &[&str]| home.expect("/usr/sbin/rpcinfo", arguments).expect("rpcinfo");
    (form(&[]), form(&["-p"]), testkit::table::dump(home).expect("a table"))
}

/// All rows of a file, the port mapper's own included.
fn rows(file: &[u8]) -> Vec<Row> {
    let netids = Netids::default();
    let row = |row: Rpcb<'_>| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let owner = match text(row.owner).as_str() {
            "superuser" => 0,
            number => number.parse::<i32>().expect("a signed uid").cast_unsigned(),
        };
        Row {
            program: row.program,
            version: row.version,
            netid: netids.find(row.netid).expect("a netid"),
            address: text(row.address).into(),
            owner: Owner::Uid(owner),
            namespace: Cookie(1),
        }
    };
    List::<Rpcb<'_>>::new(Reader::new(file)).map(|listed| row(listed.expect("a row"))).collect()
}

/// Registers the services over the path socket, each as its user (RFC 1833 section 2.2.1, SET of version 4).
fn register() {
    for (program, version, netid, address, uid) in SERVICES {
        let user = Uid::from_raw(uid);
        set_thread_res_uid(Uid::ROOT, user, Uid::ROOT).expect("effective uid");
        let mut socket = UnixStream::connect("/run/rpcbind.sock").expect("the port mapper");
        set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).expect("root again");
        let mut buffer = [0; 512];
        let mut writer = Writer::new(&mut buffer);
        // Record mark, xid, CALL, RPC version 2, program 100000 version 4 procedure 1, no credential, no verifier.
        for word in [0, 1, 0, 2, 100_000, 4, 1, 0, 0, 0, 0] {
            writer.u32(word).expect("room");
        }
        let (program, version) = (Program(program), Version(version));
        let row = Rpcb { program, version, netid: netid.as_bytes(), address: address.as_bytes(), owner: b"" };
        row.encode(&mut writer).expect("room");
        let len = writer.len();
        buffer[..4].copy_from_slice(&(0x8000_0000 | u32::try_from(len - 4).expect("short")).to_be_bytes());
        socket.write_all(&buffer[..len]).expect("sent");
        let mut reply = [0; 32];
        socket.read_exact(&mut reply).expect("a reply");
        assert_eq!(reply[28..], [0, 0, 0, 1], "{program:?} {netid} is not registered");
    }
}
