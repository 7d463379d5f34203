//! Every combination of journal, files and answer once, and what each leads to.

use super::*;
use rpcbind_core::registry::Owner;
use std::time::Duration;

const HOME: Namespace = Namespace(1);
const ELSEWHERE: Namespace = Namespace(2);

fn kept(program: u32, address: &str, namespace: Namespace) -> KeptRow {
    let (program, version) = (Program(program), Version(1));
    KeptRow { program, version, netid: "udp".into(), address: address.into(), owner: Owner::ROOT, namespace }
}

fn warm(program: u32, address: &str) -> WarmRow {
    let KeptRow { program, version, netid, address, owner, .. } = kept(program, address, HOME);
    WarmRow { program, version, netid, address, owner }
}

/// Files of these contents that hold one row.
fn files(contents: [Option<&str>; 2]) -> WarmStart {
    let contents = contents.map(|text| text.map(|text| text.as_bytes().to_vec()));
    let any = contents.iter().any(Option::is_some);
    WarmStart {
        rows: any.then(|| warm(20, "0.0.0.0.2.2")).into_iter().collect(),
        contents,
        ..WarmStart::default()
    }
}

fn digests(contents: [Option<&str>; 2]) -> FileDigests {
    warmstart::digests(&files(contents).contents)
}

/// A journal with one row that recorded files of these contents.
fn journal(contents: [Option<&str>; 2], closed: bool) -> Restored {
    let rows = vec![kept(10, "0.0.0.0.1.1", HOME)];
    Restored { rows, files: Some(digests(contents)), closed, ..Restored::default() }
}

const NONE: [Option<&str>; 2] = [None, None];
const BOTH: [Option<&str>; 2] = [Some("a"), Some("b")];

#[test]
fn a_digest_is_sha_256() {
    let [digest, absent] = digests([Some("abc"), None]);
    let hex: String = digest.unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    // FIPS 180-4's example.
    assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(absent, None);
}

#[test]
fn files_replace_the_journal_only_when_they_were_written_after_it() {
    let cases = [
        // Recorded, ended in order, there now, believed.
        (NONE, false, NONE, Origin::Journal),
        (NONE, true, NONE, Origin::OldJournal),
        (BOTH, false, NONE, Origin::Journal),
        (BOTH, true, NONE, Origin::OldJournal),
        (BOTH, true, BOTH, Origin::Journal),
        (BOTH, false, BOTH, Origin::Journal),
        (BOTH, true, [Some("a"), None], Origin::Journal),
        (BOTH, true, [None, Some("b")], Origin::Journal),
        (BOTH, true, [Some("c"), None], Origin::Files),
        (BOTH, true, [Some("a"), Some("c")], Origin::Files),
        (BOTH, false, [Some("c"), Some("d")], Origin::Files),
        (NONE, false, BOTH, Origin::Files),
        ([Some("a"), None], true, BOTH, Origin::Files),
        ([Some("b"), Some("a")], true, BOTH, Origin::Files),
    ];
    for (recorded, closed, there, expected) in cases {
        let beginning = Beginning::choose(journal(recorded, closed), files(there), None, HOME);
        assert_eq!(beginning.origin, expected, "{recorded:?} {closed} {there:?}");
        assert_eq!(beginning.files, digests(there), "what is there now is what is recorded next");
        let program = beginning.rows.first().map(|row| row.program.0);
        assert_eq!(program, Some(if expected == Origin::Files { 20 } else { 10 }));
        assert_eq!(beginning.rows.len(), 1);
    }
}

#[test]
fn the_journal_that_more_changes_have_led_to_is_the_newer_one() {
    let of = |program, sequence| {
        let rows = vec![kept(program, "0.0.0.0.1.1", HOME)];
        Restored { rows, files: Some([None, Some([1; 32])]), sequence, ..Restored::default() }
    };
    let cases = [
        // In the directory, with the manager, whether the manager's is taken.
        (Some(5), Some(6), true),
        (Some(6), Some(6), false),
        (Some(7), Some(6), false),
        (None, Some(1), true),
        (Some(1), None, false),
        (None, None, false),
    ];
    for (disk, memory, expected) in cases {
        let (newer, is_stored) = Beginning::newer(of(1, disk), of(2, memory), &files(NONE));
        assert_eq!(is_stored, expected, "{disk:?} {memory:?}");
        assert_eq!(newer.rows[0].program, Program(if expected { 2 } else { 1 }));
    }
    // What another life's journal says of the C daemon's files stays known, where the manager's says nothing.
    let memory = Restored { files: None, ..of(2, Some(1)) };
    assert_eq!(Beginning::newer(of(1, None), memory, &files(BOTH)).0.files, Some([None, Some([1; 32])]));
}

#[test]
fn files_that_no_run_has_seen_are_older_than_what_the_manager_held() {
    let stored = || Restored { files: None, sequence: Some(1), ..journal(NONE, false) };
    let (newer, is_stored) = Beginning::newer(Restored::default(), stored(), &files(BOTH));
    let beginning = Beginning::choose(newer, files(BOTH), None, HOME);
    assert_eq!(
        (is_stored, beginning.origin, beginning.rows[0].program),
        (true, Origin::Journal, Program(10))
    );
    // One that has seen that there were none knows better.
    let seen = Restored { files: Some(digests(NONE)), ..stored() };
    let (newer, _) = Beginning::newer(Restored::default(), seen, &files(BOTH));
    assert_eq!(Beginning::choose(newer, files(BOTH), None, HOME).origin, Origin::Files);
}

#[test]
fn a_run_that_sees_no_journal_is_newer_than_every_one_it_does_not_see() {
    let of = |sequence| Restored { sequence, ..Restored::default() };
    let at = Duration::from_secs;
    let hidden = of(Some(of(None).next_sequence(at(50)) + 1_000));
    assert!(of(None).next_sequence(at(51)) > hidden.sequence.unwrap());
    // One that sees it goes on from there, however early it is.
    assert_eq!(of(Some(90)).next_sequence(Duration::from_micros(89)), 91);
    assert_eq!(of(Some(u64::MAX)).next_sequence(at(1)), u64::MAX);
}

#[test]
fn without_a_journal_the_files_are_taken() {
    let beginning = Beginning::choose(Restored::default(), files(BOTH), None, HOME);
    assert_eq!((beginning.origin, beginning.rows.len()), (Origin::Files, 1));
    let nothing = Beginning::choose(Restored::default(), files(NONE), None, HOME);
    assert_eq!((nothing.origin, nothing.rows.len()), (Origin::Journal, 0));
}

#[test]
fn files_that_another_life_recorded_are_as_old_as_its_journal() {
    // What reading a journal of another life answers.
    let other = Restored { files: Some(digests(BOTH)), ..Restored::default() };
    let beginning = Beginning::choose(other, files(BOTH), None, HOME);
    assert_eq!((beginning.origin, beginning.rows.len()), (Origin::Journal, 0));
}

#[test]
fn an_answer_is_taken_unless_the_daemon_wrote_files_at_its_end() {
    let adopted = |contents| Some(Adopted { rows: vec![warm(30, "0.0.0.0.3.3")], files: digests(contents) });
    let begin = |recorded, before, there| {
        let beginning = Beginning::choose(journal(recorded, true), files(there), adopted(before), HOME);
        (beginning.origin, beginning.rows.first().map(|row| row.program.0))
    };
    assert_eq!(begin(BOTH, NONE, NONE), (Origin::Adopted, Some(30)));
    assert_eq!(begin(NONE, BOTH, BOTH), (Origin::Adopted, Some(30)), "left by an older run");
    assert_eq!(begin(NONE, NONE, BOTH), (Origin::Files, Some(20)));
    assert_eq!(begin(BOTH, NONE, BOTH), (Origin::Files, Some(20)));
}

#[test]
fn rows_that_are_known_to_be_from_elsewhere_stay_there() {
    let known = vec![
        kept(20, "0.0.0.0.2.2", ELSEWHERE),
        kept(21, "0.0.0.0.2.3", ELSEWHERE),
        kept(22, "0.0.0.0.2.4", ELSEWHERE),
    ];
    let restored = Restored { rows: known, ..Restored::default() };
    let mut there = files(BOTH);
    there.rows = vec![
        warm(20, "0.0.0.0.2.2"),
        warm(21, "0.0.0.0.9.9"),
        WarmRow { owner: Owner::Uid(1_000), ..warm(22, "0.0.0.0.2.4") },
        warm(23, "0.0.0.0.2.5"),
    ];
    let namespaces: Vec<Namespace> =
        Beginning::choose(restored, there, None, HOME).rows.iter().map(|row| row.namespace).collect();
    assert_eq!(namespaces, [ELSEWHERE, HOME, HOME, HOME]);
}
