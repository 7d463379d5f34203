//! Right, damaged and hostile files; what the C daemon writes and reads itself is in `tests/warmstart.rs`.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rpcbind_core::caller::Namespace;

use super::*;
use oncrpc::bind::Netid;

const OWN: Program = bind::PROGRAM;

fn open(path: &Path) -> Directory {
    Directory::new(OwnedFd::from(std::fs::File::open(path).expect("a directory")))
}

fn registered(program: u32, version: u32, netid: Netid, address: &str, owner: Owner) -> Row {
    let (program, version) = (Program(program), Version(version));
    Row { program, version, netid, address: address.into(), owner, namespace: Namespace(1) }
}

fn some_rows() -> Vec<Row> {
    vec![
        registered(OWN.0, 4, Netid::TCP, "0.0.0.0.0.111", Owner::Uid(0)),
        registered(OWN.0, 2, Netid::UDP, "0.0.0.0.0.111", Owner::Uid(0)),
        registered(100_003, 3, Netid::TCP, "0.0.0.0.8.1", Owner::Uid(0)),
        registered(100_003, 3, Netid::UDP6, "::.8.1", Owner::Uid(4_000_000_000)),
        registered(100_024, 1, Netid::UDP, "127.0.0.1.3.4", Owner::Uid(106)),
        registered(100_024, 1, Netid::LOCAL, "/run/statd.sock", Owner::Unknown),
    ]
}

/// Both files with some rows, and what reading them gives.
fn written(place: &Path) -> ([Vec<u8>; 2], WarmStart) {
    let directory = open(place);
    let contents = write(&directory, some_rows().iter(), &Netids::default()).expect("written");
    (contents, read(&directory))
}

fn warm(row: &Row) -> WarmRow {
    let netid = Netids::default().name(row.netid).to_owned();
    let (program, version, address, owner) = (row.program, row.version, row.address.to_string(), row.owner);
    WarmRow { program, version, netid, address, owner }
}

fn files(place: &Path) -> Vec<String> {
    let names =
        std::fs::read_dir(place).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_row_whose_names_are_not_text_is_left_out_and_named() {
    let place = tempfile::tempdir().expect("a directory");
    let (mut contents, _) = written(place.path());
    let at = contents[0].windows(5).position(|bytes| bytes == b"/run/").expect("a path");
    contents[0][at + 5] = 0xff;
    let start = parse(contents.map(Some));
    assert_eq!(start.rows, some_rows()[2..5].iter().map(warm).collect::<Vec<_>>());
    let said: Vec<String> = start.faults.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["rpcbind.xdr: program 100024 version 1: netid or address is not text"]);
}

#[test]
fn what_was_written_is_read_again_without_the_port_mappers_own_rows() {
    let place = tempfile::tempdir().expect("a directory");
    let (contents, start) = written(place.path());
    assert_eq!(start.rows, some_rows()[2..].iter().map(warm).collect::<Vec<_>>());
    assert!(start.faults.is_empty());
    assert_eq!(start.contents, contents.map(Some));
    assert_eq!(files(place.path()), [PMAP_FILE, RPCB_FILE], "nothing else is left");
    for file in [PMAP_FILE, RPCB_FILE] {
        let mode = std::fs::metadata(place.path().join(file)).expect("written").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }
}

#[test]
fn absent_files_hold_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let start = read(&open(place.path()));
    assert!(start.rows.is_empty() && start.faults.is_empty() && start.contents == [None, None]);
}

#[test]
fn rows_that_only_version_2_lists_are_added_with_an_unknown_owner() {
    let place = tempfile::tempdir().expect("a directory");
    let (_, start) = written(place.path());
    std::fs::remove_file(place.path().join(RPCB_FILE)).expect("removed");
    let (nfs, status) = (warm(&some_rows()[2]), warm(&some_rows()[4]));
    let unknown =
        |row: WarmRow, address: &str| WarmRow { address: address.into(), owner: Owner::Unknown, ..row };
    let alone = [unknown(nfs.clone(), "0.0.0.0.8.1"), unknown(status.clone(), "0.0.0.0.3.4")];
    assert_eq!(read(&open(place.path())).rows, alone);

    // One of them is in the other file too, by a netid spelt otherwise.
    let listed =
        Rpcb { program: nfs.program, version: nfs.version, netid: b"TCP", address: b"x", owner: b"-5" };
    let list = encode([listed].into_iter(), rpcb_bytes).expect("encoded");
    std::fs::write(place.path().join(RPCB_FILE), list).expect("written");
    let spelt = WarmRow { netid: "TCP".into(), address: "x".into(), owner: Owner::Uid(4_294_967_291), ..nfs };
    assert_eq!(read(&open(place.path())).rows, [spelt, alone[1].clone()]);
    assert!(start.rows.len() > 2);
}

#[test]
fn mappings_that_stand_for_nothing_are_named() {
    let place = tempfile::tempdir().expect("a directory");
    let mapping = |protocol, port| Mapping {
        program: Program(7),
        version: Version(1),
        protocol: Protocol(protocol),
        port,
    };
    let list = [mapping(17, 70_000), mapping(6, 0), mapping(132, 7), mapping(6, 7)];
    let list = encode(list.into_iter(), |_| MAPPING_BYTES).expect("encoded");
    std::fs::write(place.path().join(PMAP_FILE), list).expect("written");
    let start = read(&open(place.path()));
    assert_eq!(start.rows.iter().map(|row| row.address.as_str()).collect::<Vec<_>>(), ["0.0.0.0.0.7"]);
    let said: Vec<String> = start.faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "portmap.xdr: program 7 version 1 has protocol 17 and port 70000",
            "portmap.xdr: program 7 version 1 has protocol 6 and port 0",
            "portmap.xdr: program 7 version 1 has protocol 132 and port 7",
        ]
    );
}

#[test]
fn a_file_cut_anywhere_gives_the_rows_before_and_the_place_and_stays_as_it_is() {
    let place = tempfile::tempdir().expect("a directory");
    let ([whole, _], start) = written(place.path());
    std::fs::remove_file(place.path().join(PMAP_FILE)).expect("removed");
    let path = place.path().join(RPCB_FILE);
    for len in 0..whole.len() {
        let cut = &whole[..len];
        std::fs::write(&path, cut).expect("written");
        let found = read(&open(place.path()));
        assert!(start.rows.starts_with(&found.rows), "{len}");
        let [Fault::Damaged { file: RPCB_FILE, offset, error: xdr::Error::Short { .. } }] = found.faults[..]
        else {
            panic!("{len}: {:?}", found.faults)
        };
        assert!(offset <= len && len - offset < 20, "{offset} of {len}");
        assert_eq!(std::fs::read(&path).expect("still there"), cut);
    }
    // One row is whole exactly when all its bytes are there.
    std::fs::write(&path, &whole[..whole.len() - 4]).expect("written");
    assert_eq!(read(&open(place.path())).rows, start.rows);
}

#[test]
fn garbage_is_named_with_its_place() {
    let place = tempfile::tempdir().expect("a directory");
    let ([whole, _], start) = written(place.path());
    let path = place.path().join(RPCB_FILE);
    let said = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("written");
        let found = read(&open(place.path()));
        // What the other file holds is not lost with it.
        assert!(found.rows.iter().any(|row| row.program == start.rows[0].program && row.netid == "tcp"));
        found.faults.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(said(b"garbage."), ["rpcbind.xdr: damaged at byte 0: boolean 1734439522 is neither 0 nor 1"]);
    assert_eq!(
        said(&[&whole[..], b"more"].concat()),
        [format!("rpcbind.xdr: damaged at byte {}: 4 bytes after the last value", whole.len())]
    );
    // The first netid claims four gigabytes.
    let mut long = whole.clone();
    long[12..16].copy_from_slice(&[0xff; 4]);
    assert_eq!(said(&long), ["rpcbind.xdr: damaged at byte 12: length 4294967295 is over the limit of 9000"]);
}

#[test]
fn more_rows_than_are_kept_are_not_taken() {
    let place = tempfile::tempdir().expect("a directory");
    let rows = |count: u32| {
        (0..count).map(|n| Mapping {
            program: Program(n),
            version: Version(1),
            protocol: Protocol::TCP,
            port: 7,
        })
    };
    let own = rows(3).map(|mapping| Mapping { program: OWN, ..mapping });
    let path = place.path().join(PMAP_FILE);
    let list = |count| encode(own.clone().chain(rows(count)), |_| MAPPING_BYTES).expect("encoded");
    std::fs::write(&path, list(16_384)).expect("written");
    let start = read(&open(place.path()));
    assert!(start.faults.is_empty() && start.rows.len() == MAX_ROWS);
    std::fs::write(&path, list(16_385)).expect("written");
    let start = read(&open(place.path()));
    assert_eq!(start.rows.len(), MAX_ROWS);
    let place = 20 * (3 + MAX_ROWS);
    let said = format!("portmap.xdr: more than 16384 rows, the rest from byte {place} on is not taken");
    assert_eq!(start.faults.iter().map(ToString::to_string).collect::<Vec<_>>(), [said]);
}

#[test]
fn a_file_that_somebody_else_may_have_put_there_is_not_read_and_not_touched() {
    let place = tempfile::tempdir().expect("a directory");
    let (contents, _) = written(place.path());
    let path = place.path().join(RPCB_FILE);
    let said = || match read(&open(place.path())).faults.as_slice() {
        [fault] => fault.to_string(),
        faults => panic!("{faults:?}"),
    };
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).expect("for all");
    assert_eq!(said(), "rpcbind.xdr: not read: writable by others (mode 666)");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("ours");
    std::fs::hard_link(&path, place.path().join("other")).expect("linked");
    assert_eq!(said(), "rpcbind.xdr: not read: has 2 links");
    std::fs::rename(&path, place.path().join("moved")).expect("moved");
    symlink("moved", &path).expect("linked");
    assert_eq!(said(), "rpcbind.xdr: not read: not a regular file");
    std::fs::remove_file(&path).expect("removed");
    let sparse = std::fs::File::create(&path).expect("created");
    sparse.set_len(10 << 30).expect("grown");
    assert_eq!(said(), "rpcbind.xdr: not read: 10737418240 bytes, over the limit of 4194304");
    assert_eq!(std::fs::read(place.path().join("moved")).expect("still there"), contents[0]);
    // Version 2's file is read all the same.
    assert_eq!(read(&open(place.path())).rows.len(), 2);
}

#[test]
fn a_link_in_the_way_of_a_file_is_replaced_and_not_followed() {
    let place = tempfile::tempdir().expect("a directory");
    let victim = place.path().join("victim");
    std::fs::write(&victim, "precious").expect("written");
    for name in ["rpcbind.xdr", "rpcbind.xdr.new", "portmap.xdr", "portmap.xdr.new"] {
        symlink(&victim, place.path().join(name)).expect("linked");
    }
    let (contents, start) = written(place.path());
    assert_eq!(std::fs::read(&victim).expect("still there"), b"precious");
    assert_eq!(start.contents, contents.map(Some));
}
