//! A private machine for one test: network, mounts, processes, host name. Loopback is up in both families; `/run`
//! is an empty tmpfs with what the daemons expect; `/etc` and `/var` are writable copies that vanish afterwards.
//! The test process itself stays outside: closures and children enter through a thread of their own.
//! It must never leave anything behind: the first process in it ends when the test's end of its pipe closes.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{Uid, User, chown};

use crate::process::{Finished, Process};
use crate::wait;

/// The first process: mounts its own `/proc`, raises the loopback interface, says so, then only waits for the end.
/// Ignoring CHLD lets the kernel collect the orphans.
const FIRST_PROCESS: &str =
    "mount -n -t proc proc /proc && ip link set lo up && trap '' CHLD && echo up && exec cat";

/// How long the end of a namespace waits for the end of everything in it, which has been killed.
const COLLECTED: Duration = Duration::from_millis(200);

/// A private machine. Everything in it is killed when it is dropped, or when the test process dies.
#[derive(Debug)]
pub struct Namespace {
    first: Option<Child>,
    pid: u32,
    net: File,
    mounts: File,
    names: File,
    messages: File,
    pids: File,
}

impl Namespace {
    /// Makes one; it takes some milliseconds and needs root.
    ///
    /// # Errors
    /// What the kernel refused, with the step.
    pub fn new() -> io::Result<Self> {
        std::thread::scope(|scope| {
            scope.spawn(make).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs `work` on a thread that is inside: sockets it opens and files it names are the namespace's, processes
    /// it starts live and die in it. Relative paths start at `/`.
    ///
    /// # Errors
    /// Entering failed; never what `work` answers.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        self.on_a_thread(true, work)
    }

    /// Starts a program inside, as [`Process::spawn`] does.
    ///
    /// # Errors
    /// Entering or starting failed.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Process> {
        Process::spawn(self, command)
    }

    /// Runs a program inside to its end and collects what it wrote.
    ///
    /// # Errors
    /// It could not be started, or did not end in time (it is killed then).
    pub fn run(&self, command: &mut Command) -> io::Result<Finished> {
        Process::spawn(self, command)?.finish()
    }

    /// Runs `program arguments..` inside and wants it to succeed; answers its standard output.
    ///
    /// # Errors
    /// It could not be started, did not end in time, or ended with failure: then with all it wrote.
    pub fn expect(&self, program: &str, arguments: &[&str]) -> io::Result<String> {
        let finished = self.run(Command::new(program).args(arguments))?;
        if finished.status.success() {
            return Ok(finished.stdout);
        }
        Err(io::Error::other(format!("{program} {}: {finished:?}", arguments.join(" "))))
    }

    /// Joins this namespace with `other` by a cable: a veth pair, up, with these addresses (`10.0.0.1/24`,
    /// `fd00::1/64`) at this end and those at the other. It carries, and IPv6 addresses are usable, at once.
    ///
    /// # Errors
    /// What `ip` said, or it never carried.
    pub fn connect(&self, other: &Self, here: &[&str], there: &[&str]) -> io::Result<()> {
        self.cable(other, here, there).map(drop)
    }

    /// As [`Namespace::connect`]; answers the name of the two ends.
    ///
    /// # Errors
    /// What `ip` said, or it never carried.
    pub fn cable(&self, other: &Self, here: &[&str], there: &[&str]) -> io::Result<String> {
        static CABLES: AtomicU32 = AtomicU32::new(0);
        let name = format!("v{}", CABLES.fetch_add(1, Ordering::Relaxed));
        let peer = other.pid;
        // Outside this process namespace: `ip` names the other end's network by a process id as seen by the test.
        let add = format!("link add {name} type veth peer name {name} netns {peer}\n");
        self.on_a_thread(false, || configure(&add))??;
        for (end, addresses) in [(self, here), (other, there)] {
            let mut lines = String::new();
            for address in addresses {
                let how = if address.contains(':') { "nodad" } else { "brd +" };
                lines.push_str(&format!("addr add {address} dev {name} {how}\n"));
            }
            lines.push_str(&format!("link set {name} up\n"));
            end.on_a_thread(false, || configure(&lines))??;
        }
        // What is sent before that is lost.
        self.wait_for_carrier(&name)?;
        other.wait_for_carrier(&name)?;
        Ok(name)
    }

    /// Waits until this end of a cable carries: what is sent before that is lost.
    ///
    /// # Errors
    /// It never did.
    pub fn wait_for_carrier(&self, interface: &str) -> io::Result<()> {
        wait::until("carrier", || {
            let shown = self.expect("ip", &["-o", "link", "show", "dev", interface])?;
            Ok(shown.contains(" state UP ").then_some(()))
        })
    }

    /// Writes a file inside, over whatever was there (in `/etc`, `/var`, `/run` the machine's own stays untouched).
    ///
    /// # Errors
    /// What the file system said.
    pub fn write(&self, path: &str, contents: &str) -> io::Result<()> {
        self.within(|| {
            if let Some(parent) = Path::new(path).parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, contents)
        })?
    }

    /// The process of this name (its first 15 letters) inside, by its number as the test sees it.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn process_named(&self, name: &str) -> io::Result<Option<u32>> {
        let inside = fs::read_link(format!("/proc/{}/ns/pid", self.pid))?;
        let name: String = name.chars().take(15).collect();
        for entry in fs::read_dir("/proc")? {
            let path = entry?.path();
            let Some(pid) = path.file_name().and_then(|number| number.to_str()?.parse().ok()) else {
                continue;
            };
            // A process that has ended meanwhile is not the one.
            let is_inside = fs::read_link(path.join("ns/pid")).is_ok_and(|link| link == inside);
            if is_inside && fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name) {
                return Ok(Some(pid));
            }
        }
        Ok(None)
    }

    fn on_a_thread<T: Send>(&self, processes_too: bool, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let inside = || {
            self.enter(processes_too)?;
            Ok(work())
        };
        std::thread::scope(|scope| {
            // The thread carries the test's name, so that what it panics with is attributed.
            let name = std::thread::current().name().unwrap_or("inside").to_owned();
            let thread = std::thread::Builder::new().name(name).spawn_scoped(scope, inside)?;
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn enter(&self, processes_too: bool) -> io::Result<()> {
        // A thread shares its root and directory with the process until it says otherwise.
        unshare(CloneFlags::CLONE_FS)?;
        setns(&self.net, CloneFlags::CLONE_NEWNET)?;
        setns(&self.names, CloneFlags::CLONE_NEWUTS)?;
        setns(&self.messages, CloneFlags::CLONE_NEWIPC)?;
        if processes_too {
            setns(&self.pids, CloneFlags::CLONE_NEWPID)?;
        }
        setns(&self.mounts, CloneFlags::CLONE_NEWNS)?;
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let Some(mut first) = self.first.take() else { return };
        // Fails only when it has ended already.
        let _ = first.kill();
        // Its end kills the rest, and is complete when all of them are collected: those that are children of the
        // test and not collected yet would hold it up, hence a thread, and a bound on waiting for that.
        let (done, end) = mpsc::channel();
        std::thread::spawn(move || {
            let _ = first.wait();
            let _ = done.send(());
        });
        let _ = end.recv_timeout(COLLECTED);
    }
}

/// On a thread of its own, which ends in the new namespaces.
fn make() -> io::Result<Namespace> {
    let all = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    unshare(all).map_err(|errno| step("unshare", errno))?;
    arrange_mounts()?;
    let mut first = Command::new("/bin/sh")
        .args(["-c", FIRST_PROCESS])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut up = [0; 3];
    if let Some(said) = first.stdout.as_mut() {
        said.read_exact(&mut up).map_err(|error| io::Error::other(format!("first process: {error}")))?;
    }
    // Addresses of cables are usable at once instead of after duplicate detection.
    for name in ["all", "default"] {
        // Absent where IPv6 is off, and then there is nothing to switch.
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{name}/accept_dad"), "0");
    }
    // This thread's own `/proc` is gone: the new one shows the new processes only.
    let open = |name: &str| File::open(format!("/proc/1/ns/{name}")).map_err(|error| step(name, error));
    Ok(Namespace {
        net: open("net")?,
        mounts: open("mnt")?,
        names: open("uts")?,
        messages: open("ipc")?,
        pids: open("pid")?,
        pid: first.id(),
        first: Some(first),
    })
}

fn arrange_mounts() -> io::Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(|errno| step("/", errno))?;
    // The copies' upper layers lie on a first tmpfs, which the second one then hides.
    tmpfs_on_run()?;
    for (place, upper, work) in [("/etc", "/run/etc", "/run/etc-work"), ("/var", "/run/var", "/run/var-work")]
    {
        fs::create_dir(upper)?;
        fs::create_dir(work)?;
        let options = format!("lowerdir={place},upperdir={upper},workdir={work}");
        mount(Some("overlay"), place, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
            .map_err(|errno| step(place, errno))?;
    }
    tmpfs_on_run()?;
    for directory in ["/run/lock", "/run/rpcbind", "/run/ganesha", "/run/sendsigs.omit.d"] {
        fs::create_dir(directory)?;
    }
    fs::set_permissions("/run/lock", fs::Permissions::from_mode(0o1777))?;
    // The C daemon's user; without it the directory stays root's.
    if let Ok(Some(user)) = User::from_name("_rpc") {
        chown("/run/rpcbind", Some(user.uid), Some(nix::unistd::Gid::from_raw(0)))?;
    }
    Ok(())
}

fn tmpfs_on_run() -> io::Result<()> {
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some("mode=755"))
        .map_err(|errno| step("/run", errno))
}

/// Feeds `ip` a batch, on a thread that is inside already.
fn configure(lines: &str) -> io::Result<()> {
    let mut ip =
        Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut input) = ip.stdin.take() {
        input.write_all(lines.as_bytes())?;
    }
    let output = ip.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("ip: {lines}: {}", String::from_utf8_lossy(&output.stderr))))
}

fn step(what: &str, error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("namespace: {what}: {error}"))
}

/// The number of a user by name, for rows whose owner it is.
#[must_use]
pub fn uid_of(name: &str) -> Option<u32> {
    User::from_name(name).ok().flatten().map(|user| Uid::as_raw(user.uid))
}
