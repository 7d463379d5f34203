//! The system calls that the confined daemon may make, each with its reason. Found by tracing the daemon under all its
//! tests, then argued one by one. What is missing here kills the process (SIGSYS): who adds a call to the daemon finds
//! out in its tests, and writes the reason down.

/// A system call that does not kill.
#[derive(Debug)]
pub(super) struct Allowed {
    pub(super) number: i64,
    /// Its name, for messages.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and tests"))]
    pub(super) name: &'static str,
    /// With which arguments.
    pub(super) only: Only,
    /// What the daemon needs it for.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers and tests"))]
    pub(super) why: &'static str,
}

/// Which arguments are allowed.
#[derive(Debug)]
pub(super) enum Only {
    /// Any.
    Any,
    /// The argument of this number (from 0) is one of these.
    OneOf(u8, &'static [u64]),
    /// One of these options of a socket: its level, its number.
    SocketOption(&'static [(u64, u64)]),
    /// The argument of this number has none of these bits.
    Without(u8, u64),
    /// The first argument is our own process id.
    OwnProcess,
}

use Only::{Any, OneOf, OwnProcess, SocketOption, Without};

macro_rules! calls {
    ($($(#[$gate:meta])* $number:path, $only:expr, $why:literal;)*) => {
        /// The list.
        pub(super) static CALLS: &[Allowed] = &[$(
            $(#[$gate])*
            Allowed { number: $number, name: stringify!($number), only: $only, why: $why },
        )*];
    };
}

/// PROT_EXEC: no memory becomes code.
const EXECUTABLE: u64 = 0x4;
/// SOL_SOCKET.
const OF_SOCKETS: &[u64] = &[1];
/// IPPROTO_IPV6 with IPV6_ADD_MEMBERSHIP and IPV6_DROP_MEMBERSHIP; SOL_SOCKET with SO_LINGER.
const MEMBERSHIPS_AND_LINGER: &[(u64, u64)] = &[(41, 20), (41, 21), (1, 13)];
/// F_GETFD: nothing that sends signals or takes locks.
const IS_OPEN: &[u64] = &[1];
/// FUTEX_WAIT, FUTEX_WAKE, FUTEX_WAIT_BITSET, also by the wall clock, all of this process only.
const WAIT_AND_WAKE: &[u64] = &[128, 129, 137, 393];
/// SIGABRT, SIGSEGV, SIGBUS.
const OWN_DEATHS: &[u64] = &[6, 11, 7];
/// Standard input, output and error.
const STANDARD: &[u64] = &[0, 1, 2];

/// The number that stands for no system call.
const NO_CALL: libc::c_long = 0xffff_ffff;

calls! {
    // The event loop.
    libc::SYS_epoll_pwait, Any, "wait for whatever comes next";
    libc::SYS_epoll_ctl, Any, "take connections in, and let them go";
    libc::SYS_accept4, Any, "accept connections on the sockets that were opened before";
    libc::SYS_recvmmsg, Any, "receive datagrams";
    libc::SYS_sendmmsg, Any, "answer datagrams";
    libc::SYS_sendmsg, Any, "tell the service manager; write replies of several parts";
    libc::SYS_recvfrom, Any, "read connections and netlink answers";
    libc::SYS_sendto, Any, "write connections, ask netlink, write to the system log by its path";
    libc::SYS_read, Any, "signals, inotify, the stopping bell, files";
    libc::SYS_write, Any, "the journal of changes in its file and in memory, standard error";
    libc::SYS_writev, Any, "the panic message, by some C libraries";
    libc::SYS_shutdown, Any, "end a connection from this side";
    libc::SYS_close, Any, "end connections and files";
    libc::SYS_setsockopt, SocketOption(MEMBERSHIPS_AND_LINGER), "be in the multicast group on links that come \
        later; throw away what the peer of a connection that is ended does not read";
    libc::SYS_getsockopt, OneOf(1, OF_SOCKETS), "who a peer is, and its network namespace; errors of sockets; \
        what a peer has not read";
    libc::SYS_getsockname, Any, "which address a connection was made to";
    libc::SYS_fcntl, OneOf(1, IS_OPEN), "the check of builds for debugging that what is closed is open";
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll, Any, "wait for one netlink answer";
    libc::SYS_ppoll, Any, "the same, where it is the only form";

    // The state directory and /etc. Which files: Landlock says, and the owners and modes of files.
    libc::SYS_openat, Any, "state files; configuration and hosts files at a reload";
    libc::SYS_fstat, Any, "what kind of file it is that was opened";
    libc::SYS_newfstatat, Any, "when a state file was written; tells of other files no contents either";
    libc::SYS_statx, Any, "the same";
    libc::SYS_lseek, Any, "the length of a file that is read whole; the beginning of one that is written anew";
    libc::SYS_ftruncate, Any, "empty the memory file that the next table goes to";
    libc::SYS_fsync, Any, "make the names of state files durable";
    libc::SYS_fdatasync, Any, "make an accepted change durable before it is confirmed";
    #[cfg(not(target_arch = "riscv64"))]
    libc::SYS_renameat, Any, "put a compacted journal in the place of the old one";
    #[cfg(target_arch = "riscv64")]
    libc::SYS_renameat2, Any, "put a compacted journal in the place of the old one";
    libc::SYS_unlinkat, Any, "remove state files that are replaced";
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink, Any, "try to remove the path socket at the end; refused by Landlock unless it is in the \
        state directory";
    libc::SYS_inotify_add_watch, Any, "watch hosts files that a reload names";

    // Memory.
    libc::SYS_brk, Any, "memory";
    libc::SYS_mmap, Without(2, EXECUTABLE), "memory, never executable";
    libc::SYS_mprotect, Without(2, EXECUTABLE), "memory, never executable";
    libc::SYS_mremap, Any, "memory that grows";
    libc::SYS_munmap, Any, "memory that is given back";
    libc::SYS_madvise, Any, "memory that is given back";

    // Time, chance, ourselves.
    libc::SYS_clock_gettime, Any, "time, where it is not read without a call";
    libc::SYS_getrandom, Any, "keys of tables";
    libc::SYS_getpid, Any, "the number in lines of the system log";
    libc::SYS_gettid, Any, "abort after a panic";
    libc::SYS_geteuid, Any, "whose files the state files are";
    libc::SYS_futex, OneOf(1, WAIT_AND_WAKE), "locks that are never contended, and have to be able to be";

    // None at all: a tracer (strace) that has a call fail replaces it by this number, which is no call to the kernel.
    NO_CALL, Any, "faults that tests inject";

    // The end.
    #[cfg(not(target_arch = "x86_64"))]
    libc::SYS_dup3, OneOf(1, STANDARD), "let go of the terminal when the daemon is ready";
    #[cfg(target_arch = "x86_64")]
    libc::SYS_dup2, OneOf(1, STANDARD), "let go of the terminal when the daemon is ready";
    libc::SYS_rt_sigreturn, Any, "come back from the handler of a stack overflow";
    libc::SYS_rt_sigprocmask, Any, "abort after a panic";
    libc::SYS_rt_sigaction, OneOf(0, OWN_DEATHS), "abort after a panic; die of a stack overflow with a message";
    libc::SYS_sigaltstack, Any, "the end of the thread";
    libc::SYS_tgkill, OwnProcess, "abort after a panic, and no other process";
    libc::SYS_restart_syscall, Any, "go on waiting after a pause (SIGSTOP, SIGCONT)";
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink, Any, "the panic message with a list of calls";
    libc::SYS_readlinkat, Any, "the same, where it is the only form";
    libc::SYS_getcwd, Any, "the panic message with a list of calls";
    libc::SYS_exit_group, Any, "the end";
}
