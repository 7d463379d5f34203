//! The kernel's facts about real peers of a unix socket: other users, other namespaces, root of a user namespace.

use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

use rpcbind::peer::{self, Peer};
use testkit::Namespace;

const SOCKET: &str = "/run/peer.sock";
/// Connects, and stays until the other end closes.
const CLIENT: &str = "use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0) && connect(S, pack_sockaddr_un($ARGV[0])) \
                      or die qq(connect: $!); sysread(S, $_, 1)";

#[test]
fn a_peer_is_the_user_that_connected_in_the_namespace_that_it_made_its_socket_in() {
    testkit::require!("/usr/bin/perl", "/usr/bin/setpriv", "/usr/bin/unshare");
    let user = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"];
    // How the client starts, the uid it must be known by, and whether it is in our network namespace.
    let table: [(&[&str], u32, bool); 6] = [
        (&[], 0, true),
        (&user, 1000, true),
        (&["setpriv", "--reuid=65534", "--clear-groups"], 65534, true),
        (&["unshare", "-n"], 0, false),
        // Root of a user namespace that an ordinary user made is that user.
        (&[&user[..], &["unshare", "-U", "-r"]].concat(), 1000, true),
        (&[&user[..], &["unshare", "-U", "-r", "-n"]].concat(), 1000, false),
    ];
    let test = || {
        let listener = UnixListener::bind(SOCKET).expect("bound");
        std::fs::set_permissions(SOCKET, std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .expect("for all");
        let home = peer::namespace(listener.as_fd()).expect("a kernel that says");
        for (how, uid, is_home) in table {
            let command = [how, &["perl", "-e", CLIENT, SOCKET]].concat();
            let mut client =
                Command::new(command[0]).args(&command[1..]).stdin(Stdio::null()).spawn().expect("started");
            let (accepted, _) = listener.accept().expect("accepted");
            let peer = Peer::of(accepted.as_fd());
            drop(accepted);
            assert!(client.wait().expect("the client").success(), "{how:?}");
            assert_eq!(peer.uid, Some(uid), "{how:?}");
            assert_eq!(peer.namespace == Some(home), is_home, "{how:?}");
            assert!(peer.namespace.is_some());
        }
    };
    Namespace::new().expect("a private namespace").within(test).expect("entered");
}

#[test]
fn a_socket_without_a_peer_has_no_uid() {
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("socket");
    assert_eq!(Peer::of(socket.as_fd()).uid, None);
}

#[test]
fn both_ends_of_a_pair_are_in_one_namespace() {
    let (one, other) = UnixStream::pair().expect("a pair");
    assert_eq!(Peer::of(one.as_fd()).namespace, peer::namespace(other.as_fd()));
    assert_eq!(Peer::of(one.as_fd()).uid, Some(nix::unistd::geteuid().as_raw()));
}
