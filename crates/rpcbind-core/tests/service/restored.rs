//! Rows from a file: judged as a SET of their owner's would be, from the namespace that the file says.

use crate::callers::unix;
use crate::calls::call;
use crate::host::{Host, dump, settings};
use oncrpc::bind::{self, Netid, V4};
use oncrpc::{Program, Version};
use rpcbind_core::Settings;
use rpcbind_core::caller::Namespace;
use rpcbind_core::outcome::Refusal;
use rpcbind_core::registry::{Owner, Row};
use rpcbind_core::settings::{Caps, Policy};

const ELSEWHERE: Namespace = Namespace(77);

fn row(program: u32, address: &str, owner: Owner, namespace: Namespace) -> Row {
    let (program, version, netid) = (Program(program), Version(1), Netid::TCP);
    Row { program, version, netid, address: address.into(), owner, namespace }
}

#[test]
fn what_the_owner_may_not_register_is_not_restored() {
    let mut host = Host::with(settings());
    let home = settings().home;
    let (anybody, system, user) = (Owner::Unknown, Owner::Uid(106), Owner::Uid(1_000));
    for (program, address, owner, namespace, expected) in [
        (100_003, "0.0.0.0.8.2", anybody, home, Err(Refusal::ReservedProgram)),
        (100_003, "0.0.0.0.8.2", user, home, Err(Refusal::ReservedProgram)),
        (200_001, "0.0.0.0.3.4", user, home, Err(Refusal::ReservedPort)),
        (200_001, "0.0.0.0.8.1", anybody, home, Err(Refusal::ReservedPort)),
        (200_001, "203.0.113.9.9.9", user, home, Err(Refusal::ForeignAddress)),
        (200_001, "203.0.113.9.9.9", user, ELSEWHERE, Err(Refusal::ForeignAddress)),
        (100_003, "0.0.0.0.8.1", system, home, Ok(())),
        (200_001, "203.0.113.9.9.9", Owner::ROOT, ELSEWHERE, Ok(())),
        (200_001, "0.0.0.0.9.9", user, home, Err(Refusal::Conflict)),
        (200_002, "0.0.0.0.9.9", user, ELSEWHERE, Ok(())),
        (200_003, "0.0.0.0.9.9", anybody, home, Ok(())),
    ] {
        let result = host.service.restore(row(program, address, owner, namespace));
        assert_eq!(result, expected, "{program} {address} {owner:?} {namespace:?}");
    }
    let restored: Vec<Namespace> = host.service.registry().rows().map(|row| row.namespace).collect();
    assert_eq!(restored[restored.len() - 4..], [home, ELSEWHERE, ELSEWHERE, home]);
}

#[test]
fn whoever_started_the_daemon_has_what_is_reserved_restored() {
    let policy = Policy { started_by: Some(1_000), ..Policy::default() };
    let mut host = Host::with(Settings { policy, ..settings() });
    let nfs = |uid| row(100_003, "0.0.0.0.8.1", Owner::Uid(uid), settings().home);
    assert_eq!(host.service.restore(nfs(1_001)), Err(Refusal::ReservedProgram));
    assert_eq!(host.service.restore(nfs(1_000)), Ok(()));
}

#[test]
fn the_caps_hold_for_restored_rows() {
    let caps = Caps { rows: 20, rows_per_uid: 3, rows_for_root: 2 };
    let mut host = Host::with(Settings { own: Vec::new(), caps, ..settings() });
    let home = settings().home;
    let mut restore = |program, owner| host.service.restore(row(program, "0.0.0.0.9.9", owner, home));
    for program in 0..3 {
        assert_eq!(restore(200_000 + program, Owner::Uid(1_000)), Ok(()));
    }
    assert_eq!(restore(200_003, Owner::Uid(1_000)), Err(Refusal::OwnerFull));
    for program in 0..15 {
        assert_eq!(restore(200_100 + program, Owner::Uid(2_000 + program)), Ok(()));
    }
    assert_eq!(restore(200_200, Owner::Uid(1_001)), Err(Refusal::TableFull));
    assert_eq!(restore(200_200, Owner::ROOT), Ok(()));
    assert_eq!(restore(200_201, Owner::ROOT), Ok(()));
    assert_eq!(restore(200_202, Owner::ROOT), Err(Refusal::TableFull));
    assert_eq!(dump(&host.send(&unix(0), &call(V4, bind::DUMP, &[]))).len(), 20);
}

#[test]
fn a_full_table_is_restored_whole_when_a_user_has_replaced_a_row_last() {
    let caps = Caps { rows: 6, rows_per_uid: 4, rows_for_root: 2 };
    let mut host = Host::with(Settings { own: Vec::new(), caps, ..settings() });
    let home = settings().home;
    let user = Owner::Uid(1_000);
    let owners = [user, user, user, Owner::ROOT, Owner::ROOT, user];
    for (program, owner) in (200_001..).zip(owners) {
        assert_eq!(host.service.restore(row(program, "0.0.0.0.9.9", owner, home)), Ok(()), "{program}");
    }
    let more = row(200_007, "0.0.0.0.9.9", Owner::ROOT, home);
    assert_eq!(host.service.restore(more), Err(Refusal::TableFull));
}
