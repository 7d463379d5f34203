//! The first of two steps: what the file says, by type and place, before anything is judged.

use super::entries as key;
use super::tree::{self, Located, Section, Source, Word};

type Text = Option<Located<String>>;
type Texts = Option<Located<Vec<Located<String>>>>;
type Words = Option<Located<Vec<Located<Word>>>>;
type Number = Option<Located<i64>>;
type Switch = Option<Located<bool>>;

/// Everything that may be written. What is `None` was not.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) listen: Texts,
    pub(super) port: Number,
    pub(super) socket: Text,
    pub(super) abstract_socket: Text,
    pub(super) open_missing: Switch,
    pub(super) allow_partial: Switch,
    pub(super) user: Number,
    pub(super) state_directory: Text,
    pub(super) netids: Vec<Netid>,
    pub(super) limits: Limits,
    pub(super) log_connections: Switch,
    pub(super) insecure: Switch,
    pub(super) strict_hosts: Switch,
    pub(super) nat: Text,
    pub(super) dump_from: Texts,
    pub(super) judge_every_seconds: Number,
    pub(super) expire_dead_seconds: Number,
    pub(super) remote_calls: Switch,
    pub(super) remote_call_allow: Words,
    pub(super) remote_call_credentials: Text,
    pub(super) remote_call_seconds: Number,
    pub(super) access: Vec<Access>,
    pub(super) grants: Vec<Grant>,
    pub(super) udp_full: Vec<UdpFull>,
}

/// `[limits]`.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) rows: Number,
    pub(super) rows_per_user: Number,
    pub(super) tcp_connections: Number,
    pub(super) unix_connections: Number,
    pub(super) unix_connections_per_user: Number,
    pub(super) replies_per_second: Number,
    pub(super) replies_burst: Number,
    pub(super) errors_per_second: Number,
    pub(super) errors_burst: Number,
    pub(super) remote_calls: Number,
    pub(super) remote_calls_per_source: Number,
}

/// One `[[netid]]`.
#[derive(Debug)]
pub(super) struct Netid {
    pub(super) at: Located<()>,
    pub(super) name: Text,
    pub(super) semantics: Text,
    pub(super) family: Text,
    pub(super) protocol: Text,
}

/// One `[[access]]`.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) at: Located<()>,
    pub(super) action: Text,
    pub(super) from: Texts,
    pub(super) procedures: Texts,
    pub(super) programs: Words,
}

/// One `[[grant]]`.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) at: Located<()>,
    pub(super) user: Option<Located<Word>>,
    pub(super) programs: Words,
    pub(super) ports: Option<Located<Vec<Located<i64>>>>,
}

/// One `[[udp-full]]`.
#[derive(Debug)]
pub(super) struct UdpFull {
    pub(super) at: Located<()>,
    pub(super) prefix: Text,
    pub(super) interface: Text,
}

/// Reads the whole file. Wrong types and unknown keys are noted in `source`.
pub(super) fn read(source: &mut Source<'_>) -> Written {
    let table = tree::parse(source);
    let mut root = Section::root(table.get_ref());
    let written = Written {
        listen: root.texts(source, &key::LISTEN),
        port: root.number(source, &key::PORT),
        socket: root.text(source, &key::SOCKET),
        abstract_socket: root.text(source, &key::ABSTRACT_SOCKET),
        open_missing: root.switch(source, &key::OPEN_MISSING),
        allow_partial: root.switch(source, &key::ALLOW_PARTIAL),
        user: root.number(source, &key::USER),
        state_directory: root.text(source, &key::STATE_DIRECTORY),
        netids: each(&mut root, source, &key::NETID, netid),
        limits: limits(&mut root, source),
        log_connections: root.switch(source, &key::LOG_CONNECTIONS),
        insecure: root.switch(source, &key::INSECURE),
        strict_hosts: root.switch(source, &key::STRICT_HOSTS),
        nat: root.text(source, &key::NAT),
        dump_from: root.texts(source, &key::DUMP_FROM),
        judge_every_seconds: root.number(source, &key::JUDGE_EVERY),
        expire_dead_seconds: root.number(source, &key::EXPIRE_DEAD),
        remote_calls: root.switch(source, &key::REMOTE_CALLS),
        remote_call_allow: root.words(source, &key::REMOTE_CALL_ALLOW),
        remote_call_credentials: root.text(source, &key::REMOTE_CALL_CREDENTIALS),
        remote_call_seconds: root.number(source, &key::REMOTE_CALL_SECONDS),
        access: each(&mut root, source, &key::ACCESS, access),
        grants: each(&mut root, source, &key::GRANT, grant),
        udp_full: each(&mut root, source, &key::UDP_FULL, udp_full),
    };
    root.finish(source);
    written
}

/// Reads each table of an array.
fn each<'t, 'i, T>(
    root: &mut Section<'t, 'i>,
    source: &mut Source<'i>,
    entry: &key::Entry,
    read: fn(&mut Section<'t, 'i>, &mut Source<'i>, Located<()>) -> T,
) -> Vec<T> {
    let mut all = Vec::new();
    for (mut section, at) in root.sections(source, entry) {
        all.push(read(&mut section, source, at));
        section.finish(source);
    }
    all
}

fn limits<'i>(root: &mut Section<'_, 'i>, source: &mut Source<'i>) -> Limits {
    let mut section = root.section(source, "limits");
    let limits = Limits {
        rows: section.number(source, &key::ROWS),
        rows_per_user: section.number(source, &key::ROWS_PER_USER),
        tcp_connections: section.number(source, &key::TCP_CONNECTIONS),
        unix_connections: section.number(source, &key::UNIX_CONNECTIONS),
        unix_connections_per_user: section.number(source, &key::UNIX_CONNECTIONS_PER_USER),
        replies_per_second: section.number(source, &key::REPLIES_PER_SECOND),
        replies_burst: section.number(source, &key::REPLIES_BURST),
        errors_per_second: section.number(source, &key::ERRORS_PER_SECOND),
        errors_burst: section.number(source, &key::ERRORS_BURST),
        remote_calls: section.number(source, &key::REMOTE_CALLS_MAX),
        remote_calls_per_source: section.number(source, &key::REMOTE_CALLS_PER_SOURCE),
    };
    section.finish(source);
    limits
}

fn netid<'i>(section: &mut Section<'_, 'i>, source: &mut Source<'i>, at: Located<()>) -> Netid {
    Netid {
        at,
        name: section.text(source, &key::NETID_NAME),
        semantics: section.text(source, &key::NETID_SEMANTICS),
        family: section.text(source, &key::NETID_FAMILY),
        protocol: section.text(source, &key::NETID_PROTOCOL),
    }
}

fn access<'i>(section: &mut Section<'_, 'i>, source: &mut Source<'i>, at: Located<()>) -> Access {
    Access {
        at,
        action: section.text(source, &key::ACCESS_ACTION),
        from: section.texts(source, &key::ACCESS_FROM),
        procedures: section.texts(source, &key::ACCESS_PROCEDURES),
        programs: section.words(source, &key::ACCESS_PROGRAMS),
    }
}

fn grant<'i>(section: &mut Section<'_, 'i>, source: &mut Source<'i>, at: Located<()>) -> Grant {
    Grant {
        at,
        user: section.word(source, &key::GRANT_USER),
        programs: section.words(source, &key::GRANT_PROGRAMS),
        ports: section.numbers(source, &key::GRANT_PORTS),
    }
}

fn udp_full<'i>(section: &mut Section<'_, 'i>, source: &mut Source<'i>, at: Located<()>) -> UdpFull {
    UdpFull {
        at,
        prefix: section.text(source, &key::UDP_FULL_PREFIX),
        interface: section.text(source, &key::UDP_FULL_INTERFACE),
    }
}
